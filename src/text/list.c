/* list.c  Doubling array. */
#include "text/list.h"

#include <string.h>

#include "base/size.h"

void list_init(List *list, Heap *heap, size_t item_bytes)
{
    *list = (List){ .heap = heap, .item_bytes = item_bytes };
}

void list_release(List *list)
{
    heap_give(list->heap, list->at);
    list_init(list, list->heap, list->item_bytes);
}

static bool grow(List *list)
{
    size_t room = list->room ? 2 * list->room : 64, bytes;
    char *bigger =
        size_mul(room, list->item_bytes, &bytes) ? heap_take(list->heap, bytes, "text") : NULL;
    if (!bigger) return false;
    if (list->n) memcpy(bigger, list->at, list->n * list->item_bytes);
    heap_give(list->heap, list->at);
    list->at = bigger;
    list->room = room;
    return true;
}

void list_push(List *list, const void *item)
{
    if (list->failed) return;
    if (list->n == list->room && !grow(list)) {
        list->failed = true;
        return;
    }
    memcpy((char *)list->at + list->n * list->item_bytes, item, list->item_bytes);
    list->n++;
}
