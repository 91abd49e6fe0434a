/* flux.h  FLUX.1 dev, schnell and Fill behind txt2img, img2img and inpaint. */
#ifndef PIPELINES_FLUX_H
#define PIPELINES_FLUX_H

#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/flux_dit.h"
#include "models/umt5.h"
#include "pipelines/image.h"
#include "sampling/noise.h"
#include "sampling/scheduler.h"

/** A prompt for both encoders. */
typedef struct FluxPrompt {
    const int32_t *clip, *t5;
    int64_t n_clip, n_t5;
} FluxPrompt;

/** One draw of a picture's generator. */
typedef struct FluxDraw {
    Noise noise;
    bool skips;         /**< an equal draw comes before, whose values nobody needs */
    const float *given; /**< [C, h, w] instead of the generator's, or NULL */
} FluxDraw;

typedef struct FluxJob {
    ImageJob *image;
    LoraSet *loras;
    ClipText clip;
    Umt5 t5;
    AutoencoderKl vae;
    FluxDit dit;
    bool fill;         /**< the network sees masked picture and mask (FLUX.1 Fill) */
    bool guided;       /**< a second, negative prompt */
    bool keeps;        /**< after each step what is not masked goes back to the picture */
    bool needs_latent; /**< of the picture: steps begin at it, or go back to it */
    FluxPrompt prompt[2];
    Tensor text[2], pooled[2]; /**< of the prompts, once encoded */
    TokenGrid grid;            /**< of the packed latent, 2x2 pixels a token */
    int64_t h, w;              /**< of the latent */
    Scheduler scheduler;
    double times[SCHEDULER_MAX_STEPS]; /**< of the steps that are done, from the first */
    FluxContext context[2];
    FluxDraw draw[IMAGE_MAX_BATCH][3]; /**< posterior, noise, posterior of the masked picture */
} FluxJob;

/** Latents, packed as the network sees them: [L, 4 z]. */
typedef struct FluxSample {
    Tensor x, latent, noise; /**< moving; of the picture; drawn (the last two perhaps absent) */
    Tensor masked;           /**< Fill: masked picture and mask, [L, 4 z + 4 factor^2] */
} FluxSample;

/** See ImageFamily. */
bool flux_knows(ImageModel *model);
SNUG_MUST_USE SnugStatus flux_open(ImageJob *job, SnugError *err);
SNUG_MUST_USE SnugStatus flux_prepare(ImageJob *job, PipelineInfo *info, SnugError *err);

/** The recipe in parts, for several pictures with the same networks: prompts of all jobs together,
 *  what prompts and schedule mean to the transformer, and each picture for itself. */
void flux_encode_prompts(Run *r, FluxJob *const *jobs, int n);
void flux_embed(Run *r, FluxJob *job);
void flux_paint(Run *r, FluxJob *job);

/** How the networks of FLUX are found in folders and files (flux_networks.c). */
extern const ImageNetwork FLUX_TRANSFORMER, FLUX_CLIP, FLUX_T5, FLUX_VAE;
/** Bind all networks and see that they fit each other. */
SNUG_MUST_USE SnugStatus flux_networks_open(FluxJob *j, SnugError *err);

/** Noise of a picture, as it is drawn: [1, h, w, z]. */
Tensor flux_draw(Run *r, FluxJob *j, FluxDraw *draw);
/** [1, h, w, z] -> [L, 4 z] and back. */
Tensor flux_pack(Run *r, Tensor latent);
Tensor flux_unpack(Run *r, const FluxJob *j, Tensor tokens);
/** The mask as the network's input: every pixel, [L, 4 factor^2]; of Fill. */
Tensor flux_mask_pixels(Run *r, FluxJob *j);
/** The mask of the latent: [L, 4 z], 1 where to draw anew, or 0 there when `inverse`. */
Tensor flux_mask_latent(Run *r, FluxJob *j, bool inverse);

#endif
