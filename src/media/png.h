/* png.h  Write PNG files, with text that tells how the picture was made. */
#ifndef MEDIA_PNG_H
#define MEDIA_PNG_H

#include "base/outfile.h"
#include "media/image.h"

/** One entry: tEXt where both parts are plain ASCII, iTXt (UTF-8) otherwise. */
typedef struct PngText {
    const char *key;   /**< 1..79 bytes of printable ASCII */
    const char *value; /**< UTF-8, any length */
} PngText;

/**
 * Write a picture of 1, 3 or 4 channels; the file appears complete or not at all.
 * @param texts    n_texts entries; may be NULL when n_texts is 0
 * @return SNUG_ERR_ARG: impossible key; SNUG_ERR_IO: path unwritable, disk full; SNUG_ERR_MEMORY
 * The same pixels and texts give the same bytes (with one version of zlib).
 */
SNUG_MUST_USE SnugStatus png_write_file(const char *path, Heap *heap, const Image *image,
                                        const PngText *texts, int n_texts, SnugError *err);

/** The same into an open file that the caller commits. */
SNUG_MUST_USE SnugStatus png_write(OutFile *file, const Image *image, const PngText *texts,
                                   int n_texts, SnugError *err);

/** Upper bound of what writing takes beside the picture itself. */
size_t png_write_bytes(int width, int height, int channels);

#endif
