/* fonts.h  Which font files there are, what they can write, and which one a text is drawn with. */
#ifndef MEDIA_FONTS_H
#define MEDIA_FONTS_H

#include "base/arena.h"
#include "base/text.h"
#include "media/text_draw.h"

enum { FONTS_MAX = 4096, FONTS_MAX_DEPTH = 8, FONTS_SCRIPTS = 10 };

/** Where Debian's packages put fonts. */
#define FONTS_FOLDER "/usr/share/fonts"

/** Font files (.ttf .otf .ttc), sorted by path; lives in the arena it was made in. */
typedef struct FontFiles {
    const char **path;
    int n;
} FontFiles;

/** What a file says of itself. */
typedef struct FontAbout {
    char family[96], style[64];
    bool writes[FONTS_SCRIPTS];
} FontAbout;

/** Add the files below a folder, which may be absent; links to folders are followed FONTS_MAX_DEPTH
 *  deep. SNUG_ERR_FILE: more than FONTS_MAX; SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus fonts_find(FontFiles *files, Arena *arena, const char *folder,
                                    SnugError *err);
/** Name of script `index` ("Hangul"); NULL past the last. */
const char *fonts_script(int index);
/** SNUG_ERR_FILE: no font. */
SNUG_MUST_USE SnugStatus fonts_about(FontAbout *out, Heap *heap, const char *path, SnugError *err);

/**
 * The file to draw a text with.
 * @param asked   a file, a path below `folder`, the name of a file there with or without its suffix, or a
 *                family ("DejaVu Sans"); NULL: one that can write the text, well-known ones first
 * @param out     in `arena`
 * @return SNUG_ERR_ARG: no such font, no font at all, or none that has every character: err names it
 */
SNUG_MUST_USE SnugStatus fonts_choose(const char **out, Arena *arena, const char *asked,
                                      const char *folder, const char *text, SnugError *err);

#endif
