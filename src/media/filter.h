/* filter.h  Filters over a neighbourhood, bit for bit as Pillow's ImageFilter. */
#ifndef MEDIA_FILTER_H
#define MEDIA_FILTER_H

#include "media/image.h"

enum { FILTER_MAX_WINDOW_PX = 255 };

/* All take a grey picture and make a new one, released by the caller, empty after a failure:
 * SNUG_ERR_ARG (more channels, a window that is even or outside 1..FILTER_MAX_WINDOW_PX, a radius
 * outside 0..1000), SNUG_ERR_MEMORY. Beyond the edges lie copies of them. */

/** FIND_EDGES: 8 times the middle less its neighbours; border pixels are copied. */
SNUG_MUST_USE SnugStatus filter_edges(Image *out, Heap *heap, const Image *in, SnugError *err);
/** MaxFilter(window). */
SNUG_MUST_USE SnugStatus filter_max(Image *out, Heap *heap, const Image *in, int window,
                                    SnugError *err);
/** MedianFilter(window). */
SNUG_MUST_USE SnugStatus filter_median(Image *out, Heap *heap, const Image *in, int window,
                                       SnugError *err);
/** GaussianBlur(radius_px): three box blurs an axis, of fractional width. */
SNUG_MUST_USE SnugStatus filter_blur(Image *out, Heap *heap, const Image *in, double radius_px,
                                     SnugError *err);

#endif
