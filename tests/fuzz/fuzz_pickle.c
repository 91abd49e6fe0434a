/* fuzz_pickle.c  A pickle as torch.save writes it, with ten storages that are the input's own bytes.
 * What is accepted must be readable to its last byte. */
#include "fuzz.h"

#include "formats/torch_tensors.h"

static void read_all(const File *file, const EntryList *list, size_t n)
{
    size_t budget = 16 * n + 4096; /* of bytes read in one go: many small tensors are enough */
    for (int32_t i = 0; i < list->n; i++) {
        const Entry *e = &list->entries[i];
        SnugError err;
        FUZZ_CHECK(strlen(e->name) <= ENTRY_MAX_NAME && e->rank <= ENTRY_MAX_RANK);
        FUZZ_CHECK(e->bytes <= 16 * 8 * n);
        if (e->bytes > budget) continue;
        budget -= e->bytes;
        uint8_t *to = malloc(e->bytes + 1);
        FUZZ_CHECK(to);
        FUZZ_CHECK((e->read ? e->read(file, e, 0, e->bytes, to, &err)
                            : file_pread_all(file, e->offset, to, e->bytes, &err)) == SNUG_OK);
        free(to);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char KEYS[] = "0123456789";
    Heap *heap = heap_create();
    Arena arena;
    File *file;
    EntryList list = { 0 };
    SnugError err = { { 0 } };
    TorchStorage storages[10];
    char path[64];
    int fd = fuzz_file(bytes, n, path);
    size_t used = 0;
    for (int i = 0; i < 10; i++)
        storages[i] = (TorchStorage){ { KEYS + i, 1 }, 0, n };
    arena_init(&arena, heap, "fuzz");
    FUZZ_CHECK(file_open(&file, heap, path, &err) == SNUG_OK);
    const PickleSource source = {
        .path = path, .bytes = bytes, .n = n, .stacked = n % 2, .arena = &arena
    };
    PickleValue root;
    SnugStatus status = pickle_read(&source, &root, &used, &err);
    FUZZ_CHECK(used <= n);
    if (status == SNUG_OK)
        status =
            torch_tensors_list(&list, &arena, file, root, (TorchStorages){ storages, 10 }, &err);
    fuzz_check_status(status, &err);
    if (status == SNUG_OK) read_all(file, &list, n);
    file_close(file);
    arena_release(&arena);
    (void)close(fd);
    fuzz_check_heap(heap, 64 * n);
    return 0;
}
