/* fuzz_torch.c  Whole files of torch.save, zip or stacked. Entries must lie inside the file. */
#include "fuzz.h"

#include "formats/file_kind.h"
#include "formats/torch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    Heap *heap = heap_create();
    Arena arena;
    File *file;
    FileKind kind;
    EntryList list = { 0 };
    SnugError err = { { 0 } };
    char path[64];
    int fd = fuzz_file(bytes, n, path);
    arena_init(&arena, heap, "fuzz");
    FUZZ_CHECK(file_open(&file, heap, path, &err) == SNUG_OK);
    FUZZ_CHECK(file_kind_find(file, &kind, &err) == SNUG_OK);
    FormatRead *read = kind == KIND_TORCH_STACKED ? torch_read_stacked : torch_read_zip;
    const SnugStatus status = read(file, &arena, &list, &err);
    fuzz_check_status(status, &err);
    for (int32_t i = 0; status == SNUG_OK && i < list.n; i++)
        FUZZ_CHECK(list.entries[i].offset <= n &&
                   (list.entries[i].read || list.entries[i].bytes <= n - list.entries[i].offset));
    file_close(file);
    arena_release(&arena);
    (void)close(fd);
    fuzz_check_heap(heap, 64 * n);
    return 0;
}
