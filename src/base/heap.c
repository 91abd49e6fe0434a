/* heap.c  malloc with a book. A header before each block remembers its size and label. */
#include "base/heap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum { HEAP_ALIGN = 64, HEAP_MAX_LABELS = 96 };

struct Heap {
    pthread_mutex_t lock; /* guards everything below */
    size_t now_bytes, peak_bytes;
    int64_t fail_in; /* 0: never */
    int n_labels;
    HeapLabel labels[HEAP_MAX_LABELS]; /* last row collects what no longer fits the table */
};

typedef struct Header {
    size_t bytes;
    int label;
} Header;
_Static_assert(sizeof(Header) <= HEAP_ALIGN, "header must fit before an aligned block");

Heap *heap_create(void)
{
    Heap *heap = calloc(1, sizeof *heap);
    if (!heap) return NULL;
    if (pthread_mutex_init(&heap->lock, NULL) != 0) {
        free(heap);
        return NULL;
    }
    return heap;
}

void heap_free(Heap *heap)
{
    if (!heap) return;
    pthread_mutex_destroy(&heap->lock);
    free(heap);
}

static int find_label(Heap *heap, const char *label)
{
    for (int i = 0; i < heap->n_labels; i++)
        if (heap->labels[i].label == label || strcmp(heap->labels[i].label, label) == 0) return i;
    if (heap->n_labels == HEAP_MAX_LABELS) return HEAP_MAX_LABELS - 1;
    heap->labels[heap->n_labels].label = label;
    return heap->n_labels++;
}

static void book(Heap *heap, int label, size_t bytes)
{
    HeapLabel *row = &heap->labels[label];
    row->now_bytes += bytes;
    if (row->now_bytes > row->peak_bytes) row->peak_bytes = row->now_bytes;
    heap->now_bytes += bytes;
    if (heap->now_bytes > heap->peak_bytes) heap->peak_bytes = heap->now_bytes;
}

void *heap_take(Heap *heap, size_t bytes, const char *label)
{
    size_t total;
    if (!size_add(bytes, HEAP_ALIGN, &total)) return NULL;
    pthread_mutex_lock(&heap->lock);
    bool refuse = heap->fail_in > 0 && --heap->fail_in == 0;
    pthread_mutex_unlock(&heap->lock);
    if (refuse) return NULL;

    void *base = NULL;
    if (posix_memalign(&base, HEAP_ALIGN, total) != 0) return NULL;
    memset(base, 0, total);
    pthread_mutex_lock(&heap->lock);
    Header *header = base;
    header->bytes = total;
    header->label = find_label(heap, label);
    book(heap, header->label, total);
    pthread_mutex_unlock(&heap->lock);
    return (char *)base + HEAP_ALIGN;
}

void heap_give(Heap *heap, void *block)
{
    if (!block) return;
    char *base = (char *)block - HEAP_ALIGN;
    const Header *header = (const Header *)(const void *)base;
    pthread_mutex_lock(&heap->lock);
    heap->labels[header->label].now_bytes -= header->bytes;
    heap->now_bytes -= header->bytes;
    pthread_mutex_unlock(&heap->lock);
    free(base);
}

static size_t locked_read(const Heap *heap, const size_t *value)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&heap->lock;
    pthread_mutex_lock(lock);
    size_t copy = *value;
    pthread_mutex_unlock(lock);
    return copy;
}

size_t heap_now_bytes(const Heap *heap)
{
    return locked_read(heap, &heap->now_bytes);
}

size_t heap_peak_bytes(const Heap *heap)
{
    return locked_read(heap, &heap->peak_bytes);
}

int heap_labels(Heap *heap, HeapLabel *out, int max)
{
    pthread_mutex_lock(&heap->lock);
    int n = heap->n_labels;
    for (int i = 0; i < n && i < max; i++)
        out[i] = heap->labels[i];
    pthread_mutex_unlock(&heap->lock);
    return n;
}

void heap_fail_at(Heap *heap, int64_t n)
{
    pthread_mutex_lock(&heap->lock);
    heap->fail_in = n;
    pthread_mutex_unlock(&heap->lock);
}
