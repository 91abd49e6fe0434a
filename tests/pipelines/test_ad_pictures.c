/* test_ad_pictures.c  The steps between networks against the service's own calls of Pillow. */
#include "../media/golden.h"

#include <string.h>

#include "media/filter.h"
#include "media/resize.h"
#include "pipelines/ad_pictures.h"

static SnugError err;
enum { SIDE_PX = 1024, TEXT_PX = 160 };

typedef struct Bench {
    Heap *heap;
    Golden golden;
    char line[128];
    int number[4];
} Bench;

static Image take(Bench *b, int w, int h, int channels)
{
    Image image;
    const size_t n = image_bytes(w, h, channels);
    CHECK_INT(image_init(&image, b->heap, w, h, channels, &err), SNUG_OK);
    memcpy(image.pixels, golden_take(&b->golden, n), n);
    return image;
}

/* The next picture of the golden; `got` is released. */
static void expect(Bench *b, const char *what, Image *got)
{
    const size_t n = image_bytes(got->width, got->height, got->channels);
    const unsigned char *want = golden_take(&b->golden, n);
    for (size_t i = 0; i < n; i++)
        if (got->pixels[i] != want[i])
            fail_msg("%s: %s: byte %zu is %d, not %d", b->line, what, i, got->pixels[i], want[i]);
    image_release(got);
}

static void check_cut_out(Bench *b)
{
    Image picture = take(b, b->number[0], b->number[1], 3);
    Image soft = take(b, b->number[2], b->number[3], 1), out;
    CHECK_INT(ad_cut_out(&out, b->heap, &picture, &soft, 128, &err), SNUG_OK);
    expect(b, "cut out", &out);
    image_release(&picture);
    image_release(&soft);
}

static void check_product(Bench *b)
{
    Image background = take(b, b->number[0], b->number[1], 3);
    Image product = take(b, b->number[2], b->number[3], 4), draft, mask;
    CHECK_INT(ad_place_product(&draft, &mask, b->heap, &background, &product, &err), SNUG_OK);
    expect(b, "draft", &draft);
    expect(b, "mask", &mask);
    image_release(&background);
    image_release(&product);
}

static void check_position(Bench *b, const Image *background)
{
    AdPosition found;
    CHECK_INT(ad_find_position(&found, b->heap, background, &err), SNUG_OK);
    CHECK_INT(found, b->number[3]);
}

static void check_text(Bench *b)
{
    Image background = take(b, b->number[0], b->number[1], 3);
    Image text = take(b, b->number[0], b->number[1], 4), moved, draft, mask;
    check_position(b, &background);
    CHECK_INT(ad_move_text(&moved, b->heap, &text, (AdPosition)b->number[2], &err), SNUG_OK);
    CHECK_INT(ad_lay_text(&draft, &mask, b->heap, &background, &moved, &err), SNUG_OK);
    expect(b, "moved", &moved);
    expect(b, "draft", &draft);
    expect(b, "mask", &mask);
    image_release(&background);
    image_release(&text);
}

/* Letters may differ a little with FreeType's release: a box off by one, 1 in 100 edge pixels. */
static void check_guide(Bench *b)
{
    TextFont *font = NULL;
    Image guide, edges, seen, small;
    ImageBox box;
    const int *want = b->number;
    CHECK_INT(text_draw_open(&font, b->heap, test_path("golden/fonts/latin.ttf"), TEXT_PX, &err),
              SNUG_OK);
    CHECK_INT(ad_text_guide(&guide, b->heap, font, "SALE 50%!", SIDE_PX, &err), SNUG_OK);
    CHECK(compose_bounds(&guide, &box));
    CHECK(abs(box.left - want[0]) <= 1 && abs(box.top - want[1]) <= 1 &&
          abs(box.right - want[2]) <= 1 && abs(box.bottom - want[3]) <= 1);
    const int w = want[2] - want[0], h = want[3] - want[1];
    CHECK_INT(resize_crop(&seen, b->heap, &guide, want[0], want[1], w, h, &err), SNUG_OK);
    CHECK_INT(resize_image(&small, b->heap, &seen, w / 4, h / 4, RESIZE_BOX, &err), SNUG_OK);
    const unsigned char *pillow = golden_take(&b->golden, image_bytes(w / 4, h / 4, 1));
    size_t far = 0;
    for (size_t i = 0; i < image_bytes(w / 4, h / 4, 1); i++)
        far += abs(small.pixels[i] - pillow[i]) > 16;
    CHECK(far * 100 <= image_bytes(w / 4, h / 4, 1));
    CHECK_INT(ad_guide_edges(&edges, b->heap, &guide, &err), SNUG_OK);
    size_t lit = 0;
    for (size_t i = 0; i < image_bytes(SIDE_PX, SIDE_PX, 1); i++)
        lit += edges.pixels[3 * i] != 0;
    int count = 0;
    CHECK(fscanf(b->golden.lines, " edges %d ", &count) == 1);
    CHECK(labs((long)lit - count) * 100 <= count);
    image_release(&guide);
    image_release(&edges);
    image_release(&seen);
    image_release(&small);
    text_draw_close(font);
}

static void check_line(Bench *b)
{
    char step[32];
    int *n = b->number;
    CHECK(sscanf(b->line, "%31s %d %d %d %d", step, n, n + 1, n + 2, n + 3) == 5);
    if (strcmp(step, "cut_out") == 0) check_cut_out(b);
    if (strcmp(step, "product") == 0) check_product(b);
    if (strcmp(step, "text") == 0) check_text(b);
    if (strcmp(step, "guide") == 0) check_guide(b);
    if (strcmp(step, "position") != 0) return;
    Image background = take(b, n[0], n[1], 3);
    check_position(b, &background);
    image_release(&background);
}

TEST(ad_pictures, bytes_equal_those_of_the_service)
{
    size_t n;
    Bench b = { .heap = heap_create(),
                .golden.lines = fopen(test_path("golden/ad/pictures.txt"), "r") };
    CHECK(b.golden.lines != NULL);
    b.golden.data = golden_file(test_path("golden/ad/pictures.bin"), &n);
    b.golden.n = n;
    int lines = 0;
    for (; fgets(b.line, sizeof b.line, b.golden.lines); lines++)
        check_line(&b);
    CHECK(lines >= 20);
    golden_close(&b.golden);
    CHECK_INT(heap_now_bytes(b.heap), 0);
    heap_free(b.heap);
}

TEST(ad_pictures, text_that_cannot_be_set_is_refused)
{
    Heap *heap = heap_create();
    TextFont *font = NULL;
    Image guide;
    const char *path = test_path("golden/fonts/latin.ttf");
    CHECK_INT(text_draw_open(&font, heap, path, TEXT_PX, &err), SNUG_OK);
    CHECK_INT(ad_text_guide(&guide, heap, font, "SALE SALE SALE", SIDE_PX, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "does not fit");
    CHECK_INT(ad_text_guide(&guide, heap, font, "A\nA\nA\nA\nA\nA\nA\nA", SIDE_PX, &err),
              SNUG_ERR_ARG);
    CHECK_HAS(err.text, "does not fit");
    CHECK_INT(ad_text_guide(&guide, heap, font, "SA\xed\x95\x9c", SIDE_PX, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "U+D55C");
    CHECK(guide.pixels == NULL);
    text_draw_close(font);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(ad_pictures, a_product_of_nothing_is_refused)
{
    Heap *heap = heap_create();
    Image background, product, draft, mask;
    CHECK_INT(image_init(&background, heap, 8, 8, 3, &err), SNUG_OK);
    CHECK_INT(image_init(&product, heap, 2, 9, 4, &err), SNUG_OK);
    CHECK_INT(ad_place_product(&draft, &mask, heap, &background, &product, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "too small");
    for (int n = 1; n < 12; n++) { /* every refused allocation leaks nothing */
        image_release(&product);
        CHECK_INT(image_init(&product, heap, 9, 9, 4, &err), SNUG_OK);
        heap_fail_at(heap, n);
        const SnugStatus status =
            ad_place_product(&draft, &mask, heap, &background, &product, &err);
        heap_fail_at(heap, 0);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        image_release(&draft);
        image_release(&mask);
    }
    image_release(&background);
    image_release(&product);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(ad_pictures, prompts_say_mode_place_and_the_users_words)
{
    char text[512];
    ad_composite_prompt(text, sizeof text, AD_BLEND, AD_CENTER, "golden hour");
    CHECK_TEXT(text, "seamlessly integrate text in center, matching scene atmosphere and style, "
                     "golden hour, professional advertising, high quality, photorealistic "
                     "lighting, seamless integration");
    ad_composite_prompt(text, sizeof text, AD_OVERLAY, AD_TOP, "");
    CHECK_HAS(text, "crisp and prominent, professional advertising");
}
