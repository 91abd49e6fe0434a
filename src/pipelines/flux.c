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

enum { MOST_PROMPTS = CLIP_TEXT_MAX_PROMPTS };

static int n_prompts(const FluxJob *j)
{
    return j->guided ? 2 : 1;
}

/* A prompt of one of the jobs. */
typedef struct Prompt {
    FluxJob *job;
    int p;
} Prompt;

static int list_prompts(Run *r, FluxJob *const *jobs, int n, Prompt *out)
{
    int all = 0;
    for (int i = 0; i < n; i++)
        for (int p = 0; p < n_prompts(jobs[i]) && all <= MOST_PROMPTS; p++, all++)
            if (all < MOST_PROMPTS) out[all] = (Prompt){ jobs[i], p };
    if (all > MOST_PROMPTS)
        (void)run_fail(r, SNUG_ERR_INTERNAL, "more than %d prompts at once", MOST_PROMPTS);
    return all;
}

void flux_encode_prompts(Run *r, FluxJob *const *jobs, int n_jobs)
{
    Prompt all[MOST_PROMPTS];
    ClipTextPrompt clip[MOST_PROMPTS];
    const int32_t *ids[MOST_PROMPTS];
    int64_t n_ids[MOST_PROMPTS];
    Tensor text[MOST_PROMPTS] = { NO_TENSOR };
    const int n = list_prompts(r, jobs, n_jobs, all);
    if (!run_ok(r)) return;
    for (int i = 0; i < n; i++) {
        const FluxPrompt *prompt = &all[i].job->prompt[all[i].p];
        clip[i] = (ClipTextPrompt){ .ids = prompt->clip, .n = prompt->n_clip };
        ids[i] = prompt->t5;
        n_ids[i] = prompt->n_t5;
    }
    image_stage(r, jobs[0]->image, IMAGE_STAGE_TEXT);
    clip_text_encode(r, &jobs[0]->clip, n, clip);
    image_stage(r, jobs[0]->image, IMAGE_STAGE_TEXT_2);
    umt5_encode(r, &jobs[0]->t5, n, ids, n_ids, text);
    for (int i = 0; i < n; i++) {
        all[i].job->text[all[i].p] = text[i];
        all[i].job->pooled[all[i].p] = clip[i].pooled;
        run_tap(r, "pooled", i, clip[i].pooled);
        run_tap(r, "text", i, text[i]);
    }
}

/* The modulation's weights are not needed any more then. */
void flux_embed(Run *r, FluxJob *j)
{
    image_stage(r, j->image, IMAGE_STAGE_EMBED);
    const int n = j->scheduler.n - j->scheduler.first;
    for (int p = 0; p < n_prompts(j); p++)
        flux_dit_context(r, &j->dit, j->text[p], j->pooled[p], j->times, n,
                         j->image->settings.guidance, &j->context[p]);
}

/* ---- the picture ---------------------------------------------------------------------------- */

enum { POSTERIOR, NOISE, MASKED_POSTERIOR };

static void encode_picture(Run *r, FluxJob *j, FluxSample *samples)
{
    Tensor moments = NO_TENSOR, masked = NO_TENSOR, pixels = NO_TENSOR;
    if (j->needs_latent || j->fill) image_stage(r, j->image, IMAGE_STAGE_ENCODE);
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
    image_stage(r, j->image, IMAGE_STAGE_DENOISE);
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
    image_stage(r, j->image, IMAGE_STAGE_DECODE);
    Tensor all = op_blank(r, SHAPE(n, j->h, j->w, j->vae.cfg.z));
    for (int k = 0; k < n; k++)
        all = op_write_rows(r, all, k, flux_unpack(r, j, samples[k].x));
    if (!j->image->take) run_output(r, "latents", 0, all);
    for (int k = 0; k < n; k++)
        image_frame(r, j->image, k, autoencoder_kl_decode(r, &j->vae, op_rows(r, all, k, 1)));
}

void flux_paint(Run *r, FluxJob *j)
{
    FluxSample samples[IMAGE_MAX_BATCH] = { { .x = NO_TENSOR } };
    encode_picture(r, j, samples);
    denoise(r, j, samples);
    decode(r, j, samples);
}

static void flux_recipe(Run *r, ImageJob *job)
{
    FluxJob *j = job->own;
    flux_encode_prompts(r, &j, 1);
    flux_embed(r, j);
    flux_paint(r, j);
}

static void flux_close(ImageJob *job)
{
    FluxJob *j = job->own;
    if (j && !job->lender) lora_close(j->loras);
}

const ImageFamily IMAGE_FLUX = { .name = "FLUX",
                                 .takes_loras = true,
                                 .knows = flux_knows,
                                 .open = flux_open,
                                 .prepare = flux_prepare,
                                 .recipe = flux_recipe,
                                 .close = flux_close };
