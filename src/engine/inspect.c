/* inspect.c  What a model folder or weight file holds: as the pipeline that can use it says, else as the
 * file formats do. Headers only. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/inspect_weights.h"
#include "formats/model_dir.h"
#include "pipelines/about.h"

/* ---- a model of ours ------------------------------------------------------------------------ */

static void json_part(TextBuilder *b, const AboutPart *p, InspectStyle style)
{
    inspect_add_member(b, "name", p->role, true);
    inspect_add_member(b, "is", p->words, false);
    inspect_add_member(b, "class", p->class_name, false);
    inspect_add_member(b, "names", p->names, false);
    inspect_add_member(b, "told_by", p->told_by ? p->told_by : "model_index.json", false);
    inspect_add_member(b, "config_from", p->config_from, false);
    inspect_add_member(b, "sizes", p->sizes, false);
    inspect_add_member(b, "problem", p->problem, false);
    text_addf(b, ",");
    inspect_add_weights(b, p->weights, style);
}

static void json_about(TextBuilder *b, const About *a, InspectStyle style)
{
    text_addf(b, "{");
    inspect_add_member(b, "kind", "model", true);
    inspect_add_member(b, "form", a->form, false);
    inspect_add_member(b, "model", a->model, false);
    inspect_add_member(b, "does", a->words, false);
    inspect_add_member(b, "pipeline", a->pipeline, false);
    text_addf(b, ",\"settings\":{");
    for (int i = 0; i < a->n_settings; i++)
        inspect_add_member(b, a->setting[i].name, a->setting[i].value, i == 0);
    text_addf(b, "},\"components\":[");
    for (int i = 0; i < a->n_parts; i++) {
        text_addf(b, i ? ",{" : "{");
        json_part(b, &a->part[i], style);
        text_addf(b, "}");
    }
    text_addf(b, "]");
    inspect_add_member(b, "tokenizer", a->tokenizer, false);
    inspect_add_member(b, "missing", a->missing[0] ? a->missing : NULL, false);
    inspect_add_member(b, "problem", a->problem, false);
    inspect_add_member(b, "warnings", a->warnings[0] ? a->warnings : NULL, false);
    text_addf(b, "}\n");
}

static void text_part(TextBuilder *b, const AboutPart *p, InspectStyle style)
{
    text_addf(b, "\n%s: %s", p->role, p->words);
    if (p->class_name) {
        text_addf(b, ", ");
        inspect_add_name(b, p->class_name);
    }
    if (p->told_by) text_addf(b, ", by %s (%s)", p->told_by, p->names);
    text_addf(b, "\n");
    if (p->sizes) text_addf(b, "  %s (from %s)\n", p->sizes, p->config_from);
    inspect_add_weights(b, p->weights, style);
    if (p->problem) text_addf(b, "  PROBLEM: %s\n", p->problem);
}

/* Lines, each behind a word. */
static void text_lines(TextBuilder *b, const char *word, const char *lines)
{
    while (*lines) {
        const size_t n = strcspn(lines, "\n");
        if (n) text_addf(b, "%s%.*s\n", word, (int)n, lines);
        lines += n + (lines[n] == '\n');
    }
}

static void text_about(TextBuilder *b, const About *a, InspectStyle style)
{
    if (a->model)
        text_addf(b, "built as %s: %s\n", a->model, a->words);
    else
        text_addf(b, "part of a model\n");
    text_addf(b, "  %s", a->form);
    if (a->pipeline) text_addf(b, "; snug run %s", a->pipeline);
    text_addf(b, "\n");
    for (int i = 0; i < a->n_settings; i++)
        text_addf(b, "%s%s %s", i ? ", " : "  takes ", a->setting[i].name, a->setting[i].value);
    text_addf(b, a->n_settings ? "\n" : "");
    for (int i = 0; i < a->n_parts; i++)
        text_part(b, &a->part[i], style);
    if (a->tokenizer) {
        text_addf(b, "\ntokenizer: ");
        inspect_add_name(b, a->tokenizer);
    }
    text_addf(b, "\n");
    if (a->missing[0]) text_addf(b, "MISSING for a run: no %s\n", a->missing);
    if (a->problem) text_addf(b, "PROBLEM: %s\n", a->problem);
    text_lines(b, "warning: ", a->warnings);
}

/* ---- any other folder of diffusers, any other file ------------------------------------------ */

static SnugStatus add_component(TextBuilder *b, ModelDir *dir, const ModelPart *part,
                                InspectStyle style, bool first, SnugError *err)
{
    Component *c = NULL;
    TRY(model_dir_component(dir, part->name, &c, err));
    if (style.json) {
        text_addf(b, first ? "{" : ",{");
        inspect_add_member(b, "name", part->name, true);
        inspect_add_member(b, "class", part->class_name, false);
        if (c->weights) {
            text_addf(b, ",");
            inspect_add_weights(b, c->weights, style);
        }
        text_addf(b, "}");
        return SNUG_OK;
    }
    inspect_add_name(b, part->name);
    text_addf(b, ": ");
    inspect_add_name(b, part->class_name);
    text_addf(b, "\n");
    if (c->weights) inspect_add_weights(b, c->weights, style);
    if (c->warnings) text_lines(b, "  warning: ", c->warnings);
    return SNUG_OK;
}

static SnugStatus add_dir(TextBuilder *b, Heap *heap, const char *path, InspectStyle style,
                          SnugError *err)
{
    ModelDir *dir = NULL;
    TRY(model_dir_open(&dir, heap, path, NULL, err));
    const ModelIndex *index = model_dir_index(dir);
    SnugStatus status = SNUG_OK;
    if (style.json) {
        text_addf(b, "{");
        inspect_add_member(b, "kind", "diffusers", true);
        inspect_add_member(b, "class", index->class_name, false);
        text_addf(b, ",\"components\":[");
    } else {
        text_addf(b, "diffusers folder: ");
        inspect_add_name(b, index->class_name);
        text_addf(b, "\n");
    }
    bool first = true;
    for (int32_t i = 0; i < index->n_parts && status == SNUG_OK; i++) {
        if (!index->parts[i].library) continue; /* absent on purpose */
        status = add_component(b, dir, &index->parts[i], style, first, err);
        first = false;
    }
    text_addf(b, style.json ? "]}\n" : "");
    model_dir_close(dir);
    return status;
}

static SnugStatus add_file(TextBuilder *b, Heap *heap, const char *path, const char *why,
                           InspectStyle style, SnugError *err)
{
    Checkpoint *c = NULL;
    TRY(checkpoint_open(&c, heap, path, NULL, err));
    if (style.json) {
        text_addf(b, "{");
        inspect_add_member(b, "kind", "weights", true);
        inspect_add_member(b, "problem", why, false);
        text_addf(b, ",");
    } else
        text_addf(b, "weights\n");
    inspect_add_weights(b, c, style);
    if (style.json)
        text_addf(b, "}\n");
    else if (why)
        text_addf(b, "as a video model: %s\n", why);
    checkpoint_close(c);
    return SNUG_OK;
}

/* What no pipeline knows; `why` is what one of them said. */
static SnugStatus add_other(TextBuilder *b, Heap *heap, const char *path, const char *why,
                            InspectStyle style, SnugError *err)
{
    if (file_type(path) != FILE_DIRECTORY) return add_file(b, heap, path, why, style, err);
    return why ? error_set(err, SNUG_ERR_FILE, "%s", why) : add_dir(b, heap, path, style, err);
}

static SnugStatus add_all(TextBuilder *b, Heap *heap, const char *path, InspectStyle style,
                          SnugError *err)
{
    About about;
    SnugStatus status = about_init(&about, heap, path, err);
    if (status == SNUG_OK && about.n_parts > 0) {
        if (style.json)
            json_about(b, &about, style);
        else
            text_about(b, &about, style);
    } else if (status == SNUG_OK)
        status = add_other(b, heap, path, about.problem, style, err);
    about_release(&about);
    return status;
}

SnugStatus snug_models_inspect(char **out, const char *path, bool json, bool tensors,
                               SnugError *err)
{
    *out = NULL;
    Heap *heap = heap_create();
    if (!heap) return error_set(err, SNUG_ERR_MEMORY, "no memory");
    TextBuilder b;
    text_init(&b, heap, "inspect");
    SnugStatus status = add_all(&b, heap, path, (InspectStyle){ json, tensors }, err);
    if (status == SNUG_ERR_IO) status = SNUG_ERR_FILE; /* the input cannot be read */
    status = inspect_hand_out(out, &b, status, err);
    heap_free(heap);
    return status;
}

SnugStatus inspect_hand_out(char **out, TextBuilder *b, SnugStatus status, SnugError *err)
{
    *out = status == SNUG_OK && !b->failed ? strdup(b->at ? b->at : "") : NULL;
    if (status == SNUG_OK && !*out) status = error_set(err, SNUG_ERR_MEMORY, "no memory");
    text_release(b);
    return status;
}

void snug_text_free(char *text)
{
    free(text);
}
