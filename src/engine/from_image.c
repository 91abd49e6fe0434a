/* from_image.c  Options into pictures and back. */
#include "engine/from_image.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/sha256.h"
#include "engine/method.h"
#include "media/png_text.h"
#include "pipelines/infotext.h"
#include "pipelines/picture_option.h"

/* A picture inside the value would make every result carry it. */
static const char *kept_value(Arena *arena, const char *value)
{
    if (!picture_option_inline(value)) return arena_text(arena, value, strlen(value));
    Sha256 sha;
    unsigned char digest[SHA256_BYTES];
    char text[SHA256_TEXT];
    sha256_init(&sha);
    sha256_add(&sha, value, strlen(value));
    sha256_end(&sha, digest);
    return arena_printf(arena, "inline:sha256=%s", sha256_text(digest, text));
}

SnugStatus from_image_note(SnugJob *job, const char *name, const char *value, SnugError *err)
{
    Arena *arena = &job->request_arena;
    JobSetting **at = &job->settings;
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = arena_take(arena, sizeof **at);
        if (*at) (*at)->name = arena_text(arena, name, strlen(name));
    }
    if (*at) (*at)->value = kept_value(arena, value);
    if (*at && (*at)->name && (*at)->value) return SNUG_OK;
    return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
}

void from_image_settings(const SnugJob *job, int64_t seed, TextBuilder *to)
{
    text_addf(to, "{\"snug\":\"%s\",\"pipeline\":\"%s\",\"options\":{\"seed\":\"%lld\"",
              snug_version(), job->pipeline->name, (long long)seed);
    for (const JobSetting *s = job->settings; s; s = s->next) {
        if (strcmp(s->name, "seed") == 0 || strcmp(s->name, "batch") == 0) continue;
        if (text_utf8_check(s->value, strlen(s->value)) != strlen(s->value)) continue;
        text_addf(to, ",\"%s\":", s->name);
        text_add_json(to, s->value, strlen(s->value));
    }
    if (job->arithmetic != ARITHMETIC_F32) text_addf(to, ",\"dtype\":\"%s\"", method_dtype(job));
    text_addf(to, "}}");
}

/* ---- back ----------------------------------------------------------------------------------- */

/* The first failure of setting options one after the other. */
typedef struct Setter {
    SnugJob *job;
    SnugStatus status;
    SnugError *err;
} Setter;

static void set_option(void *context, const char *option, const char *value)
{
    Setter *s = context;
    if (s->status == SNUG_OK && option_find(s->job->pipeline->options, option))
        s->status = snug_job_set(s->job, option, value, s->err);
}

static SnugStatus set_all(SnugJob *job, Json options, SnugError *err)
{
    for (JsonMember m = { 0 }; json_next(options, &m);) {
        const char *value;
        TRY(json_as_text(m.value, &value, err));
        TRY(snug_job_set(job, m.key, value, err));
    }
    return SNUG_OK;
}

/* Create the job that a text "snug" tells of. */
static SnugStatus from_settings(SnugJob **out, SnugEngine *engine, const char *pipeline, Json root,
                                SnugError *err)
{
    Json options;
    const char *name = NULL;
    TRY(json_require(root, "pipeline", err));
    TRY(json_text(root, "pipeline", NULL, &name, err));
    TRY(json_get_object(root, "options", &options, err));
    TRY(snug_job_create(out, engine, pipeline ? pipeline : name, err));
    if (!pipeline || strcmp(pipeline, name) == 0) return set_all(*out, options, err);
    Setter setter = { *out, SNUG_OK, err };
    for (JsonMember m = { 0 }; json_next(options, &m);) {
        const char *value;
        TRY(json_as_text(m.value, &value, err));
        set_option(&setter, m.key, value);
    }
    return setter.status;
}

static SnugStatus read_picture(SnugJob **out, SnugEngine *engine, const char *pipeline,
                               const char *path, Arena *arena, SnugError *err)
{
    const char *text = NULL;
    JsonDoc *doc = NULL;
    TRY(png_text_read(arena, path, FROM_IMAGE_KEY, &text, err));
    if (text) {
        TRY(json_parse(&doc, engine->heap, text, strlen(text), path, err));
        const SnugStatus status = from_settings(out, engine, pipeline, json_root(doc), err);
        json_close(doc);
        return status;
    }
    TRY(png_text_read(arena, path, "parameters", &text, err));
    if (!text) return error_set(err, SNUG_ERR_FILE, "%s: it does not say how it was made", path);
    TRY(snug_job_create(out, engine, pipeline ? pipeline : "txt2img", err));
    Setter setter = { *out, SNUG_OK, err };
    if (!infotext_read(text, arena, set_option, &setter))
        return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    return setter.status;
}

SnugStatus snug_job_create_from_image(SnugJob **out, SnugEngine *engine, const char *pipeline,
                                      const char *path, SnugError *err)
{
    Arena arena;
    *out = NULL;
    arena_init(&arena, engine->heap, "job");
    SnugStatus status = read_picture(out, engine, pipeline, path, &arena, err);
    arena_release(&arena);
    if (status == SNUG_OK) return SNUG_OK;
    snug_job_free(*out);
    *out = NULL;
    /* a file that is not there, or an option in it that does not parse: the file's mistake */
    if (status == SNUG_ERR_ARG || status == SNUG_ERR_IO) status = SNUG_ERR_FILE;
    return error_wrap(err, status, "--from-image %s: ", path);
}
