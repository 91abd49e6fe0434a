/* list.h  Growing array of equal items in counted memory; remembers its first failure. */
#ifndef TEXT_LIST_H
#define TEXT_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/heap.h"

typedef struct List {
    Heap *heap;
    void *at; /**< n items */
    size_t n, room, item_bytes;
    bool failed; /**< memory was refused; later pushes do nothing */
} List;

void list_init(List *list, Heap *heap, size_t item_bytes);
void list_release(List *list);
/** Append a copy of *item. */
void list_push(List *list, const void *item);

#endif
