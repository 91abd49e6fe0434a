/* fonts.c  Looking through folders; asking FreeType for a few characters of each script. */
#include "media/fonts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"

enum { LOOK_PX = 16 };

/* A script and characters that a font for it has. */
static const struct {
    const char *name, *sample;
} SCRIPTS[FONTS_SCRIPTS] = {
    { "Latin", "AZaz09" },
    { "Greek", "\xce\xa9\xce\xbb" },
    { "Cyrillic", "\xd0\x96\xd1\x8f" },
    { "Hebrew", "\xd7\x90\xd7\xaa" },
    { "Arabic", "\xd8\xb9\xd9\x85" },
    { "Devanagari", "\xe0\xa4\x95\xe0\xa4\xae" },
    { "Thai", "\xe0\xb8\x81\xe0\xb8\xa1" },
    { "Hangul", "\xed\x95\x9c\xea\xb8\x80" },
    { "Kana", "\xe3\x81\x82\xe3\x82\xa2" },
    { "Han", "\xe6\xbc\xa2\xe5\xad\x97" },
};

/* Tried first when nobody names a font: bold sans of Debian's packages, by how much they write. */
static const char *const KNOWN[] = { "DejaVuSans-Bold.ttf",
                                     "NotoSans-Bold.ttf",
                                     "LiberationSans-Bold.ttf",
                                     "NanumGothicBold.ttf",
                                     "NanumBarunGothicBold.ttf",
                                     "NotoSansCJK-Bold.ttc",
                                     "wqy-zenhei.ttc",
                                     "NotoSansThai-Bold.ttf",
                                     "NotoSansDevanagari-Bold.ttf",
                                     NULL };

const char *fonts_script(int index)
{
    return index >= 0 && index < FONTS_SCRIPTS ? SCRIPTS[index].name : NULL;
}

/* ---- files ------------------------------------------------------------------------------------ */

static bool is_font(const char *name)
{
    static const char *const SUFFIXES[] = { ".ttf", ".otf", ".ttc" };
    const size_t n = strlen(name);
    for (int i = 0; i < 3; i++)
        if (n > 4 && strcasecmp(name + n - 4, SUFFIXES[i]) == 0) return true;
    return false;
}

static SnugStatus look_into(FontFiles *files, Arena *arena, const char *folder, int depth,
                            SnugError *err)
{
    const char *const *names;
    size_t n;
    if (depth > FONTS_MAX_DEPTH || file_type(folder) != FILE_DIRECTORY) return SNUG_OK;
    if (file_list(arena, folder, &names, &n, err) != SNUG_OK) return SNUG_OK; /* not ours to read */
    for (size_t i = 0; i < n; i++) {
        const char *path = file_join(arena, folder, names[i]);
        if (!path) return error_set(err, SNUG_ERR_MEMORY, "no memory for a list of fonts");
        if (!is_font(names[i])) {
            TRY(look_into(files, arena, path, depth + 1, err));
            continue;
        }
        if (files->n == FONTS_MAX)
            return error_set(err, SNUG_ERR_FILE, "%s: more than %d font files", folder, FONTS_MAX);
        if (file_type(path) == FILE_REGULAR) files->path[files->n++] = path;
    }
    return SNUG_OK;
}

SnugStatus fonts_find(FontFiles *files, Arena *arena, const char *folder, SnugError *err)
{
    if (!files->path) files->path = arena_array(arena, FONTS_MAX, sizeof *files->path);
    if (!files->path) return error_set(err, SNUG_ERR_MEMORY, "no memory for a list of fonts");
    return look_into(files, arena, folder, 0, err);
}

SnugStatus fonts_about(FontAbout *out, Heap *heap, const char *path, SnugError *err)
{
    TextFont *font = NULL;
    *out = (FontAbout){ .family = "" };
    TRY(text_draw_open(&font, heap, path, LOOK_PX, err));
    (void)snprintf(out->family, sizeof out->family, "%s", text_draw_family(font));
    (void)snprintf(out->style, sizeof out->style, "%s", text_draw_style(font));
    for (int i = 0; i < FONTS_SCRIPTS; i++)
        out->writes[i] = text_draw_missing(font, SCRIPTS[i].sample) == 0;
    text_draw_close(font);
    return SNUG_OK;
}

/* ---- choosing --------------------------------------------------------------------------------- */

/* "NanumGothic" and "NanumGothic.ttf" are both that file. */
static bool named(const char *path, const char *asked)
{
    const char *name = file_basename(path);
    const size_t stem = strlen(name) - 4; /* is_font */
    return strcasecmp(name, asked) == 0 ||
           (strlen(asked) == stem && strncasecmp(name, asked, stem) == 0);
}

static SnugStatus choose_named(const char **out, const FontFiles *files, Arena *arena,
                               const char *asked, const char *folder, SnugError *err)
{
    const char *name = file_basename(asked);
    for (int i = 0; i < files->n; i++)
        if (named(files->path[i], name)) {
            *out = files->path[i];
            return SNUG_OK;
        }
    for (int i = 0; i < files->n; i++) {
        FontAbout about;
        if (fonts_about(&about, arena->heap, files->path[i], NULL) != SNUG_OK ||
            strcasecmp(about.family, asked) != 0)
            continue;
        *out = files->path[i];
        return SNUG_OK;
    }
    return error_set(
        err, SNUG_ERR_ARG,
        "no font \"%.100s\": it is no file, and none below %s has that name (snug fonts "
        "lists what there is)",
        asked, folder);
}

/* First character that the font lacks; 0: none. A file that is no font lacks all. */
static uint32_t lacks(Heap *heap, const char *path, const char *text)
{
    TextFont *font = NULL;
    if (text_draw_open(&font, heap, path, LOOK_PX, NULL) != SNUG_OK) return ' ';
    const uint32_t missing = text_draw_missing(font, text);
    text_draw_close(font);
    return missing;
}

static SnugStatus choose_for(const char **out, const FontFiles *files, Arena *arena,
                             const char *folder, const char *text, SnugError *err)
{
    uint32_t missing = 0;
    for (int k = 0; KNOWN[k]; k++)
        for (int i = 0; i < files->n; i++) {
            if (strcmp(file_basename(files->path[i]), KNOWN[k]) != 0) continue;
            const uint32_t lacking = lacks(arena->heap, files->path[i], text);
            *out = files->path[i];
            if (!lacking) return SNUG_OK;
            missing = lacking;
        }
    for (int i = 0; i < files->n; i++) {
        const uint32_t lacking = lacks(arena->heap, files->path[i], text);
        *out = files->path[i];
        if (!lacking) return SNUG_OK;
        if (!missing) missing = lacking;
    }
    *out = NULL;
    if (!files->n)
        return error_set(
            err, SNUG_ERR_ARG,
            "no font found below %s: install one (Debian: fonts-dejavu-core, fonts-nanum, "
            "fonts-noto-cjk) or give --font FILE",
            folder);
    return error_set(
        err, SNUG_ERR_ARG,
        "none of the %d fonts below %s has all characters of the text (U+%04X is missing "
        "in the likeliest): install another (Debian: fonts-nanum for Hangul, "
        "fonts-noto-cjk for Han, Kana and Hangul) or give --font FILE",
        files->n, folder, (unsigned)missing);
}

SnugStatus fonts_choose(const char **out, Arena *arena, const char *asked, const char *folder,
                        const char *text, SnugError *err)
{
    FontFiles files = { NULL, 0 };
    *out = NULL;
    if (asked && (file_type(asked) != FILE_ABSENT || strchr(asked, '/'))) {
        const char *below = file_join(arena, folder, asked);
        if (!below) return error_set(err, SNUG_ERR_MEMORY, "no memory for a path");
        *out = file_type(asked) == FILE_ABSENT && file_type(below) == FILE_REGULAR ? below : asked;
        if (file_type(*out) != FILE_ABSENT) return SNUG_OK;
        *out = NULL;
    }
    TRY(fonts_find(&files, arena, folder, err));
    return asked ? choose_named(out, &files, arena, asked, folder, err)
                 : choose_for(out, &files, arena, folder, text, err);
}
