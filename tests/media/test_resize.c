/* test_resize.c  Against Pillow (bit for bit) and torch. */
#include "golden.h"

#include "base/size.h"
#include "media/resize.h"

static ResizeFilter find_filter(const char *name)
{
    static const char *const NAMES[] = { "nearest", "box", "bilinear", "bicubic", "lanczos" };
    for (int i = 0; i < 5; i++)
        if (strcmp(name, NAMES[i]) == 0) return (ResizeFilter)i;
    fail_msg("filter %s", name);
    return RESIZE_NEAREST;
}

TEST(resize, equals_pillow_bit_for_bit)
{
    Heap *heap = heap_create();
    Golden golden = golden_open("resize");
    char filter[16];
    int channels, w, h, to_w, to_h, n = 0;
    while (fscanf(golden.lines, "%15s %d %d %d %d %d", filter, &channels, &w, &h, &to_w, &to_h) ==
           6) {
        Image in = { w, h, channels, golden_take(&golden, image_bytes(w, h, channels)), NULL };
        const size_t bytes = image_bytes(to_w, to_h, channels);
        const unsigned char *want = golden_take(&golden, bytes);
        Image out;
        SnugError err;
        CHECK(resize_image(&out, heap, &in, to_w, to_h, find_filter(filter), &err) == SNUG_OK);
        if (memcmp(out.pixels, want, bytes) != 0)
            fail_msg("%s of %d channels, %d x %d -> %d x %d", filter, channels, w, h, to_w, to_h);
        image_release(&out);
        n++;
    }
    CHECK(n > 50);
    golden_close(&golden);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static void to_hwc(float *out, const float *in, int channels, int height, int width)
{
    const int n = height * width;
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < n; i++)
            out[i * channels + c] = in[c * n + i];
}

typedef struct Planes {
    ResizeShape shape;
    int height, width;
    const float *in, *want;
    double tolerance;
    int bicubic;
} Planes;

static void check_planes(Heap *heap, const Planes *p)
{
    SnugError err;
    const size_t n = image_bytes(p->width, p->height, p->shape.channels);
    float *got = malloc(n * sizeof *got);
    CHECK(got != NULL);
    if (p->bicubic)
        CHECK(resize_bicubic_f32(got, p->height, p->width, p->in, p->shape, heap, &err) == SNUG_OK);
    else
        resize_nearest_f32(got, p->height, p->width, p->in, p->shape);
    CHECK_CLOSE(got, p->want, n, p->tolerance);
    free(got);
}

TEST(resize, float_planes_equal_torch_in_both_layouts)
{
    Heap *heap = heap_create();
    Golden golden = golden_open("planes");
    char mode[16];
    int c, h, w, to_h, to_w, n = 0;
    static float in[3 * 8192], want[3 * 8192];
    while (fscanf(golden.lines, "%15s %d %d %d %d %d", mode, &c, &h, &w, &to_h, &to_w) == 6) {
        const size_t in_n = image_bytes(w, h, c), want_n = image_bytes(to_w, to_h, c);
        const float *in_chw = (const void *)golden_take(&golden, 4 * in_n);
        const float *want_chw = (const void *)golden_take(&golden, 4 * want_n);
        /* |x| <= 1; |weights| of four taps sum to at most 1.375 an axis. Bicubic: the position
         * loses half an ulp of up to 200 (7.6e-6), and a value moves by at most 2 * 1.375 * 1.375
         * per unit of position and axis; the sums' own rounding is far below. */
        const int bicubic = strcmp(mode, "bicubic") == 0;
        const double tolerance = bicubic ? 2 * 3.8 * 7.6e-6 : 0.0;
        Planes planes = {
            { c, h, w, RESIZE_CHW }, to_h, to_w, in_chw, want_chw, tolerance, bicubic
        };
        check_planes(heap, &planes);
        CHECK(in_n <= COUNT(in) && want_n <= COUNT(want));
        to_hwc(in, in_chw, c, h, w);
        to_hwc(want, want_chw, c, to_h, to_w);
        planes.shape.layout = RESIZE_HWC;
        planes.in = in;
        planes.want = want;
        check_planes(heap, &planes);
        n++;
    }
    CHECK(n >= 10);
    golden_close(&golden);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static void fill(Image *image)
{
    const size_t n = image_bytes(image->width, image->height, image->channels);
    for (size_t i = 0; i < n; i++)
        image->pixels[i] = (uint8_t)(i * 7);
}

TEST(resize, crop_takes_the_part_and_refuses_what_lies_outside)
{
    Heap *heap = heap_create();
    Image in, out;
    SnugError err = { 0 };
    CHECK(image_init(&in, heap, 9, 7, 3, &err) == SNUG_OK);
    fill(&in);
    CHECK(resize_crop(&out, heap, &in, 2, 3, 4, 2, &err) == SNUG_OK);
    for (int y = 0; y < 2; y++)
        CHECK(memcmp(out.pixels + y * 12, in.pixels + ((y + 3) * 9 + 2) * 3, 12) == 0);
    image_release(&out);
    /* (9 - 4) / 2 = 2, (7 - 4) / 2 = 1 */
    CHECK(resize_crop_centre(&out, heap, &in, 4, 4, &err) == SNUG_OK);
    CHECK(memcmp(out.pixels, in.pixels + (1 * 9 + 2) * 3, 12) == 0);
    image_release(&out);
    static const int BAD[][4] = { { -1, 0, 2, 2 }, { 0, -1, 2, 2 }, { 8, 0, 2, 2 },
                                  { 0, 6, 2, 2 },  { 0, 0, 0, 1 },  { 0, 0, 10, 1 } };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        CHECK(resize_crop(&out, heap, &in, BAD[i][0], BAD[i][1], BAD[i][2], BAD[i][3], &err) ==
              SNUG_ERR_ARG);
        CHECK_HAS(err.text, "9 x 7");
    }
    CHECK(resize_crop_centre(&out, heap, &in, 10, 4, &err) == SNUG_ERR_ARG);
    image_release(&in);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(resize, every_refused_allocation_is_reported_and_leaks_nothing)
{
    Heap *heap = heap_create();
    Image in, out;
    CHECK(image_init(&in, heap, 9, 7, 4, NULL) == SNUG_OK);
    const size_t before = heap_now_bytes(heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    int n = 0;
    while (status != SNUG_OK) {
        SnugError err = { 0 };
        heap_fail_at(heap, ++n);
        status = resize_image(&out, heap, &in, 20, 3, RESIZE_LANCZOS, &err);
        heap_fail_at(heap, 0);
        CHECK(status == SNUG_OK || (status == SNUG_ERR_MEMORY && err.text[0]));
        if (status == SNUG_OK) image_release(&out);
        CHECK_INT(heap_now_bytes(heap), before);
    }
    CHECK(n > 6);
    CHECK(resize_image(&out, heap, &in, 0, 3, RESIZE_LANCZOS, NULL) == SNUG_ERR_ARG);
    CHECK(resize_image(&out, heap, &in, 3, IMAGE_MAX_SIDE_PX + 1, RESIZE_BOX, NULL) ==
          SNUG_ERR_ARG);
    image_release(&in);
    heap_free(heap);
}
