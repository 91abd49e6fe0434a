/* test_text_draw.c  Letters against Pillow's, in fonts of four kinds; and what no font can do. */
#include "golden.h"

#include <math.h>
#include <string.h>

#include "media/filter.h"
#include "media/text_draw.h"

static SnugError err;

static const char *font_path(const char *name)
{
    static char below[256];
    (void)snprintf(below, sizeof below, "golden/fonts/%s", name);
    return test_path(below);
}

typedef struct Line {
    char font[32], text[128];
    int size, box[4], width, height, x, y;
} Line;

/* "\n" in the golden's line is a line end. */
static bool read_line(FILE *file, Line *line)
{
    char rest[256];
    int at = 0;
    if (!fgets(rest, sizeof rest, file)) return false;
    rest[strcspn(rest, "\n")] = '\0';
    CHECK_INT(sscanf(rest, "%31s %d %d %d %d %d %d %d %d %d%n", line->font, &line->size, line->box,
                     line->box + 1, line->box + 2, line->box + 3, &line->width, &line->height,
                     &line->x, &line->y, &at),
              10);
    size_t n = 0;
    for (const char *from = rest + at + 1; *from; from++) {
        const bool end = from[0] == '\\' && from[1] == 'n';
        line->text[n++] = end ? '\n' : *from;
        from += end;
    }
    line->text[n] = '\0';
    return true;
}

static double share_equal(const Image *a, const Image *b, int tolerance)
{
    const size_t n = image_bytes(a->width, a->height, 1);
    size_t equal = 0;
    for (size_t i = 0; i < n; i++)
        equal += abs(a->pixels[i] - b->pixels[i]) <= tolerance;
    return (double)equal / (double)n;
}

/* Another release of FreeType may round a coverage otherwise: of the edge maps (what a ControlNet sees)
 * 99 in 100 pixels are equal, and no box is off by more than one (requirement A21). */
static void check_line(const Line *line, Golden *golden, Heap *heap)
{
    TextFont *font = NULL;
    ImageBox box;
    Image got, want, got_edges, want_edges;
    if (text_draw_open(&font, heap, font_path(line->font), line->size, &err) != SNUG_OK)
        fail_msg("%s", err.text);
    CHECK_INT(text_draw_bounds(font, line->text, &box, &err), SNUG_OK);
    const int have[4] = { box.left, box.top, box.right, box.bottom };
    for (int i = 0; i < 4; i++)
        if (abs(have[i] - line->box[i]) > 1)
            fail_msg("%s %d \"%s\": side %d of the box is %d, Pillow has %d", line->font,
                     line->size, line->text, i, have[i], line->box[i]);
    CHECK_INT(image_init(&got, heap, line->width, line->height, 1, &err), SNUG_OK);
    CHECK_INT(image_init(&want, heap, line->width, line->height, 1, &err), SNUG_OK);
    memcpy(want.pixels, golden_take(golden, image_bytes(line->width, line->height, 1)),
           image_bytes(line->width, line->height, 1));
    CHECK_INT(text_draw(font, line->text, &got, line->x, line->y, &err), SNUG_OK);
    CHECK_INT(filter_edges(&got_edges, heap, &got, &err), SNUG_OK);
    CHECK_INT(filter_edges(&want_edges, heap, &want, &err), SNUG_OK);
    compose_threshold(&got_edges, 30);
    compose_threshold(&want_edges, 30);
    const double equal = share_equal(&got_edges, &want_edges, 0);
    if (equal < 0.99 || share_equal(&got, &want, 24) < 0.99)
        fail_msg("%s %d \"%s\": %.4f of the edge map and %.4f of the pixels are equal", line->font,
                 line->size, line->text, equal, share_equal(&got, &want, 24));
    image_release(&got);
    image_release(&want);
    image_release(&got_edges);
    image_release(&want_edges);
    text_draw_close(font);
}

TEST(text_draw, letters_stand_where_pillow_puts_them)
{
    Heap *heap = heap_create();
    size_t n;
    Golden golden = { .lines = fopen(font_path("texts.txt"), "r") };
    CHECK(golden.lines != NULL);
    golden.data = golden_file(font_path("texts.bin"), &n);
    golden.n = n;
    Line line;
    int lines = 0;
    while (read_line(golden.lines, &line)) {
        check_line(&line, &golden, heap);
        lines++;
    }
    CHECK(lines >= 10);
    golden_close(&golden);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(text_draw, missing_glyphs_are_named)
{
    Heap *heap = heap_create();
    TextFont *font = NULL;
    CHECK_INT(text_draw_open(&font, heap, font_path("latin.ttf"), 20, &err), SNUG_OK);
    CHECK_TEXT(text_draw_family(font), "Snug Test Latin");
    CHECK_TEXT(text_draw_style(font), "Regular");
    CHECK_INT(text_draw_missing(font, "SALE 50%!\n\xe2\x80\x8b"), 0);
    CHECK_INT(text_draw_missing(font, "SA\xed\x95\x9c"), 0xd55c);
    CHECK_INT(text_draw_missing(font, "\xf0\x9f\x98\x80"), 0x1f600);
    text_draw_close(font);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(text_draw, what_cannot_be_drawn_is_refused)
{
    Heap *heap = heap_create();
    TextFont *font = NULL;
    ImageBox box;
    static char long_text[TEXT_DRAW_MAX_BYTES + 2];
    CHECK_INT(text_draw_open(&font, heap, font_path("texts.txt"), 20, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "texts.txt: no font");
    CHECK_INT(text_draw_open(&font, heap, font_path("absent.ttf"), 20, &err), SNUG_ERR_FILE);
    CHECK_INT(text_draw_open(&font, heap, font_path("latin.ttf"), 0, &err), SNUG_ERR_ARG);
    CHECK_INT(text_draw_open(&font, heap, font_path("latin.ttf"), 100000, &err), SNUG_ERR_ARG);
    CHECK(font == NULL);
    CHECK_INT(text_draw_open(&font, heap, font_path("latin.ttf"), 20, &err), SNUG_OK);
    CHECK_INT(text_draw_bounds(font, "\xff", &box, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "UTF-8");
    memset(long_text, 'A', sizeof long_text - 1);
    CHECK_INT(text_draw_bounds(font, long_text, &box, &err), SNUG_ERR_ARG);
    Image rgb;
    CHECK_INT(image_init(&rgb, heap, 8, 8, 3, &err), SNUG_OK);
    CHECK_INT(text_draw(font, "A", &rgb, 0, 0, &err), SNUG_ERR_ARG);
    image_release(&rgb);
    text_draw_close(font);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}
