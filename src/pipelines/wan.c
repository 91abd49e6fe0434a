/* wan.c  The recipe of the Wan video pipelines: text, picture, denoising by one or two experts,
 * decoding frame by frame.
 *
 * Reference: diffusers WanPipeline and WanImageToVideoPipeline (0.42); goldens:
 * tests/golden/pipelines. Traps (docs/MODELS.md): the mask stands between noise and picture; with
 * a first frame, its tokens have timestep 0; the boundary compares with the scheduler's timestep;
 * each expert projects the text by itself. */
#include "pipelines/wan.h"

#include <string.h>

#include "pipelines/wan_resume.h"
#include "sampling/guidance.h"

/* ---- inputs --------------------------------------------------------------------------------- */

/* Noise from a file comes in torch's order [C, T, h, w]; ours is [T, h, w, C]. */
static void fill_given_noise(void *context, float *to, int64_t count)
{
    const WanJob *j = context;
    const int64_t c = j->vae.cfg.z, pixels = count / c;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < c; k++)
            to[p * c + k] = j->given_noise[k * pixels + p];
}

static Tensor initial_noise(Run *r, WanJob *j)
{
    const Shape shape = SHAPE(j->latent_t, j->latent_h, j->latent_w, j->vae.cfg.z);
    if (j->given_noise) return run_input(r, shape, fill_given_noise, j);
    j->noise = (Noise){ .random = &j->random, .channels = j->vae.cfg.z };
    return run_input(r, shape, noise_fill, &j->noise);
}

static void fill_image(void *context, float *to, int64_t count)
{
    const WanJob *j = context;
    memcpy(to, j->image, (size_t)count * sizeof *to);
}

static void fill_last_image(void *context, float *to, int64_t count)
{
    const WanJob *j = context;
    memcpy(to, j->last_image, (size_t)count * sizeof *to);
}

static void fill_grey(void *context, float *to, int64_t count)
{
    (void)context;
    memset(to, 0, (size_t)count * sizeof *to); /* 0 is mid grey in -1..1 */
}

/* Frame 0 is the picture, the last one perhaps another, the others are grey. */
static Tensor condition_frame(void *context, Run *r, int64_t index)
{
    WanJob *j = context;
    const bool last = j->last_image && index == j->frames - 1;
    if (index > 1 && !last) return NO_TENSOR; /* grey as the frame before */
    return run_input(r, SHAPE(1, j->height, j->width, 3),
                     index == 0 ? fill_image
                     : last     ? fill_last_image
                                : fill_grey,
                     j);
}

/* Mask [T, h, w, time_factor]: one for the frames that are given. The first latent frame stands
 * for the first frame alone, in the others each channel is one frame. */
static void fill_mask(void *context, float *to, int64_t count)
{
    const WanJob *j = context;
    const int64_t frame = count / j->latent_t, channels = j->vae.cfg.time_factor;
    for (int64_t i = 0; i < count; i++)
        to[i] = i < frame ? 1.0f : 0.0f;
    if (!j->last_image) return;
    for (int64_t i = count - frame + channels - 1; i < count; i += channels)
        to[i] = 1.0f;
}

/* ---- stages --------------------------------------------------------------------------------- */

static void encode_text(Run *r, WanJob *j, Tensor text[2])
{
    run_stage(r, "text encoder");
    umt5_encode(r, &j->text, j->guided ? 2 : 1, j->ids, j->n_ids, text);
    for (int p = 0; p < (j->guided ? 2 : 1); p++)
        run_tap(r, "text", p, text[p]);
}

/* What the picture shows, for networks that look at it (Wan2.1). */
static Tensor see_image(Run *r, WanJob *j)
{
    if (!j->clip.n_pictures) return NO_TENSOR;
    run_stage(r, "image encoder");
    Tensor rows = wan_clip_encode(r, &j->clip);
    run_tap(r, "clip", 0, rows);
    return rows;
}

static Tensor encode_image(Run *r, WanJob *j)
{
    if (j->mode == WAN_NO_IMAGE) return NO_TENSOR;
    run_stage(r, "vae encode");
    const int64_t frames = j->mode == WAN_IMAGE_FIRST_FRAME ? 1 : j->frames;
    Tensor latent = wan_vae_encode(r, &j->vae, frames, condition_frame, j);
    run_tap(r, "condition", 0, latent);
    return latent;
}

/* What the network sees beside the noisy latent. */
static Tensor network_input(Run *r, WanJob *j, Tensor *x, Tensor mask, Tensor condition)
{
    if (j->mode == WAN_IMAGE_FIRST_FRAME) return *x = op_write_rows(r, *x, 0, condition);
    if (j->mode == WAN_NO_IMAGE) return *x;
    const Tensor parts[3] = { *x, mask, condition };
    return op_concat(r, 3, parts);
}

/* Velocity at step i, guided if asked; both branches block by block together where planned. */
static Tensor velocity(Run *r, WanJob *j, WanExpert *e, int i, Tensor input)
{
    const WanTime time = { .t = (double)j->scheduler.timesteps[i],
                           .t_first = 0.0,
                           .split_frames = j->mode == WAN_IMAGE_FIRST_FRAME ? 1 : 0 };
    WanContext *both[2] = { &e->context[0], &e->context[1] };
    Tensor v[2] = { NO_TENSOR, NO_TENSOR };
    for (int k = 0; k < 2; k++) {
        both[k]->skip = wan_step_skipped(j, i);
        both[k]->keep = i + 1 < e->end && wan_step_skipped(j, i + 1);
    }
    if (j->guided && r->knobs.lock_step)
        wan_dit_forward(r, &e->dit, input, time, &e->scene, 2, both, v);
    else
        for (int k = 0; k < (j->guided ? 2 : 1); k++)
            wan_dit_forward(r, &e->dit, input, time, &e->scene, 1, both + k, v + k);
    if (!j->guided) return v[0];
    run_tap(r, "cond", i, v[0]);
    run_tap(r, "uncond", i, v[1]);
    return guidance_apply(r, e->guidance, v[1], v[0]);
}

/* What the networks are told: prompts, what the picture shows, its latent. */
typedef struct Told {
    Tensor text[2], seen, condition;
} Told;

/* What the first step begins with: noise, or what an earlier run left. */
static Tensor start(Run *r, WanJob *j, Stepper *stepper)
{
    return j->context->resumed ? wan_resume_take(r, j, stepper) : initial_noise(r, j);
}

static Tensor denoise(Run *r, WanJob *j, const Told *told)
{
    Stepper stepper;
    stepper_init(&stepper);
    Tensor x = NO_TENSOR, mask = NO_TENSOR;
    const int begin = wan_resume_first(j), n = j->scheduler.n;
    for (int k = 0; k < j->n_experts; k++) {
        WanExpert *e = &j->expert[k];
        const int first = e->first > begin ? e->first : begin;
        if (first >= e->end) continue;
        run_stage(r, e->stage);
        if (!tensor_exists(x)) x = start(r, j, &stepper);
        if (j->mode == WAN_IMAGE_CHANNELS && !tensor_exists(mask))
            mask =
                run_input(r, SHAPE(j->latent_t, j->latent_h, j->latent_w, j->vae.cfg.time_factor),
                          fill_mask, j);
        for (int b = 0; b < (j->guided ? 2 : 1); b++)
            wan_dit_context(r, &e->dit, told->text[b], &e->context[b]);
        wan_dit_scene(r, &e->dit, told->seen, wan_camera_rows, &j->camera, &e->scene);
        for (int i = first; i < e->end && run_step(r, i, n); i++) {
            Tensor input = network_input(r, j, &x, mask, told->condition);
            Tensor v = velocity(r, j, e, i, input);
            x = stepper_step(r, &stepper, &j->scheduler, i, x, v);
            run_tap(r, "step", i, x);
            if (j->preview) run_output(r, "preview", i, x);
            if (i + 1 == n && j->mode == WAN_IMAGE_FIRST_FRAME)
                x = op_write_rows(r, x, 0, told->condition);
            wan_resume_keep(r, j, &stepper, i + 1, x);
        }
    }
    return x;
}

static void hand_out_frame(void *context, Run *r, int64_t index, Tensor rgb)
{
    (void)context;
    run_output(r, "frame", index, rgb);
}

static void wan_recipe(Run *r, void *self)
{
    WanJob *j = self;
    Told told = { .text = { NO_TENSOR, NO_TENSOR } };
    Tensor x = NO_TENSOR;
    const int first = wan_resume_first(j), n = j->scheduler.n;
    r->steps_before = first - j->scheduler.first;
    random_init(&j->random, (uint64_t)j->request->seed);
    if (first < n) {
        encode_text(r, j, told.text);
        told.seen = see_image(r, j);
        told.condition = encode_image(r, j);
        x = denoise(r, j, &told);
    }
    run_stage(r, "vae decode");
    if (first == n) x = wan_resume_take(r, j, &(Stepper){ 0 }); /* only decoding is left */
    run_output(r, "latents", 0, x);
    wan_vae_decode(r, &j->vae, x, hand_out_frame, j);
}

/* ---- the three names ------------------------------------------------------------------------ */

static SnugStatus open_t2v(void **out, PipelineContext *c, void *request, PipelineInfo *info,
                           SnugError *err)
{
    return wan_open(out, c, request, info, WAN_T2V, err);
}

static SnugStatus open_i2v(void **out, PipelineContext *c, void *request, PipelineInfo *info,
                           SnugError *err)
{
    return wan_open(out, c, request, info, WAN_I2V, err);
}

static SnugStatus open_ti2v(void **out, PipelineContext *c, void *request, PipelineInfo *info,
                            SnugError *err)
{
    return wan_open(out, c, request, info, WAN_TI2V, err);
}

#define WAN(kind, title, look, text)                                                               \
    {                                                                                              \
        .name = title, .summary = text, .options = WAN_OPTIONS,                                    \
        .request_bytes = sizeof(WanRequest), .open = open_##kind, .recipe = wan_recipe,            \
        .close = wan_close, .about = look                                                          \
    }

const Pipeline PIPELINE_WAN_TI2V =
    WAN(ti2v, "wan-ti2v", wan_about, "text, or image and text, to video (Wan2.2 TI2V)");
const Pipeline PIPELINE_WAN_T2V = WAN(t2v, "wan-t2v", NULL, "text to video (Wan2.1 and 2.2 T2V)");
const Pipeline PIPELINE_WAN_I2V =
    WAN(i2v, "wan-i2v", NULL, "image and text to video (Wan2.1 and 2.2 I2V)");
