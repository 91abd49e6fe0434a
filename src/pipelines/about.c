/* about.c  The first pipeline that knows a path speaks for it. */
#include "pipelines/about.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

SnugStatus about_init(About *a, Heap *heap, const char *path, SnugError *err)
{
    const Pipeline *p;
    *a = (About){ .missing = "", .warnings = "" };
    arena_init(&a->arena, heap, "inspect");
    for (int i = 0; (p = pipeline_at(i)) && a->n_parts == 0; i++)
        if (p->about) TRY(p->about(a, path, err));
    return SNUG_OK;
}

void about_release(About *a)
{
    if (a->close) a->close(a->owner);
    a->close = NULL;
    arena_release(&a->arena);
}

void about_look_init(AboutLook *look, About *a)
{
    look->context =
        (PipelineContext){ .heap = a->arena.heap, .arena = &a->arena, .weights = &look->table };
    weight_table_init(&look->table, &a->arena);
}

SnugStatus about_look_end(About *a, SnugStatus status, bool ours, void *owner,
                          void (*close)(void *owner))
{
    if (status == SNUG_OK && ours) {
        a->owner = owner;
        a->close = close;
    } else
        close(owner);
    return status;
}

SnugStatus about_no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to look at it", path);
}

SnugStatus about_problem(About *a, const char **out, const SnugError *why, const char *path,
                         SnugError *err)
{
    *out = arena_text(&a->arena, why->text, strlen(why->text));
    return *out ? SNUG_OK : about_no_memory(path, err);
}

SnugStatus about_setting(About *a, const char *name, SnugError *err, const char *format, ...)
{
    char value[128];
    va_list args;
    if (a->n_settings == ABOUT_MAX_SETTINGS) return SNUG_OK;
    va_start(args, format);
    (void)vsnprintf(value, sizeof value, format, args);
    va_end(args);
    const char *kept = arena_printf(&a->arena, "%s", value);
    if (!kept) return error_set(err, SNUG_ERR_MEMORY, "no memory for a model's settings");
    a->setting[a->n_settings++] = (AboutSetting){ name, kept };
    return SNUG_OK;
}
