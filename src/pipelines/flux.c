/* flux.c  The recipe of FLUX.1: prompts, picture, schedule, denoising, decoding.
 *
 * Reference: diffusers FluxPipeline, FluxImg2ImgPipeline, FluxInpaintPipeline, FluxFillPipeline
 * (0.42); golden: tests/golden/flux_pipelines. Traps (docs/MODELS.md): pad tokens of T5 are attended
 * everywhere; a generator draws the picture's posterior before the noise, also where nobody uses it
 * (Fill); an inpainted latent goes back to the picture at the NEXT step's noise level. */
#include "pipelines/flux.h"

#include "sampling/guidance.h"
#include "sampling/stepper.h"

/* ---- prompts -------------------------------------------------------------------------------- */

typedef struct Told {
    Tensor text, pooled;
} Told;

static int n_prompts(const FluxJob *j)
{
    return j->guided ? 2 : 1;
}

static void encode_prompts(Run *r, FluxJob *j, Told *told)
{
    const int n = n_prompts(j);
    ClipTextPrompt clip[2];
    const int32_t *ids[2];
    int64_t n_ids[2];
    Tensor text[2] = { NO_TENSOR, NO_TENSOR };
    for (int p = 0; p < n; p++) {
        clip[p] = (ClipTextPrompt){ .ids = j->prompt[p].clip, .n = j->prompt[p].n_clip };
        ids[p] = j->prompt[p].t5;
        n_ids[p] = j->prompt[p].n_t5;
    }
    run_stage(r, "text encoder");
    clip_text_encode(r, &j->clip, n, clip);
    run_stage(r, "text encoder 2");
    umt5_encode(r, &j->t5, n, ids, n_ids, text);
    for (int p = 0; p < n; p++) {
        told[p] = (Told){ text[p], clip[p].pooled };
        run_tap(r, "pooled", p, told[p].pooled);
        run_tap(r, "text", p, told[p].text);
    }
}

/* What prompts and schedule mean to the network; its weights are not needed any more then. */
static void embed(Run *r, FluxJob *j, const Told *told)
{
    run_stage(r, "modulation");
    const int n = j->scheduler.n - j->scheduler.first;
    for (int p = 0; p < n_prompts(j); p++)
        flux_dit_context(r, &j->dit, told[p].text, told[p].pooled, j->times, n,
                         j->image->settings.guidance, &j->context[p]);
}

/* ---- the picture ---------------------------------------------------------------------------- */

enum { POSTERIOR, NOISE, MASKED_POSTERIOR };

static void encode_picture(Run *r, FluxJob *j, FluxSample *samples)
{
    Tensor moments = NO_TENSOR, masked = NO_TENSOR, pixels = NO_TENSOR;
    if (j->needs_latent || j->fill) run_stage(r, "vae encode");
    if (j->needs_latent) moments = autoencoder_kl_encode(r, &j->vae, image_input(r, j->image));
    if (j->fill) {
        masked = autoencoder_kl_encode(r, &j->vae, image_input_masked(r, j->image));
        pixels = flux_mask_pixels(r, j);
    }
    for (int k = 0; k < j->image->n; k++) {
        FluxSample *s = &samples[k];
        FluxDraw *draw = j->draw[k];
        if (j->needs_latent) {
            Tensor posterior = flux_draw(r, j, &draw[POSTERIOR]);
            s->latent = flux_pack(r, autoencoder_kl_sample(r, &j->vae, moments, posterior));
            run_tap(r, "latent", k, s->latent);
        }
        s->noise = flux_pack(r, flux_draw(r, j, &draw[NOISE]));
        if (!j->fill) continue;
        Tensor posterior = flux_draw(r, j, &draw[MASKED_POSTERIOR]);
        Tensor parts[2] = { flux_pack(r, autoencoder_kl_sample(r, &j->vae, masked, posterior)),
                            pixels };
        s->masked = op_concat(r, 2, parts);
        run_tap(r, "masked", k, s->masked);
    }
}

static void begin(Run *r, const FluxJob *j, FluxSample *s)
{
    const float sigma = j->scheduler.sigmas[j->scheduler.first];
    s->x = s->noise;
    if (j->needs_latent) s->x = stepper_mix(r, sigma, s->latent, s->noise);
}

/* ---- denoising ------------------------------------------------------------------------------ */

/* Velocities of all pictures at step i: block by block together where planned, else in turn. */
static void velocities(Run *r, FluxJob *j, int i, const FluxSample *samples, Tensor *v)
{
    const int n = j->image->n, p = n_prompts(j);
    const FluxContext *contexts[FLUX_MAX_BRANCHES];
    Tensor input[FLUX_MAX_BRANCHES], out[FLUX_MAX_BRANCHES];
    for (int k = 0; k < n; k++) {
        Tensor x = samples[k].x;
        if (j->fill) x = op_concat(r, 2, (Tensor[2]){ x, samples[k].masked });
        for (int b = 0; b < p; b++) {
            input[k * p + b] = x;
            contexts[k * p + b] = &j->context[b];
            out[k * p + b] = NO_TENSOR;
        }
    }
    const int together = r->knobs.lock_step ? n * p : 1;
    for (int k = 0; k < n * p; k += together)
        flux_dit_forward(r, &j->dit, i, j->grid, together, input + k, contexts + k, out + k);
    for (int k = 0; k < n; k++) {
        v[k] = out[k * p];
        if (p == 2)
            v[k] =
                guidance_apply(r, (float)j->image->request->true_cfg, out[2 * k + 1], out[2 * k]);
    }
}

/* Outside the mask back to the picture, as noisy as the next step expects it. */
static Tensor keep_picture(Run *r, const FluxJob *j, int i, const FluxSample *s, Tensor mask,
                           Tensor inverse)
{
    const Scheduler *sch = &j->scheduler;
    Tensor kept = s->latent;
    if (i + 1 < sch->n) kept = stepper_mix(r, sch->sigmas[i + 1], s->latent, s->noise);
    return op_add(r, op_gated_activation(r, inverse, kept, ACT_NONE),
                  op_gated_activation(r, mask, s->x, ACT_NONE));
}

static void denoise(Run *r, FluxJob *j, FluxSample *samples)
{
    const Scheduler *s = &j->scheduler;
    const int n = j->image->n;
    Stepper stepper[IMAGE_MAX_BATCH];
    Tensor mask = NO_TENSOR, inverse = NO_TENSOR, v[IMAGE_MAX_BATCH];
    run_stage(r, "denoise");
    for (int k = 0; k < n; k++) {
        stepper_init(&stepper[k]);
        begin(r, j, &samples[k]);
    }
    if (j->keeps) {
        mask = flux_mask_latent(r, j, false);
        inverse = flux_mask_latent(r, j, true);
    }
    for (int i = s->first; run_step(r, i - s->first, s->n - s->first); i++) {
        velocities(r, j, i - s->first, samples, v);
        for (int k = 0; k < n; k++) {
            samples[k].x = stepper_step(r, &stepper[k], s, i, samples[k].x, v[k]);
            if (j->keeps) samples[k].x = keep_picture(r, j, i, &samples[k], mask, inverse);
            run_tap(r, "step", (int64_t)k * SCHEDULER_MAX_STEPS + i, samples[k].x);
        }
    }
}

static void decode(Run *r, FluxJob *j, const FluxSample *samples)
{
    const int n = j->image->n;
    run_stage(r, "vae decode");
    Tensor all = op_blank(r, SHAPE(n, j->h, j->w, j->vae.cfg.z));
    for (int k = 0; k < n; k++)
        all = op_write_rows(r, all, k, flux_unpack(r, j, samples[k].x));
    run_output(r, "latents", 0, all);
    for (int k = 0; k < n; k++)
        run_output(r, "frame", k, autoencoder_kl_decode(r, &j->vae, op_rows(r, all, k, 1)));
}

static void flux_recipe(Run *r, ImageJob *job)
{
    FluxJob *j = job->own;
    Told told[2];
    FluxSample samples[IMAGE_MAX_BATCH] = { { .x = NO_TENSOR } };
    encode_prompts(r, j, told);
    encode_picture(r, j, samples);
    embed(r, j, told);
    denoise(r, j, samples);
    decode(r, j, samples);
}

static void flux_close(ImageJob *job)
{
    FluxJob *j = job->own;
    if (j) lora_close(j->loras);
}

const ImageFamily IMAGE_FLUX = { .name = "FLUX",
                                 .takes_loras = true,
                                 .knows = flux_knows,
                                 .open = flux_open,
                                 .prepare = flux_prepare,
                                 .recipe = flux_recipe,
                                 .close = flux_close };
