/* image.h  A picture in memory: 8 bits a channel, rows from the top, pixels from the left. */
#ifndef MEDIA_IMAGE_H
#define MEDIA_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "snug/status.h"

enum { IMAGE_MAX_SIDE_PX = 16384 };

/** Colours are sRGB as stored in the file; alpha is not multiplied into them. */
typedef struct Image {
    int width, height; /**< px, 1..IMAGE_MAX_SIDE_PX */
    int channels;      /**< 1 grey, 3 RGB, 4 RGBA */
    uint8_t *pixels;   /**< [height, width, channels] */
    Heap *heap;        /**< whose block `pixels` is */
} Image;

/** What u8 values become as floats: v / 255, or 2 (v / 255) - 1, both rounded as numpy does. */
typedef enum ImageRange { IMAGE_UNIT, IMAGE_SIGNED } ImageRange;

/**
 * Black picture. SNUG_ERR_ARG for a size or a channel count outside the ranges above,
 * SNUG_ERR_MEMORY when the heap refuses; `out` is then safe to release.
 */
SNUG_MUST_USE SnugStatus image_init(Image *out, Heap *heap, int width, int height, int channels,
                                    SnugError *err);
/** Fine on a zeroed, failed or released picture. */
void image_release(Image *image);

/** Bytes of the pixels of one picture. */
size_t image_bytes(int width, int height, int channels);

/** out [channels, height, width]. */
void image_to_chw(float *out, const Image *image, ImageRange range);
/** out [height, width, channels]. */
void image_to_hwc(float *out, const Image *image, ImageRange range);

/**
 * n values 0..1 to bytes as the reference exporters do: clamp, times 255, cut off the fraction
 * (no rounding). NaN becomes 0.
 */
void image_bytes_from_unit(uint8_t *out, const float *in, size_t n);

#endif
