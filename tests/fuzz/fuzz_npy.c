/* fuzz_npy.c  Whole files: header, sizes, and every conversion. */
#include "fuzz.h"

#include "formats/npy.h"

typedef SnugStatus Read(Arena *arena, const char *path, NpyArray *out, SnugError *err);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static Read *const READS[] = { npy_read_f32, npy_read_f64, npy_read_i64 };
    char path[64];
    int fd = fuzz_file(bytes, n, path);
    for (size_t i = 0; i < 3; i++) {
        Heap *heap = heap_create();
        Arena arena;
        NpyArray array;
        SnugError err = { { 0 } };
        arena_init(&arena, heap, "fuzz");
        SnugStatus status = READS[i](&arena, path, &array, &err);
        fuzz_check_status(status, &err);
        /* a byte of file becomes at most eight of memory */
        if (status == SNUG_OK) FUZZ_CHECK(array.count <= (int64_t)n && array.rank <= NPY_MAX_RANK);
        arena_release(&arena);
        fuzz_check_heap(heap, 2 * n);
    }
    (void)close(fd);
    return 0;
}
