/* diffusion_config.h  Options of schedulers on a table of betas, as diffusers stores them.
 *
 * name     class
 * euler    EulerDiscreteScheduler
 * euler-a  EulerAncestralDiscreteScheduler
 * ddim     DDIMScheduler
 * dpm++    DPMSolverMultistepScheduler, dpmsolver++ and sde-dpmsolver++
 */
#ifndef SAMPLING_DIFFUSION_CONFIG_H
#define SAMPLING_DIFFUSION_CONFIG_H

#include "base/json.h"

enum { DIFFUSION_MAX_TRAIN = 4096 };

typedef enum DiffusionKind {
    DIFFUSION_EULER,
    DIFFUSION_EULER_A,
    DIFFUSION_DDIM,
    DIFFUSION_DPMPP,
    DIFFUSION_KINDS
} DiffusionKind;

typedef enum BetaSchedule { BETAS_LINEAR, BETAS_SCALED_LINEAR, BETAS_COSINE } BetaSchedule;
typedef enum Spacing { SPACING_LINSPACE, SPACING_LEADING, SPACING_TRAILING } Spacing;
typedef enum Respacing { RESPACING_NONE, RESPACING_KARRAS, RESPACING_EXPONENTIAL } Respacing;
typedef enum Prediction { PREDICTS_NOISE, PREDICTS_DATA, PREDICTS_V } Prediction;

typedef struct DiffusionConfig {
    DiffusionKind kind;
    int train_steps; /**< of the table of betas, 2..DIFFUSION_MAX_TRAIN */
    double beta_start, beta_end;
    BetaSchedule betas;
    bool zero_snr; /**< betas rescaled so that the last step is noise alone */
    Prediction prediction;
    Spacing spacing;
    int offset; /**< added to timesteps of leading spacing */
    Respacing respacing;
    double sigma_min, sigma_max; /**< Euler, respaced: ends of the table; 0: its own */
    bool final_sigma_min;        /**< end at the smallest trained level, not at 0 */
    bool final_one;              /**< DDIM: the last step keeps the signal whole */
    double clip;                 /**< DDIM: predicted data within -clip .. clip; 0: as predicted */
    int order;                   /**< DPM++: 1..3 */
    bool heun, stochastic;       /**< DPM++: solver_type, sde-dpmsolver++ */
    bool lower_order_final, euler_at_final;
    double lambda_min; /**< DPM++: linspace and leading begin no earlier */
} DiffusionConfig;

const char *diffusion_kind_name(DiffusionKind kind);
/** Kind of a name for --scheduler. SNUG_ERR_ARG lists the names there are. */
SNUG_MUST_USE SnugStatus diffusion_kind_of_name(DiffusionKind *out, const char *name,
                                                SnugError *err);

/** What the class does when the file says nothing. */
void diffusion_config_defaults(DiffusionConfig *config, DiffusionKind kind);
/** The published scheduler_config.json of SDXL, for checkpoints in one file. */
void diffusion_config_sdxl(DiffusionConfig *config);
/** Another class for the same model, as diffusers' from_config: options both know are kept. */
void diffusion_config_switch(DiffusionConfig *config, DiffusionKind kind);

/** Options from the object that holds "_class_name". An absent or null key means the default of
 *  the class, unknown keys are skipped.
 *  @return SNUG_ERR_FILE: no class of ours, a value of wrong type, out of range or not supported */
SNUG_MUST_USE SnugStatus diffusion_config_read(DiffusionConfig *out, Json object, SnugError *err);

#endif
