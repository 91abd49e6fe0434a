/* png_text.h  Read the texts of a PNG file: how the picture was made. */
#ifndef MEDIA_PNG_TEXT_H
#define MEDIA_PNG_TEXT_H

#include "base/arena.h"
#include "snug/status.h"

/** More than this in one text is not read. */
enum { PNG_TEXT_MAX_BYTES = 1 << 20 };

/**
 * The value of the first text of that key: tEXt (Latin-1, becomes UTF-8) or uncompressed iTXt.
 * @param out  in the arena; NULL when the file has none
 * @return SNUG_ERR_IO; SNUG_ERR_FILE: no PNG, damaged, not UTF-8, longer than the limit;
 *         compressed texts (zTXt, compressed iTXt) are refused where they have the key
 */
SNUG_MUST_USE SnugStatus png_text_read(Arena *arena, const char *path, const char *key,
                                       const char **out, SnugError *err);

#endif
