/* flow_table.c  The five tables; each function is named after the class whose set_timesteps it is.
 *
 * Source: diffusers 0.42.1 schedulers/scheduling_{unipc_multistep,dpmsolver_multistep,
 * flow_match_euler_discrete}.py; Wan2.2 wan/utils/fm_solvers{,_unipc}.py at 42bf4cf.
 * Levels are f64 until they are stored; the timestep is cut from the f64 value.
 */
#include "sampling/flow_table.h"

#include <math.h>

void flow_table_linspace(double *y, int keep, double start, double stop, int num)
{
    double step = num > 1 ? (stop - start) / (num - 1) : 0.0;
    for (int i = 0; i < keep; i++)
        y[i] = i * step + start;
    if (num > 1 && keep == num) y[num - 1] = stop;
}

static double shifted(double t, double shift)
{
    return shift * t / (1 + (shift - 1) * t);
}

static double shifted_by_mu(double t, double mu, bool linear)
{
    double scale = linear ? mu : exp(mu);
    return scale / (scale + (1 / t - 1));
}

static void shift_all(const Scheduler *s, const SchedulerRun *run, double *y)
{
    const SchedulerConfig *c = &s->config;
    for (int i = 0; i < s->n; i++)
        y[i] = c->dynamic_shift ? shifted_by_mu(y[i], run->mu, c->linear_shift)
                                : shifted(y[i], c->shift);
}

/* Stretch 1 - y so that the last level is shift_terminal. */
static SnugStatus end_at_terminal(const Scheduler *s, double *y, SnugError *err)
{
    double terminal = s->config.shift_terminal;
    if (!(terminal > 0)) return SNUG_OK;
    if (!(y[s->n - 1] < 1))
        return error_set(err, SNUG_ERR_ARG, "%d steps cannot end at shift_terminal %g", s->n,
                         terminal);
    double scale = (1 - y[s->n - 1]) / (1 - terminal);
    for (int i = 0; i < s->n; i++)
        y[i] = 1 - (1 - y[i]) / scale;
    return SNUG_OK;
}

/* Levels become f32, timesteps whole numbers: cut, not rounded. */
static void store(Scheduler *s, const double *y, double last)
{
    for (int i = 0; i < s->n; i++) {
        s->sigmas[i] = (float)y[i];
        s->timesteps[i] = (float)trunc(y[i] * s->config.train_steps);
    }
    s->sigmas[s->n] = (float)last;
}

SnugStatus flow_table_unipc(Scheduler *s, const SchedulerRun *run, SnugError *err)
{
    double y[SCHEDULER_MAX_STEPS];
    flow_table_linspace(y, s->n, 1.0, 1.0 / s->config.train_steps, s->n + 1);
    shift_all(s, run, y);
    TRY(end_at_terminal(s, y, err));
    const double eps = 1e-6; /* keeps log(1 - sigma) finite at pure noise */
    if (fabs(y[0] - 1) < eps) y[0] -= eps;
    store(s, y, s->config.final_sigma_min ? y[s->n - 1] : 0.0);
    return SNUG_OK;
}

SnugStatus flow_table_unipc_orig(Scheduler *s, const SchedulerRun *run, SnugError *err)
{
    (void)err;
    double y[SCHEDULER_MAX_STEPS];
    float most = (float)(1.0 - 1.0 / s->config.train_steps); /* kept in f32 by the class */
    flow_table_linspace(y, s->n, (double)most, 0.0, s->n + 1);
    shift_all(s, run, y);
    store(s, y, 0.0);
    return SNUG_OK;
}

SnugStatus flow_table_dpmpp(Scheduler *s, const SchedulerRun *run, SnugError *err)
{
    (void)err;
    double alphas[SCHEDULER_MAX_STEPS + 1], y[SCHEDULER_MAX_STEPS];
    double shift = s->config.dynamic_shift ? exp(run->mu) : s->config.shift;
    flow_table_linspace(alphas, s->n + 1, 1.0, 1.0 / s->config.train_steps, s->n + 1);
    for (int i = 0; i < s->n; i++)
        y[i] = shifted(1.0 - alphas[s->n - i], shift);
    store(s, y, s->config.final_sigma_min ? s->config.sigma_min : 0.0);
    return SNUG_OK;
}

SnugStatus flow_table_dpmpp_orig(Scheduler *s, const SchedulerRun *run, SnugError *err)
{
    (void)run;
    (void)err;
    double y[SCHEDULER_MAX_STEPS];
    flow_table_linspace(y, s->n, 1.0, 0.0, s->n + 1);
    for (int i = 0; i < s->n; i++)
        y[i] = shifted(y[i], s->config.shift);
    store(s, y, 0.0);
    return SNUG_OK;
}

/* Levels between the first and the last one, evenly in another measure. */
static void respace(const Scheduler *s, double *y)
{
    double first = y[0], last = y[s->n - 1];
    if (s->config.spacing == SIGMAS_KARRAS) {
        const double rho = 7.0; /* arXiv:2206.00364 */
        double high = pow(first, 1 / rho), low = pow(last, 1 / rho);
        flow_table_linspace(y, s->n, 0.0, 1.0, s->n);
        for (int i = 0; i < s->n; i++)
            y[i] = pow(high + y[i] * (low - high), rho);
    } else if (s->config.spacing == SIGMAS_EXPONENTIAL) {
        flow_table_linspace(y, s->n, log(first), log(last), s->n);
        for (int i = 0; i < s->n; i++)
            y[i] = exp(y[i]);
    }
}

/* The pipeline's own levels stay f32 all the way: numpy keeps the type of an f32 array. */
static SnugStatus shift_given(const Scheduler *s, const SchedulerRun *run, double *y,
                              SnugError *err)
{
    const SchedulerConfig *c = &s->config;
    float scale = (float)(!c->dynamic_shift ? c->shift : c->linear_shift ? run->mu : exp(run->mu));
    float less = (float)(c->shift - 1);
    float sigma[SCHEDULER_MAX_STEPS] = { 0 };
    for (int i = 0; i < s->n; i++) {
        float t = run->sigmas[i];
        sigma[i] = c->dynamic_shift ? scale / (scale + (1 / t - 1)) : scale * t / (1 + less * t);
    }
    if (c->shift_terminal > 0) {
        if (!(sigma[s->n - 1] < 1))
            return error_set(err, SNUG_ERR_ARG, "%d steps cannot end at shift_terminal %g", s->n,
                             c->shift_terminal);
        float stretch = (1 - sigma[s->n - 1]) / (float)(1 - c->shift_terminal);
        for (int i = 0; i < s->n; i++)
            sigma[i] = 1 - (1 - sigma[i]) / stretch;
    }
    for (int i = 0; i < s->n; i++)
        y[i] = (double)sigma[i];
    return SNUG_OK;
}

/* The class shifts the ends of its range once when it is made and every level again here: with a
 * fixed shift the table is shifted twice. That is what its users' numbers come from. */
static SnugStatus euler_levels(const Scheduler *s, const SchedulerRun *run, double *y,
                               SnugError *err)
{
    const SchedulerConfig *c = &s->config;
    if (run->sigmas) return shift_given(s, run, y, err);
    float scale = (float)c->shift, less = (float)(c->shift - 1);
    float high = 1.0f, low = 1.0f / (float)c->train_steps;
    if (!c->dynamic_shift) {
        high = scale * high / (1 + less * high);
        low = scale * low / (1 + less * low);
    }
    flow_table_linspace(y, s->n, (double)high * c->train_steps, (double)low * c->train_steps, s->n);
    for (int i = 0; i < s->n; i++)
        y[i] /= c->train_steps;
    shift_all(s, run, y);
    return end_at_terminal(s, y, err);
}

SnugStatus flow_table_euler(Scheduler *s, const SchedulerRun *run, SnugError *err)
{
    double y[SCHEDULER_MAX_STEPS] = { 0 };
    TRY(euler_levels(s, run, y, err));
    respace(s, y);
    for (int i = 0; i < s->n; i++) {
        float sigma = (float)y[i];
        s->sigmas[i] = s->config.invert_sigmas ? 1.0f - sigma : sigma;
        s->timesteps[i] = s->sigmas[i] * (float)s->config.train_steps; /* a fraction stays */
    }
    s->sigmas[s->n] = s->config.invert_sigmas ? 1.0f : 0.0f;
    return SNUG_OK;
}
