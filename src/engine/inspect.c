/* inspect.c  What a model folder or weight file holds. Headers only. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/engine.h"
#include "formats/model_dir.h"

typedef struct Tally {
    int64_t tensors;
    size_t bytes;
} Tally;

/* Bytes and tensors by stored type. */
static void add_types(TextBuilder *b, const Checkpoint *c, bool json)
{
    const char *seen[64];
    int n = 0;
    for (int32_t i = 0; i < checkpoint_count(c); i++) {
        const char *type = checkpoint_entry(c, i)->type_name;
        int k = 0;
        while (k < n && strcmp(seen[k], type) != 0)
            k++;
        if (k == n && n < 64) seen[n++] = type;
    }
    for (int k = 0; k < n; k++) {
        Tally t = { 0 };
        for (int32_t i = 0; i < checkpoint_count(c); i++) {
            const Entry *e = checkpoint_entry(c, i);
            if (strcmp(e->type_name, seen[k]) != 0) continue;
            t.tensors++;
            t.bytes += e->bytes;
        }
        text_addf(b,
                  json ? "%s{\"type\":\"%s\",\"tensors\":%lld,\"bytes\":%zu}"
                       : "%s%s: %lld tensors, %zu bytes",
                  k ? (json ? "," : "; ") : "", seen[k], (long long)t.tensors, t.bytes);
    }
}

static void add_tensors(TextBuilder *b, const Checkpoint *c, bool json)
{
    char shape[SHAPE_TEXT];
    for (int32_t i = 0; i < checkpoint_count(c); i++) {
        const Entry *e = checkpoint_entry(c, i);
        (void)entry_shape_text(e, shape, sizeof shape);
        if (json) {
            text_addf(b, "%s{\"name\":", i ? "," : "");
            text_add_json(b, e->name, strlen(e->name));
            text_addf(b, ",\"type\":\"%s\",\"shape\":%s,\"bytes\":%zu}", e->type_name, shape,
                      e->bytes);
        } else
            text_addf(b, "    %-60s %-8s %s\n", e->name, e->type_name, shape);
    }
}

static void add_checkpoint(TextBuilder *b, const Checkpoint *c, bool json, bool tensors)
{
    if (json) {
        text_addf(b, "\"path\":");
        text_add_json(b, checkpoint_path(c), strlen(checkpoint_path(c)));
        text_addf(b, ",\"files\":%d,\"count\":%d,\"bytes\":%zu,\"types\":[", checkpoint_n_files(c),
                  checkpoint_count(c), checkpoint_bytes(c));
        add_types(b, c, true);
        text_addf(b, "]%s", tensors ? ",\"tensors\":[" : "");
        if (tensors) {
            add_tensors(b, c, true);
            text_addf(b, "]");
        }
        return;
    }
    text_addf(b, "  %s: %d file%s, %d tensors, %.1f MiB (", checkpoint_path(c),
              checkpoint_n_files(c), checkpoint_n_files(c) == 1 ? "" : "s", checkpoint_count(c),
              (double)checkpoint_bytes(c) / 1048576.0);
    add_types(b, c, false);
    text_addf(b, ")\n");
    if (tensors) add_tensors(b, c, false);
}

static SnugStatus add_part(TextBuilder *b, ModelDir *dir, const ModelPart *part, bool json,
                           bool tensors, bool first, SnugError *err)
{
    Component *c = NULL;
    if (!part->library) return SNUG_OK; /* absent on purpose */
    TRY(model_dir_component(dir, part->name, &c, err));
    if (json) {
        text_addf(b, "%s{\"name\":", first ? "" : ",");
        text_add_json(b, part->name, strlen(part->name));
        text_addf(b, ",\"class\":");
        text_add_json(b, part->class_name, strlen(part->class_name));
        if (c->weights) text_addf(b, ",");
        if (c->weights) add_checkpoint(b, c->weights, true, tensors);
        text_addf(b, "}");
        return SNUG_OK;
    }
    text_addf(b, "%s: %s\n", part->name, part->class_name);
    if (c->weights) add_checkpoint(b, c->weights, false, tensors);
    if (c->warnings && c->warnings[0]) text_addf(b, "  warning: %s\n", c->warnings);
    return SNUG_OK;
}

static SnugStatus inspect_dir(TextBuilder *b, Heap *heap, const char *path, bool json, bool tensors,
                              SnugError *err)
{
    ModelDir *dir = NULL;
    TRY(model_dir_open(&dir, heap, path, NULL, err));
    const ModelIndex *index = model_dir_index(dir);
    SnugStatus status = SNUG_OK;
    if (json) {
        text_addf(b, "{\"kind\":\"diffusers\",\"class\":");
        text_add_json(b, index->class_name, strlen(index->class_name));
        text_addf(b, ",\"components\":[");
    } else
        text_addf(b, "diffusers folder: %s\n", index->class_name);
    bool first = true;
    for (int32_t i = 0; i < index->n_parts && status == SNUG_OK; i++) {
        status = add_part(b, dir, &index->parts[i], json, tensors, first, err);
        if (index->parts[i].library) first = false;
    }
    if (json) text_addf(b, "]}\n");
    model_dir_close(dir);
    return status;
}

static SnugStatus inspect_file(TextBuilder *b, Heap *heap, const char *path, bool json,
                               bool tensors, SnugError *err)
{
    Checkpoint *c = NULL;
    TRY(checkpoint_open(&c, heap, path, NULL, err));
    if (json) text_addf(b, "{\"kind\":\"weights\",");
    add_checkpoint(b, c, json, tensors);
    if (json) text_addf(b, "}\n");
    checkpoint_close(c);
    return SNUG_OK;
}

SnugStatus snug_models_inspect(char **out, const char *path, bool json, bool tensors,
                               SnugError *err)
{
    *out = NULL;
    Heap *heap = heap_create();
    if (!heap) return error_set(err, SNUG_ERR_MEMORY, "no memory");
    TextBuilder b;
    text_init(&b, heap, "inspect");
    SnugStatus status = file_type(path) == FILE_DIRECTORY
                            ? inspect_dir(&b, heap, path, json, tensors, err)
                            : inspect_file(&b, heap, path, json, tensors, err);
    if (status == SNUG_ERR_IO) status = SNUG_ERR_FILE; /* the input cannot be read */
    if (status == SNUG_OK && !b.failed) *out = strdup(b.at ? b.at : "");
    if (status == SNUG_OK && !*out) status = error_set(err, SNUG_ERR_MEMORY, "no memory");
    text_release(&b);
    heap_free(heap);
    return status;
}

void snug_text_free(char *text)
{
    free(text);
}
