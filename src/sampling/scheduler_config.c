/* scheduler_config.c  Names, class defaults and limits of scheduler options. */
#include "sampling/scheduler_config.h"

#include <math.h>
#include <string.h>

#include "sampling/scheduler.h"

static const struct {
    const char *name, *class_name;
} NAMES[SCHEDULER_KINDS] = {
    [SCHEDULER_UNIPC] = { "unipc", "UniPCMultistepScheduler" },
    [SCHEDULER_UNIPC_ORIG] = { "unipc-orig", "FlowUniPCMultistepScheduler" },
    [SCHEDULER_EULER] = { "euler", "FlowMatchEulerDiscreteScheduler" },
    [SCHEDULER_DPMPP] = { "dpm++", "DPMSolverMultistepScheduler" },
    [SCHEDULER_DPMPP_ORIG] = { "dpm++-orig", "FlowDPMSolverMultistepScheduler" },
};

static bool is_unipc(SchedulerKind kind)
{
    return kind == SCHEDULER_UNIPC || kind == SCHEDULER_UNIPC_ORIG;
}

static bool is_dpmpp(SchedulerKind kind)
{
    return kind == SCHEDULER_DPMPP || kind == SCHEDULER_DPMPP_ORIG;
}

const char *scheduler_kind_name(SchedulerKind kind)
{
    return NAMES[kind].name;
}

const char *scheduler_kind_class(SchedulerKind kind)
{
    return NAMES[kind].class_name;
}

SnugStatus scheduler_kind_of_name(SchedulerKind *out, const char *name, SnugError *err)
{
    for (int k = 0; k < SCHEDULER_KINDS; k++) {
        if (strcmp(name, NAMES[k].name) == 0) {
            *out = (SchedulerKind)k;
            return SNUG_OK;
        }
    }
    SnugStatus status = error_set(err, SNUG_ERR_ARG, "%s", "");
    for (int k = SCHEDULER_KINDS - 1; k >= 0; k--)
        status =
            error_wrap(err, status, " %s%s", NAMES[k].name, k + 1 < SCHEDULER_KINDS ? "," : "");
    return error_wrap(err, status, "scheduler '%.40s': there are", name);
}

bool scheduler_kind_of_class(SchedulerKind *out, const char *name, size_t n)
{
    for (int k = 0; k < SCHEDULER_KINDS; k++) {
        const char *class_name = NAMES[k].class_name;
        if (strlen(class_name) == n && memcmp(class_name, name, n) == 0) {
            *out = (SchedulerKind)k;
            return true;
        }
    }
    return false;
}

void scheduler_config_defaults(SchedulerConfig *config, SchedulerKind kind)
{
    *config = (SchedulerConfig){
        .kind = kind,
        .train_steps = 1000,
        .shift = 1.0,
        .base_shift = 0.5,
        .max_shift = 1.15,
        .base_tokens = 256,
        .max_tokens = 4096,
        .order = kind == SCHEDULER_EULER ? 1 : 2,
        .solver = is_unipc(kind) ? SOLVER_BH2 : SOLVER_MIDPOINT,
        .lower_order_final = true,
    };
}

void scheduler_config_switch(SchedulerConfig *config, SchedulerKind kind)
{
    SchedulerConfig old = *config;
    scheduler_config_defaults(config, kind);
    config->train_steps = old.train_steps;
    config->shift = old.shift;
    config->dynamic_shift = old.dynamic_shift;
    config->linear_shift = old.linear_shift;
    config->base_shift = old.base_shift;
    config->max_shift = old.max_shift;
    config->base_tokens = old.base_tokens;
    config->max_tokens = old.max_tokens;
}

/* What no scheduler can do with. */
static SnugStatus check_ranges(const SchedulerConfig *c, SnugError *err)
{
    if (c->train_steps < 1 || c->train_steps > 1000000)
        return error_set(err, SNUG_ERR_ARG, "%d train timesteps: 1 to 1000000", c->train_steps);
    if (!(c->shift > 0 && c->shift <= 1e6))
        return error_set(err, SNUG_ERR_ARG, "shift %g: above 0, at most 1e6", c->shift);
    if (!(c->shift_terminal >= 0 && c->shift_terminal < 1))
        return error_set(err, SNUG_ERR_ARG, "shift_terminal %g: 0 to below 1", c->shift_terminal);
    if (c->order < 1 || c->order > SCHEDULER_MAX_ORDER)
        return error_set(err, SNUG_ERR_ARG, "solver order %d: 1 to 3", c->order);
    if (!isfinite(c->base_shift) || !isfinite(c->max_shift) || c->base_tokens < 0 ||
        c->max_tokens <= c->base_tokens)
        return error_set(err, SNUG_ERR_ARG,
                         "dynamic shift from %g at %lld tokens to %g at %lld tokens", c->base_shift,
                         (long long)c->base_tokens, c->max_shift, (long long)c->max_tokens);
    return SNUG_OK;
}

/* What this class has no option for, or what its reference turns into infinities. */
static const char *impossible(const SchedulerConfig *c)
{
    bool bh = c->solver == SOLVER_BH1 || c->solver == SOLVER_BH2;
    bool orig = c->kind == SCHEDULER_UNIPC_ORIG || c->kind == SCHEDULER_DPMPP_ORIG;
    if (c->spacing != SIGMAS_FLOW && c->kind != SCHEDULER_EULER)
        return "Karras and exponential sigmas are only supported by euler";
    if (c->invert_sigmas && c->kind != SCHEDULER_EULER) return "only euler can invert sigmas";
    if (c->shift_terminal > 0 && c->kind != SCHEDULER_EULER && c->kind != SCHEDULER_UNIPC)
        return "only euler and unipc can end at shift_terminal";
    if (is_unipc(c->kind) && !bh) return "the solver is bh1 or bh2";
    if (is_dpmpp(c->kind) && bh) return "the solver is midpoint or heun";
    if (c->final_sigma_min && (orig || c->kind == SCHEDULER_EULER))
        return "the last sigma can only be zero";
    if (c->final_sigma_min && is_dpmpp(c->kind) && !(c->sigma_min > 0 && c->sigma_min < 1))
        return "sigma_min lies between 0 and 1";
    if (c->dynamic_shift && c->kind == SCHEDULER_DPMPP_ORIG) return "no dynamic shifting";
    if (c->dynamic_shift && c->linear_shift && (is_dpmpp(c->kind) || orig))
        return "dynamic shifting is only exponential";
    if (is_unipc(c->kind) && !c->lower_order_final && c->order > 1 && !c->final_sigma_min)
        return "a last step of full order to sigma zero is infinite: set lower_order_final";
    return NULL;
}

SnugStatus scheduler_config_check(const SchedulerConfig *config, SnugError *err)
{
    SnugStatus status = check_ranges(config, err);
    const char *why = status == SNUG_OK ? impossible(config) : NULL;
    if (why) status = error_set(err, SNUG_ERR_ARG, "%s", why);
    return error_wrap(err, status, "scheduler %s: ", scheduler_kind_name(config->kind));
}
