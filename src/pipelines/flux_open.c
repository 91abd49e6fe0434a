/* flux_open.c  From a request to a FluxJob: networks, settings, tokens, schedule. */
#include "pipelines/flux.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "sampling/flow_table.h"
#include "sampling/scheduler_config_json.h"

enum { CLIP_TOKENS = 77 };

bool flux_knows(ImageModel *model)
{
    if (model->class_name) return text_starts(model->class_name, "Flux");
    return image_model_holds(model, &FLUX_TRANSFORMER, model->paths->transformer);
}

/* As the pipelines of diffusers have it; schnell was made for four steps. */
static ImageSettings published(const FluxJob *j)
{
    const bool schnell = !j->dit.cfg.guidance, pictures = j->image->task != IMAGE_TXT2IMG;
    return (ImageSettings){ .steps = schnell   ? 4
                                     : j->fill ? 50
                                               : 28,
                            .width = 1024,
                            .height = 1024,
                            .grid = 2 * autoencoder_kl_factor(&j->vae.cfg),
                            .guidance = j->fill    ? 30.0
                                        : pictures ? 7.0
                                                   : 3.5,
                            .strength = j->fill ? 1.0 : 0.6,
                            .sampler = "Euler",
                            .guidance_key = schnell ? NULL : "Distilled CFG Scale" };
}

SnugStatus flux_open(ImageJob *job, SnugError *err)
{
    FluxJob *j = arena_take(job->context->arena, sizeof *j);
    if (!j) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    if (job->lender) *j = *(const FluxJob *)job->lender->own;
    job->own = j;
    j->image = job;
    if (!job->lender) TRY(flux_networks_open(j, err));
    job->settings = published(j);
    return SNUG_OK;
}

/* ---- prompts -------------------------------------------------------------------------------- */

/* Nothing behind the pooled row changes it: those rows are never computed. */
static SnugStatus tokenise_clip(FluxJob *j, const Tokenizer *t, const char *const *texts, int n,
                                SnugError *err)
{
    const ClipTextConfig *cfg = &j->clip.cfg;
    const int64_t length = cfg->positions < CLIP_TOKENS ? cfg->positions : CLIP_TOKENS;
    const int32_t eos = tokenizer_eos_id(t), pad = tokenizer_pad_id(t);
    for (int p = 0; p < n; p++) {
        FluxPrompt *prompt = &j->prompt[p];
        TRY(image_tokenise(j->image, t, texts[p], length, pad >= 0 ? pad : eos, cfg->vocab,
                           &prompt->clip, err));
        prompt->n_clip = clip_text_pooled_row(cfg, prompt->clip, length) + 1;
    }
    return SNUG_OK;
}

/* All rows, padding too: the network was trained to see it. */
static SnugStatus tokenise_t5(FluxJob *j, const Tokenizer *t, const char *const *texts, int n,
                              SnugError *err)
{
    const int64_t length = j->image->request->max_tokens;
    const int32_t pad = tokenizer_pad_id(t);
    for (int p = 0; p < n; p++) {
        j->prompt[p].n_t5 = length;
        TRY(image_tokenise(j->image, t, texts[p], length, pad >= 0 ? pad : 0, j->t5.cfg.vocab,
                           &j->prompt[p].t5, err));
    }
    return SNUG_OK;
}

typedef SnugStatus Tokenise(FluxJob *j, const Tokenizer *t, const char *const *texts, int n,
                            SnugError *err);

/* The tokenizer is closed again before anything is planned: its tables are not needed any more. */
static SnugStatus with_tokenizer(FluxJob *j, const char *name, const char *given,
                                 Tokenise *function, const char *const *texts, SnugError *err)
{
    const char *path = NULL;
    Tokenizer *t = NULL;
    TRY(image_model_tokenizer(&j->image->model, name, given, &path, err));
    TRY(tokenizer_open(&t, j->image->context->heap, path, err));
    const SnugStatus status = function(j, t, texts, j->guided ? 2 : 1, err);
    tokenizer_close(t);
    return status == SNUG_OK ? SNUG_OK : error_wrap(err, status, "the prompt: ");
}

static SnugStatus encode_prompts(FluxJob *j, SnugError *err)
{
    const ImageRequest *q = j->image->request;
    const char *negative = q->negative ? q->negative : "";
    const char *const first[2] = { q->prompt, negative };
    const char *const second[2] = { q->prompt_2 ? q->prompt_2 : q->prompt, negative };
    /* diffusers: only with a negative prompt, though it be empty */
    j->guided = q->true_cfg > 1 && q->negative;
    TRY(with_tokenizer(j, "tokenizer", q->paths.tokenizer, tokenise_clip, first, err));
    return with_tokenizer(j, "tokenizer_2", q->paths.tokenizer_2, tokenise_t5, second, err);
}

/* ---- schedule ------------------------------------------------------------------------------- */

static SnugStatus choose_scheduler(const FluxJob *j, SchedulerConfig *config, SnugError *err)
{
    SchedulerKind kind = SCHEDULER_EULER;
    const char *name = j->image->request->scheduler;
    Json given;
    if (name) TRY(scheduler_kind_of_name(&kind, name, err));
    TRY(image_model_scheduler(&j->image->model, &given, err));
    if (json_kind(given) == JSON_KIND_OBJECT) {
        TRY(scheduler_config_json_read(config, given, err));
        if (name) scheduler_config_switch(config, kind);
        return SNUG_OK;
    }
    scheduler_config_defaults(config, kind); /* as published */
    config->dynamic_shift = j->dit.cfg.guidance;
    config->shift = j->dit.cfg.guidance ? 3.0 : 1.0;
    return SNUG_OK;
}

/* As other tools call it. */
static const char *sampler_name(SchedulerKind kind)
{
    switch (kind) {
    case SCHEDULER_UNIPC:
    case SCHEDULER_UNIPC_ORIG:
        return "UniPC";
    case SCHEDULER_DPMPP:
    case SCHEDULER_DPMPP_ORIG:
        return "DPM++ 2M";
    default:
        return "Euler";
    }
}

static SnugStatus make_schedule(FluxJob *j, SnugError *err)
{
    SchedulerConfig config;
    double levels[SCHEDULER_MAX_STEPS];
    float sigmas[SCHEDULER_MAX_STEPS];
    const int n = (int)j->image->settings.steps;
    int first;
    TRY(choose_scheduler(j, &config, err));
    TRY(image_first_step(j->image, &first, err));
    flow_table_linspace(levels, n, 1.0, 1.0 / n, n); /* the pipeline's own, not the class's */
    for (int i = 0; i < n; i++)
        sigmas[i] = (float)levels[i];
    const SchedulerRun run = { .steps = n,
                               .first = first,
                               .mu = scheduler_mu(&config, j->grid.height * j->grid.width),
                               .sigmas = config.kind == SCHEDULER_EULER ? sigmas : NULL };
    TRY(scheduler_init(&j->scheduler, &config, &run, err));
    j->image->settings.sampler = sampler_name(config.kind);
    for (int i = first; i < n; i++)
        j->times[i - first] = (double)j->scheduler.timesteps[i];
    return SNUG_OK;
}

/* ---- noise ---------------------------------------------------------------------------------- */

static SnugStatus prepare_draws(FluxJob *j, SnugError *err)
{
    ImageJob *image = j->image;
    const int64_t z = j->vae.cfg.z, *dim = image->noise_dim;
    if (image->given_noise &&
        (dim[0] != image->n || dim[1] != z || dim[2] != j->h || dim[3] != j->w))
        return error_set(err, SNUG_ERR_FILE, "%s: noise must be [%d, %lld, %lld, %lld]",
                         image->request->noise, image->n, (long long)z, (long long)j->h,
                         (long long)j->w);
    TRY(image_noise_check(image, z * j->h * j->w, err));
    for (int k = 0; k < image->n; k++) {
        FluxDraw *draw = j->draw[k];
        for (int i = 0; i < 3; i++)
            draw[i].noise = image_noise(image, k, z);
        /* Fill draws the picture's posterior and, at full strength, forgets it */
        draw[1].skips = image->picture && !j->needs_latent;
        if (image->given_noise) draw[1].given = image->given_noise + k * z * j->h * j->w;
    }
    return SNUG_OK;
}

SnugStatus flux_prepare(ImageJob *image, PipelineInfo *info, SnugError *err)
{
    FluxJob *j = image->own;
    const ImageSettings *s = &image->settings;
    const int f = autoencoder_kl_factor(&j->vae.cfg);
    j->h = s->height / f;
    j->w = s->width / f;
    j->grid = (TokenGrid){ 1, j->h / 2, j->w / 2 };
    TRY(make_schedule(j, err));
    j->keeps = image->task == IMAGE_INPAINT && !j->fill;
    j->needs_latent = j->keeps || (image->picture && j->scheduler.sigmas[j->scheduler.first] != 1);
    TRY(prepare_draws(j, err));
    TRY(encode_prompts(j, err));
    info->rows = j->grid.height * j->grid.width + image->request->max_tokens;
    info->guided = j->guided || image->n > 1;
    info->coarse = true;
    info->latent_width = (int)j->w;
    info->latent_height = (int)j->h;
    info->latent_channels = (int)j->vae.cfg.z;
    return SNUG_OK;
}
