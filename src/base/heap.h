/* heap.h  Counted allocation: every block outside the slab is booked here under a label. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Heap Heap;

/** One row of the heap's book. */
typedef struct HeapLabel {
    const char *label; /**< static string */
    size_t now_bytes, peak_bytes;
} HeapLabel;

/** Create the book of one engine. NULL when the system has no memory. */
Heap *heap_create(void);
/** Free the book; blocks still booked are the caller's leak (heap_now_bytes tells). */
void heap_free(Heap *heap);

/** Zeroed block of `bytes` (0 gives a valid block), 64-byte aligned; NULL when refused.
 *  `label` is a static string. Threads: any. */
void *heap_take(Heap *heap, size_t bytes, const char *label);
/** Return a block; NULL is fine. */
void heap_give(Heap *heap, void *block);

size_t heap_now_bytes(const Heap *heap);
size_t heap_peak_bytes(const Heap *heap);
/** Copy up to `max` rows of the book; returns how many there are. */
int heap_labels(Heap *heap, HeapLabel *out, int max);

/** Fault injection for tests: the n-th heap_take from now fails (1 = the next; 0 = never). */
void heap_fail_at(Heap *heap, int64_t n);

#endif
