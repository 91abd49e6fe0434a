/* sdxl_open.c  From a request to an SdxlJob: networks, settings, tokens. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "pipelines/sdxl.h"
#include "text/tokenizer.h"

bool sdxl_knows(ImageModel *model)
{
    return model->class_name && text_starts(model->class_name, "StableDiffusionXL");
}

/* ---- networks ------------------------------------------------------------------------------- */

static SnugStatus open_encoder(SdxlJob *j, int e, SnugError *err)
{
    static const char *const FIRST[] = { "CLIPTextModel", "CLIPTextModelWithProjection", NULL };
    static const char *const SECOND[] = { "CLIPTextModelWithProjection", NULL };
    const char *name = e ? "text_encoder_2" : "text_encoder";
    ImagePart p;
    Weights w;
    TRY(image_model_part(&j->image->model, name, e ? SECOND : FIRST, &p, err));
    TRY(clip_text_config_read(&j->clip[e].cfg, p.config, e == 1, err));
    weights_begin(&w, j->image->context->weights, p.weights, name);
    clip_text_weights(&j->clip[e], &w);
    weights_prefix(&w, "%s", "");
    if (e == 0) weights_ignore(&w, "text_projection.weight"); /* only the second is projected */
    return weights_end(&w, err);
}

static SnugStatus open_vae(SdxlJob *j, SnugError *err)
{
    static const char *const CLASSES[] = { "AutoencoderKL", NULL };
    ImagePart p;
    Weights w;
    TRY(image_model_part(&j->image->model, "vae", CLASSES, &p, err));
    TRY(autoencoder_kl_config_read(&j->vae.cfg, p.config, err));
    weights_begin(&w, j->image->context->weights, p.weights, "vae");
    autoencoder_kl_weights(&j->vae, &w, j->image->task != IMAGE_TXT2IMG);
    return weights_end(&w, err);
}

static SnugStatus open_unet(SdxlJob *j, SnugError *err)
{
    static const char *const CLASSES[] = { "UNet2DConditionModel", NULL };
    ImagePart p;
    Weights w;
    TRY(image_model_part(&j->image->model, "unet", CLASSES, &p, err));
    TRY(unet_config_read(&j->unet.trunk.cfg, p.config, err));
    const UnetConfig *u = &j->unet.trunk.cfg;
    if (!u->add_dim)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: this UNet takes no picture size and text of width %lld: it is of "
                         "Stable Diffusion 1 or 2, not of SDXL",
                         p.path, (long long)u->cross_dim);
    weights_begin(&w, j->image->context->weights, p.weights, "unet");
    sdxl_unet_weights(&j->unet, &w);
    return weights_end(&w, err);
}

static SnugStatus check_fit(const SdxlJob *j, SnugError *err)
{
    const UnetConfig *u = &j->unet.trunk.cfg;
    const ClipTextConfig *first = &j->clip[0].cfg, *second = &j->clip[1].cfg;
    const char *path = j->image->model.path;
    if (u->in_channels == 2 * j->vae.cfg.z + 1)
        return error_set(err, SNUG_ERR_ARG,
                         "%s is built for inpainting (the UNet takes %lld channels), which snug "
                         "does not run for SDXL",
                         path, (long long)u->in_channels);
    if (u->in_channels != j->vae.cfg.z || u->out_channels != j->vae.cfg.z)
        return error_set(
            err, SNUG_ERR_FILE, "%s: the UNet takes %lld channels and gives %lld, the VAE has %lld",
            path, (long long)u->in_channels, (long long)u->out_channels, (long long)j->vae.cfg.z);
    if (u->cross_dim != first->dim + second->dim || u->pooled_dim != second->projection_dim)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: the UNet takes text of width %lld and %lld, the encoders give %lld + "
                         "%lld and %lld",
                         path, (long long)u->cross_dim, (long long)u->pooled_dim,
                         (long long)first->dim, (long long)second->dim,
                         (long long)second->projection_dim);
    if (first->positions != second->positions)
        return error_set(err, SNUG_ERR_FILE, "%s: the encoders take %lld and %lld tokens", path,
                         (long long)first->positions, (long long)second->positions);
    return SNUG_OK;
}

/* As the pipelines of diffusers have it. */
static ImageSettings published(const SdxlJob *j, const char *sampler)
{
    const int f = autoencoder_kl_factor(&j->vae.cfg);
    const int64_t side = j->unet.trunk.cfg.sample * f;
    return (ImageSettings){ .steps = 50,
                            .width = (int)side,
                            .height = (int)side,
                            .grid = f,
                            .guidance = 5.0,
                            .strength = 0.3,
                            .sampler = sampler,
                            .guidance_key = "CFG scale" };
}

SnugStatus sdxl_open(ImageJob *job, SnugError *err)
{
    DiffusionConfig config;
    const char *sampler;
    SdxlJob *j = arena_take(job->context->arena, sizeof *j);
    if (!j) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    job->own = j;
    j->image = job;
    if (job->task == IMAGE_INPAINT)
        return error_set(err, SNUG_ERR_ARG, "%s is an SDXL model: inpaint needs a FLUX.1 model",
                         job->model.path);
    TRY(sdxl_schedule_choose(job, &config, &sampler, err));
    for (int e = 0; e < SDXL_ENCODERS; e++)
        TRY(open_encoder(j, e, err));
    TRY(open_vae(j, err));
    TRY(open_unet(j, err));
    TRY(check_fit(j, err));
    TRY(sdxl_control_open(j, err));
    job->settings = published(j, sampler);
    return SNUG_OK;
}

void sdxl_close(ImageJob *job)
{
    if (job->own) sdxl_control_close(job->own);
}

/* ---- prompts -------------------------------------------------------------------------------- */

/* Ids of a text, padded to `length`. */
static SnugStatus tokenise(const SdxlJob *j, const Tokenizer *t, const char *text, int64_t length,
                           int64_t vocab, const int32_t **out, SnugError *err)
{
    Arena *arena = j->image->context->arena;
    const int32_t pad = tokenizer_pad_id(t) >= 0 ? tokenizer_pad_id(t) : tokenizer_eos_id(t);
    int32_t *ids = NULL, *all = arena_array(arena, (size_t)length, sizeof *all);
    int64_t n = 0;
    if (!all) return error_set(err, SNUG_ERR_MEMORY, "no memory for a prompt");
    TRY(tokenizer_encode(t, (TextView){ text, strlen(text) }, length, arena, &ids, &n, err));
    for (int64_t i = 0; i < length; i++) {
        all[i] = i < n ? ids[i] : pad;
        if (all[i] < 0 || all[i] >= vocab)
            return error_set(err, SNUG_ERR_FILE,
                             "the tokenizer gives id %d, the text encoder has %lld rows", all[i],
                             (long long)vocab);
    }
    *out = all;
    return SNUG_OK;
}

static SnugStatus tokenise_all(SdxlJob *j, int e, const Tokenizer *t, SnugError *err)
{
    const ImageRequest *q = j->image->request;
    const char *text[2] = { q->prompt, q->negative ? q->negative : "" };
    if (e && q->prompt_2) text[0] = q->prompt_2;
    for (int p = 0; p < (j->guided ? 2 : 1); p++) {
        SdxlPrompt *prompt = &j->prompt[p];
        if (!prompt->zeros)
            TRY(tokenise(j, t, text[p], prompt->n, j->clip[e].cfg.vocab, &prompt->ids[e], err));
    }
    return SNUG_OK;
}

/* Tokenizers are closed again before anything is planned: their tables are not needed any more. */
static SnugStatus encode_prompts(SdxlJob *j, SnugError *err)
{
    const ImagePaths *paths = &j->image->request->paths;
    const char *const given[SDXL_ENCODERS] = { paths->tokenizer, paths->tokenizer_2 };
    const int64_t positions = j->clip[0].cfg.positions;
    bool zeros = true;
    if (json_kind(j->image->model.index) == JSON_KIND_OBJECT)
        TRY(json_bool(j->image->model.index, "force_zeros_for_empty_prompt", true, &zeros, err));
    j->guided = j->image->settings.guidance > 1.0;
    for (int p = 0; p < 2; p++)
        j->prompt[p].n = positions < SDXL_TOKENS ? positions : SDXL_TOKENS;
    j->prompt[1].zeros = zeros && !j->image->request->negative;
    for (int e = 0; e < SDXL_ENCODERS; e++) {
        const char *path = NULL;
        Tokenizer *t = NULL;
        TRY(image_model_tokenizer(&j->image->model, e ? "tokenizer_2" : "tokenizer", given[e],
                                  &path, err));
        TRY(tokenizer_open(&t, j->image->context->heap, path, err));
        const SnugStatus status = tokenise_all(j, e, t, err);
        tokenizer_close(t);
        if (status != SNUG_OK) return error_wrap(err, status, "the prompt: ");
    }
    return SNUG_OK;
}

/* ---- the rest ------------------------------------------------------------------------------- */

static SnugStatus check_noise(const SdxlJob *j, SnugError *err)
{
    const ImageJob *image = j->image;
    const int64_t *dim = image->noise_dim;
    if (!image->given_noise) return SNUG_OK;
    if (image->n == 1 && dim[0] == 1 && dim[1] == j->vae.cfg.z && dim[2] == j->h && dim[3] == j->w)
        return SNUG_OK;
    return error_set(err, SNUG_ERR_FILE, "%s: noise must be [1, %lld, %lld, %lld], of one picture",
                     image->request->noise, (long long)j->vae.cfg.z, (long long)j->h,
                     (long long)j->w);
}

/* Tokens of the first level with transformers. */
static int64_t most_tokens(const SdxlJob *j)
{
    const UnetConfig *u = &j->unet.trunk.cfg;
    int64_t h = j->h, w = j->w;
    for (int i = 0; i + 1 < u->levels && u->depth[i] <= 0; i++) {
        h = (h + 1) / 2;
        w = (w + 1) / 2;
    }
    return h * w;
}

SnugStatus sdxl_prepare(ImageJob *image, PipelineInfo *info, SnugError *err)
{
    SdxlJob *j = image->own;
    const ImageSettings *s = &image->settings;
    const int f = autoencoder_kl_factor(&j->vae.cfg);
    const double ids[UNET_TIME_IDS] = { s->height, s->width, 0, 0, s->height, s->width };
    j->h = s->height / f;
    j->w = s->width / f;
    memcpy(j->time_ids, ids, sizeof ids);
    for (int k = 0; k < image->n; k++)
        j->noise[k] = (Noise){ &image->random[k], j->vae.cfg.z };
    TRY(sdxl_schedule_make(j, err));
    TRY(encode_prompts(j, err));
    TRY(sdxl_control_prepare(j, err));
    TRY(check_noise(j, err));
    info->rows = most_tokens(j);
    info->guided = j->guided || image->n > 1;
    info->latent_width = (int)j->w;
    info->latent_height = (int)j->h;
    info->latent_channels = (int)j->vae.cfg.z;
    return SNUG_OK;
}
