/* resize.h  Resampling: pictures as Pillow does it, float planes as torch's interpolate does it. */
#ifndef MEDIA_RESIZE_H
#define MEDIA_RESIZE_H

#include "media/image.h"

typedef enum ResizeFilter {
    RESIZE_NEAREST,
    RESIZE_BOX,
    RESIZE_BILINEAR,
    RESIZE_BICUBIC, /**< a = -0.5 */
    RESIZE_LANCZOS  /**< three lobes */
} ResizeFilter;

/**
 * Pillow's Image.resize, bit for bit: horizontal pass, then vertical, 22-bit weights, 8-bit rows
 * between. RGBA is premultiplied for the passes, as Pillow does. The same size gives a copy.
 * @param out  its own picture, released by the caller; empty after a failure
 * @return SNUG_ERR_ARG: side outside 1..IMAGE_MAX_SIDE_PX; SNUG_ERR_MEMORY
 * Memory: the result, one picture of width x in->height (two more for RGBA), the weight tables.
 */
SNUG_MUST_USE SnugStatus resize_image(Image *out, Heap *heap, const Image *in, int width,
                                      int height, ResizeFilter filter, SnugError *err);

/** Copy of a part that lies inside `in`; SNUG_ERR_ARG otherwise. */
SNUG_MUST_USE SnugStatus resize_crop(Image *out, Heap *heap, const Image *in, int left, int top,
                                     int width, int height, SnugError *err);

/** The middle: left = (in->width - width) / 2, top alike, rounded down. */
SNUG_MUST_USE SnugStatus resize_crop_centre(Image *out, Heap *heap, const Image *in, int width,
                                            int height, SnugError *err);

/** Shape of float planes, and how they lie: [channels, height, width] or [height, width, channels]. */
typedef struct ResizeShape {
    int channels, height, width;
    enum { RESIZE_CHW, RESIZE_HWC } layout;
} ResizeShape;

/**
 * torch.nn.functional.interpolate(mode="bicubic", align_corners=False, antialias=False): a = -0.75,
 * half-pixel centres, taps clamped to the border, result not clamped.
 * @param out    [.., height, width] in the layout of `shape`; may not alias `in`
 * @param shape  of the input; all sizes >= 1
 */
SNUG_MUST_USE SnugStatus resize_bicubic_f32(float *out, int height, int width, const float *in,
                                            ResizeShape shape, Heap *heap, SnugError *err);

/** mode="nearest": source index floor(i * in / out). */
void resize_nearest_f32(float *out, int height, int width, const float *in, ResizeShape shape);

#endif
