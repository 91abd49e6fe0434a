/* ad_pictures.c  Steps between networks: sizes and places are those of the service that snug takes
 * over (docs/MODELS.md, "ad"). */
#include "pipelines/ad_pictures.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "media/filter.h"
#include "media/resize.h"

/* ---- cutting out ----------------------------------------------------------------------------- */

SnugStatus ad_cut_out(Image *out, Heap *heap, const Image *picture, const Image *soft,
                      int threshold, SnugError *err)
{
    Image fitted = { 0 };
    *out = (Image){ 0 };
    TRY(resize_image(&fitted, heap, soft, picture->width, picture->height, RESIZE_LANCZOS, err));
    compose_threshold(&fitted, threshold);
    const SnugStatus status = compose_convert(out, heap, picture, 4, err);
    const size_t n = image_bytes(fitted.width, fitted.height, 1);
    for (size_t i = 0; i < n && status == SNUG_OK; i++)
        out->pixels[4 * i + 3] = fitted.pixels[i];
    image_release(&fitted);
    return status;
}

/* ---- the product ----------------------------------------------------------------------------- */

static const double PRODUCT_SCALE = 0.4, PRODUCT_TOP = 0.55;

/* `over` onto `below` with its own alpha, as RGB. */
static SnugStatus paste_over(Image *out, Heap *heap, const Image *below, const Image *over, int x,
                             int y, SnugError *err)
{
    Image canvas = { 0 }, alpha = { 0 };
    *out = (Image){ 0 };
    SnugStatus status = compose_convert(&canvas, heap, below, 4, err);
    if (status == SNUG_OK) status = compose_alpha(&alpha, heap, over, err);
    if (status == SNUG_OK) {
        compose_paste(&canvas, over, x, y, &alpha);
        status = compose_convert(out, heap, &canvas, 3, err);
    }
    image_release(&alpha);
    image_release(&canvas);
    return status;
}

/* Where a product as large as `w` stands; rounded down, also below zero. */
static int middle(int outer, int w)
{
    const int room = outer - w;
    return room >= 0 ? room / 2 : -((1 - room) / 2);
}

static SnugStatus place_mask(Image *mask, Heap *heap, const Image *background, const Image *product,
                             const Image *small, SnugError *err)
{
    Image alpha = { 0 }, fitted = { 0 };
    SnugStatus status = compose_alpha(&alpha, heap, product, err);
    if (status == SNUG_OK)
        status =
            resize_image(&fitted, heap, &alpha, small->width, small->height, RESIZE_LANCZOS, err);
    if (status == SNUG_OK)
        status = image_init(mask, heap, background->width, background->height, 1, err);
    if (status == SNUG_OK) {
        memset(mask->pixels, 0, image_bytes(mask->width, mask->height, 1));
        compose_paste(mask, &fitted, middle(background->width, fitted.width),
                      (int)(background->height * PRODUCT_TOP), NULL);
    }
    image_release(&alpha);
    image_release(&fitted);
    return status;
}

SnugStatus ad_place_product(Image *draft, Image *mask, Heap *heap, const Image *background,
                            const Image *product, SnugError *err)
{
    const int w = (int)(product->width * PRODUCT_SCALE), h = (int)(product->height * PRODUCT_SCALE);
    Image small = { 0 };
    *draft = *mask = (Image){ 0 };
    if (w < 1 || h < 1)
        return error_set(err, SNUG_ERR_ARG,
                         "a product picture of %dx%d px is too small: 3x3 at least", product->width,
                         product->height);
    TRY(resize_image(&small, heap, product, w, h, RESIZE_LANCZOS, err));
    SnugStatus status = place_mask(mask, heap, background, product, &small, err);
    if (status == SNUG_OK)
        status = paste_over(draft, heap, background, &small, middle(background->width, w),
                            (int)(background->height * PRODUCT_TOP), err);
    if (status != SNUG_OK) image_release(mask);
    image_release(&small);
    return status;
}

/* ---- the text -------------------------------------------------------------------------------- */

static SnugStatus check_text(TextFont *font, const char *text, int side, ImageBox *box,
                             SnugError *err)
{
    TRY(text_draw_bounds(font, text, box, err));
    const uint32_t missing = text_draw_missing(font, text);
    if (missing)
        return error_set(err, SNUG_ERR_ARG,
                         "the font %s %s has no glyph for U+%04X: choose another (snug fonts)",
                         text_draw_family(font), text_draw_style(font), (unsigned)missing);
    const int w = box->right - box->left, h = box->bottom + AD_MARGIN_PX;
    if (w <= side && h <= side) return SNUG_OK;
    return error_set(
        err, SNUG_ERR_ARG,
        "the text does not fit: it is %d x %d px, there are %d x %d; a size of %d in a "
        "hundred of this one would do, or break it into lines",
        w, box->bottom, side, side - AD_MARGIN_PX,
        w > h ? 100 * side / w : 100 * (side - AD_MARGIN_PX) / box->bottom);
}

SnugStatus ad_text_guide(Image *out, Heap *heap, TextFont *font, const char *text, int side,
                         SnugError *err)
{
    ImageBox box;
    *out = (Image){ 0 };
    TRY(check_text(font, text, side, &box, err));
    TRY(image_init(out, heap, side, side, 1, err));
    memset(out->pixels, 0, image_bytes(side, side, 1));
    const int x = middle(side, box.right - box.left);
    const SnugStatus status = text_draw(font, text, out, x, AD_MARGIN_PX, err);
    if (status != SNUG_OK) image_release(out);
    return status;
}

SnugStatus ad_guide_edges(Image *out, Heap *heap, const Image *guide, SnugError *err)
{
    enum { EDGE = 30 };
    Image edges;
    *out = (Image){ 0 };
    TRY(filter_edges(&edges, heap, guide, err));
    compose_threshold(&edges, EDGE);
    const SnugStatus status = compose_convert(out, heap, &edges, 3, err);
    image_release(&edges);
    return status;
}

SnugStatus ad_find_position(AdPosition *out, Heap *heap, const Image *background, SnugError *err)
{
    static const double ENDS[] = { 0.33, 0.66, 1.0 };
    enum { DARKEST = 40 };
    Image grey;
    TRY(compose_grey(&grey, heap, background, err));
    const double limit = compose_percentile(&grey, DARKEST);
    size_t best = 0;
    *out = AD_TOP;
    for (int third = 0, y = 0; third < 3; third++) {
        size_t dark = 0;
        for (const int end = (int)(grey.height * ENDS[third]); y < end; y++)
            for (int x = 0; x < grey.width; x++)
                dark += grey.pixels[(size_t)y * (size_t)grey.width + (size_t)x] < limit;
        if (dark <= best) continue;
        best = dark;
        *out = (AdPosition)third;
    }
    const double area = (double)grey.width * grey.height / 3.0;
    if ((double)best / area < 0.15) *out = AD_TOP;
    image_release(&grey);
    return SNUG_OK;
}

static int top_of(AdPosition position, int outer, int h)
{
    if (position == AD_TOP) return AD_MARGIN_PX;
    return position == AD_CENTER ? middle(outer, h) : outer - h - AD_MARGIN_PX;
}

SnugStatus ad_move_text(Image *out, Heap *heap, const Image *text, AdPosition position,
                        SnugError *err)
{
    ImageBox box;
    Image seen = { 0 };
    *out = (Image){ 0 };
    if (!compose_bounds(text, &box))
        return resize_crop(out, heap, text, 0, 0, text->width, text->height, err);
    const int w = box.right - box.left, h = box.bottom - box.top;
    TRY(resize_crop(&seen, heap, text, box.left, box.top, w, h, err));
    const SnugStatus status = image_init(out, heap, text->width, text->height, 4, err);
    if (status == SNUG_OK) {
        memset(out->pixels, 0, image_bytes(out->width, out->height, 4));
        compose_paste(out, &seen, middle(out->width, w), top_of(position, out->height, h), NULL);
    }
    image_release(&seen);
    return status;
}

SnugStatus ad_lay_text(Image *draft, Image *mask, Heap *heap, const Image *background,
                       const Image *text, SnugError *err)
{
    enum { WIDER_PX = 11 };
    Image alpha = { 0 }, fitted = { 0 };
    *draft = *mask = (Image){ 0 };
    TRY(compose_alpha(&alpha, heap, text, err));
    SnugStatus status = resize_image(&fitted, heap, &alpha, background->width, background->height,
                                     RESIZE_LANCZOS, err);
    if (status == SNUG_OK) status = filter_max(mask, heap, &fitted, WIDER_PX, err);
    if (status == SNUG_OK) status = paste_over(draft, heap, background, text, 0, 0, err);
    if (status != SNUG_OK) image_release(mask);
    image_release(&alpha);
    image_release(&fitted);
    return status;
}

/* ---- words ----------------------------------------------------------------------------------- */

void ad_composite_prompt(char *to, size_t max, AdMode mode, AdPosition position, const char *user)
{
    static const char *const BASE[3][3] = {
        { "place stylized text at top of image, above all objects, crisp and prominent",
          "place stylized text in center, overlaying the scene, bold and eye-catching",
          "place stylized text at bottom, above all elements, clear and readable" },
        { "naturally blend stylized text at top, harmonious with background colors and lighting",
          "seamlessly integrate text in center, matching scene atmosphere and style",
          "organically merge text at bottom, cohesive with overall composition" },
        { "integrate text at top with subtle depth, slightly behind main object, ethereal effect",
          "place text in center with depth cues, partially obscured by foreground, layered look",
          "position text at bottom with depth, behind scene elements, atmospheric integration" }
    };
    const bool words = user && user[0];
    (void)snprintf(to, max,
                   "%s%s%s, professional advertising, high quality, photorealistic lighting, "
                   "seamless integration",
                   BASE[mode][position], words ? ", " : "", words ? user : "");
}
