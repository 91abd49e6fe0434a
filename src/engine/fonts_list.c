/* fonts_list.c  snug_fonts_list: the fonts of some folders as a table or as JSON. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "engine/engine.h"
#include "engine/inspect_weights.h"
#include "media/fonts.h"

static void add_scripts(TextBuilder *to, const FontAbout *about, bool json)
{
    bool any = false;
    for (int i = 0; i < FONTS_SCRIPTS; i++) {
        if (!about->writes[i]) continue;
        text_addf(to, json ? "%s\"%s\"" : "%s%s", any ? json ? "," : ", " : "", fonts_script(i));
        any = true;
    }
}

static void add_row(TextBuilder *to, const char *path, const FontAbout *about)
{
    text_addf(to, "%-28.28s %-12.12s ", about->family, about->style);
    add_scripts(to, about, false);
    text_addf(to, "\n    %s\n", path);
}

static void add_member(TextBuilder *to, const char *path, const FontAbout *about, bool first)
{
    text_addf(to, "%s{\"path\":", first ? "" : ",");
    text_add_json(to, path, strlen(path));
    text_addf(to, ",\"family\":");
    text_add_json(to, about->family, strlen(about->family));
    text_addf(to, ",\"style\":");
    text_add_json(to, about->style, strlen(about->style));
    text_addf(to, ",\"scripts\":[");
    add_scripts(to, about, true);
    text_addf(to, "]}");
}

static SnugStatus list(TextBuilder *to, Arena *arena, const char *const *folders, bool json,
                       SnugError *err)
{
    FontFiles files = { NULL, 0 };
    bool first = true;
    for (; *folders; folders++)
        TRY(fonts_find(&files, arena, *folders, err));
    text_addf(to, json ? "[" : "");
    for (int i = 0; i < files.n; i++) {
        FontAbout about;
        if (fonts_about(&about, arena->heap, files.path[i], NULL) != SNUG_OK) continue;
        if (json)
            add_member(to, files.path[i], &about, first);
        else
            add_row(to, files.path[i], &about);
        first = false;
    }
    text_addf(to, json ? "]\n" : "");
    if (first && !json)
        text_addf(to, "no fonts found (Debian: fonts-dejavu-core, fonts-nanum, fonts-noto-cjk)\n");
    return to->failed ? error_set(err, SNUG_ERR_MEMORY, "no memory for a list of fonts") : SNUG_OK;
}

SnugStatus snug_fonts_list(char **out, const char *const *folders, bool json, SnugError *err)
{
    static const char *const USUAL[] = { FONTS_FOLDER, NULL };
    Arena arena;
    TextBuilder text;
    *out = NULL;
    Heap *heap = heap_create();
    if (!heap) return error_set(err, SNUG_ERR_MEMORY, "no memory for a list of fonts");
    arena_init(&arena, heap, "fonts");
    text_init(&text, heap, "fonts");
    SnugStatus status = list(&text, &arena, folders ? folders : USUAL, json, err);
    status = inspect_hand_out(out, &text, status, err);
    arena_release(&arena);
    heap_free(heap);
    return status;
}
