/* wan.h  The Wan video pipelines from the inside: request, what was opened, recipe. */
#ifndef PIPELINES_WAN_H
#define PIPELINES_WAN_H

#include "base/random.h"
#include "models/umt5.h"
#include "models/wan_dit.h"
#include "models/wan_vae.h"
#include "pipelines/lora_option.h"
#include "pipelines/pipeline.h"
#include "pipelines/wan_camera.h"
#include "pipelines/wan_clip.h"
#include "pipelines/wan_layout.h"
#include "pipelines/wan_variant.h"
#include "sampling/noise.h"
#include "sampling/scheduler.h"
#include "sampling/scheduler_config_json.h"

/** Values of the option table; NULL and negative numbers mean "the model's own". */
typedef struct WanRequest {
    WanPaths paths;
    const char *prompt, *negative, *image, *last_image, *camera, *scheduler, *noise;
    OptionSize size;
    int64_t frames, steps, seed;
    double fps, guidance, guidance_low, shift, boundary;
    const char *loras; /* lines: see lora_option.h */
    const char *step_cache;
    bool strict_lora;
} WanRequest;

extern const Option WAN_OPTIONS[];

enum { WAN_MAX_EXPERTS = 2, WAN_TOKENS = 512 };

/** One denoising network and the steps it is used in. */
typedef struct WanExpert {
    WanDit dit;
    WanCameraKind carries; /**< the camera network in its file, used or not */
    const char *stage;     /**< "denoise", "denoise high noise", "denoise low noise" */
    int first, end;        /**< steps */
    float guidance;
    WanContext context[2]; /**< prompt, negative prompt */
    WanScene scene;        /**< picture and camera */
} WanExpert;

/** What holds for a run: the user's word, else the folder's snug.json, else as published. */
typedef struct WanSettings {
    int64_t frames, steps, width, height;
    double fps, guidance, guidance_low;
    double shift;    /**< of a scheduler without a configuration */
    double boundary; /**< < 0: one expert */
    const char *negative;
} WanSettings;

/** Which steps take over what the blocks did the step before (wan_step_cache.c). */
typedef struct WanStepCache {
    bool *skip;                     /**< [steps]; NULL: none is skipped */
    const char *words, *words_json; /**< for PipelineInfo */
} WanStepCache;

/** Everything a run needs; lives in the job's arena. */
typedef struct WanJob {
    PipelineContext *context;
    const WanRequest *request;
    WanLayout layout;
    const WanVariant *variant;
    WanSettings settings;
    Umt5 text;
    WanVae vae;
    WanExpert expert[WAN_MAX_EXPERTS];
    int n_experts;
    LoraSet *loras; /* or NULL */
    Scheduler scheduler;
    WanStepCache cache;
    WanImageMode mode;
    bool guided;
    bool preview;
    int width, height; /* px */
    int64_t frames;    /* of the video */
    int64_t latent_t, latent_h, latent_w;
    const int32_t *ids[2]; /* prompt, negative prompt */
    int64_t n_ids[2];
    float *image;       /* [height, width, 3] in -1..1, or NULL */
    float *last_image;  /* of the last frame, or NULL */
    WanClip clip;       /* of networks that look at the pictures (Wan2.1); no pictures: unused */
    WanCamera camera;   /* where the request names a path */
    float *given_noise; /* [C, T, h, w] from a file, or NULL */
    Random random;
    Noise noise;
    float latent_rgb[(VAE_MAX_Z + 1) * 3];
    bool has_latent_rgb;
} WanJob;

/** Which of the three names was asked for. */
typedef enum WanKind { WAN_T2V, WAN_I2V, WAN_TI2V } WanKind;

/** Find and bind all networks: layout, weights, variant, mode (wan_networks.c). */
SNUG_MUST_USE SnugStatus wan_networks_open(WanJob *job, WanKind kind, SnugError *err);
/** The same step by step, for looking at a model: the order in which parts are bound (each is compared
 *  with those before it, where they are there), one part of job->layout, and job->variant with what
 *  the model can do as job->mode. */
extern const WanRole WAN_NETWORKS_ORDER[WAN_ROLES];
SNUG_MUST_USE SnugStatus wan_networks_bind(WanJob *job, WanRole role, SnugError *err);
SNUG_MUST_USE SnugStatus wan_networks_variant(WanJob *job, SnugError *err);
/** Fill job->settings (wan_settings.c). */
SNUG_MUST_USE SnugStatus wan_settings_read(WanJob *job, SnugError *err);
/** The model folder's own settings, snug.json, for json_close; *out is NULL where there are none. */
SNUG_MUST_USE SnugStatus wan_settings_open(const WanJob *job, JsonDoc **out, SnugError *err);
/** The scheduler for a video of job's size. */
SNUG_MUST_USE SnugStatus wan_settings_scheduler(const WanJob *job, SchedulerConfig *out,
                                                SnugError *err);

/** See Pipeline. */
SNUG_MUST_USE SnugStatus wan_open(void **out, PipelineContext *context, WanRequest *request,
                                  PipelineInfo *info, WanKind kind, SnugError *err);
void wan_close(void *job);
/** See Pipeline and about.h. */
SNUG_MUST_USE SnugStatus wan_about(struct About *about, const char *path, SnugError *err);

/** Decide job->cache, once schedule and experts are known: by --step-cache, and by the weights that
 *  embed the timesteps, which are read for it. */
SNUG_MUST_USE SnugStatus wan_step_cache_open(WanJob *job, SnugError *err);
/** Does step i take over the blocks' part of the step before? Past the last step: false. */
bool wan_step_skipped(const WanJob *job, int i);

/** Fit the pictures to the video: size, values, what the CLIP network sees (wan_image.c). */
SNUG_MUST_USE SnugStatus wan_image_prepare(WanJob *job, SnugError *err);
/** Give the pictures back; fine after a failure. */
void wan_image_release(WanJob *job);

#endif
