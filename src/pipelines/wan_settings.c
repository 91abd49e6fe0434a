/* wan_settings.c  Settings of a run: the user's word wins, then the folder's snug.json, then what the
 * model was published with. */
#include <stdio.h>
#include <string.h>

#include "pipelines/wan.h"

static WanSettings published(const WanJob *j)
{
    const WanVariant *v = j->variant;
    return (WanSettings){ .frames = v->frames,
                          .steps = v->steps,
                          .width = v->width,
                          .height = v->height,
                          .fps = v->fps,
                          .guidance = v->guidance,
                          .guidance_low = v->guidance_low,
                          .shift = v->shift,
                          .boundary = j->n_experts == 2 ? v->boundary : -1.0,
                          /* diffusers takes no negative prompt for an empty one */
                          .negative = j->layout.published ? v->negative : "" };
}

static SnugStatus read_numbers(WanSettings *s, Json root, SnugError *err)
{
    TRY(json_int(root, "frames", s->frames, 1, 4097, &s->frames, err));
    TRY(json_int(root, "steps", s->steps, 1, 1000, &s->steps, err));
    TRY(json_int(root, "width", s->width, 8, 16384, &s->width, err));
    TRY(json_int(root, "height", s->height, 8, 16384, &s->height, err));
    TRY(json_f64(root, "fps", s->fps, 1, 240, &s->fps, err));
    TRY(json_f64(root, "guidance", s->guidance, 0, 100, &s->guidance, err));
    const double low = json_has(root, "guidance") ? s->guidance : s->guidance_low;
    return json_f64(root, "guidance_low", low, 0, 100, &s->guidance_low, err);
}

SnugStatus wan_settings_open(const WanJob *j, JsonDoc **out, SnugError *err)
{
    const char *folder = j->request->paths.model;
    *out = NULL;
    if (!folder || file_type(folder) != FILE_DIRECTORY) return SNUG_OK;
    const char *path = file_join(j->context->arena, folder, "snug.json");
    if (!path) return error_set(err, SNUG_ERR_MEMORY, "no memory for a path");
    if (file_type(path) != FILE_REGULAR) return SNUG_OK;
    return json_open(out, j->context->heap, path, err);
}

static SnugStatus read_folder(WanJob *j, SnugError *err)
{
    JsonDoc *doc;
    TRY(wan_settings_open(j, &doc, err));
    if (!doc) return SNUG_OK;
    const SnugStatus status = read_numbers(&j->settings, json_root(doc), err);
    json_close(doc);
    return status;
}

/* The user's word. */
static SnugStatus override(WanSettings *s, const WanRequest *q, SnugError *err)
{
    if (q->steps == 0) return error_set(err, SNUG_ERR_ARG, "--steps: at least 1");
    if (q->frames == 0) return error_set(err, SNUG_ERR_ARG, "--frames: at least 1");
    if (q->steps > 0) s->steps = q->steps;
    if (q->frames > 0) s->frames = q->frames;
    if (q->fps > 0) s->fps = q->fps;
    if (q->guidance >= 0) s->guidance = s->guidance_low = q->guidance;
    if (q->guidance_low >= 0) s->guidance_low = q->guidance_low;
    if (q->boundary >= 0) s->boundary = q->boundary;
    if (q->negative) s->negative = q->negative;
    if (q->size.width) {
        s->width = q->size.width;
        s->height = q->size.height;
    }
    return SNUG_OK;
}

SnugStatus wan_settings_read(WanJob *j, SnugError *err)
{
    j->settings = published(j);
    TRY(json_f64(j->layout.index, "boundary_ratio", j->settings.boundary, -1.0, 1.0,
                 &j->settings.boundary, err));
    TRY(read_folder(j, err));
    return override(&j->settings, j->request, err);
}

/* A folder says which scheduler and shift it means; the original takes FlowUniPC and the shift it was
 * published with, which for some depends on the size. */
SnugStatus wan_settings_scheduler(const WanJob *j, SchedulerConfig *config, SnugError *err)
{
    SchedulerKind kind = SCHEDULER_UNIPC_ORIG;
    const char *name = j->request->scheduler;
    const WanVariant *v = j->variant;
    if (name) TRY(scheduler_kind_of_name(&kind, name, err));
    if (json_kind(j->layout.scheduler) == JSON_KIND_OBJECT) {
        SnugError reading = { { 0 } };
        const SnugStatus status =
            scheduler_config_json_read(config, j->layout.scheduler, name ? &reading : err);
        if (!name) return status;
        if (status == SNUG_OK)
            scheduler_config_switch(config, kind);
        else
            scheduler_config_defaults(config, kind);
        return SNUG_OK;
    }
    if (!j->layout.published)
        return error_set(err, SNUG_ERR_FILE, "%s: the model has no scheduler", j->layout.path);
    const bool small = (int64_t)j->width * j->height <= 832 * 480;
    scheduler_config_defaults(config, kind);
    config->shift = small && v->shift_small > 0 ? v->shift_small : v->shift;
    return SNUG_OK;
}
