/* test_compose.c  Laying over and filtering: bytes equal to Pillow's. */
#include "golden.h"

#include <string.h>

#include "media/compose.h"
#include "media/filter.h"

static SnugError err;

/* A picture with the next pixels of the data file. */
static Image take(Golden *golden, Heap *heap, int w, int h, int channels)
{
    Image image;
    CHECK_INT(image_init(&image, heap, w, h, channels, &err), SNUG_OK);
    memcpy(image.pixels, golden_take(golden, image_bytes(w, h, channels)),
           image_bytes(w, h, channels));
    return image;
}

static void check_equal(const char *line, const Image *got, Golden *golden)
{
    const size_t bytes = image_bytes(got->width, got->height, got->channels);
    const unsigned char *want = golden_take(golden, bytes);
    for (size_t i = 0; i < bytes; i++)
        if (got->pixels[i] != want[i])
            fail_msg("%s: byte %zu is %d, Pillow has %d", line, i, got->pixels[i], want[i]);
}

static bool filtered(const char *kind, double number, Heap *heap, const Image *in, Image *out)
{
    SnugStatus status;
    if (strcmp(kind, "edges") == 0)
        status = filter_edges(out, heap, in, &err);
    else if (strcmp(kind, "max") == 0)
        status = filter_max(out, heap, in, (int)number, &err);
    else if (strcmp(kind, "median") == 0)
        status = filter_median(out, heap, in, (int)number, &err);
    else if (strcmp(kind, "blur") == 0)
        status = filter_blur(out, heap, in, number, &err);
    else
        return false;
    CHECK_INT(status, SNUG_OK);
    return true;
}

static void check_filter(const char *line, const char *kind, double number, Golden *golden,
                         Heap *heap, int w, int h)
{
    Image in = take(golden, heap, w, h, 1), out;
    CHECK(filtered(kind, number, heap, &in, &out));
    check_equal(line, &out, golden);
    image_release(&in);
    image_release(&out);
}

static void check_pair(const char *line, const char *kind, double number, Golden *golden,
                       Heap *heap, const int *size)
{
    Image below = take(golden, heap, size[0], size[1], 4);
    Image above = take(golden, heap, size[0], size[1], 4), mask;
    CHECK_INT(compose_alpha(&mask, heap, &above, &err), SNUG_OK);
    if (strcmp(kind, "over") == 0)
        compose_over(&below, &above);
    else
        compose_paste(&below, &above, (int)number, size[2], &mask);
    check_equal(line, &below, golden);
    image_release(&below);
    image_release(&above);
    image_release(&mask);
}

static void check_bounds(Golden *golden, Heap *heap, const int *size)
{
    Image image = take(golden, heap, size[0], size[1], 4);
    ImageBox box;
    const bool any = compose_bounds(&image, &box);
    CHECK_INT(any, size[4] > 0);
    if (any) {
        CHECK_INT(box.left, size[2]);
        CHECK_INT(box.top, size[3]);
        CHECK_INT(box.right, size[4]);
        CHECK_INT(box.bottom, size[5]);
    }
    image_release(&image);
}

/* One line of the golden: what was done, its number, width, height, and further numbers. */
static void check_line(const char *line, Golden *golden, Heap *heap)
{
    char kind[32];
    double number;
    int size[6] = { 0 };
    CHECK(sscanf(line, "%31s %lf %d %d %d %d %d %d", kind, &number, size, size + 1, size + 2,
                 size + 3, size + 4, size + 5) >= 4);
    const int w = size[0], h = size[1];
    if (strcmp(kind, "over") == 0 || strcmp(kind, "paste") == 0)
        check_pair(line, kind, number, golden, heap, size);
    else if (strcmp(kind, "bounds") == 0)
        check_bounds(golden, heap, size);
    else if (strcmp(kind, "fill") == 0) {
        Image image = take(golden, heap, w, h, 1);
        compose_fill(&image, (ImageBox){ 1, 1, w + 1, (h > 2 ? h - 2 : h) + 1 }, (uint8_t)number);
        check_equal(line, &image, golden);
        image_release(&image);
    } else if (strcmp(kind, "grey") == 0) {
        Image image = take(golden, heap, w, h, 4), grey;
        CHECK_INT(compose_grey(&grey, heap, &image, &err), SNUG_OK);
        check_equal(line, &grey, golden);
        image_release(&image);
        image_release(&grey);
    } else if (strcmp(kind, "percentile") == 0) {
        Image image = take(golden, heap, w, h, 1);
        CHECK(compose_percentile(&image, 40) == number);
        image_release(&image);
    } else
        check_filter(line, kind, number, golden, heap, w, h);
}

TEST(compose, bytes_equal_those_of_pillow)
{
    Heap *heap = heap_create();
    Golden golden = golden_open("compose");
    char line[128];
    int n = 0;
    while (fgets(line, sizeof line, golden.lines)) {
        check_line(line, &golden, heap);
        n++;
    }
    CHECK(n >= 60);
    golden_close(&golden);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(compose, channels_are_converted)
{
    Heap *heap = heap_create();
    Image rgb, rgba, alpha, back;
    CHECK_INT(image_init(&rgb, heap, 2, 1, 3, &err), SNUG_OK);
    memcpy(rgb.pixels, "\1\2\3\4\5\6", 6);
    CHECK_INT(compose_convert(&rgba, heap, &rgb, 4, &err), SNUG_OK);
    CHECK(memcmp(rgba.pixels, "\1\2\3\377\4\5\6\377", 8) == 0);
    rgba.pixels[3] = 9;
    CHECK_INT(compose_alpha(&alpha, heap, &rgba, &err), SNUG_OK);
    CHECK(memcmp(alpha.pixels, "\11\377", 2) == 0);
    compose_threshold(&alpha, 9);
    CHECK(memcmp(alpha.pixels, "\0\377", 2) == 0);
    CHECK_INT(compose_convert(&back, heap, &rgba, 3, &err), SNUG_OK);
    CHECK(memcmp(back.pixels, rgb.pixels, 6) == 0);
    image_release(&back);
    CHECK_INT(compose_convert(&back, heap, &alpha, 3, &err), SNUG_OK);
    CHECK(memcmp(back.pixels, "\0\0\0\377\377\377", 6) == 0);
    image_release(&rgb);
    image_release(&rgba);
    image_release(&alpha);
    image_release(&back);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(compose, what_no_filter_can_do_is_refused)
{
    Heap *heap = heap_create();
    Image rgb, grey, out;
    CHECK_INT(image_init(&rgb, heap, 4, 4, 3, &err), SNUG_OK);
    CHECK_INT(image_init(&grey, heap, 4, 4, 1, &err), SNUG_OK);
    CHECK_INT(filter_edges(&out, heap, &rgb, &err), SNUG_ERR_ARG);
    CHECK_INT(filter_max(&out, heap, &grey, 4, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "odd");
    CHECK_INT(filter_median(&out, heap, &grey, -1, &err), SNUG_ERR_ARG);
    CHECK_INT(filter_max(&out, heap, &grey, 257, &err), SNUG_ERR_ARG);
    CHECK_INT(filter_blur(&out, heap, &grey, -1, &err), SNUG_ERR_ARG);
    CHECK_INT(filter_blur(&out, heap, &grey, 0.0 / 0.0, &err), SNUG_ERR_ARG);
    heap_fail_at(heap, 2);
    CHECK_INT(filter_blur(&out, heap, &grey, 3, &err), SNUG_ERR_MEMORY);
    heap_fail_at(heap, 0);
    image_release(&rgb);
    image_release(&grey);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}
