/* image_header.h  The headers of picture files, read by hand: sizes are known, and refused when
 * too large, before a decoder sees the file. */
#ifndef MEDIA_IMAGE_HEADER_H
#define MEDIA_IMAGE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snug/status.h"

typedef enum ImageFormat {
    IMAGE_FORMAT_PNG,
    IMAGE_FORMAT_JPEG,
    IMAGE_FORMAT_WEBP,
    IMAGE_FORMAT_BMP,
    IMAGE_FORMAT_GIF
} ImageFormat;

/** What the file says about itself, checked for sense. */
typedef struct ImageHeader {
    ImageFormat format;
    int width, height;    /**< px as stored, >= 1, before `orientation` is applied */
    int orientation;      /**< EXIF 1..8; 5..8 swap width and height */
    int decoder_px_bytes; /**< upper bound of what the decoder holds per pixel, frame included */
    size_t picture_bytes; /**< the file up to the end of its first picture */
    size_t gif_control;   /**< offset of the block that makes a GIF frame transparent; 0: none */
} ImageHeader;

/**
 * Find the format by its first bytes (never by a file name), the size and the EXIF orientation
 * (also from an XMP packet, as Pillow does).
 * @return SNUG_ERR_FILE: unknown format, truncated, zero size, animated WebP, a JPEG with no end or with more scans than any honest file has
 */
SNUG_MUST_USE SnugStatus image_header_parse(ImageHeader *out, const uint8_t *data, size_t n,
                                            SnugError *err);

/** "PNG", "JPEG", ... */
const char *image_header_name(ImageFormat format);

#endif
