/* sdxl_open.c  From a request to an SdxlJob: settings, tokens, schedule. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "pipelines/sdxl.h"

bool sdxl_knows(ImageModel *model)
{
    if (model->class_name) return text_starts(model->class_name, "StableDiffusionXL");
    return image_model_holds(model, &SDXL_UNET, model->paths->transformer);
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
    TRY(sdxl_networks_open(j, err));
    TRY(sdxl_control_open(j, err));
    job->settings = published(j, sampler);
    return SNUG_OK;
}

void sdxl_close(ImageJob *job)
{
    SdxlJob *j = job->own;
    if (!j) return;
    lora_close(j->loras);
    j->loras = NULL;
    sdxl_control_close(j);
}

/* ---- prompts -------------------------------------------------------------------------------- */

/* The published tokenizers are one but for their padding, "!" being the first id of the second's. */
static int32_t padding(const SdxlJob *j, int e, const Tokenizer *t)
{
    const ImagePaths *paths = &j->image->request->paths;
    if (e == 1 && !paths->tokenizer_2 && !j->image->model.dir) return 0;
    return tokenizer_pad_id(t) >= 0 ? tokenizer_pad_id(t) : tokenizer_eos_id(t);
}

static SnugStatus tokenise_all(SdxlJob *j, int e, const Tokenizer *t, SnugError *err)
{
    const ImageRequest *q = j->image->request;
    const char *text[2] = { q->prompt, q->negative ? q->negative : "" };
    if (e && q->prompt_2) text[0] = q->prompt_2;
    for (int p = 0; p < (j->guided ? 2 : 1); p++) {
        SdxlPrompt *prompt = &j->prompt[p];
        if (!prompt->zeros)
            TRY(image_tokenise(j->image, t, text[p], prompt->n, padding(j, e, t),
                               j->clip[e].cfg.vocab, &prompt->ids[e], err));
    }
    return SNUG_OK;
}

/* Tokenizers are closed again before anything is planned: their tables are not needed any more. */
static SnugStatus encode_prompts(SdxlJob *j, SnugError *err)
{
    const ImagePaths *paths = &j->image->request->paths;
    const bool one = !j->image->model.dir && !paths->tokenizer_2;
    const char *const given[SDXL_ENCODERS] = { paths->tokenizer,
                                               one ? paths->tokenizer : paths->tokenizer_2 };
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
    TRY(image_noise_check(image, j->vae.cfg.z * j->h * j->w, err));
    for (int k = 0; k < image->n; k++)
        j->noise[k] = image_noise(image, k, j->vae.cfg.z);
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
