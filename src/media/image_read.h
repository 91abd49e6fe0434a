/* image_read.h  Pictures from PNG, JPEG, WebP, BMP and GIF (first frame).
 *
 * Result as diffusers' load_image: EXIF orientation applied, alpha dropped for RGB. Equal to Pillow
 * bit for bit for PNG, BMP, GIF and both kinds of WebP; JPEG differs where FFmpeg's inverse DCT
 * rounds differently (by 1 in the luma or colour of a few pixels). Deliberately different: grey PNG
 * of 16 bits (pixels.h). Not read: animated WebP, JPEG in CMYK or of 12 bits.
 *
 * Files are taken for hostile. Size and pixel count are checked before any decoder runs; metadata
 * that could unpack to gigabytes never reaches one; a picture that ends early is an error.
 */
#ifndef MEDIA_IMAGE_READ_H
#define MEDIA_IMAGE_READ_H

#include "media/image.h"
#include "media/image_header.h"

/** What is refused unread. All must be positive. */
typedef struct ImageLimits {
    int max_side_px; /**< at most IMAGE_MAX_SIDE_PX */
    int64_t max_pixels;
    size_t max_file_bytes;
} ImageLimits;

/** 16384 px a side, 64 Mpx, 256 MiB. */
extern const ImageLimits IMAGE_READ_LIMITS;

/** What a file holds, and what reading it will take. */
typedef struct ImageProbe {
    ImageFormat format;
    int width, height; /**< px, upright: after EXIF orientation */
    size_t read_bytes; /**< upper bound of memory while reading as RGBA, the result included */
} ImageProbe;

/**
 * Look at a picture without decoding it.
 * @param limits  NULL: IMAGE_READ_LIMITS
 * @return as image_read_file
 */
SNUG_MUST_USE SnugStatus image_read_probe(ImageProbe *out, Heap *heap, const char *path,
                                          const ImageLimits *limits, SnugError *err);

/**
 * Read a picture.
 * @param out       released by the caller; empty after a failure
 * @param channels  1 grey (ITU 601), 3 RGB, 4 RGBA
 * @param limits    NULL: IMAGE_READ_LIMITS
 * @param err       names the file
 * @return SNUG_ERR_IO: cannot be opened or read; SNUG_ERR_FILE: not a picture, damaged, truncated,
 *         beyond the limits; SNUG_ERR_MEMORY
 * Threads: any.
 */
SNUG_MUST_USE SnugStatus image_read_file(Image *out, Heap *heap, const char *path, int channels,
                                         const ImageLimits *limits, SnugError *err);

/** The same from memory; `name` stands for the file in error texts. `data` is not changed. */
SNUG_MUST_USE SnugStatus image_read_memory(Image *out, Heap *heap, const void *data, size_t n,
                                           const char *name, int channels,
                                           const ImageLimits *limits, SnugError *err);

#endif
