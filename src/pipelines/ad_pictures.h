/* ad_pictures.h  What the advertisement does between its networks, all on pictures of 8 bits.
 *
 *     cut out -> place the product on the background -> guide for the text -> place the text -> mask
 *
 * Pillow's arithmetic throughout (media/compose.h); golden: tools/oracle/golden_ad.py. */
#ifndef PIPELINES_AD_PICTURES_H
#define PIPELINES_AD_PICTURES_H

#include "media/compose.h"
#include "media/text_draw.h"

enum { AD_MARGIN_PX = 100 };

typedef enum AdPosition { AD_TOP, AD_CENTER, AD_BOTTOM, AD_AUTO } AdPosition;
typedef enum AdMode { AD_OVERLAY, AD_BLEND, AD_BEHIND } AdMode;

/* Every picture that is made is released by the caller, and empty after a failure; SNUG_ERR_MEMORY
 * unless something else is said. */

/**
 * A picture and the soft map of what stands in front, to an RGBA picture whose alpha is 0 or 255: the
 * map is resized to the picture (Lanczos), white above `threshold`.
 * @param picture  RGB
 * @param soft     grey, any size
 */
SNUG_MUST_USE SnugStatus ad_cut_out(Image *out, Heap *heap, const Image *picture, const Image *soft,
                                    int threshold, SnugError *err);

/**
 * The product at 0.4 of its size, in the middle, its top at 0.55 of the height; cut at the edges.
 * @param background  RGB
 * @param product     RGBA
 * @param draft       RGB: the product on the background
 * @param mask        grey, as large: the product's place, grey edges
 * SNUG_ERR_ARG: a product so small that nothing is left of it.
 */
SNUG_MUST_USE SnugStatus ad_place_product(Image *draft, Image *mask, Heap *heap,
                                          const Image *background, const Image *product,
                                          SnugError *err);

/** White letters on black [side, side], in the middle, 100 px from above; grey.
 *  SNUG_ERR_ARG: a character without a glyph, or text that is wider or taller than the picture. */
SNUG_MUST_USE SnugStatus ad_text_guide(Image *out, Heap *heap, TextFont *font, const char *text,
                                       int side, SnugError *err);
/** The guide's edges, white on black: what the ControlNet sees; RGB. */
SNUG_MUST_USE SnugStatus ad_guide_edges(Image *out, Heap *heap, const Image *guide, SnugError *err);

/** AD_AUTO: the third of the background with the most dark pixels (below the 40th percentile), the top
 *  when no third has 15 in 100. */
SNUG_MUST_USE SnugStatus ad_find_position(AdPosition *out, Heap *heap, const Image *background,
                                          SnugError *err);
/** What is seen of `text` (RGBA) moved to a place in the same canvas. @param position  not AD_AUTO */
SNUG_MUST_USE SnugStatus ad_move_text(Image *out, Heap *heap, const Image *text,
                                      AdPosition position, SnugError *err);
/** The text on the background, RGB, and where to draw anew: its alpha, widened by 11 px. */
SNUG_MUST_USE SnugStatus ad_lay_text(Image *draft, Image *mask, Heap *heap, const Image *background,
                                     const Image *text, SnugError *err);

/** The prompt of the composite: mode and place, the user's words, what always follows. Writes at most
 *  `max` bytes, the last NUL. @param position  not AD_AUTO; @param user  may be NULL */
void ad_composite_prompt(char *to, size_t max, AdMode mode, AdPosition position, const char *user);

#endif
