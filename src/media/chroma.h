/* chroma.h  Sub-sampled colour brought to full size, and YCbCr to RGB, in the integer arithmetic of
 * libjpeg ("fancy" upsampling) and of libwebp, so that pictures equal what Pillow reads. */
#ifndef MEDIA_CHROMA_H
#define MEDIA_CHROMA_H

#include <stdint.h>

/** One plane of sub-sampled colour. */
typedef struct ChromaPlane {
    const uint8_t *data;
    int stride, width, height;  /**< bytes; of the plane, px */
    int log2_across, log2_down; /**< how much smaller than the picture */
} ChromaPlane;

/** Row y of the picture, `width` values: libjpeg's triangle filter where it has one (factors of
 *  two), repetition otherwise. */
void chroma_row_jpeg(uint8_t *out, int width, const ChromaPlane *plane, int y);
/** The same for 4:2:0 as libwebp does it. */
void chroma_row_webp(uint8_t *out, int width, const ChromaPlane *plane, int y);

/** Full-range BT.601 as libjpeg rounds it; out RGBA, alpha 255. */
void chroma_rgba_jpeg(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                      int width);
/** Limited-range BT.601 as libwebp rounds it. */
void chroma_rgba_webp(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                      int width);

#endif
