/* wan_shapes.c  Names of ours, spelled as the file does, looked up. */
#include "pipelines/wan_shapes.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/fault.h"

static const char FORMAT[] = "configuration";

const Entry *wan_shapes_find(WanTensors f, const char *ours)
{
    char theirs[NAME_MAP_TEXT];
    (void)name_map_to_theirs(f.names, ours, theirs);
    const int32_t i = checkpoint_find(f.weights, theirs);
    return i < 0 ? NULL : checkpoint_entry(f.weights, i);
}

SnugStatus wan_shapes_need(WanTensors f, const char *ours, const Entry **out, SnugError *err)
{
    char theirs[NAME_MAP_TEXT];
    *out = wan_shapes_find(f, ours);
    if (*out) return SNUG_OK;
    (void)name_map_to_theirs(f.names, ours, theirs);
    return fault_set(err, FAULT_MISSING, checkpoint_path(f.weights), FORMAT, theirs,
                     "its shape is needed, as there is no configuration in diffusers' form");
}

SnugStatus wan_shapes_dim(WanTensors f, const char *ours, int dim, int64_t *out, SnugError *err)
{
    const Entry *e = NULL;
    TRY(wan_shapes_need(f, ours, &e, err));
    if (dim >= e->rank || e->dim[dim] < 1)
        return wan_shapes_bad(f, e, err, "dimension %d is asked for", dim);
    *out = e->dim[dim];
    return SNUG_OK;
}

SnugStatus wan_shapes_bad(WanTensors f, const Entry *entry, SnugError *err, const char *format, ...)
{
    char shape[SHAPE_TEXT], what[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return fault_set(err, FAULT_MISMATCH, checkpoint_path(f.weights), FORMAT, entry->name,
                     "%s (got %s)", what, entry_shape_text(entry, shape, sizeof shape));
}

int wan_shapes_count(WanTensors f, const char *before, const char *after)
{
    enum { MOST = 1024 };
    for (int i = 0; i < MOST; i++) {
        char ours[NAME_MAP_TEXT];
        (void)snprintf(ours, sizeof ours, "%s%d%s", before, i, after);
        if (!wan_shapes_find(f, ours)) return i;
    }
    return MOST;
}

SnugStatus wan_shapes_parse(JsonDoc **out, Heap *heap, WanTensors f, TextBuilder *text,
                            SnugError *err)
{
    SnugStatus status = SNUG_ERR_MEMORY;
    *out = NULL;
    if (text->failed)
        (void)error_set(err, status, "%s: no memory for its configuration",
                        checkpoint_path(f.weights));
    else
        status = json_parse(out, heap, text->at, text->n, checkpoint_path(f.weights), err);
    text_release(text);
    return status;
}
