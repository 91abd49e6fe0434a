/* sdxl.c  The recipe of Stable Diffusion XL: prompts, picture, denoising, decoding.
 *
 * Reference: diffusers StableDiffusionXLPipeline, StableDiffusionXLImg2ImgPipeline and their
 * ControlNet kin (0.42); golden: tests/golden/sdxl_pipelines. Traps (docs/MODELS.md): the rows of both
 * encoders' last layer but one stand side by side, without the final norm; no negative prompt is
 * rows of zeros, an empty one is encoded; the picture's posterior is drawn before the noise. */
#include "pipelines/sdxl.h"

#include <string.h>

#include "sampling/guidance.h"
#include "sampling/stepper.h"

/* ---- prompts -------------------------------------------------------------------------------- */

typedef struct Told {
    Tensor text, pooled;
} Told;

static int n_prompts(const SdxlJob *j)
{
    return j->guided ? 2 : 1;
}

static void fill_zeros(void *context, float *to, int64_t count)
{
    (void)context;
    memset(to, 0, (size_t)count * sizeof *to);
}

/* Rows of one encoder for the prompts that are encoded at all; `pooled` of the second. */
static void encode_by(Run *r, SdxlJob *j, int e, Tensor *rows, Told *told)
{
    ClipTextPrompt clip[2];
    int n = 0;
    for (int p = 0; p < n_prompts(j); p++) {
        if (j->prompt[p].zeros) continue;
        clip[n] = (ClipTextPrompt){ .ids = j->prompt[p].ids[e], .n = j->prompt[p].n };
        n++;
    }
    image_stage(r, j->image, e ? IMAGE_STAGE_TEXT_2 : IMAGE_STAGE_TEXT);
    clip_text_encode(r, &j->clip[e], n, clip);
    n = 0;
    for (int p = 0; p < n_prompts(j); p++) {
        if (j->prompt[p].zeros) continue;
        rows[p] = clip[n].penultimate;
        if (e) told[p].pooled = clip[n].pooled;
        n++;
    }
}

static void encode_prompts(Run *r, SdxlJob *j, Told *told)
{
    const UnetConfig *cfg = &j->unet.trunk.cfg;
    Tensor rows[SDXL_ENCODERS][2];
    for (int e = 0; e < SDXL_ENCODERS; e++)
        encode_by(r, j, e, rows[e], told);
    for (int p = 0; p < n_prompts(j); p++) {
        if (j->prompt[p].zeros) {
            told[p].text = run_input(r, SHAPE(j->prompt[p].n, cfg->cross_dim), fill_zeros, NULL);
            told[p].pooled = run_input(r, SHAPE(1, cfg->pooled_dim), fill_zeros, NULL);
        } else {
            const Tensor both[2] = { rows[0][p], rows[1][p] };
            told[p].text = op_concat(r, 2, both); /* [77, cross_dim] */
        }
        run_tap(r, "text", p, told[p].text);
        run_tap(r, "pooled", p, told[p].pooled);
    }
}

/* What prompts and schedule mean to the networks, and what the ControlNet sees. */
static void embed(Run *r, SdxlJob *j, const Told *told)
{
    const int n = j->scheduler.n - j->scheduler.first;
    image_stage(r, j->image, IMAGE_STAGE_EMBED);
    for (int p = 0; p < n_prompts(j); p++) {
        unet_context(r, &j->unet.trunk, told[p].text, told[p].pooled, j->time_ids, j->times, n,
                     &j->context[p]);
        if (j->control)
            unet_context(r, &j->control->net.trunk, told[p].text, told[p].pooled, j->time_ids,
                         j->times, n, &j->control->context[p]);
    }
    if (j->control)
        j->control->hint = controlnet_hint(r, &j->control->net, sdxl_control_input(r, j));
}

/* ---- the first sample ----------------------------------------------------------------------- */

static Tensor draw(Run *r, SdxlJob *j, int k)
{
    return run_input(r, SHAPE(1, j->h, j->w, j->vae.cfg.z), noise_fill, &j->noise[k]);
}

/** Noise from a file. */
static void fill_given(void *context, float *to, int64_t count)
{
    const SdxlJob *j = context;
    const int64_t c = j->vae.cfg.z, pixels = count / c;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < c; k++)
            to[p * c + k] = j->image->given_noise[k * pixels + p];
}

static Tensor first_noise(Run *r, SdxlJob *j, int k)
{
    if (!j->image->given_noise) return draw(r, j, k);
    return run_input(r, SHAPE(1, j->h, j->w, j->vae.cfg.z), fill_given, j);
}

static void begin(Run *r, SdxlJob *j, Tensor *samples)
{
    const Diffusion *d = &j->scheduler;
    Tensor moments = NO_TENSOR;
    if (j->image->picture) {
        image_stage(r, j->image, IMAGE_STAGE_ENCODE);
        moments = autoencoder_kl_encode(r, &j->vae, image_input(r, j->image));
    }
    for (int k = 0; k < j->image->n; k++) {
        const float coef[2] = { d->start_noise, d->start_data };
        Tensor parts[2] = { NO_TENSOR, NO_TENSOR };
        if (j->image->picture) parts[1] = autoencoder_kl_sample(r, &j->vae, moments, draw(r, j, k));
        parts[0] = first_noise(r, j, k);
        samples[k] = op_combine(r, j->image->picture ? 2 : 1, coef, parts);
        run_tap(r, "start", k, samples[k]);
    }
}

/* ---- denoising ------------------------------------------------------------------------------ */

/** Forward passes of one step: a branch for each picture and prompt. */
typedef struct Branches {
    int n;
    Tensor input[UNET_MAX_BRANCHES], out[UNET_MAX_BRANCHES];
    const UnetContext *context[UNET_MAX_BRANCHES], *control[UNET_MAX_BRANCHES];
} Branches;

/* Branches that share their input take it once. */
static void forward(Run *r, SdxlJob *j, int step, Branches *b)
{
    UnetControl added[UNET_MAX_BRANCHES];
    int n_inputs = 1;
    if (!run_ok(r)) return;
    for (int k = 1; k < b->n; k++)
        if (b->input[k].id != b->input[0].id) n_inputs = b->n;
    const int n = j->scheduler.n - j->scheduler.first;
    const bool controlled = j->control && sdxl_control_works(j->control, step, n);
    if (controlled)
        controlnet_forward(r, &j->control->net, step, n_inputs, b->input, j->control->hint,
                           j->control->scale, b->n, b->control, false, added);
    sdxl_unet_forward(r, &j->unet, step, n_inputs, b->input, b->n, b->context,
                      controlled ? added : NULL, b->out);
}

/* What the network says of all pictures at step i: together where planned, else in turn. */
static void predict(Run *r, SdxlJob *j, int i, const Tensor *samples, Tensor *v)
{
    const int p = n_prompts(j), all = j->image->n * p;
    const int together = !r->knobs.lock_step       ? 1
                         : all < UNET_MAX_BRANCHES ? all
                                                   : UNET_MAX_BRANCHES;
    Tensor shown[IMAGE_MAX_BATCH] = { NO_TENSOR }, out[2 * IMAGE_MAX_BATCH];
    const float scale = j->scheduler.input[i];
    for (int k = 0; k < j->image->n; k++)
        shown[k] = scale == 1.0f ? samples[k] : op_combine(r, 1, &scale, &samples[k]);
    for (int first = 0; first < all; first += together) {
        Branches b = { .n = all - first < together ? all - first : together };
        for (int k = 0; k < b.n; k++) {
            b.input[k] = shown[(first + k) / p];
            b.context[k] = &j->context[(first + k) % p];
            b.control[k] = j->control ? &j->control->context[(first + k) % p] : NULL;
            b.out[k] = NO_TENSOR;
        }
        forward(r, j, i - j->scheduler.first, &b);
        for (int k = 0; k < b.n; k++)
            out[first + k] = b.out[k];
    }
    for (int k = 0; k < j->image->n; k++)
        v[k] = p == 1 ? out[k]
                      : guidance_apply(r, (float)j->image->settings.guidance, out[2 * k + 1],
                                       out[2 * k]);
}

static void denoise(Run *r, SdxlJob *j, Tensor *samples)
{
    const Diffusion *d = &j->scheduler;
    Stepper stepper[IMAGE_MAX_BATCH];
    Tensor v[IMAGE_MAX_BATCH];
    image_stage(r, j->image, IMAGE_STAGE_DENOISE);
    for (int k = 0; k < j->image->n; k++)
        stepper_init(&stepper[k]);
    for (int i = d->first; run_step(r, i - d->first, d->n - d->first); i++) {
        StepProgram program;
        const bool noisy = diffusion_wants_noise(d, i);
        diffusion_step(d, i, &program);
        predict(r, j, i, samples, v);
        for (int k = 0; k < j->image->n; k++) {
            Tensor fresh = noisy ? draw(r, j, k) : NO_TENSOR;
            samples[k] = stepper_run(r, &stepper[k], &program, samples[k], v[k], fresh);
            run_tap(r, "step", (int64_t)k * SCHEDULER_MAX_STEPS + i, samples[k]);
        }
    }
}

static void decode(Run *r, SdxlJob *j, const Tensor *samples)
{
    const int n = j->image->n;
    image_stage(r, j->image, IMAGE_STAGE_DECODE);
    Tensor all = op_blank(r, SHAPE(n, j->h, j->w, j->vae.cfg.z));
    for (int k = 0; k < n; k++)
        all = op_write_rows(r, all, k, samples[k]);
    if (!j->image->take) run_output(r, "latents", 0, all);
    for (int k = 0; k < n; k++)
        image_frame(r, j->image, k, autoencoder_kl_decode(r, &j->vae, op_rows(r, all, k, 1)));
}

static void sdxl_recipe(Run *r, ImageJob *job)
{
    SdxlJob *j = job->own;
    Told told[2] = { { NO_TENSOR, NO_TENSOR }, { NO_TENSOR, NO_TENSOR } };
    Tensor samples[IMAGE_MAX_BATCH];
    encode_prompts(r, j, told);
    embed(r, j, told);
    begin(r, j, samples);
    denoise(r, j, samples);
    decode(r, j, samples);
}

const ImageFamily IMAGE_SDXL = { .name = "SDXL",
                                 .takes_loras = true,
                                 .knows = sdxl_knows,
                                 .open = sdxl_open,
                                 .prepare = sdxl_prepare,
                                 .recipe = sdxl_recipe,
                                 .close = sdxl_close };
