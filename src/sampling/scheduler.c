/* scheduler.c  One table from kind to functions; checks that no step can be infinite. */
#include "sampling/scheduler.h"

#include <assert.h>
#include <math.h>

#include "sampling/flow_step.h"
#include "sampling/flow_table.h"

static const struct {
    SnugStatus (*table)(Scheduler *s, const SchedulerRun *run, SnugError *err);
    void (*step)(const Scheduler *s, int i, StepProgram *program);
} CLASSES[SCHEDULER_KINDS] = {
    [SCHEDULER_UNIPC] = { flow_table_unipc, flow_step_unipc },
    [SCHEDULER_UNIPC_ORIG] = { flow_table_unipc_orig, flow_step_unipc },
    [SCHEDULER_EULER] = { flow_table_euler, flow_step_euler },
    [SCHEDULER_DPMPP] = { flow_table_dpmpp, flow_step_dpmpp },
    [SCHEDULER_DPMPP_ORIG] = { flow_table_dpmpp_orig, flow_step_dpmpp },
};

void scheduler_step(const Scheduler *s, int i, StepProgram *program)
{
    assert(i >= s->first && i < s->n);
    CLASSES[s->config.kind].step(s, i, program);
}

static SnugStatus check_run(const Scheduler *s, const SchedulerRun *run, SnugError *err)
{
    if (run->steps < 1 || run->steps > SCHEDULER_MAX_STEPS)
        return error_set(err, SNUG_ERR_ARG, "%d steps: 1 to %d", run->steps, SCHEDULER_MAX_STEPS);
    if (run->first < 0 || run->first >= run->steps)
        return error_set(err, SNUG_ERR_ARG, "first step %d: 0 to %d", run->first, run->steps - 1);
    if (run->sigmas && s->config.kind != SCHEDULER_EULER)
        return error_set(err, SNUG_ERR_ARG, "only euler takes the pipeline's own sigmas");
    if (s->config.dynamic_shift &&
        (!(fabs(run->mu) <= 50) || (s->config.linear_shift && !(run->mu > 0))))
        return error_set(err, SNUG_ERR_ARG, "mu %g: within 50, above 0 for a linear shift",
                         run->mu);
    return SNUG_OK;
}

/* Levels that coincide in f32, or lie outside 0..1, show as sums that are not finite or as such. */
static SnugStatus check_steps(const Scheduler *s, SnugError *err)
{
    for (int i = 0; i <= s->n; i++)
        if (!(s->sigmas[i] >= 0.0f && s->sigmas[i] <= 1.0f))
            return error_set(err, SNUG_ERR_ARG, "%d steps: level %d is %g, outside 0 to 1", s->n, i,
                             (double)s->sigmas[i]);
    for (int i = s->first; i < s->n; i++) {
        StepProgram program;
        scheduler_step(s, i, &program);
        for (int k = 0; k < program.n; k++)
            for (int t = 0; t < program.sum[k].n; t++)
                if (!isfinite(program.sum[k].coef[t]))
                    return error_set(err, SNUG_ERR_ARG,
                                     "%d steps: step %d from level %.9g to %.9g is not finite; "
                                     "take fewer steps or a smaller shift",
                                     s->n, i, (double)s->sigmas[i], (double)s->sigmas[i + 1]);
    }
    return SNUG_OK;
}

SnugStatus scheduler_init(Scheduler *s, const SchedulerConfig *config, const SchedulerRun *run,
                          SnugError *err)
{
    *s = (Scheduler){ .config = *config, .n = run->steps, .first = run->first };
    if (run->shift != 0) s->config.shift = run->shift;
    TRY(scheduler_config_check(&s->config, err));
    SnugStatus status = check_run(s, run, err);
    if (status == SNUG_OK) status = CLASSES[config->kind].table(s, run, err);
    if (status == SNUG_OK) status = check_steps(s, err);
    return error_wrap(err, status, "scheduler %s: ", scheduler_kind_name(config->kind));
}

double scheduler_mu(const SchedulerConfig *config, int64_t tokens)
{
    double slope = (config->max_shift - config->base_shift) /
                   (double)(config->max_tokens - config->base_tokens);
    double at_zero = config->base_shift - slope * (double)config->base_tokens;
    return (double)tokens * slope + at_zero;
}
