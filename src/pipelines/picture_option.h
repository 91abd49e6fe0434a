/* picture_option.h  A picture as an option's value: a path, or the file itself as a data URL
 * ("data:image/png;base64,..."), which is how it comes inside a job file.
 *
 * What a picture's metadata keeps of such a value is its digest ("inline:sha256=..."): enough to say
 * which picture has to be given again. */
#ifndef PIPELINES_PICTURE_OPTION_H
#define PIPELINES_PICTURE_OPTION_H

#include "media/image.h"

/** Does the value hold the picture itself? */
bool picture_option_inline(const char *value);

/**
 * @param option    its name, for messages
 * @param channels  as image_read_file
 * @param out       released by the caller; empty after a failure
 * @return as image_read_file; SNUG_ERR_FILE also for base64 that is malformed or no picture
 */
SNUG_MUST_USE SnugStatus picture_option_read(Image *out, Heap *heap, const char *option,
                                             const char *value, int channels, SnugError *err);

#endif
