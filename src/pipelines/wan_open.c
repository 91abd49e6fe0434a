/* wan_open.c  From a request to a WanJob: folder, configurations, bindings, tokens, sizes. Reads
 * headers and small files only. */
#include "pipelines/wan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/npy.h"
#include "text/clean.h"
#include "text/tokenizer.h"

/* What a model folder may say about itself in snug.json, and what holds if it does not. */
typedef struct WanDefaults {
    int64_t frames, steps, width, height;
    double fps, guidance;
} WanDefaults;

static SnugStatus component(WanJob *j, const char *name, Component **out, SnugError *err)
{
    if (!model_dir_has(j->dir, name))
        return error_set(err, SNUG_ERR_FILE, "%s: the model has no %s", model_dir_path(j->dir),
                         name);
    TRY(model_dir_component(j->dir, name, out, err));
    char *warnings = j->context->weights->warnings;
    const size_t used = strlen(warnings), room = sizeof j->context->weights->warnings - used;
    (void)snprintf(warnings + used, room, "%s", (*out)->warnings ? (*out)->warnings : "");
    return SNUG_OK;
}

static SnugStatus expect_class(const WanJob *j, const Component *c, const char *name,
                               const char *const *classes, SnugError *err)
{
    if (!c->class_name) return SNUG_OK;
    for (int i = 0; classes[i]; i++)
        if (strcmp(c->class_name, classes[i]) == 0) return SNUG_OK;
    return error_set(err, SNUG_ERR_FILE, "%s: %s is a %s, a Wan pipeline needs %s",
                     model_dir_path(j->dir), name, c->class_name, classes[0]);
}

/* ---- networks ------------------------------------------------------------------------------- */

static SnugStatus open_text(WanJob *j, SnugError *err)
{
    static const char *const CLASSES[] = { "UMT5EncoderModel", "T5EncoderModel", NULL };
    Component *c = NULL;
    TRY(component(j, "text_encoder", &c, err));
    TRY(expect_class(j, c, "text_encoder", CLASSES, err));
    TRY(umt5_config_read(&j->text.cfg, c->config, err));
    Weights w;
    weights_begin(&w, j->context->weights, c->weights, "text_encoder");
    umt5_weights(&j->text, &w);
    return weights_end(&w, err);
}

static SnugStatus open_vae(WanJob *j, SnugError *err)
{
    static const char *const CLASSES[] = { "AutoencoderKLWan", NULL };
    Component *c = NULL;
    TRY(component(j, "vae", &c, err));
    TRY(expect_class(j, c, "vae", CLASSES, err));
    TRY(wan_vae_config_read(&j->vae.cfg, c->config, err));
    Weights w;
    weights_begin(&w, j->context->weights, c->weights, "vae");
    wan_vae_weights(&j->vae, &w);
    TRY(weights_end(&w, err));

    Json rows;
    TRY(json_get_array(c->config, "latent_rgb_factors", &rows, err));
    if (json_length(rows) != j->vae.cfg.z) return SNUG_OK;
    double bias[3] = { 0 };
    int n = 0;
    TRY(json_f64s(c->config, "latent_rgb_bias", -1e3, 1e3, bias, 3, &n, err));
    for (int64_t i = 0; i < j->vae.cfg.z; i++)
        for (int64_t k = 0; k < 3; k++) {
            double v;
            TRY(json_as_f64(json_item(json_item(rows, i), k), -1e3, 1e3, &v, err));
            j->latent_rgb[i * 3 + k] = (float)v;
        }
    for (int k = 0; k < 3; k++)
        j->latent_rgb[j->vae.cfg.z * 3 + k] = (float)bias[k];
    j->has_latent_rgb = true;
    return SNUG_OK;
}

static SnugStatus open_expert(WanJob *j, WanExpert *e, const char *name, SnugError *err)
{
    static const char *const CLASSES[] = { "WanTransformer3DModel", NULL };
    Component *c = NULL;
    TRY(component(j, name, &c, err));
    TRY(expect_class(j, c, name, CLASSES, err));
    TRY(wan_dit_config_read(&e->dit.cfg, c->config, err));
    Weights w;
    weights_begin(&w, j->context->weights, c->weights, name);
    wan_dit_weights(&e->dit, &w);
    TRY(weights_end(&w, err));
    const WanDitConfig *cfg = &e->dit.cfg;
    if (cfg->out_channels != j->vae.cfg.z)
        return error_set(err, SNUG_ERR_FILE, "%s: %s gives %lld channels, the VAE has %lld",
                         model_dir_path(j->dir), name, (long long)cfg->out_channels,
                         (long long)j->vae.cfg.z);
    if (cfg->text_dim != j->text.cfg.dim)
        return error_set(
            err, SNUG_ERR_FILE, "%s: %s takes text of width %lld, the encoder gives %lld",
            model_dir_path(j->dir), name, (long long)cfg->text_dim, (long long)j->text.cfg.dim);
    return SNUG_OK;
}

/* The CLIP network of Wan2.1 image to video, where the transformers want one. */
static SnugStatus open_clip(WanJob *j, SnugError *err)
{
    static const char *const CLASSES[] = { "CLIPVisionModel", "CLIPVisionModelWithProjection",
                                           "CLIPModel", NULL };
    const int64_t dim = j->expert[0].dit.cfg.image_dim;
    Component *c = NULL, *look = NULL;
    if (j->n_experts == 2 && j->expert[1].dit.cfg.image_dim != dim)
        return error_set(err, SNUG_ERR_FILE, "the two experts look at pictures of other width");
    if (!dim) return SNUG_OK;
    TRY(component(j, "image_encoder", &c, err));
    TRY(expect_class(j, c, "image_encoder", CLASSES, err));
    TRY(component(j, "image_processor", &look, err));
    TRY(wan_clip_bind(&j->clip, j->context->weights, c->weights, c->config, look->config, err));
    if (j->clip.net.cfg.dim == dim) return SNUG_OK;
    return error_set(err, SNUG_ERR_FILE,
                     "%s: the image encoder gives rows of %lld, the transformer takes %lld",
                     model_dir_path(j->dir), (long long)j->clip.net.cfg.dim, (long long)dim);
}

/* ---- mode and defaults ---------------------------------------------------------------------- */

static SnugStatus choose_mode(WanJob *j, WanKind kind, bool first_frame_model, SnugError *err)
{
    const WanRequest *q = j->request;
    const int64_t in = j->expert[0].dit.cfg.in_channels, z = j->vae.cfg.z;
    const char *dir = model_dir_path(j->dir);
    if (in == z) {
        if (q->image && !first_frame_model)
            return error_set(err, SNUG_ERR_ARG,
                             "%s is a text-to-video model: --image cannot be used", dir);
        if (kind == WAN_I2V && !first_frame_model)
            return error_set(err, SNUG_ERR_ARG, "%s is a text-to-video model: use wan-t2v", dir);
        j->mode = q->image ? WAN_IMAGE_FIRST_FRAME : WAN_NO_IMAGE;
    } else if (in == 2 * z + j->vae.cfg.time_factor) {
        if (kind == WAN_T2V)
            return error_set(err, SNUG_ERR_ARG, "%s is an image-to-video model: use wan-i2v", dir);
        j->mode = WAN_IMAGE_CHANNELS;
    } else
        return error_set(err, SNUG_ERR_FILE,
                         "%s: the transformer takes %lld channels; text-to-video needs %lld, "
                         "image-to-video %lld",
                         dir, (long long)in, (long long)z,
                         (long long)(2 * z + j->vae.cfg.time_factor));
    if (!q->image && (kind == WAN_I2V || j->mode == WAN_IMAGE_CHANNELS))
        return error_set(err, SNUG_ERR_ARG, "image to video needs --image");
    if (q->image && kind == WAN_T2V)
        return error_set(err, SNUG_ERR_ARG, "wan-t2v takes no --image: use wan-ti2v or wan-i2v");
    return SNUG_OK;
}

static SnugStatus read_defaults(WanJob *j, WanDefaults *d, bool first_frame_model, SnugError *err)
{
    *d = first_frame_model
             ? (WanDefaults){ .frames = 121,
                              .steps = 50,
                              .width = 1280,
                              .height = 704,
                              .fps = 24,
                              .guidance = 5 }
             : (WanDefaults){
                   .frames = 81, .steps = 50, .width = 832, .height = 480, .fps = 16, .guidance = 5
               };
    if (j->mode == WAN_IMAGE_CHANNELS) d->steps = 40;
    const char *path = file_join(j->context->arena, model_dir_path(j->dir), "snug.json");
    if (!path) return error_set(err, SNUG_ERR_MEMORY, "no memory for a path");
    if (file_type(path) != FILE_REGULAR) return SNUG_OK;
    JsonDoc *doc = NULL;
    TRY(json_open(&doc, j->context->heap, path, err));
    const Json root = json_root(doc);
    SnugStatus status = json_int(root, "frames", d->frames, 1, 4097, &d->frames, err);
    if (status == SNUG_OK) status = json_int(root, "steps", d->steps, 1, 1000, &d->steps, err);
    if (status == SNUG_OK) status = json_int(root, "width", d->width, 8, 16384, &d->width, err);
    if (status == SNUG_OK) status = json_int(root, "height", d->height, 8, 16384, &d->height, err);
    if (status == SNUG_OK) status = json_f64(root, "fps", d->fps, 1, 240, &d->fps, err);
    if (status == SNUG_OK)
        status = json_f64(root, "guidance", d->guidance, 0, 100, &d->guidance, err);
    json_close(doc);
    return status;
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static int nearest_multiple(int value, int grid)
{
    const int below = value / grid * grid, above = below + grid;
    return below > 0 && value - below <= above - value ? below : above;
}

static SnugStatus check_sizes(WanJob *j, SnugError *err)
{
    const WanVaeConfig *v = &j->vae.cfg;
    const WanDitConfig *d = &j->expert[0].dit.cfg;
    const int gw = v->space_factor * d->pw, gh = v->space_factor * d->ph;
    if (j->width % gw || j->height % gh)
        return error_set(err, SNUG_ERR_ARG,
                         "--size %dx%d: this model needs multiples of %dx%d; the nearest is %dx%d",
                         j->width, j->height, gw, gh, nearest_multiple(j->width, gw),
                         nearest_multiple(j->height, gh));
    const int64_t f = v->time_factor, step = f * d->pt;
    const int64_t latent = (j->frames - 1) / f + 1;
    if ((j->frames - 1) % f || latent % d->pt) {
        int64_t below = j->frames;
        while (below > 1 && ((below - 1) % f || ((below - 1) / f + 1) % d->pt))
            below--;
        return error_set(
            err, SNUG_ERR_ARG,
            "--frames %lld: this model makes %lldn + 1 frames; the nearest are %lld and %lld",
            (long long)j->frames, (long long)f, (long long)below, (long long)(below + step));
    }
    j->latent_t = latent;
    j->latent_h = j->height / v->space_factor;
    j->latent_w = j->width / v->space_factor;
    return SNUG_OK;
}

/* ---- prompts -------------------------------------------------------------------------------- */

static SnugStatus encode_prompt(WanJob *j, const Tokenizer *t, const char *text, int which,
                                SnugError *err)
{
    TextView clean;
    int32_t *ids = NULL;
    TRY(clean_prompt((TextView){ text, strlen(text) }, j->context->arena, &clean, err));
    TRY(tokenizer_encode(t, clean, WAN_TOKENS, j->context->arena, &ids, &j->n_ids[which], err));
    if (j->n_ids[which] == 0)
        return error_set(err, SNUG_ERR_FILE, "the tokenizer gives no token for an empty prompt");
    for (int64_t i = 0; i < j->n_ids[which]; i++)
        if (ids[i] < 0 || ids[i] >= j->text.cfg.vocab)
            return error_set(err, SNUG_ERR_FILE,
                             "the tokenizer gives id %d, the text encoder has %lld rows", ids[i],
                             (long long)j->text.cfg.vocab);
    j->ids[which] = ids;
    return SNUG_OK;
}

/* The tokenizer is closed again before anything is planned: its tables are not needed any more. */
static SnugStatus encode_prompts(WanJob *j, SnugError *err)
{
    Component *c = NULL;
    Tokenizer *t = NULL;
    TRY(component(j, "tokenizer", &c, err));
    TRY(tokenizer_open(&t, j->context->heap, c->path, err));
    SnugStatus status = encode_prompt(j, t, j->request->prompt, 0, err);
    if (status != SNUG_OK) status = error_wrap(err, status, "--prompt: ");
    if (status == SNUG_OK && j->guided) {
        status = encode_prompt(j, t, j->request->negative, 1, err);
        if (status != SNUG_OK) status = error_wrap(err, status, "--negative: ");
    }
    tokenizer_close(t);
    return status;
}

/* ---- noise and schedule --------------------------------------------------------------------- */

static SnugStatus read_noise(WanJob *j, SnugError *err)
{
    if (!j->request->noise) return SNUG_OK;
    NpyArray a;
    TRY(npy_read_f32(j->context->arena, j->request->noise, &a, err));
    const int64_t want[4] = { j->vae.cfg.z, j->latent_t, j->latent_h, j->latent_w };
    const int extra = a.rank == 5 && a.dim[0] == 1 ? 1 : 0;
    bool fits = a.rank == 4 + extra;
    for (int i = 0; fits && i < 4; i++)
        fits = a.dim[i + extra] == want[i];
    for (int64_t i = 0; fits && i < a.count; i++)
        if (!isfinite(a.f32[i]))
            return error_set(err, SNUG_ERR_FILE, "%s: the noise holds NaN or infinity",
                             j->request->noise);
    if (!fits)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: noise must be [%lld, %lld, %lld, %lld] (C, T, h, w)",
                         j->request->noise, (long long)want[0], (long long)want[1],
                         (long long)want[2], (long long)want[3]);
    j->given_noise = a.f32;
    return SNUG_OK;
}

static SnugStatus make_schedule(WanJob *j, const WanDefaults *d, SnugError *err)
{
    const WanRequest *q = j->request;
    Component *c = NULL;
    SchedulerConfig config;
    TRY(component(j, "scheduler", &c, err));
    SnugError reading = { { 0 } };
    SnugStatus status = scheduler_config_json_read(&config, c->config, &reading);
    if (q->scheduler) {
        SchedulerKind kind;
        TRY(scheduler_kind_of_name(&kind, q->scheduler, err));
        if (status == SNUG_OK)
            scheduler_config_switch(&config, kind);
        else
            scheduler_config_defaults(&config, kind);
    } else if (status != SNUG_OK) {
        if (err) *err = reading;
        return status;
    }
    const SchedulerRun run = { .steps = (int)(q->steps > 0 ? q->steps : d->steps),
                               .shift = q->shift > 0 ? q->shift : 0,
                               .mu = 1.0 };
    if (q->steps == 0) return error_set(err, SNUG_ERR_ARG, "--steps: at least 1");
    return scheduler_init(&j->scheduler, &config, &run, err);
}

/* Steps with t >= boundary * 1000 belong to the first expert. */
static SnugStatus share_steps(WanJob *j, double boundary, const WanDefaults *d, SnugError *err)
{
    const WanRequest *q = j->request;
    const double high = q->guidance >= 0 ? q->guidance : d->guidance;
    const double low = q->guidance_low >= 0 ? q->guidance_low : high;
    int split = j->scheduler.n;
    if (j->n_experts == 2) {
        split = 0;
        const double from = boundary * j->scheduler.config.train_steps;
        while (split < j->scheduler.n && (double)j->scheduler.timesteps[split] >= from)
            split++;
    }
    j->guided = high > 1.0; /* as the reference: the first scale decides for both */
    j->expert[0].first = j->scheduler.first;
    j->expert[0].end = j->expert[1].first = split;
    j->expert[1].end = j->scheduler.n;
    j->expert[0].guidance = (float)high;
    j->expert[1].guidance = (float)low;
    j->expert[0].stage = j->n_experts == 2 ? "denoise high noise" : "denoise";
    j->expert[1].stage = "denoise low noise";
    if (j->n_experts == 2 && j->expert[1].dit.cfg.in_channels != j->expert[0].dit.cfg.in_channels)
        return error_set(err, SNUG_ERR_FILE, "the two experts take different channels");
    return SNUG_OK;
}

/* ---- all together --------------------------------------------------------------------------- */

static SnugStatus open_networks(WanJob *j, double *boundary, bool *first_frame, SnugError *err)
{
    const Json index = model_dir_json(j->dir);
    const double asked = j->request->boundary;
    TRY(json_f64(index, "boundary_ratio", -1.0, -1.0, 1.0, boundary, err));
    TRY(json_bool(index, "expand_timesteps", false, first_frame, err));
    if (asked >= 0) *boundary = asked;
    TRY(open_text(j, err));
    TRY(open_vae(j, err));
    TRY(open_expert(j, &j->expert[0], "transformer", err));
    j->n_experts = 1;
    if (*boundary >= 0 && model_dir_has(j->dir, "transformer_2")) {
        j->n_experts = 2;
        TRY(open_expert(j, &j->expert[1], "transformer_2", err));
    }
    return open_clip(j, err);
}

static SnugStatus open_job(WanJob *j, WanKind kind, SnugError *err)
{
    WanRequest *q = (WanRequest *)(uintptr_t)j->request;
    WanDefaults d;
    double boundary;
    bool first_frame;
    if (!q->model)
        return error_set(err, SNUG_ERR_ARG, "--model is missing: a folder in diffusers layout");
    TRY(model_dir_open(&j->dir, j->context->heap, q->model, NULL, err));
    TRY(open_networks(j, &boundary, &first_frame, err));
    TRY(choose_mode(j, kind, first_frame, err));
    TRY(read_defaults(j, &d, first_frame, err));
    TRY(make_schedule(j, &d, err));
    TRY(share_steps(j, boundary, &d, err));
    j->frames = q->frames > 0 ? q->frames : d.frames;
    j->default_fps = q->fps > 0 ? q->fps : d.fps;
    j->width = q->size.width ? q->size.width : (int)d.width;
    j->height = q->size.width ? q->size.height : (int)d.height;
    if (q->frames == 0) return error_set(err, SNUG_ERR_ARG, "--frames: at least 1");
    TRY(wan_image_prepare(j, err));
    TRY(check_sizes(j, err));
    TRY(encode_prompts(j, err));
    return read_noise(j, err);
}

static void tell(const WanJob *j, PipelineInfo *info)
{
    const WanDitConfig *d = &j->expert[0].dit.cfg;
    *info =
        (PipelineInfo){ .frames = j->frames,
                        .width = j->width,
                        .height = j->height,
                        .fps = j->default_fps,
                        .rows = j->latent_t / d->pt * (j->latent_h / d->ph) * (j->latent_w / d->pw),
                        .guided = j->guided,
                        .latent_width = (int)j->latent_w,
                        .latent_height = (int)j->latent_h,
                        .latent_channels = (int)j->vae.cfg.z,
                        .latent_rgb = j->has_latent_rgb ? j->latent_rgb : NULL };
}

SnugStatus wan_open(void **out, PipelineContext *context, WanRequest *request, PipelineInfo *info,
                    WanKind kind, SnugError *err)
{
    *out = NULL;
    WanJob *j = arena_take(context->arena, sizeof *j);
    if (!j) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    j->context = context;
    j->request = request;
    j->preview = context->preview;
    const SnugStatus status = open_job(j, kind, err);
    if (status != SNUG_OK) {
        wan_close(j);
        return status;
    }
    tell(j, info);
    *out = j;
    return SNUG_OK;
}

void wan_close(void *job)
{
    WanJob *j = job;
    wan_image_release(j);
    model_dir_close(j->dir);
    j->dir = NULL;
}
