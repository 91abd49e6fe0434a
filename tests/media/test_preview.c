/* test_preview.c  The preview is replaced at once, and enlarged without blur. */
#include "golden.h"

#include "media/image_read.h"
#include "media/preview.h"

TEST(preview, each_write_replaces_the_last)
{
    Heap *heap = heap_create();
    SnugError err = { 0 };
    char path[600];
    (void)snprintf(path, sizeof path, "%s/preview.png", test_scratch());
    float rgb[4 * 3 * 3];
    test_random(rgb, 36, -0.2f, 1.2f);
    CHECK(preview_write(path, heap, rgb, 2, 2, 1, &err) == SNUG_OK);
    CHECK(preview_write(path, heap, rgb, 4, 3, 5, &err) == SNUG_OK);
    Image image;
    CHECK(image_read_file(&image, heap, path, 3, NULL, &err) == SNUG_OK);
    CHECK(image.width == 20 && image.height == 15);
    uint8_t want[36];
    image_bytes_from_unit(want, rgb, 36);
    for (int y = 0; y < 15; y++)
        for (int x = 0; x < 20; x++)
            for (int c = 0; c < 3; c++)
                CHECK_INT(image.pixels[(y * 20 + x) * 3 + c], want[(y / 5 * 4 + x / 5) * 3 + c]);
    image_release(&image);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(preview, what_cannot_be_written_is_an_error_and_leaks_nothing)
{
    Heap *heap = heap_create();
    SnugError err = { 0 };
    char path[600];
    float rgb[12] = { 0 };
    (void)snprintf(path, sizeof path, "%s/absent/p.png", test_scratch());
    CHECK(preview_write(path, heap, rgb, 2, 2, 1, &err) == SNUG_ERR_IO);
    CHECK_HAS(err.text, "absent/p.png");
    (void)snprintf(path, sizeof path, "%s/p.png", test_scratch());
    CHECK(preview_write(path, heap, rgb, 0, 2, 1, &err) == SNUG_ERR_ARG);
    CHECK(preview_write(path, heap, rgb, 2, 2, 0, &err) == SNUG_ERR_ARG);
    CHECK(preview_write(path, heap, rgb, 2, 2, 17, &err) == SNUG_ERR_ARG);
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int n = 1; status != SNUG_OK; n++) {
        heap_fail_at(heap, n);
        status = preview_write(path, heap, rgb, 2, 2, 3, &err);
        heap_fail_at(heap, 0);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        CHECK_INT(heap_now_bytes(heap), 0);
    }
    heap_free(heap);
}
