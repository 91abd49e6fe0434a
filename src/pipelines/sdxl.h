/* sdxl.h  Stable Diffusion XL behind txt2img and img2img, with a ControlNet if asked. */
#ifndef PIPELINES_SDXL_H
#define PIPELINES_SDXL_H

#include "models/autoencoder_kl.h"
#include "models/clip_text.h"
#include "models/controlnet.h"
#include "models/sdxl_unet.h"
#include "nn/lora.h"
#include "pipelines/image.h"
#include "sampling/diffusion.h"
#include "sampling/noise.h"

enum { SDXL_ENCODERS = 2, SDXL_TOKENS = 77 };

/** A prompt for both encoders. */
typedef struct SdxlPrompt {
    const int32_t *ids[SDXL_ENCODERS];
    int64_t n;  /**< padding included: its rows are attended */
    bool zeros; /**< stands for no prompt: rows of zeros, never encoded */
} SdxlPrompt;

/** ControlNet and the picture it looks at. */
typedef struct SdxlControl {
    Controlnet net;
    float *picture; /**< [height, width, 3] in 0..1, in the network's order of colours */
    float scale;
    double start, end; /**< part of the steps in which it works */
    UnetContext context[2];
    Tensor hint;
} SdxlControl;

typedef struct SdxlJob {
    ImageJob *image;
    ClipText clip[SDXL_ENCODERS];
    AutoencoderKl vae;
    SdxlUnet unet;
    LoraSet *loras;
    SdxlControl *control; /**< or NULL */
    bool guided;          /**< a second, negative prompt */
    SdxlPrompt prompt[2];
    UnetContext context[2];
    int64_t h, w; /**< of the latent */
    Diffusion scheduler;
    double times[SCHEDULER_MAX_STEPS]; /**< of the steps that are done, from the first */
    double time_ids[UNET_TIME_IDS];
    Noise noise[IMAGE_MAX_BATCH];
} SdxlJob;

/** See ImageFamily. */
bool sdxl_knows(ImageModel *model);
SNUG_MUST_USE SnugStatus sdxl_open(ImageJob *job, SnugError *err);
SNUG_MUST_USE SnugStatus sdxl_prepare(ImageJob *job, PipelineInfo *info, SnugError *err);
void sdxl_close(ImageJob *job);

extern const ImageNetwork SDXL_UNET, SDXL_CONTROLNET;
/** Find and bind UNet, text encoders and VAE, and see that they fit (sdxl_networks.c). */
SNUG_MUST_USE SnugStatus sdxl_networks_open(SdxlJob *job, SnugError *err);
/** How a file spells a UNet or ControlNet of this shape: the original's numbers depend on it. */
SNUG_MUST_USE SnugStatus sdxl_networks_names(const SdxlJob *job, const UnetConfig *cfg,
                                             ImagePart *part, SnugError *err);

/** Open a ControlNet, if the request names one (sdxl_control.c). */
SNUG_MUST_USE SnugStatus sdxl_control_open(SdxlJob *job, SnugError *err);
/** Read its picture at the size of the result. */
SNUG_MUST_USE SnugStatus sdxl_control_prepare(SdxlJob *job, SnugError *err);
void sdxl_control_close(SdxlJob *job);
/** Does it work in step i of n? */
bool sdxl_control_works(const SdxlControl *control, int i, int n);
/** The picture as a tensor. */
Tensor sdxl_control_input(Run *r, SdxlJob *job);

/** Scheduler of the model or of the request: its options, and its name in the files' texts
 *  (sdxl_schedule.c). */
SNUG_MUST_USE SnugStatus sdxl_schedule_choose(const ImageJob *job, DiffusionConfig *config,
                                              const char **sampler, SnugError *err);
/** Fix job->scheduler and job->times; steps and size are known. */
SNUG_MUST_USE SnugStatus sdxl_schedule_make(SdxlJob *job, SnugError *err);

#endif
