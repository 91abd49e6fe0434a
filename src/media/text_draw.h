/* text_draw.h  Letters into pictures: FreeType's outlines, libraqm's layout, Pillow's places.
 *
 * Positions are Pillow's anchor "la": x is where the line begins, y the ascender line of the first
 * line. Lines are parted by '\n', set flush left, and stand as far apart as Pillow's
 * ImageDraw.multiline_text puts them (spacing 4). */
#ifndef MEDIA_TEXT_DRAW_H
#define MEDIA_TEXT_DRAW_H

#include "media/compose.h"

enum { TEXT_DRAW_MAX_BYTES = 4096, TEXT_DRAW_MAX_PX = 2048 };

/** A face of a font file at one size. */
typedef struct TextFont TextFont;

/**
 * @param path     .ttf, .otf, .ttc and whatever else FreeType reads
 * @param size_px  1..TEXT_DRAW_MAX_PX
 * @return SNUG_ERR_FILE: no font, or one without outlines; SNUG_ERR_ARG: size; SNUG_ERR_MEMORY
 */
SNUG_MUST_USE SnugStatus text_draw_open(TextFont **out, Heap *heap, const char *path, int size_px,
                                        SnugError *err);
void text_draw_close(TextFont *font);
/** Family and style as the file names them; static until the font is closed. */
const char *text_draw_family(const TextFont *font);
const char *text_draw_style(const TextFont *font);

/** First character of valid UTF-8 that the font has no glyph for; 0: it has all. Spaces, line ends
 *  and format characters need none. */
uint32_t text_draw_missing(const TextFont *font, const char *text);

/** Where the ink and the advance of the text end, relative to its place: Pillow's textbbox.
 *  SNUG_ERR_ARG: not UTF-8, or longer than TEXT_DRAW_MAX_BYTES; SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus text_draw_bounds(TextFont *font, const char *text, ImageBox *out,
                                          SnugError *err);
/** Draw onto a grey picture, brighter of what is there and the glyph's coverage; cut at its edges.
 *  Errors as text_draw_bounds, and SNUG_ERR_FILE for a glyph that FreeType cannot draw. */
SNUG_MUST_USE SnugStatus text_draw(TextFont *font, const char *text, Image *grey, int x, int y,
                                   SnugError *err);

#endif
