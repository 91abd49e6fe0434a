/* ad.h  An advertisement in three steps: a product before a background, letters, both together.
 *
 *     1  cut out the product; FLUX draws a background; the product is drawn into it (inpaint)
 *     2  a guide of letters; SDXL with a ControlNet draws them; they are cut out
 *     3  the letters are laid over the background; FLUX draws their surroundings anew (inpaint)
 *
 * One set of FLUX's networks serves all its pictures, and the prompts of all steps are encoded
 * together. Pictures between networks are of 8 bits (ad_pictures.h). */
#ifndef PIPELINES_AD_H
#define PIPELINES_AD_H

#include "pipelines/ad_pictures.h"
#include "pipelines/cutout.h"
#include "pipelines/flux.h"
#include "pipelines/sdxl.h"

/** Values of the option table; the names are those of the service's requests. */
typedef struct AdRequest {
    const char *flux, *fill, *sdxl, *controlnet, *sdxl_vae, *birefnet;
    const char *input_image, *bg_prompt, *bg_composition_prompt;
    const char *text_content, *text_model_prompt, *negative_prompt, *font, *font_folder;
    const char *composition_mode, *text_position, *composition_prompt;
    const char *step1_image, *step2_image, *steps_folder;
    const char *unload[3];                     /* by step */
    const char *composite_model, *negative[3]; /* of FLUX: background, product, composite */
    double composition_guidance, true_cfg;
    bool forward_guidance, keep_unmasked, skips_injection;
    OptionSize size;
    bool demo;
    int64_t demo_tick_ms;
    int64_t start_step, seed, text_size, cutout_size;
    int64_t bg_steps, product_steps, text_steps, composition_steps;
    double guidance_scale, strength, text_guidance, composition_strength;
} AdRequest;

extern const Option AD_OPTIONS[];

/** The FLUX pictures of a job; the composite with "auto" has a prompt for every place until the
 *  background is known. */
typedef enum AdFlux {
    AD_BACKGROUND,
    AD_PRODUCT,
    AD_COMPOSITE,
    AD_FLUX_JOBS = AD_COMPOSITE + 3
} AdFlux;

/** What the encoders said of a prompt, kept outside of the plan until it is chosen. */
typedef struct AdTold {
    float *text, *pooled;
} AdTold;

typedef struct AdJob {
    PipelineContext *context;
    const AdRequest *request;
    int first_step, last_step; /**< 1..3 */
    AdMode mode;
    AdPosition position; /**< as asked for */
    bool injects;        /**< step 1 draws a product into the background */
    bool laying;         /**< step 3 has begun */
    int n_places;        /**< prompts of the composite: 1, or 3 */
    int side;            /**< of every picture, px */
    ImageRequest flux_request[AD_FLUX_JOBS], text_request;
    ImageJob *flux[AD_FLUX_JOBS], *text; /**< NULL: not in this job */
    char prompt[3][512];                 /**< of the composite, by place */
    CutoutNet cutout;
    int look;      /**< side of what BiRefNet looks at, px */
    float *values; /**< [look, look, 3] */
    AdTold told[3];
    Image product;     /**< as given, RGB */
    Image product_cut; /**< RGBA */
    Image background;  /**< RGB: at first without the product, then the result of step 1 */
    Image edges;       /**< of the letters' guide, RGB */
    Image letters;     /**< as drawn, RGB */
    Image letters_cut; /**< result of step 2, RGBA */
    Image soft;        /**< what BiRefNet saw, grey */
    PipelinePhases phases;
    const char *text_of_file[1];
    int64_t seeds[1];
} AdJob;

/** See Pipeline (ad_open.c). */
SNUG_MUST_USE SnugStatus ad_open(void **out, PipelineContext *context, void *request,
                                 PipelineInfo *info, SnugError *err);
void ad_close(void *job);
/** Write the result of a step into --steps-folder, where there is one. */
SNUG_MUST_USE SnugStatus ad_save_step(const AdJob *job, const char *name, const Image *image,
                                      SnugError *err);

#endif
