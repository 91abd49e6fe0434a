/* image.h  txt2img, img2img and inpaint from the inside: what they share whatever network draws.
 *
 * A family (FLUX, ...) brings its networks, the settings they were published with, and the recipe;
 * the frame brings options, pictures, mask, seeds and the text that goes into the files:
 *
 *     image_open    model -> family->open -> settings -> pictures -> family->prepare -> texts
 *     recipe        family->recipe
 *
 * Adding a family: its files, and a row in FAMILIES of image_open.c. */
#ifndef PIPELINES_IMAGE_H
#define PIPELINES_IMAGE_H

#include "base/philox.h"
#include "base/random.h"
#include "media/image.h"
#include "pipelines/image_model.h"
#include "pipelines/pipeline.h"
#include "sampling/noise.h"
#include "text/tokenizer.h"

/** Values of the option table; NULL and negative numbers mean "the model's own". */
typedef struct ImageRequest {
    ImagePaths paths;
    const char *prompt, *prompt_2, *negative, *image, *mask, *scheduler, *noise, *loras, *rng;
    const char *controlnet, *control_image;
    const Image *control_picture; /**< RGB, instead of control_image: no option, for pipelines */
    bool strict_lora, keep_unmasked;
    OptionSize size;
    int64_t steps, seed, batch, max_tokens;
    double guidance, strength, true_cfg, eta;
    double control_scale, control_start, control_end;
} ImageRequest;

extern const Option IMAGE_OPTIONS[];

typedef enum ImageTask { IMAGE_TXT2IMG, IMAGE_IMG2IMG, IMAGE_INPAINT } ImageTask;

enum { IMAGE_MAX_BATCH = 16 };

/** What holds for a run: the user's word, else what the family says in `open`. */
typedef struct ImageSettings {
    int64_t steps;
    int width, height; /**< px; of img2img and inpaint: those of the picture if not given */
    int grid;          /**< sides are multiples of it [px] */
    double guidance, strength;
    const char *sampler;      /**< as the text in the files names it: "Euler" */
    const char *guidance_key; /**< "CFG scale", "Distilled CFG Scale"; NULL: not told */
} ImageSettings;

typedef struct ImageFamily ImageFamily;

/** Stages that families have in common. */
typedef enum ImageStage {
    IMAGE_STAGE_TEXT,
    IMAGE_STAGE_TEXT_2,
    IMAGE_STAGE_EMBED,
    IMAGE_STAGE_ENCODE,
    IMAGE_STAGE_DENOISE,
    IMAGE_STAGE_DECODE,
    IMAGE_STAGES
} ImageStage;

/** Everything a run needs; lives in the job's arena. A pipeline that draws several pictures has a job
 *  for each, sharing networks: see `lender`, `given` and `take`. */
typedef struct ImageJob {
    PipelineContext *context;
    const ImageRequest *request;
    ImageTask task;
    ImageModel model;
    const ImageFamily *family;
    void *own; /**< the family's */
    ImageSettings settings;
    const struct ImageJob *lender; /**< opened before, whose networks this one uses; or NULL */
    bool given;                    /**< picture and mask come while the recipe runs: image_give */
    OutputTake *take; /**< receives "frame" [1, H, W, 3] instead of the outside, or NULL */
    void *take_context;
    const char *title; /**< in front of the stages' names; NULL: nothing */
    const char *stages[IMAGE_STAGES];
    int n;                          /**< pictures; picture k has seed + k */
    float *picture;                 /**< [height, width, 3] in -1..1, or NULL */
    uint8_t *mask;                  /**< [height, width] 1: draw anew; or NULL */
    Random random[IMAGE_MAX_BATCH]; /**< seeded by image_seed */
    Philox card[IMAGE_MAX_BATCH];   /**< likewise; used when by_card */
    bool by_card;                   /**< noise as torch draws it on a CUDA card */
    float *given_noise;             /**< [n, C, h, w] from a file, or NULL */
    int64_t noise_dim[4];
    int64_t seeds[IMAGE_MAX_BATCH];
    const char *texts[IMAGE_MAX_BATCH];
} ImageJob;

struct ImageFamily {
    const char *name; /**< "FLUX" */
    bool takes_loras; /**< request->loras is heeded by `open` */
    /** Is this one of its models? By the class of the pipeline, or what the files hold. */
    bool (*knows)(ImageModel *model);
    /** Find and bind the networks, refuse tasks they cannot do, fill job->settings. */
    SnugStatus (*open)(ImageJob *job, SnugError *err);
    /** Size, steps and pictures are known: tokens, schedule, and what is special in `info`. */
    SnugStatus (*prepare)(ImageJob *job, PipelineInfo *info, SnugError *err);
    /** Outputs: "frame" k [1, H, W, 3] in -1..1 for every picture, "latents" 0 [n, h, w, C]. */
    void (*recipe)(Run *r, ImageJob *job);
    /** Give back what is not in the arena, also of a failed open; or NULL. */
    void (*close)(ImageJob *job);
};

extern const ImageFamily IMAGE_FLUX, IMAGE_SDXL;

/** Open a job whose context, request and task are set, and what else it begins with. Close in any
 *  case. */
SNUG_MUST_USE SnugStatus image_job_open(ImageJob *job, PipelineInfo *info, SnugError *err);
/** See Pipeline. */
SNUG_MUST_USE SnugStatus image_open(void **out, PipelineContext *context, ImageRequest *request,
                                    PipelineInfo *info, ImageTask task, SnugError *err);
void image_close(void *job);
/** See Pipeline and about.h. */
SNUG_MUST_USE SnugStatus image_about(struct About *about, const char *path, SnugError *err);
/** job->family, by job->model; SNUG_ERR_FILE: no family knows it. */
SNUG_MUST_USE SnugStatus image_family_find(ImageJob *job, SnugError *err);

/** Ids of a text, padded to `length`; SNUG_ERR_FILE: one of them is not below `vocab`. */
SNUG_MUST_USE SnugStatus image_tokenise(const ImageJob *job, const Tokenizer *t, const char *text,
                                        int64_t length, int32_t pad, int64_t vocab,
                                        const int32_t **out, SnugError *err);

/** Read picture and mask, settle the size (image_pictures.c). */
SNUG_MUST_USE SnugStatus image_pictures_read(ImageJob *job, SnugError *err);
void image_pictures_release(ImageJob *job);
/** The picture (RGB) and mask (grey, or NULL) of a job that is `given` them, of its size. */
void image_give(ImageJob *job, const Image *picture, const Image *mask);

/** Read --noise; the family checks that noise_dim fits (image_pictures.c). */
SNUG_MUST_USE SnugStatus image_noise_read(ImageJob *job, SnugError *err);

/** run_stage under the job's name for it. */
void image_stage(Run *r, const ImageJob *job, ImageStage stage);
/** Hand out picture k [1, H, W, 3] in -1..1, to the job's taker or to the outside; with keep_unmasked the
 *  given picture where the mask leaves it. */
void image_frame(Run *r, ImageJob *job, int k, Tensor frame);
/** The generator of picture k as context of noise_fill; values are [channels, ...] as drawn. */
Noise image_noise(ImageJob *job, int k, int64_t channels);
/** SNUG_ERR_ARG where noise of so many values would depend on the card. */
SNUG_MUST_USE SnugStatus image_noise_check(const ImageJob *job, int64_t count, SnugError *err);
/** Every generator at its beginning: first thing of a recipe. */
void image_seed(ImageJob *job);
/** Where image to image begins: the first step of a schedule of `steps`, as diffusers cuts it.
 *  SNUG_ERR_ARG when no step is left. */
SNUG_MUST_USE SnugStatus image_first_step(const ImageJob *job, int *first, SnugError *err);
/** The picture as a tensor [1, height, width, 3]. */
Tensor image_input(Run *r, ImageJob *job);
/** The same, 0 (mid grey) where the mask says "draw anew". */
Tensor image_input_masked(Run *r, ImageJob *job);

#endif
