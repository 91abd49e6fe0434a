/* fuzz_entries.h  A file of tensors from anywhere: what is accepted lies inside it, nothing twice. */
#ifndef TESTS_FUZZ_FUZZ_ENTRIES_H
#define TESTS_FUZZ_FUZZ_ENTRIES_H

#include "fuzz.h"

#include "formats/entry.h"

static inline void fuzz_check_entries(const EntryList *list, size_t n, int last_type)
{
    size_t sum = 0;
    for (int32_t i = 0; i < list->n; i++) {
        const Entry *e = &list->entries[i];
        FUZZ_CHECK(e->bytes <= n && e->offset <= n - e->bytes && e->rank <= ENTRY_MAX_RANK);
        FUZZ_CHECK((int)e->dtype <= last_type && strlen(e->name) <= ENTRY_MAX_NAME);
        sum += e->bytes;
    }
    FUZZ_CHECK(sum <= n);
}

/** @param last_type  DT_COUNT where types that cannot be loaded are listed too
 * @param names  times the input: what names and lists may take, see fuzz_check_heap */
static inline void fuzz_entries(const uint8_t *bytes, size_t n, FormatRead *read, int last_type,
                                size_t names)
{
    Heap *heap = heap_create();
    Arena arena;
    File *file;
    EntryList list = { 0 };
    SnugError err = { { 0 } };
    char path[64];
    int fd = fuzz_file(bytes, n, path);
    arena_init(&arena, heap, "fuzz");
    FUZZ_CHECK(file_open(&file, heap, path, &err) == SNUG_OK);
    fuzz_check_status(read(file, &arena, &list, &err), &err);
    fuzz_check_entries(&list, n, last_type);
    file_close(file);
    arena_release(&arena);
    (void)close(fd);
    fuzz_check_heap(heap, names * n);
}

#endif
