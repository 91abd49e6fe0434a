/* text_draw.c  A line is laid out by libraqm (order of scripts, shaping, kerning), then each glyph is
 * rendered by FreeType, hinted and grey, and put at whole pixels. */
#include "media/text_draw.h"

#include <ft2build.h>
#include FT_OUTLINE_H
#include <raqm.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

/* Glyphs are hinted; advances are not, as HarfBuzz has them since it asks FreeType for linear ones
 * (measured: Pillow 13 with HarfBuzz 14), whatever its release here. */
enum {
    LINE_GAP_PX = 4,
    LOAD_FLAGS = FT_LOAD_DEFAULT | FT_LOAD_NO_BITMAP,
    LAYOUT_FLAGS = FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP
};

struct TextFont {
    Heap *heap;
    FT_Library library;
    FT_Face face;
    int ascender_px, line_px;
};

/* 26.6 fixed point to the nearest pixel. */
static int to_pixels(FT_Pos position)
{
    return (int)((position + 32) >> 6);
}

/* ---- layout ---------------------------------------------------------------------------------- */

/* Calls `each` for every glyph of a line, with its pen position relative to the line's origin. */
typedef struct Line {
    TextFont *font;
    const char *text;
    size_t n;
    void *context;
    SnugStatus (*each)(void *context, FT_GlyphSlot slot, int x, int y, SnugError *err);
    FT_Pos advance; /* out: where the pen ends */
} Line;

static SnugStatus set_glyphs(Line *l, const raqm_glyph_t *glyphs, size_t n, SnugError *err)
{
    FT_Pos x = 0, y = 0;
    for (size_t i = 0; i < n; i++) {
        if (FT_Load_Glyph(l->font->face, glyphs[i].index, LOAD_FLAGS) != 0)
            return error_set(err, SNUG_ERR_FILE, "glyph %u of font %s %s cannot be drawn",
                             glyphs[i].index, text_draw_family(l->font), text_draw_style(l->font));
        TRY(l->each(l->context, l->font->face->glyph, to_pixels(x + glyphs[i].x_offset),
                    to_pixels(y + glyphs[i].y_offset), err));
        x += glyphs[i].x_advance;
        y += glyphs[i].y_advance;
    }
    l->advance = x;
    return SNUG_OK;
}

static SnugStatus lay_out(Line *l, SnugError *err)
{
    l->advance = 0;
    if (l->n == 0) return SNUG_OK;
    raqm_t *layout = raqm_create();
    const bool good = layout && raqm_set_text_utf8(layout, l->text, l->n) &&
                      raqm_set_freetype_face(layout, l->font->face) &&
                      raqm_set_freetype_load_flags(layout, LAYOUT_FLAGS) &&
                      raqm_set_par_direction(layout, RAQM_DIRECTION_DEFAULT) && raqm_layout(layout);
    size_t n = 0;
    const raqm_glyph_t *glyphs = good ? raqm_get_glyphs(layout, &n) : NULL;
    const SnugStatus status = glyphs ? set_glyphs(l, glyphs, n, err)
                                     : error_set(err, SNUG_ERR_MEMORY, "no memory to set a line");
    if (layout) raqm_destroy(layout);
    return status;
}

/* Lay out every line of a text; `below` receives the line's distance from the first. */
static SnugStatus each_line(Line *l, const char *text, int *below,
                            void (*end)(void *context, const Line *line), SnugError *err)
{
    const size_t bytes = strlen(text);
    if (bytes > TEXT_DRAW_MAX_BYTES)
        return error_set(err, SNUG_ERR_ARG, "text of %zu bytes: at most %d", bytes,
                         TEXT_DRAW_MAX_BYTES);
    if (text_utf8_check(text, bytes) != bytes)
        return error_set(err, SNUG_ERR_ARG, "the text is no valid UTF-8");
    *below = 0;
    for (const char *at = text;; at += l->n + 1, *below += l->font->line_px) {
        l->text = at;
        l->n = strcspn(at, "\n");
        TRY(lay_out(l, err));
        if (end) end(l->context, l);
        if (at[l->n] == '\0') return SNUG_OK;
    }
}

/* ---- bounds ---------------------------------------------------------------------------------- */

typedef struct Bounds {
    ImageBox box; /* y down from the first baseline */
    int below;
} Bounds;

static void widen(ImageBox *box, ImageBox by)
{
    if (by.left < box->left) box->left = by.left;
    if (by.top < box->top) box->top = by.top;
    if (by.right > box->right) box->right = by.right;
    if (by.bottom > box->bottom) box->bottom = by.bottom;
}

static SnugStatus glyph_bounds(void *context, FT_GlyphSlot slot, int x, int y, SnugError *err)
{
    (void)err;
    Bounds *b = context;
    FT_BBox box;
    FT_Outline_Get_CBox(&slot->outline, &box);
    const int left = (int)(box.xMin >> 6), right = (int)((box.xMax + 63) >> 6),
              low = (int)(box.yMin >> 6), high = (int)((box.yMax + 63) >> 6);
    widen(&b->box, (ImageBox){ x + left, b->below - y - high, x + right, b->below - y - low });
    return SNUG_OK;
}

static void end_bounds(void *context, const Line *line)
{
    Bounds *b = context;
    if (to_pixels(line->advance) > b->box.right) b->box.right = to_pixels(line->advance);
}

SnugStatus text_draw_bounds(TextFont *font, const char *text, ImageBox *out, SnugError *err)
{
    Bounds b = { .box = { 0, INT32_MAX, 0, INT32_MIN } };
    Line line = { .font = font, .each = glyph_bounds, .context = &b };
    TRY(each_line(&line, text, &b.below, end_bounds, err));
    if (b.box.top > b.box.bottom) b.box.top = b.box.bottom = -font->ascender_px; /* no ink */
    *out = (ImageBox){ b.box.left, b.box.top + font->ascender_px, b.box.right,
                       b.box.bottom + font->ascender_px };
    return SNUG_OK;
}

/* ---- drawing --------------------------------------------------------------------------------- */

typedef struct Drawing {
    Image *grey;
    int x, y; /* of the first baseline's begin */
    int below;
} Drawing;

static void lay_coverage(Image *grey, const FT_Bitmap *bitmap, int left, int top)
{
    for (int row = 0; row < (int)bitmap->rows; row++) {
        const int y = top + row;
        if (y < 0 || y >= grey->height) continue;
        const unsigned char *from = bitmap->buffer + (ptrdiff_t)row * bitmap->pitch;
        uint8_t *to = grey->pixels + (size_t)y * (size_t)grey->width;
        for (int i = 0; i < (int)bitmap->width; i++) {
            const int x = left + i;
            if (x >= 0 && x < grey->width && from[i] > to[x]) to[x] = from[i];
        }
    }
}

static SnugStatus draw_glyph(void *context, FT_GlyphSlot slot, int x, int y, SnugError *err)
{
    const Drawing *d = context;
    if (FT_Render_Glyph(slot, FT_RENDER_MODE_NORMAL) != 0)
        return error_set(err, SNUG_ERR_FILE, "a glyph of this font cannot be drawn");
    if (slot->bitmap.pixel_mode == FT_PIXEL_MODE_GRAY)
        lay_coverage(d->grey, &slot->bitmap, d->x + x + slot->bitmap_left,
                     d->y + d->below - y - slot->bitmap_top);
    return SNUG_OK;
}

SnugStatus text_draw(TextFont *font, const char *text, Image *grey, int x, int y, SnugError *err)
{
    Drawing d = { .grey = grey, .x = x, .y = y + font->ascender_px };
    Line line = { .font = font, .each = draw_glyph, .context = &d };
    if (grey->channels != 1)
        return error_set(err, SNUG_ERR_ARG, "text is drawn onto a grey picture, got %d channels",
                         grey->channels);
    return each_line(&line, text, &d.below, NULL, err);
}

/* ---- fonts ----------------------------------------------------------------------------------- */

/* Needs no glyph: spaces, line ends, joiners, marks of direction. */
static bool is_silent(uint32_t code)
{
    return code <= ' ' || code == 0xa0 || code == 0xad || (code >= 0x2000 && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202f) || (code >= 0x205f && code <= 0x206f) ||
           code == 0x3000 || code == 0xfeff || (code >= 0xfe00 && code <= 0xfe0f);
}

uint32_t text_draw_missing(const TextFont *font, const char *text)
{
    const size_t n = strlen(text);
    for (size_t at = 0; at < n;) {
        const uint32_t code = text_utf8_next(text, n, &at);
        if (!is_silent(code) && FT_Get_Char_Index(font->face, code) == 0) return code;
    }
    return 0;
}

/* Pillow measures a line by the letter A. */
static SnugStatus measure(TextFont *font, int size_px, SnugError *err)
{
    ImageBox box;
    if (FT_Set_Pixel_Sizes(font->face, 0, (FT_UInt)size_px) != 0)
        return error_set(err, SNUG_ERR_FILE, "this font cannot be %d px tall", size_px);
    font->ascender_px = to_pixels(font->face->size->metrics.ascender);
    TRY(text_draw_bounds(font, "A", &box, err));
    font->line_px = box.bottom + LINE_GAP_PX;
    return SNUG_OK;
}

static SnugStatus open_face(TextFont *font, const char *path, int size_px, SnugError *err)
{
    if (FT_Init_FreeType(&font->library) != 0)
        return error_set(err, SNUG_ERR_MEMORY, "no memory for fonts");
    const FT_Error fault = FT_New_Face(font->library, path, 0, &font->face);
    if (fault == FT_Err_Out_Of_Memory)
        return error_set(err, SNUG_ERR_MEMORY, "no memory for a font");
    if (fault != 0) return error_set(err, SNUG_ERR_FILE, "no font that can be read");
    if (!FT_IS_SCALABLE(font->face))
        return error_set(err, SNUG_ERR_FILE, "a font without outlines");
    return measure(font, size_px, err);
}

SnugStatus text_draw_open(TextFont **out, Heap *heap, const char *path, int size_px, SnugError *err)
{
    *out = NULL;
    if (size_px < 1 || size_px > TEXT_DRAW_MAX_PX)
        return error_set(err, SNUG_ERR_ARG, "text of %d px: must be 1..%d", size_px,
                         TEXT_DRAW_MAX_PX);
    TextFont *font = heap_take(heap, sizeof *font, "font");
    if (!font) return error_set(err, SNUG_ERR_MEMORY, "no memory for a font");
    font->heap = heap;
    const SnugStatus status = open_face(font, path, size_px, err);
    if (status == SNUG_OK)
        *out = font;
    else
        text_draw_close(font);
    return error_wrap(err, status, "%s: ", path);
}

void text_draw_close(TextFont *font)
{
    if (!font) return;
    if (font->face) FT_Done_Face(font->face);
    if (font->library) FT_Done_FreeType(font->library);
    heap_give(font->heap, font);
}

const char *text_draw_family(const TextFont *font)
{
    return font->face->family_name ? font->face->family_name : "";
}

const char *text_draw_style(const TextFont *font)
{
    return font->face->style_name ? font->face->style_name : "";
}
