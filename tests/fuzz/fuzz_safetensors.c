/* fuzz_safetensors.c  A header from anywhere. What is accepted must tile the data. */
#include "fuzz.h"

#include "formats/safetensors.h"

static void check_list(const EntryList *list, const File *file)
{
    size_t sum = 0, first = file_bytes(file);
    for (int32_t i = 0; i < list->n; i++) {
        const Entry *e = &list->entries[i];
        FUZZ_CHECK(e->bytes <= file_bytes(file) && e->offset <= file_bytes(file) - e->bytes);
        FUZZ_CHECK(strlen(e->name) <= ENTRY_MAX_NAME && e->rank <= ENTRY_MAX_RANK);
        sum += e->bytes;
        if (e->offset < first) first = e->offset;
    }
    FUZZ_CHECK(list->n == 0 || first + sum == file_bytes(file));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    Heap *heap = heap_create();
    Arena arena;
    File *file;
    EntryList list;
    SnugError err = { { 0 } };
    char path[64];
    int fd = fuzz_file(bytes, n, path);
    arena_init(&arena, heap, "fuzz");
    FUZZ_CHECK(file_open(&file, heap, path, &err) == SNUG_OK);
    SnugStatus status = safetensors_read(file, &arena, &list, &err);
    fuzz_check_status(status, &err);
    if (status == SNUG_OK) check_list(&list, file);
    file_close(file);
    arena_release(&arena);
    (void)close(fd);
    fuzz_check_heap(heap, n);
    return 0;
}
