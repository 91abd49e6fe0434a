/* model_dir.c  The index first; components are opened when they are asked for. */
#include "formats/model_dir.h"

#include <string.h>

#include "base/error.h"
#include "base/fault.h"

struct ModelDir {
    Arena arena;
    const char *path, *variant;
    ModelRoot root;
    JsonDoc *doc;
    ModelIndex index;
    Component **components; /* [index.n_parts], NULL until asked for */
};

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
}

/* The common mistakes when naming a folder. */
static SnugStatus refuse_folder(ModelDir *d, SnugError *err)
{
    const char *snapshots = file_join(&d->arena, d->path, "snapshots");
    const char *config = file_join(&d->arena, d->path, "config.json");
    if (!snapshots || !config) return no_memory(d->path, err);
    const char *advice = file_type(snapshots) == FILE_DIRECTORY
                             ? ": this is a hub cache, name its snapshots/REVISION folder"
                         : file_type(config) == FILE_REGULAR
                             ? ": this is the folder of a single model"
                             : "";
    return fault_set(err, FAULT_MISSING, d->path, "model", "model_index.json",
                     "not the folder of a pipeline%s", advice);
}

static SnugStatus open_all(ModelDir *d, const char *path, const ModelDirOptions *options,
                           SnugError *err)
{
    d->path = arena_text(&d->arena, path, strlen(path));
    if (options->variant)
        d->variant = arena_text(&d->arena, options->variant, strlen(options->variant));
    const char *index = file_join(&d->arena, path, "model_index.json");
    if (!d->path || !index || (options->variant && !d->variant)) return no_memory(path, err);
    if (file_type(path) != FILE_DIRECTORY)
        return error_set(err, SNUG_ERR_IO, "%s: no such folder", path);
    TRY(model_root_init(&d->root, &d->arena, path, options->follow_links, err));
    if (file_type(index) != FILE_REGULAR) return refuse_folder(d, err);
    TRY(model_root_check(&d->root, index, err));
    TRY(json_open(&d->doc, d->arena.heap, index, err));
    TRY(model_index_read(&d->index, &d->arena, d->doc, err));
    d->components = arena_array(&d->arena, (size_t)d->index.n_parts + 1, sizeof *d->components);
    return d->components ? SNUG_OK : no_memory(path, err);
}

SnugStatus model_dir_open(ModelDir **out, Heap *heap, const char *path,
                          const ModelDirOptions *options, SnugError *err)
{
    static const ModelDirOptions DEFAULTS = { 0 };
    *out = NULL;
    ModelDir *d = heap_take(heap, sizeof *d, "model folders");
    if (!d) return no_memory(path, err);
    arena_init(&d->arena, heap, "model folders");
    SnugStatus status = open_all(d, path, options ? options : &DEFAULTS, err);
    if (status == SNUG_OK)
        *out = d;
    else
        model_dir_close(d);
    return status;
}

void model_dir_close(ModelDir *d)
{
    if (!d) return;
    Heap *heap = d->arena.heap;
    for (int32_t i = 0; d->components && i < d->index.n_parts; i++)
        component_close(d->components[i]);
    json_close(d->doc);
    arena_release(&d->arena);
    heap_give(heap, d);
}

const char *model_dir_path(const ModelDir *d)
{
    return d->path;
}

const ModelIndex *model_dir_index(const ModelDir *d)
{
    return &d->index;
}

Json model_dir_json(const ModelDir *d)
{
    return json_root(d->doc);
}

static int32_t find_part(const ModelDir *d, const char *name)
{
    for (int32_t i = 0; i < d->index.n_parts; i++)
        if (strcmp(d->index.parts[i].name, name) == 0 && d->index.parts[i].class_name) return i;
    return -1;
}

bool model_dir_has(const ModelDir *d, const char *name)
{
    return find_part(d, name) >= 0;
}

SnugStatus model_dir_component(ModelDir *d, const char *name, Component **out, SnugError *err)
{
    const int32_t i = find_part(d, name);
    *out = NULL;
    if (i < 0)
        return fault_set(err, FAULT_MISSING, json_name(d->doc), "model", name,
                         "the pipeline has no such component");
    if (!d->components[i]) {
        const ModelPart *part = &d->index.parts[i];
        const ComponentHints hints = { .library = part->library,
                                       .class_name = part->class_name,
                                       .variant = d->variant,
                                       .root = &d->root };
        const char *path = file_join(&d->arena, d->path, part->name);
        if (!path) return no_memory(d->path, err);
        TRY(component_open(&d->components[i], d->arena.heap, path, &hints, err));
    }
    *out = d->components[i];
    return SNUG_OK;
}
