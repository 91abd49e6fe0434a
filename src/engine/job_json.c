/* job_json.c  A job from JSON: the fields are the names of the options ("bg_prompt" or "bg-prompt"), and
 * what else the pipeline's table of fields calls them. A field and a flag of the same value make the
 * same job. Pictures may come as base64; who fills jobs for others (a server) forbids paths.
 *
 * All is checked here, also that base64 holds a picture, so that a message can name file and field. */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/engine.h"
#include "pipelines/picture_option.h"

enum { MAX_TEXT_BYTES = 1 << 16, NAME_BYTES = 64 };

/* One job being filled. */
typedef struct Filling {
    SnugJob *job;
    const char *name; /* of the file */
    bool paths;
    Arena arena;
} Filling;

/* ---- names ------------------------------------------------------------------------------------ */

static const Option *find(const SnugJob *job, const char *field, char name[NAME_BYTES])
{
    if (strlen(field) >= NAME_BYTES) return NULL;
    (void)snprintf(name, NAME_BYTES, "%s", field);
    for (const PipelineField *f = job->pipeline->fields; f && f->field; f++)
        if (strcmp(f->field, field) == 0) (void)snprintf(name, NAME_BYTES, "%s", f->option);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
    const Option *o = option_find(job->pipeline->options, name);
    return o ? o : option_find(JOB_OPTIONS, name);
}

/* ---- values ----------------------------------------------------------------------------------- */

static bool takes(SnugOptionKind kind, JsonKind value)
{
    switch (kind) {
    case SNUG_OPTION_INT:
    case SNUG_OPTION_FLOAT:
        return value == JSON_KIND_NUMBER;
    case SNUG_OPTION_FLAG:
        return value == JSON_KIND_BOOL;
    case SNUG_OPTION_SWITCH:
        return value == JSON_KIND_BOOL || value == JSON_KIND_NUMBER || value == JSON_KIND_TEXT;
    case SNUG_OPTION_LIST:
        return value == JSON_KIND_ARRAY || value == JSON_KIND_TEXT;
    case SNUG_OPTION_TEXT:
    case SNUG_OPTION_PATH:
    case SNUG_OPTION_PICTURE:
    case SNUG_OPTION_SIZE:
    default:
        return value == JSON_KIND_TEXT;
    }
}

static const char *expected(SnugOptionKind kind)
{
    switch (kind) {
    case SNUG_OPTION_INT:
    case SNUG_OPTION_FLOAT:
        return "a number";
    case SNUG_OPTION_FLAG:
        return "true or false";
    case SNUG_OPTION_SWITCH:
        return "true, false, a number or a string";
    case SNUG_OPTION_LIST:
        return "an array of strings";
    case SNUG_OPTION_TEXT:
    case SNUG_OPTION_PATH:
    case SNUG_OPTION_PICTURE:
    case SNUG_OPTION_SIZE:
    default:
        return "a string";
    }
}

/* Is there a picture in the base64? Read and dropped again: the run reads it when it is its turn. */
static SnugStatus check_picture(const Filling *f, const char *field, const char *value,
                                SnugError *err)
{
    Image image = { 0 };
    const SnugStatus status =
        picture_option_read(&image, f->job->engine->heap, field, value, 3, err);
    image_release(&image);
    return status;
}

/* A file of that name, else base64, else a file that is not there (as opening it will say). */
static SnugStatus picture_value(Filling *f, Json at, const char *field, const char **value,
                                SnugError *err)
{
    const char *text = *value;
    const size_t n = strlen(text);
    if (!picture_option_inline(text)) {
        const bool coded = base64_looks(text, n);
        if (f->paths && (!coded || file_type(text) != FILE_ABSENT)) return SNUG_OK;
        if (!coded)
            return json_fault(at, err, FAULT_BAD,
                              "neither base64 nor a data URL (paths are not taken here)");
        *value = arena_printf(&f->arena, "data:;base64,%s", text);
        if (!*value) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    }
    return error_wrap(err, check_picture(f, field, *value, err), "%s: ", f->name);
}

static SnugStatus text_of(Filling *f, Json at, const Option *o, const char **out, SnugError *err)
{
    bool flag;
    double number;
    switch (json_kind(at)) {
    case JSON_KIND_TEXT:
        return json_as_text(at, out, err);
    case JSON_KIND_BOOL:
        TRY(json_as_bool(at, &flag, err));
        *out = flag ? "true" : "false";
        return SNUG_OK;
    default:
        TRY(json_as_f64(at, -1e300, 1e300, &number, err));
    }
    int64_t whole;
    const bool is_whole = json_as_int(at, INT64_MIN, INT64_MAX, &whole, NULL) == SNUG_OK;
    if (!is_whole && o->public_part.kind == SNUG_OPTION_INT)
        return json_fault(at, err, FAULT_BAD_JSON, "expected a whole number");
    *out = is_whole ? arena_printf(&f->arena, "%lld", (long long)whole)
                    : arena_printf(&f->arena, "%.17g", number);
    return *out ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
}

static bool plain(const Filling *f, const char *field)
{
    for (const PipelineField *p = f->job->pipeline->fields; p && p->field; p++)
        if (strcmp(p->field, field) == 0) return p->plain;
    return false;
}

static SnugStatus set_value(Filling *f, Json at, const char *field, const Option *o,
                            const char *name, SnugError *err)
{
    const SnugOptionKind kind = o->public_part.kind;
    const char *value;
    TRY(text_of(f, at, o, &value, err));
    if (kind == SNUG_OPTION_PICTURE) {
        TRY(picture_value(f, at, field, &value, err));
    } else if (strlen(value) > MAX_TEXT_BYTES)
        return json_fault(at, err, FAULT_TOO_LARGE, "a text of %zu bytes (limit %d)", strlen(value),
                          MAX_TEXT_BYTES);
    if (kind == SNUG_OPTION_PATH && !f->paths && !(plain(f, field) && file_plain_name(value)))
        return json_fault(at, err, FAULT_UNSAFE, "paths are not taken here");
    const SnugStatus status = snug_job_set(f->job, name, value, err);
    return error_wrap(err, status == SNUG_ERR_ARG ? SNUG_ERR_FILE : status, "%s: %s: ", f->name,
                      field);
}

static SnugStatus set_field(Filling *f, Json at, const char *field, SnugError *err)
{
    char name[NAME_BYTES];
    const char *pipeline;
    if (json_kind(at) == JSON_KIND_NULL) return SNUG_OK;
    if (strcmp(field, "pipeline") == 0) {
        TRY(json_as_text(at, &pipeline, err));
        if (strcmp(pipeline, f->job->pipeline->name) == 0) return SNUG_OK;
        return json_fault(at, err, FAULT_MISMATCH, "\"%.50s\": this job is one of %s", pipeline,
                          f->job->pipeline->name);
    }
    const Option *o = find(f->job, field, name);
    if (!o)
        return error_set(err, SNUG_ERR_FILE, "%s: %.80s: unknown field (snug run %s --help)",
                         f->name, field, f->job->pipeline->name);
    if (!takes(o->public_part.kind, json_kind(at)))
        return json_fault(at, err, FAULT_BAD_JSON, "expected %s, found %s",
                          expected(o->public_part.kind), json_kind_words(json_kind(at)));
    if (json_kind(at) != JSON_KIND_ARRAY) return set_value(f, at, field, o, name, err);
    for (int64_t i = 0; i < json_length(at); i++)
        TRY(set_value(f, json_item(at, i), field, o, name, err));
    return SNUG_OK;
}

/* ---- documents -------------------------------------------------------------------------------- */

static SnugStatus fill(SnugJob *job, const JsonDoc *doc, bool paths, SnugError *err)
{
    Filling f = { .job = job, .name = json_name(doc), .paths = paths };
    arena_init(&f.arena, job->engine->heap, "request");
    SnugStatus status = SNUG_OK;
    for (JsonMember m = { 0 }; status == SNUG_OK && json_next(json_root(doc), &m);)
        status = set_field(&f, m.value, m.key, err);
    arena_release(&f.arena);
    if (status == SNUG_OK) {
        job->source = arena_text(&job->request_arena, f.name, strlen(f.name));
        if (!job->source) status = error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    }
    return status;
}

SnugStatus snug_job_set_json(SnugJob *job, const char *text, size_t n, const char *name, bool paths,
                             SnugError *err)
{
    JsonDoc *doc = NULL;
    TRY(json_parse(&doc, job->engine->heap, text, n, name, err));
    const SnugStatus status = fill(job, doc, paths, err);
    json_close(doc);
    return status;
}

SnugStatus snug_job_set_file(SnugJob *job, const char *path, SnugError *err)
{
    JsonDoc *doc = NULL;
    SnugStatus status = json_open(&doc, job->engine->heap, path, err);
    if (status == SNUG_OK) status = fill(job, doc, true, err);
    json_close(doc);
    return status == SNUG_ERR_IO ? SNUG_ERR_FILE : status; /* it was named as input */
}
