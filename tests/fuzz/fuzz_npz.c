/* fuzz_npz.c  A NumPy archive from anywhere. What is accepted lies inside the file. */
#include "fuzz.h"

#include "formats/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    Heap *heap = heap_create();
    Arena arena;
    File *file;
    EntryList list = { 0 };
    SnugError err = { { 0 } };
    char path[64];
    int fd = fuzz_file(bytes, n, path);
    size_t sum = 0;
    arena_init(&arena, heap, "fuzz");
    FUZZ_CHECK(file_open(&file, heap, path, &err) == SNUG_OK);
    fuzz_check_status(npz_read(file, &arena, &list, &err), &err);
    for (int32_t i = 0; i < list.n; i++) {
        const Entry *e = &list.entries[i];
        FUZZ_CHECK(e->bytes <= n && e->offset <= n - e->bytes && e->rank <= ENTRY_MAX_RANK);
        FUZZ_CHECK(strlen(e->name) <= ENTRY_MAX_NAME);
        sum += e->bytes;
    }
    FUZZ_CHECK(sum <= n);
    file_close(file);
    arena_release(&arena);
    (void)close(fd);
    fuzz_check_heap(heap, 16 * n);
    return 0;
}
