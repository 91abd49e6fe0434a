/* wan_open.c  From a request to a WanJob: networks, settings, sizes, tokens, schedule. Reads headers
 * and small files only. */
#include "pipelines/wan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/npy.h"
#include "pipelines/wan_resume.h"
#include "pipelines/wan_tokenizer.h"
#include "text/clean.h"

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

static SnugStatus refuse_words(const WanJob *j, int64_t id, SnugError *err)
{
    return error_set(err, SNUG_ERR_FILE,
                     "%s gives ids up to %lld, the text encoder (%s) has %lld rows: they do not "
                     "belong together",
                     j->layout.tokenizer, (long long)id, j->layout.part[WAN_TEXT_ENCODER].path,
                     (long long)j->text.cfg.vocab);
}

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
        if (ids[i] < 0 || ids[i] >= j->text.cfg.vocab) return refuse_words(j, ids[i], err);
    j->ids[which] = ids;
    return SNUG_OK;
}

static SnugStatus encode_with(WanJob *j, const Tokenizer *t, SnugError *err)
{
    if (tokenizer_n_ids(t) > j->text.cfg.vocab) return refuse_words(j, tokenizer_n_ids(t) - 1, err);
    SnugStatus status = encode_prompt(j, t, j->request->prompt, 0, err);
    if (status != SNUG_OK) return error_wrap(err, status, "--prompt: ");
    if (j->guided) status = encode_prompt(j, t, j->settings.negative, 1, err);
    return status == SNUG_OK ? status : error_wrap(err, status, "--negative: ");
}

/* The tokenizer is closed again before anything is planned: its tables are not needed any more. */
static SnugStatus encode_prompts(WanJob *j, SnugError *err)
{
    Tokenizer *t = NULL;
    TRY(wan_tokenizer_open(&t, j->context->heap, &j->layout, err));
    const SnugStatus status = encode_with(j, t, err);
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

static SnugStatus make_schedule(WanJob *j, SnugError *err)
{
    SchedulerConfig config;
    TRY(wan_settings_scheduler(j, &config, err));
    const SchedulerRun run = { .steps = (int)j->settings.steps,
                               .shift = j->request->shift > 0 ? j->request->shift : 0,
                               .mu = 1.0 };
    return scheduler_init(&j->scheduler, &config, &run, err);
}

/* Steps with t >= boundary * 1000 belong to the first expert. */
static void share_steps(WanJob *j)
{
    const double high = j->settings.guidance, low = j->settings.guidance_low;
    int split = j->scheduler.n;
    if (j->n_experts == 2) {
        split = 0;
        const double from = j->settings.boundary * j->scheduler.config.train_steps;
        while (split < j->scheduler.n && (double)j->scheduler.timesteps[split] >= from)
            split++;
    }
    /* diffusers: the first scale decides for both; the original always runs both branches, which
     * makes no difference where the scale is 1 */
    j->guided = j->layout.published ? high != 1.0 || (j->n_experts == 2 && low != 1.0) : high > 1.0;
    j->expert[0].first = j->scheduler.first;
    j->expert[0].end = j->expert[1].first = split;
    j->expert[1].end = j->scheduler.n;
    j->expert[0].guidance = (float)high;
    j->expert[1].guidance = (float)low;
    j->expert[0].stage = j->n_experts == 2 ? "denoise high noise" : "denoise";
    j->expert[1].stage = "denoise low noise";
}

/* ---- camera --------------------------------------------------------------------------------- */

/* A path may be shorter than the model's own number of frames, not than the user's. */
static SnugStatus read_camera(WanJob *j, SnugError *err)
{
    const WanRequest *q = j->request;
    if (!q->camera) return SNUG_OK;
    return wan_camera_read(&j->camera, j->context->arena, q->camera, j->vae.cfg.time_factor,
                           &j->frames, q->frames > 0, err);
}

static SnugStatus fit_camera(WanJob *j, SnugError *err)
{
    const WanDit *d = &j->expert[0].dit;
    const WanCameraShape shape = { j->vae.cfg.space_factor, j->vae.cfg.time_factor, d->cfg.ph,
                                   d->cfg.pw };
    if (!j->request->camera) return SNUG_OK;
    return wan_camera_fit(&j->camera, j->context->arena, d->camera, &shape, j->frames, j->width,
                          j->height, err);
}

/* ---- all together --------------------------------------------------------------------------- */

static SnugStatus open_job(WanJob *j, WanKind kind, SnugError *err)
{
    TRY(wan_networks_open(j, kind, err));
    TRY(wan_settings_read(j, err));
    j->frames = j->settings.frames;
    j->width = (int)j->settings.width;
    j->height = (int)j->settings.height;
    TRY(read_camera(j, err));
    TRY(wan_image_prepare(j, err));
    TRY(check_sizes(j, err));
    TRY(fit_camera(j, err));
    TRY(make_schedule(j, err));
    share_steps(j);
    TRY(wan_step_cache_open(j, err));
    TRY(wan_resume_check(j, err));
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
                        .frames_step = (int64_t)j->vae.cfg.time_factor * d->pt,
                        .width_step = j->vae.cfg.space_factor * d->pw,
                        .height_step = j->vae.cfg.space_factor * d->ph,
                        .fps = j->settings.fps,
                        .rows = j->latent_t / d->pt * (j->latent_h / d->ph) * (j->latent_w / d->pw),
                        .guided = j->guided,
                        .camera = j->expert[0].dit.camera == WAN_CAMERA_INJECT,
                        .by_heads = d->heads > 1,
                        .coarse = true,
                        .latent_width = (int)j->latent_w,
                        .latent_height = (int)j->latent_h,
                        .latent_channels = (int)j->vae.cfg.z,
                        .shortcut = j->cache.words,
                        .shortcut_json = j->cache.words_json,
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
    lora_close(j->loras);
    wan_layout_release(&j->layout);
}
