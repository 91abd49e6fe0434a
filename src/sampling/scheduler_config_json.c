/* scheduler_config_json.c  Key by key; which class knows which key is diffusers' business. */
#include "sampling/scheduler_config_json.h"

#include <math.h>
#include <string.h>

/* Options of epsilon models, and those that nobody ships for flow matching. */
static SnugStatus read_kind(SchedulerKind *kind, Json object, SnugError *err)
{
    const char *name;
    TRY(json_require(object, "_class_name", err));
    TRY(json_text(object, "_class_name", NULL, &name, err));
    if (scheduler_kind_of_class(kind, name, strlen(name))) return SNUG_OK;
    return json_fault(json_get(object, "_class_name"), err, FAULT_UNSUPPORTED,
                      "scheduler class %.80s", name);
}

static SnugStatus read_shift(SchedulerConfig *c, Json object, SnugError *err)
{
    static const char *const TYPES[] = { "exponential", "linear", NULL };
    bool flow = c->kind == SCHEDULER_UNIPC || c->kind == SCHEDULER_DPMPP;
    int64_t train_steps;
    TRY(json_int(object, "num_train_timesteps", c->train_steps, 1, 1000000, &train_steps, err));
    c->train_steps = (int)train_steps;
    TRY(json_f64(object, flow ? "flow_shift" : "shift", c->shift, 0, 1e6, &c->shift, err));
    TRY(json_bool(object, "use_dynamic_shifting", false, &c->dynamic_shift, err));
    int type = 0;
    TRY(json_choice(object, "time_shift_type", TYPES, 0, &type, err));
    c->linear_shift = type == 1;
    TRY(json_f64(object, "base_shift", c->base_shift, -50, 50, &c->base_shift, err));
    TRY(json_f64(object, "max_shift", c->max_shift, -50, 50, &c->max_shift, err));
    const int64_t most = INT64_C(1) << 40;
    TRY(json_int(object, "base_image_seq_len", c->base_tokens, 0, most, &c->base_tokens, err));
    TRY(json_int(object, "max_image_seq_len", c->max_tokens, 0, most, &c->max_tokens, err));
    return SNUG_OK;
}

static SnugStatus read_spacing(SchedulerConfig *c, Json object, SnugError *err)
{
    bool karras, exponential;
    TRY(json_only_bool(object, "use_beta_sigmas", false, false, err));
    TRY(json_only_bool(object, "use_lu_lambdas", false, false, err));
    TRY(json_bool(object, "use_karras_sigmas", false, &karras, err));
    TRY(json_bool(object, "use_exponential_sigmas", false, &exponential, err));
    if (karras && exponential)
        return json_fault(object, err, FAULT_BAD,
                          "use_karras_sigmas and use_exponential_sigmas are both set");
    if (karras) c->spacing = SIGMAS_KARRAS;
    if (exponential) c->spacing = SIGMAS_EXPONENTIAL;
    TRY(json_f64(object, "shift_terminal", 0, 0, 1, &c->shift_terminal, err));
    return SNUG_OK;
}

/* Each class takes the other's solver types as its own default. */
static SnugStatus read_solver(SchedulerConfig *c, Json object, SnugError *err)
{
    static const char *const TYPES[] = { "bh1", "bh2", "midpoint", "heun", "logrho", NULL };
    enum { BH1, BH2, MIDPOINT, HEUN };
    bool unipc = c->solver == SOLVER_BH2;
    int type;
    TRY(json_choice(object, "solver_type", TYPES, unipc ? BH2 : MIDPOINT, &type, err));
    if (unipc) c->solver = type == BH1 ? SOLVER_BH1 : SOLVER_BH2;
    if (!unipc) c->solver = type == HEUN ? SOLVER_HEUN : SOLVER_MIDPOINT;
    int64_t order;
    TRY(json_int(object, "solver_order", c->order, 1, 3, &order, err));
    c->order = (int)order;
    TRY(json_bool(object, "lower_order_final", true, &c->lower_order_final, err));
    return SNUG_OK;
}

static SnugStatus read_uncorrected(SchedulerConfig *c, Json object, SnugError *err)
{
    int64_t steps[64];
    int n;
    TRY(json_ints(object, "disable_corrector", 0, 63, steps, 64, &n, err));
    for (int i = 0; i < n; i++)
        c->uncorrected |= UINT64_C(1) << steps[i];
    return SNUG_OK;
}

/* DPM++ can end at the lowest level of the epsilon table, also with flow levels: f32 as there. */
static SnugStatus read_sigma_min(SchedulerConfig *c, Json object, SnugError *err)
{
    static const char *const SCHEDULES[] = { "linear", "scaled_linear", NULL };
    double start;
    int schedule = 0;
    TRY(json_f64(object, "beta_start", 0.0001, 0, 1, &start, err));
    TRY(json_choice(object, "beta_schedule", SCHEDULES, 0, &schedule, err));
    TRY(json_only_null(object, "trained_betas", err));
    TRY(json_only_bool(object, "rescale_betas_zero_snr", false, false, err));
    float root = (float)sqrt(start);
    float kept = 1.0f - (schedule == 1 ? root * root : (float)start);
    c->sigma_min = (double)sqrtf((1.0f - kept) / kept);
    return SNUG_OK;
}

static SnugStatus read_multistep(SchedulerConfig *c, Json object, SnugError *err)
{
    static const char *const PREDICTIONS[] = { "flow_prediction", "epsilon", NULL };
    static const char *const ALGORITHMS[] = { "dpmsolver++", "deis", NULL };
    static const char *const FINALS[] = { "zero", "sigma_min", NULL };
    bool orig = c->kind == SCHEDULER_UNIPC_ORIG || c->kind == SCHEDULER_DPMPP_ORIG;
    int prediction, algorithm = 0, final = 0;
    TRY(json_choice(object, "prediction_type", PREDICTIONS, orig ? 0 : 1, &prediction, err));
    if (prediction != 0)
        return json_fault(object, err, FAULT_UNSUPPORTED,
                          "prediction_type is only supported when flow_prediction");
    if (!orig) TRY(json_only_bool(object, "use_flow_sigmas", true, false, err));
    TRY(json_only_bool(object, "thresholding", false, false, err));
    TRY(read_solver(c, object, err));
    TRY(json_choice(object, "final_sigmas_type", FINALS, 0, &final, err));
    c->final_sigma_min = final == 1;
    if (c->kind == SCHEDULER_UNIPC || c->kind == SCHEDULER_UNIPC_ORIG) {
        TRY(json_only_bool(object, "predict_x0", true, true, err));
        TRY(json_only_null(object, "solver_p", err));
        return read_uncorrected(c, object, err);
    }
    TRY(json_choice(object, "algorithm_type", ALGORITHMS, 0, &algorithm, err));
    TRY(json_bool(object, "euler_at_final", false, &c->euler_at_final, err));
    return c->final_sigma_min ? read_sigma_min(c, object, err) : SNUG_OK;
}

SnugStatus scheduler_config_json_read(SchedulerConfig *out, Json object, SnugError *err)
{
    SchedulerKind kind;
    TRY(read_kind(&kind, object, err));
    scheduler_config_defaults(out, kind);
    TRY(read_shift(out, object, err));
    TRY(read_spacing(out, object, err));
    if (kind == SCHEDULER_EULER) {
        TRY(json_only_bool(object, "stochastic_sampling", false, false, err));
        TRY(json_bool(object, "invert_sigmas", false, &out->invert_sigmas, err));
    } else {
        TRY(read_multistep(out, object, err));
    }
    SnugError why;
    if (scheduler_config_check(out, &why) != SNUG_OK)
        return json_fault(object, err, FAULT_BAD, "%s", why.text);
    return SNUG_OK;
}
