/* diffusion_config.c  Names, class defaults, and scheduler_config.json key by key. */
#include "sampling/diffusion_config.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

static const struct {
    const char *name, *class_name;
} NAMES[DIFFUSION_KINDS] = {
    [DIFFUSION_EULER] = { "euler", "EulerDiscreteScheduler" },
    [DIFFUSION_EULER_A] = { "euler-a", "EulerAncestralDiscreteScheduler" },
    [DIFFUSION_DDIM] = { "ddim", "DDIMScheduler" },
    [DIFFUSION_DPMPP] = { "dpm++", "DPMSolverMultistepScheduler" },
};

const char *diffusion_kind_name(DiffusionKind kind)
{
    return NAMES[kind].name;
}

SnugStatus diffusion_kind_of_name(DiffusionKind *out, const char *name, SnugError *err)
{
    for (int k = 0; k < DIFFUSION_KINDS; k++) {
        if (strcmp(name, NAMES[k].name) == 0) {
            *out = (DiffusionKind)k;
            return SNUG_OK;
        }
    }
    return error_set(err, SNUG_ERR_ARG, "scheduler '%.40s': there are euler, euler-a, ddim, dpm++",
                     name);
}

void diffusion_config_defaults(DiffusionConfig *config, DiffusionKind kind)
{
    *config = (DiffusionConfig){
        .kind = kind,
        .train_steps = 1000,
        .beta_start = 0.0001,
        .beta_end = 0.02,
        .betas = BETAS_LINEAR,
        .prediction = PREDICTS_NOISE,
        .spacing = kind == DIFFUSION_DDIM ? SPACING_LEADING : SPACING_LINSPACE,
        .final_one = true,
        .clip = kind == DIFFUSION_DDIM ? 1.0 : 0.0,
        .order = 2,
        .lower_order_final = true,
        .lambda_min = -HUGE_VAL,
    };
}

void diffusion_config_sdxl(DiffusionConfig *config)
{
    diffusion_config_defaults(config, DIFFUSION_EULER);
    config->beta_start = 0.00085;
    config->beta_end = 0.012;
    config->betas = BETAS_SCALED_LINEAR;
    config->spacing = SPACING_LEADING;
    config->offset = 1;
    config->final_one = false;
    config->clip = 0.0;
}

/* Keys of one class that the file of another may hold, too, are already in `config`. */
void diffusion_config_switch(DiffusionConfig *config, DiffusionKind kind)
{
    const bool respaces = kind == DIFFUSION_EULER || kind == DIFFUSION_DPMPP;
    config->kind = kind;
    if (!respaces) config->respacing = RESPACING_NONE;
    if (kind != DIFFUSION_DPMPP) config->stochastic = false;
}

/* ---- scheduler_config.json ------------------------------------------------------------------ */

static SnugStatus read_kind(DiffusionKind *kind, Json object, SnugError *err)
{
    const char *name;
    TRY(json_require(object, "_class_name", err));
    TRY(json_text(object, "_class_name", NULL, &name, err));
    for (int k = 0; k < DIFFUSION_KINDS; k++) {
        if (strcmp(name, NAMES[k].class_name) == 0) {
            *kind = (DiffusionKind)k;
            return SNUG_OK;
        }
    }
    return json_fault(json_get(object, "_class_name"), err, FAULT_UNSUPPORTED,
                      "scheduler class %.80s", name);
}

static SnugStatus read_betas(DiffusionConfig *c, Json object, SnugError *err)
{
    static const char *const SCHEDULES[] = { "linear", "scaled_linear", "squaredcos_cap_v2", NULL };
    int64_t steps;
    int schedule;
    TRY(json_int(object, "num_train_timesteps", 1000, 2, DIFFUSION_MAX_TRAIN, &steps, err));
    TRY(json_f64(object, "beta_start", c->beta_start, 1e-12, 0.999, &c->beta_start, err));
    TRY(json_f64(object, "beta_end", c->beta_end, 1e-12, 0.999, &c->beta_end, err));
    TRY(json_choice(object, "beta_schedule", SCHEDULES, 0, &schedule, err));
    TRY(json_only_null(object, "trained_betas", err));
    TRY(json_bool(object, "rescale_betas_zero_snr", false, &c->zero_snr, err));
    c->train_steps = (int)steps;
    c->betas = (BetaSchedule)schedule;
    return SNUG_OK;
}

static SnugStatus read_table(DiffusionConfig *c, Json object, SnugError *err)
{
    static const char *const SPACINGS[] = { "linspace", "leading", "trailing", NULL };
    static const char *const PREDICTIONS[] = { "epsilon", "sample", "v_prediction", NULL };
    static const char *const FINALS[] = { "zero", "sigma_min", NULL };
    int spacing, prediction, final;
    int64_t offset;
    TRY(json_choice(object, "timestep_spacing", SPACINGS, (int)c->spacing, &spacing, err));
    TRY(json_choice(object, "prediction_type", PREDICTIONS, 0, &prediction, err));
    TRY(json_choice(object, "final_sigmas_type", FINALS, 0, &final, err));
    TRY(json_int(object, "steps_offset", 0, 0, c->train_steps - 1, &offset, err));
    TRY(json_only_bool(object, "thresholding", false, false, err));
    c->spacing = (Spacing)spacing;
    c->prediction = (Prediction)prediction;
    c->final_sigma_min = final == 1;
    c->offset = (int)offset;
    return SNUG_OK;
}

static SnugStatus read_respacing(DiffusionConfig *c, Json object, SnugError *err)
{
    bool karras, exponential;
    TRY(json_only_bool(object, "use_beta_sigmas", false, false, err));
    TRY(json_only_bool(object, "use_lu_lambdas", false, false, err));
    TRY(json_only_bool(object, "use_flow_sigmas", false, false, err));
    TRY(json_bool(object, "use_karras_sigmas", false, &karras, err));
    TRY(json_bool(object, "use_exponential_sigmas", false, &exponential, err));
    if (karras && exponential)
        return json_fault(object, err, FAULT_BAD,
                          "use_karras_sigmas and use_exponential_sigmas are both set");
    if (karras) c->respacing = RESPACING_KARRAS;
    if (exponential) c->respacing = RESPACING_EXPONENTIAL;
    return SNUG_OK;
}

static SnugStatus read_euler(DiffusionConfig *c, Json object, SnugError *err)
{
    static const char *const LINEAR[] = { "linear", NULL }, *const DISCRETE[] = { "discrete",
                                                                                  NULL };
    int only;
    TRY(json_choice(object, "interpolation_type", LINEAR, 0, &only, err));
    TRY(json_choice(object, "timestep_type", DISCRETE, 0, &only, err));
    TRY(json_f64(object, "sigma_min", 0, 0, 1e6, &c->sigma_min, err));
    return json_f64(object, "sigma_max", 0, 0, 1e6, &c->sigma_max, err);
}

static SnugStatus read_ddim(DiffusionConfig *c, Json object, SnugError *err)
{
    bool clips;
    double range;
    TRY(json_bool(object, "set_alpha_to_one", true, &c->final_one, err));
    TRY(json_bool(object, "clip_sample", c->kind == DIFFUSION_DDIM, &clips, err));
    TRY(json_f64(object, "clip_sample_range", 1.0, 1e-6, 1e6, &range, err));
    c->clip = clips ? range : 0.0;
    return SNUG_OK;
}

static SnugStatus read_dpmpp(DiffusionConfig *c, Json object, SnugError *err)
{
    static const char *const ALGORITHMS[] = { "dpmsolver++", "sde-dpmsolver++", "deis", NULL };
    static const char *const SOLVERS[] = { "midpoint", "heun", "logrho", "bh1", "bh2", NULL };
    int algorithm, solver;
    int64_t order;
    TRY(json_int(object, "solver_order", 2, 1, 3, &order, err));
    TRY(json_choice(object, "algorithm_type", ALGORITHMS, 0, &algorithm, err));
    TRY(json_choice(object, "solver_type", SOLVERS, 0, &solver, err));
    TRY(json_bool(object, "lower_order_final", true, &c->lower_order_final, err));
    TRY(json_bool(object, "euler_at_final", false, &c->euler_at_final, err));
    TRY(json_only_null(object, "variance_type", err));
    TRY(json_f64(object, "lambda_min_clipped", c->lambda_min, -1e6, 100, &c->lambda_min, err));
    c->order = (int)order;
    c->heun = solver == 1;
    c->stochastic = algorithm == 1;
    return SNUG_OK;
}

/* All keys are read for all classes: what is of no use to one is when another is switched to. */
SnugStatus diffusion_config_read(DiffusionConfig *out, Json object, SnugError *err)
{
    DiffusionKind kind = DIFFUSION_EULER;
    TRY(read_kind(&kind, object, err));
    diffusion_config_defaults(out, kind);
    TRY(read_betas(out, object, err));
    TRY(read_table(out, object, err));
    TRY(read_respacing(out, object, err));
    if (kind == DIFFUSION_EULER) TRY(read_euler(out, object, err));
    if (kind == DIFFUSION_DPMPP) TRY(read_dpmpp(out, object, err));
    TRY(read_ddim(out, object, err));
    if (kind == DIFFUSION_EULER_A && out->prediction == PREDICTS_DATA)
        return json_fault(json_get(object, "prediction_type"), err, FAULT_UNSUPPORTED,
                          "Euler ancestral with networks that predict data");
    diffusion_config_switch(out, kind);
    return SNUG_OK;
}
