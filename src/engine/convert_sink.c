/* convert_sink.c  Shards are named as transformers and diffusers name them; the index comes last. */
#include "engine/convert_sink.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/outfile.h"
#include "base/size.h"
#include "base/text.h"

static const char ENDING[] = ".safetensors";

static SnugStatus no_memory(const ConvertSink *s, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to write it", s->path);
}

static int32_t shard_of(const ConvertPlan *p, int32_t item)
{
    const int32_t tensor = p->items[item].user;
    return tensor < 0 ? 0 : p->tensors[tensor].shard;
}

/* "x.safetensors" or "x-00001-of-00003.safetensors". */
static const char *shard_path(ConvertSink *s, int32_t shard)
{
    const int stem = (int)(strlen(s->path) - strlen(ENDING));
    return s->plan->n_shards == 1 ? s->path
                                  : arena_printf(s->arena, "%.*s-%05d-of-%05d%s", stem, s->path,
                                                 (int)shard + 1, (int)s->plan->n_shards, ENDING);
}

static SnugStatus open_shard(ConvertSink *s, int32_t shard, const EntryNote *notes, int32_t n_notes,
                             SnugError *err)
{
    const ConvertPlan *p = s->plan;
    Arena scratch;
    int32_t n = 0;
    arena_init(&scratch, s->arena->heap, "convert");
    SafetensorsItem *items = arena_array(&scratch, (size_t)p->n_items + 1, sizeof *items);
    for (int32_t i = 0; items && i < p->n_items; i++) {
        if (shard_of(p, i) != shard) continue;
        items[n] = p->items[i];
        items[n++].user = i;
    }
    const char *path = shard_path(s, shard);
    SnugStatus status = items && path ? safetensors_create(&s->shards[shard], s->arena->heap, path,
                                                           items, n, notes, n_notes, err)
                                      : no_memory(s, err);
    arena_release(&scratch);
    if (status != SNUG_OK) return status;
    s->names[shard] = file_basename(path);
    for (int32_t i = 0; i < n; i++)
        s->place[safetensors_item(s->shards[shard], i)->user] = i;
    return SNUG_OK;
}

SnugStatus convert_sink_open(ConvertSink *s, Arena *arena, const ConvertPlan *plan,
                             const char *path, bool gguf, const ConvertForm *form,
                             const EntryNote *notes, int32_t n_notes, SnugError *err)
{
    *s = (ConvertSink){ .arena = arena, .plan = plan, .path = path };
    if (gguf)
        return gguf_write_create(&s->gguf, arena->heap, path, plan->items, plan->n_items, notes,
                                 n_notes, form->file_type, err);
    s->shards = arena_array(arena, (size_t)plan->n_shards, sizeof(SafetensorsWriter *));
    s->names = arena_array(arena, (size_t)plan->n_shards, sizeof *s->names);
    s->place = arena_array(arena, (size_t)plan->n_items + 1, sizeof *s->place);
    if (!s->shards || !s->names || !s->place) return no_memory(s, err);
    for (int32_t i = 0; i < plan->n_shards; i++)
        TRY(open_shard(s, i, notes, n_notes, err));
    return SNUG_OK;
}

SnugStatus convert_sink_put(ConvertSink *s, int32_t item, size_t from, const void *bytes, size_t n,
                            SnugError *err)
{
    if (s->gguf) return gguf_write_put(s->gguf, item, from, bytes, n, err);
    return safetensors_put(s->shards[shard_of(s->plan, item)], s->place[item], from, bytes, n, err);
}

static void add_index(TextBuilder *t, const ConvertSink *s)
{
    const ConvertPlan *p = s->plan;
    text_addf(t, "{\n  \"metadata\": {\n    \"total_size\": %zu\n  },\n  \"weight_map\": {\n",
              p->bytes);
    for (int32_t i = 0; i < p->n_items; i++) {
        const char *name = s->names[shard_of(p, i)];
        text_addf(t, "    ");
        text_add_json(t, p->items[i].name, strlen(p->items[i].name));
        text_addf(t, ": ");
        text_add_json(t, name, strlen(name));
        text_addf(t, i + 1 < p->n_items ? ",\n" : "\n");
    }
    text_addf(t, "  }\n}\n");
}

static SnugStatus write_index(ConvertSink *s, SnugError *err)
{
    OutFile *file = NULL;
    TextBuilder t;
    const char *path = arena_printf(s->arena, "%s.index.json", s->path);
    if (!path) return no_memory(s, err);
    text_init(&t, s->arena->heap, "convert");
    add_index(&t, s);
    SnugStatus status =
        t.failed ? no_memory(s, err) : outfile_open(&file, s->arena->heap, path, err);
    if (status == SNUG_OK) status = outfile_write(file, t.at, t.n, err);
    if (status == SNUG_OK) status = outfile_commit(file, err);
    outfile_close(file);
    text_release(&t);
    return status;
}

SnugStatus convert_sink_commit(ConvertSink *s, SnugError *err)
{
    if (s->gguf) return gguf_write_commit(s->gguf, err);
    for (int32_t i = 0; i < s->plan->n_shards; i++)
        TRY(safetensors_commit(s->shards[i], err));
    return s->plan->n_shards > 1 ? write_index(s, err) : SNUG_OK;
}

void convert_sink_close(ConvertSink *s)
{
    gguf_write_close(s->gguf);
    for (int32_t i = 0; s->shards && i < s->plan->n_shards; i++)
        safetensors_close(s->shards[i]);
    *s = (ConvertSink){ .arena = s->arena };
}
