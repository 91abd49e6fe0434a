/* convert.c  A conversion: open, choose, read once for scales of scales, write, make visible. */
#include "engine/convert.h"
#include "engine/convert_folder.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/now.h"
#include "base/size.h"
#include "base/text.h"
#include "formats/file_kind.h"
#include "memory/process.h"

static const double TELL_SECONDS = 0.2;

typedef struct Job {
    const SnugConvertOptions *options;
    Heap *heap;
    Arena arena;
    const char *input, *output; /* files */
    bool folder;                /* the output was named as one */
    OutFile *config;            /* beside the weights, in a folder */
    Checkpoint *checkpoint;
    const ConvertForm *form;
    bool gguf;
    ConvertPlan plan;
    ConvertWork work;
} Job;

const char *snug_convert_form(int index)
{
    const ConvertForm *f = convert_form_at(index);
    return f ? f->name : NULL;
}

const char *snug_convert_form_summary(int index)
{
    const ConvertForm *f = convert_form_at(index);
    return f ? f->words : NULL;
}

/* ---- progress ------------------------------------------------------------------------------- */

void convert_progress(ConvertProgress *p, double bytes)
{
    p->done_bytes += bytes;
    const double now = now_seconds(), seconds = now - p->begin;
    if (!p->on_event || now - p->told < TELL_SECONDS) return;
    p->told = now;
    char rate[48];
    const double fraction = p->all_bytes > 0 ? p->done_bytes / p->all_bytes : 1.0;
    (void)snprintf(rate, sizeof rate, "%.0f MB/s", p->done_bytes / 1e6 / seconds);
    const SnugEvent event = { .kind = SNUG_EVENT_PROGRESS,
                              .stage = p->stage,
                              .fraction = fraction < 1.0 ? fraction : 1.0,
                              .seconds = seconds,
                              .seconds_left = fraction > 0.01 ? seconds * (1 / fraction - 1) : -1.0,
                              .memory_bytes = process_rss_bytes(),
                              .text = rate };
    p->on_event(p->context, &event);
}

/* ---- input and output ----------------------------------------------------------------------- */

static bool is_weight_file(const char *name)
{
    static const char *const ENDINGS[] = {
        ".safetensors", ".gguf", ".pth", ".pt", ".bin", ".ckpt"
    };
    for (size_t i = 0; i < COUNT(ENDINGS); i++)
        if (text_ends(name, ENDINGS[i])) return true;
    return false;
}

SnugStatus convert_find_input(const char **out, Arena *arena, const char *path, SnugError *err)
{
    const char *const *names, *index = NULL, *file = NULL;
    int n_index = 0, n_file = 0;
    size_t n;
    *out = path;
    if (file_type(path) != FILE_DIRECTORY) return SNUG_OK;
    TRY(file_list(arena, path, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (text_ends(names[i], ".index.json")) {
            index = names[i];
            n_index++;
        } else if (is_weight_file(names[i])) {
            file = names[i];
            n_file++;
        }
    }
    const char *name = n_index == 1 ? index : n_index == 0 && n_file == 1 ? file : NULL;
    if (!name)
        return error_set(err, SNUG_ERR_ARG, "%s: %s: name one", path,
                         n_index + n_file ? "it holds several weight files"
                                          : "it holds no weights");
    *out = file_join(arena, path, name);
    return *out ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
}

/* The result must not replace what it is read from. */
static SnugStatus check_apart(const Job *j, SnugError *err)
{
    const char *path = j->output;
    File *there;
    if (file_type(path) != FILE_REGULAR || file_open(&there, j->heap, path, NULL) != SNUG_OK)
        return SNUG_OK;
    bool same = false;
    for (int32_t i = 0; i < checkpoint_n_files(j->checkpoint); i++)
        same |= file_same(there, checkpoint_file(j->checkpoint, i));
    file_close(there);
    return same ? error_set(err, SNUG_ERR_ARG, "%s: input and output are the same file", path)
                : SNUG_OK;
}

static SnugStatus choose_form(Job *j, SnugError *err)
{
    const SnugConvertOptions *o = j->options;
    j->form = o->form ? convert_form_find(o->form) : NULL;
    if (!j->form)
        return error_set(err, SNUG_ERR_ARG, "\"%.50s\" is no form that weights are converted to",
                         o->form ? o->form : "");
    j->folder = convert_folder_is(o->output);
    j->gguf = !j->folder && text_ends(o->output, ".gguf");
    if (!j->gguf && !j->folder && !text_ends(o->output, ".safetensors"))
        return error_set(err, SNUG_ERR_ARG,
                         "%s: the output is no folder, and its name ends in neither .safetensors "
                         "nor .gguf",
                         o->output);
    if (!j->gguf && convert_form_needs_gguf(j->form))
        return error_set(err, SNUG_ERR_ARG, "%s: only GGUF files (.gguf) hold %s", o->output,
                         j->form->name);
    const DType type = j->form->dtype;
    const bool fits = j->form->kind == CONVERT_COPY ||
                      (j->form->kind == CONVERT_CAST && type != DT_F8_E4M3 && type != DT_F8_E5M2);
    if (j->gguf && !fits)
        return error_set(err, SNUG_ERR_ARG, "%s: GGUF files do not hold %s: use .safetensors",
                         o->output, j->form->name);
    if (j->gguf && o->shard_bytes)
        return error_set(err, SNUG_ERR_ARG, "%s: GGUF is written as one file, not in shards",
                         o->output);
    return SNUG_OK;
}

/* ---- metadata ------------------------------------------------------------------------------- */

/* By the names of the first block, behind any prefix. */
static const char *architecture(const Checkpoint *c)
{
    static const char *const MARKS[][2] = { { "blocks.0.self_attn.q.weight", "wan" },
                                            { "double_blocks.0.img_attn.qkv.weight", "flux" },
                                            { "enc.blk.0.attn_q.weight", "t5encoder" } };
    for (int32_t i = 0; i < checkpoint_count(c); i++)
        for (size_t k = 0; k < COUNT(MARKS); k++)
            if (text_ends(checkpoint_entry(c, i)->name, MARKS[k][0])) return MARKS[k][1];
    return "unknown";
}

/* The source's own, but for what no longer holds; torch's tools want a format. */
static SnugStatus make_notes(const Job *j, Arena *arena, EntryNote **out, int32_t *n,
                             SnugError *err)
{
    int32_t have = 0;
    FileKind kind = KIND_UNKNOWN;
    TRY(file_kind_find(checkpoint_file(j->checkpoint, 0), &kind, err));
    const EntryNote *from = checkpoint_notes(j->checkpoint, 0, &have);
    EntryNote *to = arena_array(arena, (size_t)have + 1, sizeof *to);
    *out = to;
    *n = 0;
    if (!to) return error_set(err, SNUG_ERR_MEMORY, "no memory for metadata");
    to[(*n)++] = j->gguf ? (EntryNote){ "general.architecture", architecture(j->checkpoint) }
                         : (EntryNote){ "format", "pt" };
    for (int32_t i = 0; kind == KIND_SAFETENSORS && !j->gguf && i < have; i++) {
        const bool quantised = strcmp(from[i].key, "_quantization_metadata") == 0;
        if (strcmp(from[i].key, "format") == 0 || (quantised && j->form->kind != CONVERT_COPY))
            continue;
        to[(*n)++] = from[i];
    }
    return SNUG_OK;
}

/* ---- the work ------------------------------------------------------------------------------- */

static int usable_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static SnugStatus prepare(Job *j, SnugError *err)
{
    ConvertWork *w = &j->work;
    const int threads = j->options->threads > 0 ? j->options->threads : usable_processors();
    w->checkpoint = j->checkpoint;
    w->heap = j->heap;
    w->pool = pool_create(j->heap, threads);
    w->raw = arena_array(&j->arena, CONVERT_CHUNK, sizeof(double));
    w->out = arena_array(&j->arena, CONVERT_CHUNK, sizeof(float));
    w->wide = arena_array(&j->arena, CONVERT_CHUNK, sizeof(float));
    if (!w->pool || !w->raw || !w->out || !w->wide)
        return error_set(err, SNUG_ERR_MEMORY, "no memory for a conversion");
    w->progress = (ConvertProgress){ .stage = "convert",
                                     .begin = now_seconds(),
                                     .cancel = j->options->cancel };
    for (int32_t i = 0; i < j->plan.n; i++) { /* some are read twice */
        const ConvertTensor *t = &j->plan.tensors[i];
        const ConvertKind kind = t->target.kind;
        const bool twice = kind == CONVERT_NESTED || kind == CONVERT_SCALED || kind == CONVERT_INT8;
        w->progress.all_bytes += (double)t->entry->bytes * (twice ? 2 : 1);
    }
    return SNUG_OK;
}

static SnugStatus scan(Job *j, SnugError *err)
{
    for (int32_t i = 0; i < j->plan.n; i++)
        if (j->plan.tensors[i].target.kind == CONVERT_NESTED)
            TRY(convert_tensor_scan(&j->work, &j->plan.tensors[i], err));
    return SNUG_OK;
}

static SnugStatus write_all(Job *j, SnugError *err)
{
    EntryNote *notes;
    int32_t n_notes;
    TRY(convert_plan_items(&j->plan, &j->arena, j->options->shard_bytes, j->output, err));
    TRY(make_notes(j, &j->arena, &notes, &n_notes, err));
    TRY(convert_sink_open(&j->work.sink, &j->arena, &j->plan, j->output, j->gguf, j->form, notes,
                          n_notes, err));
    for (int32_t i = 0; i < j->plan.n; i++)
        TRY(convert_tensor(&j->work, &j->plan.tensors[i], err));
    for (int32_t i = 0; i < checkpoint_n_files(j->checkpoint); i++)
        TRY(file_check_unchanged(checkpoint_file(j->checkpoint, i), err));
    if (j->folder)
        TRY(convert_folder_config(&j->config, &j->arena, j->options->output, j->input, j->form,
                                  &j->plan, err));
    TRY(convert_sink_commit(&j->work.sink, err));
    return j->config ? outfile_commit(j->config, err) : SNUG_OK;
}

static SnugStatus run(Job *j, SnugEventFunction *on_event, void *context, SnugError *err)
{
    const SnugConvertOptions *o = j->options;
    const ConvertChoice choice = { .keep = o->keep, .n_keep = o->n_keep, .all = o->all };
    TRY(choose_form(j, err));
    TRY(convert_find_input(&j->input, &j->arena, o->input, err));
    TRY(checkpoint_open(&j->checkpoint, j->heap, j->input, NULL, err));
    j->output = o->output;
    if (j->folder) TRY(convert_folder_file(&j->output, &j->arena, o->output, j->input, err));
    TRY(check_apart(j, err));
    TRY(convert_plan_init(&j->plan, &j->arena, j->checkpoint, j->form, &choice, j->gguf, err));
    TRY(prepare(j, err));
    j->work.progress.on_event = on_event;
    j->work.progress.context = context;
    TRY(scan(j, err));
    return write_all(j, err);
}

static void tell(const Job *j, SnugConverted *out)
{
    *out = (SnugConverted){ .tensors = j->plan.n,
                            .files = j->plan.n_shards,
                            .read_bytes = (double)checkpoint_bytes(j->checkpoint),
                            .written_bytes = (double)j->plan.bytes,
                            .seconds = now_seconds() - j->work.progress.begin };
    for (int32_t i = 0; i < j->plan.n; i++)
        out->changed += j->plan.tensors[i].target.kind != CONVERT_COPY;
}

SnugStatus snug_convert(SnugConverted *out, const SnugConvertOptions *options,
                        SnugEventFunction *on_event, void *context, SnugError *err)
{
    Heap *heap = heap_create();
    Job j = { .options = options, .heap = heap };
    if (!heap) return error_set(err, SNUG_ERR_MEMORY, "no memory");
    arena_init(&j.arena, heap, "convert");
    SnugStatus status = run(&j, on_event, context, err);
    if (status == SNUG_OK && out) tell(&j, out);
    if (status == SNUG_ERR_IO && !j.checkpoint) status = SNUG_ERR_FILE; /* the input */
    outfile_close(j.config);
    convert_sink_close(&j.work.sink);
    pool_free(j.work.pool);
    checkpoint_close(j.checkpoint);
    arena_release(&j.arena);
    heap_free(heap);
    return status;
}
