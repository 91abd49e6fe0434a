/* fuzz_checkpoint.c  A weight file of any kind: recognised, read, quantised weights joined. Every
 * entry that is accepted must be readable to its last byte. */
#include "fuzz.h"

#include "formats/checkpoint.h"

static void read_all(const Checkpoint *c, size_t n)
{
    size_t budget = 16 * n + 4096;
    for (int32_t i = 0; i < checkpoint_count(c); i++) {
        const Entry *e = checkpoint_entry(c, i);
        SnugError err;
        FUZZ_CHECK(checkpoint_find(c, e->name) == i);
        if (e->bytes > budget) continue;
        budget -= e->bytes;
        uint8_t *to = malloc(e->bytes + 1);
        FUZZ_CHECK(to);
        FUZZ_CHECK(checkpoint_read(c, e, 0, e->bytes, to, &err) == SNUG_OK);
        checkpoint_forget(c, e);
        free(to);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    SnugError err = { { 0 } };
    char path[64];
    int fd = fuzz_file(bytes, n, path);
    const SnugStatus status = checkpoint_open(&c, heap, path, NULL, &err);
    fuzz_check_status(status, &err);
    FUZZ_CHECK((status == SNUG_OK) == (c != NULL));
    if (c) read_all(c, n);
    checkpoint_close(c);
    (void)close(fd);
    fuzz_check_heap(heap, 64 * n);
    return 0;
}
