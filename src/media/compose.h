/* compose.h  Laying pictures over each other, bit for bit as Pillow does it. */
#ifndef MEDIA_COMPOSE_H
#define MEDIA_COMPOSE_H

#include <stdbool.h>

#include "media/image.h"

/** Pixels [left, right) x [top, bottom). */
typedef struct ImageBox {
    int left, top, right, bottom;
} ImageBox;

/** Luma of ITU-R 601 in 16-bit fixed point, Pillow's convert("L"); alpha is dropped. A grey picture is
 *  copied. `out` is released by the caller; empty after a failure. SNUG_ERR_ARG, SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus compose_grey(Image *out, Heap *heap, const Image *in, SnugError *err);
/** Grey, RGB or RGBA to RGB or RGBA: grey is repeated, new alpha is 255, old alpha is dropped. */
SNUG_MUST_USE SnugStatus compose_convert(Image *out, Heap *heap, const Image *in, int channels,
                                         SnugError *err);
/** The alpha channel of an RGBA picture as a grey one. */
SNUG_MUST_USE SnugStatus compose_alpha(Image *out, Heap *heap, const Image *in, SnugError *err);

/** Every byte becomes 255 when it is above `limit`, else 0. */
void compose_threshold(Image *image, int limit);
/** Fill a box, cut to the picture, with `value` in every channel. */
void compose_fill(Image *image, ImageBox box, uint8_t value);

/**
 * Pillow's paste: `from` at (x, y), cut to the picture; all channels, alpha too, are mixed by the mask.
 * @param mask  grey, as large as `from`; NULL: copied
 * Both pictures have the same channels.
 */
void compose_paste(Image *to, const Image *from, int x, int y, const Image *mask);
/** Pillow's alpha_composite: RGBA `above` over RGBA `below` of the same size, into `below`. */
void compose_over(Image *below, const Image *above);

/** Tight box around alpha != 0, or around values != 0 of a picture without alpha. False: empty. */
bool compose_bounds(const Image *image, ImageBox *out);
/** numpy.percentile of a grey picture, linear between order statistics. @param percent 0..100 */
double compose_percentile(const Image *grey, double percent);

#endif
