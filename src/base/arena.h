/* arena.h  Memory that is freed in one call: names, tables and requests of an engine, job or run. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/heap.h"

/** Chain of blocks from one heap. Fields are private. */
typedef struct Arena {
    Heap *heap;
    const char *label;
    struct ArenaBlock *last;
} Arena;

/** `label` is a static string: the row in the heap's book. Allocates nothing yet. */
void arena_init(Arena *arena, Heap *heap, const char *label);
/** Free everything taken from the arena; it may be used again. */
void arena_release(Arena *arena);

/** Zeroed, 16-byte aligned; lives until arena_release. NULL when refused. */
void *arena_take(Arena *arena, size_t bytes);
/** Array of n zeroed items; NULL when refused or n * item_bytes overflows. */
void *arena_array(Arena *arena, size_t n, size_t item_bytes);
/** Copy of n bytes of text plus a terminator. */
char *arena_text(Arena *arena, const char *text, size_t n);
/** printf into the arena. */
__attribute__((format(printf, 2, 3))) char *arena_printf(Arena *arena, const char *format, ...);

#endif
