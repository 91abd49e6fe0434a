/* arena.c  Blocks of 64 KiB or of the size asked for, chained; nothing is freed singly. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum { ARENA_ALIGN = 16, ARENA_BLOCK_BYTES = 64 * 1024 };

typedef struct ArenaBlock {
    struct ArenaBlock *before;
    size_t used, bytes; /* of data, which begins at ARENA_HEADER */
} ArenaBlock;

enum { ARENA_HEADER = 64 };
_Static_assert(sizeof(ArenaBlock) <= ARENA_HEADER, "header must fit");

void arena_init(Arena *arena, Heap *heap, const char *label)
{
    *arena = (Arena){ .heap = heap, .label = label };
}

void arena_release(Arena *arena)
{
    while (arena->last) {
        ArenaBlock *block = arena->last;
        arena->last = block->before;
        heap_give(arena->heap, block);
    }
}

void *arena_take(Arena *arena, size_t bytes)
{
    size_t need = size_align(bytes ? bytes : 1, ARENA_ALIGN);
    if (need == SIZE_MAX) return NULL;
    ArenaBlock *block = arena->last;
    if (!block || block->bytes - block->used < need) {
        size_t data = need > ARENA_BLOCK_BYTES / 4 ? need : ARENA_BLOCK_BYTES;
        size_t total;
        if (!size_add(data, ARENA_HEADER, &total)) return NULL;
        block = heap_take(arena->heap, total, arena->label);
        if (!block) return NULL;
        block->bytes = data;
        if (arena->last && data == need) { /* a big one: keep filling the block in front */
            block->before = arena->last->before;
            arena->last->before = block;
        } else {
            block->before = arena->last;
            arena->last = block;
        }
    }
    void *taken = (char *)block + ARENA_HEADER + block->used;
    block->used += need;
    return taken;
}

void *arena_array(Arena *arena, size_t n, size_t item_bytes)
{
    size_t bytes;
    return size_mul(n, item_bytes, &bytes) ? arena_take(arena, bytes) : NULL;
}

char *arena_text(Arena *arena, const char *text, size_t n)
{
    size_t bytes;
    char *copy = size_add(n, 1, &bytes) ? arena_take(arena, bytes) : NULL;
    if (copy) memcpy(copy, text, n); /* the terminator is there: blocks are zeroed */
    return copy;
}

char *arena_printf(Arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : arena_take(arena, (size_t)n + 1);
    if (text) (void)vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}
