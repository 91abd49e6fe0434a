/* fuzz_camera_path.c  The same bytes as CameraCtrl's text and as a path in words: what is taken is
 * made of rigid motions. */
#include "fuzz.h"

#include <math.h>

#include "geometry/camera_path.h"

enum { FRAMES = 21 };

static void check_poses(const CameraPath *path)
{
    for (int64_t i = 0; i < path->n; i++) {
        const double *r = path->poses[i].r, *t = path->poses[i].t;
        for (int k = 0; k < 3; k++) {
            const double *row = r + (ptrdiff_t)3 * k;
            FUZZ_CHECK(fabs(row[0] * row[0] + row[1] * row[1] + row[2] * row[2] - 1.0) < 1e-9);
            FUZZ_CHECK(isfinite(t[k]));
        }
    }
}

static void read_text(const char *bytes, size_t n)
{
    Heap *heap = heap_create();
    Arena arena;
    CameraPath path;
    CameraLens *lenses;
    SnugError err = { { 0 } };
    arena_init(&arena, heap, "fuzz");
    const SnugStatus status =
        camera_path_from_text(&path, &lenses, &arena, (TextView){ bytes, n }, "f", &err);
    fuzz_check_status(status, &err);
    if (status == SNUG_OK) check_poses(&path);
    arena_release(&arena);
    fuzz_check_heap(heap, 8 * n);
}

static void read_words(const char *bytes, size_t n)
{
    Heap *heap = heap_create();
    Arena arena;
    CameraPath path;
    SnugError err = { { 0 } };
    arena_init(&arena, heap, "fuzz");
    char *words = arena_take(&arena, n + 1); /* zeroed */
    FUZZ_CHECK(words);
    if (n) memcpy(words, bytes, n);
    const SnugStatus status = camera_path_from_words(&path, &arena, words, FRAMES, &err);
    FUZZ_CHECK(status == SNUG_OK || status == SNUG_ERR_ARG);
    FUZZ_CHECK((status == SNUG_OK) == (err.text[0] == '\0'));
    if (status == SNUG_OK) {
        FUZZ_CHECK(path.n == FRAMES && path.fov_degrees > 0 && path.fov_degrees < 180);
        check_poses(&path);
    }
    arena_release(&arena);
    fuzz_check_heap(heap, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    read_text((const char *)bytes, n);
    read_words((const char *)bytes, n);
    return 0;
}
