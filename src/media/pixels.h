/* pixels.h  From a decoder's frame to an upright Image. */
#ifndef MEDIA_PIXELS_H
#define MEDIA_PIXELS_H

#include "media/image.h"
#include "media/image_header.h"

struct AVFrame;

/**
 * Convert as Pillow's convert("L" | "RGB" | "RGBA") does: alpha is dropped, not blended; palettes
 * and grey are expanded; of 16 bits the upper 8 are kept. (The last also for grey, where Pillow
 * saturates and turns nearly every such picture white.) The pixels land where EXIF orientation
 * puts them.
 * @return SNUG_ERR_FILE for a layout this room does not know; else as image_init
 */
SNUG_MUST_USE SnugStatus pixels_store(Image *out, Heap *heap, const struct AVFrame *frame,
                                      const ImageHeader *header, int channels, SnugError *err);

#endif
