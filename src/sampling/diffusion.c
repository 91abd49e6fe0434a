/* diffusion.c  The table of a run: kept signal from betas, levels, timesteps.
 *
 * Betas are f32 and the kept signal is a product in f64 that is rounded at each step, as torch has
 * it; levels are f64 until they are stored, as numpy has it. */
#include "sampling/diffusion.h"

#include <assert.h>
#include <math.h>

#include "sampling/flow_table.h"

/** The trained table: what is kept of the signal, and noise / signal. */
typedef struct Trained {
    int n;
    float kept[DIFFUSION_MAX_TRAIN], sigma[DIFFUSION_MAX_TRAIN];
} Trained;

/* ---- the trained table ---------------------------------------------------------------------- */

/* torch.linspace in f32: from both ends to the middle. */
static float linspace32(float start, float end, int n, int i)
{
    const float step = (end - start) / (float)(n - 1);
    return i < n / 2 ? fmaf(step, (float)i, start) : fmaf(-step, (float)(n - 1 - i), end);
}

static double cosine_kept(double t)
{
    const double pi = 3.14159265358979323846, c = cos((t + 0.008) / 1.008 * pi / 2.0);
    return c * c;
}

static float beta(const DiffusionConfig *c, int i)
{
    const int n = c->train_steps;
    if (c->betas == BETAS_LINEAR) return linspace32((float)c->beta_start, (float)c->beta_end, n, i);
    if (c->betas == BETAS_SCALED_LINEAR) {
        const float root = linspace32((float)sqrt(c->beta_start), (float)sqrt(c->beta_end), n, i);
        return root * root;
    }
    const double b = 1.0 - cosine_kept((i + 1.0) / n) / cosine_kept((double)i / n);
    return (float)(b < 0.999 ? b : 0.999);
}

/* What is kept is shifted and stretched so that nothing is kept last, and turned into betas again. */
static void rescale(Trained *t)
{
    float last_alpha = 1.0f;
    const float first = sqrtf(t->kept[0]), last = sqrtf(t->kept[t->n - 1]);
    const float stretch = first / (first - last);
    double product = 1.0;
    float before = 0.0f;
    for (int i = 0; i < t->n; i++) {
        const float root = (sqrtf(t->kept[i]) - last) * stretch, bar = root * root;
        last_alpha = 1.0f - (1.0f - (i ? bar / before : bar));
        before = bar;
        product *= (double)last_alpha;
        t->kept[i] = (float)product;
    }
}

static void train(Trained *t, const DiffusionConfig *c)
{
    double product = 1.0;
    t->n = c->train_steps;
    for (int i = 0; i < t->n; i++) {
        product *= (double)(1.0f - beta(c, i));
        t->kept[i] = (float)product;
    }
    if (c->zero_snr) {
        rescale(t);
        if (c->kind != DIFFUSION_DDIM) t->kept[t->n - 1] = 0x1p-24f;
    }
    for (int i = 0; i < t->n; i++)
        t->sigma[i] = sqrtf((1.0f - t->kept[i]) / t->kept[i]);
}

/* numpy.interp of the level at a timestep. */
static double level_at(const Trained *t, double at)
{
    if (at <= 0.0) return (double)t->sigma[0];
    if (at >= t->n - 1) return (double)t->sigma[t->n - 1];
    const int low = (int)at;
    const double a = (double)t->sigma[low];
    return ((double)t->sigma[low + 1] - a) * (at - low) + a;
}

/* The timestep of a level, on the logarithms. */
static double timestep_of(const Trained *t, double sigma)
{
    const double at = log(fmax(sigma, 1e-10));
    int low = 0;
    while (low + 1 < t->n && (double)logf(t->sigma[low + 1]) <= at)
        low++;
    if (low > t->n - 2) low = t->n - 2;
    const float a = logf(t->sigma[low]), b = logf(t->sigma[low + 1]);
    double w = ((double)a - at) / (double)(a - b);
    w = w < 0.0 ? 0.0 : w > 1.0 ? 1.0 : w;
    return (1.0 - w) * low + w * (low + 1);
}

/* ---- timesteps ------------------------------------------------------------------------------ */

/* DPM++ begins where lambda is not below its limit. */
static int last_timestep(const Diffusion *d, const Trained *t)
{
    int n = t->n;
    while (d->config.kind == DIFFUSION_DPMPP && n > 1 &&
           (double)(logf(sqrtf(t->kept[n - 1])) - logf(sqrtf(1.0f - t->kept[n - 1]))) <
               d->config.lambda_min)
        n--;
    return n;
}

/* Whole numbers but for Euler's linspace. DPM++ spaces one step more and leaves out the last. */
static void space(const Diffusion *d, const Trained *t, double *y)
{
    const DiffusionConfig *c = &d->config;
    const bool dpmpp = c->kind == DIFFUSION_DPMPP;
    const int last = last_timestep(d, t), n = d->n, points = dpmpp ? n + 1 : n;
    double even[SCHEDULER_MAX_STEPS + 1];
    const double ratio = (double)t->n / n, delta = (last - ratio) - last;
    flow_table_linspace(even, points, 0.0, last - 1, points);
    for (int i = 0; i < n; i++) {
        const int back = points - 1 - i;
        switch (c->spacing) {
        case SPACING_LINSPACE:
            y[i] = dpmpp || c->kind == DIFFUSION_DDIM ? nearbyint(even[back])
                                                      : (double)(float)even[back];
            break;
        case SPACING_LEADING:
            y[i] = back * (last / points) + c->offset;
            break;
        case SPACING_TRAILING:
        default:
            y[i] = nearbyint(last + i * delta) - 1.0;
            break;
        }
    }
}

static void respace(const Diffusion *d, double first, double last, double *sigmas)
{
    const double rho = 7.0;
    double ramp[SCHEDULER_MAX_STEPS];
    if (d->config.respacing == RESPACING_EXPONENTIAL) {
        flow_table_linspace(sigmas, d->n, log(first), log(last), d->n);
        for (int i = 0; i < d->n; i++)
            sigmas[i] = exp(sigmas[i]);
        return;
    }
    const double low = pow(last, 1.0 / rho), high = pow(first, 1.0 / rho);
    flow_table_linspace(ramp, d->n, 0.0, 1.0, d->n);
    for (int i = 0; i < d->n; i++)
        sigmas[i] = pow(high + ramp[i] * (low - high), rho);
}

/* ---- the run -------------------------------------------------------------------------------- */

/* Levels of Euler's kind and DPM++. */
static void make_levels(Diffusion *d, const Trained *t, double *y)
{
    const DiffusionConfig *c = &d->config;
    const bool dpmpp = c->kind == DIFFUSION_DPMPP;
    double sigmas[SCHEDULER_MAX_STEPS];
    for (int i = 0; i < d->n; i++)
        sigmas[i] = level_at(t, y[i]);
    if (c->respacing != RESPACING_NONE) {
        double first = dpmpp ? (double)t->sigma[t->n - 1] : sigmas[0];
        double last = dpmpp ? (double)t->sigma[0] : sigmas[d->n - 1];
        if (c->sigma_max > 0) first = c->sigma_max;
        if (c->sigma_min > 0) last = c->sigma_min;
        respace(d, first, last, sigmas);
        const bool rounds = dpmpp && c->respacing == RESPACING_KARRAS && c->betas != BETAS_COSINE;
        for (int i = 0; i < d->n; i++) {
            y[i] = timestep_of(t, sigmas[i]);
            if (dpmpp) y[i] = rounds ? nearbyint(y[i]) : trunc(y[i]);
        }
    }
    for (int i = 0; i < d->n; i++)
        d->sigmas[i] = (float)sigmas[i];
    d->sigmas[d->n] = c->final_sigma_min && c->kind != DIFFUSION_EULER_A ? t->sigma[0] : 0.0f;
}

static SnugStatus make_kept(Diffusion *d, const Trained *t, const double *y, SnugError *err)
{
    for (int i = 0; i < d->n; i++) {
        const int at = (int)y[i], next = at - t->n / d->n;
        if (at < 0 || at >= t->n)
            return error_set(err, SNUG_ERR_ARG, "%d steps: timestep %d of %d trained", d->n, at,
                             t->n);
        d->sigmas[i] = t->kept[at];
        d->next[i] = next >= 0 ? t->kept[next] : d->config.final_one ? 1.0f : t->kept[0];
    }
    d->sigmas[d->n] = d->next[d->n - 1];
    return SNUG_OK;
}

/* How the first sample is made of noise and data, and what the network is shown. */
static void make_scales(Diffusion *d, bool from_data)
{
    const float s = d->sigmas[d->first];
    const bool euler = d->config.kind == DIFFUSION_EULER || d->config.kind == DIFFUSION_EULER_A;
    float most = 0.0f;
    for (int i = 0; i < d->n; i++) {
        if (d->sigmas[i] > most) most = d->sigmas[i];
        d->input[i] = euler ? 1.0f / sqrtf(d->sigmas[i] * d->sigmas[i] + 1.0f) : 1.0f;
    }
    if (!from_data) {
        d->start_data = 0.0f;
        d->start_noise = !euler                                 ? 1.0f
                         : d->config.spacing == SPACING_LEADING ? sqrtf(most * most + 1.0f)
                                                                : most;
        return;
    }
    if (d->config.kind == DIFFUSION_DDIM) {
        d->start_data = sqrtf(s);
        d->start_noise = sqrtf(1.0f - s);
    } else {
        d->start_data = euler ? 1.0f : 1.0f / sqrtf(s * s + 1.0f);
        d->start_noise = s * d->start_data;
    }
}

static SnugStatus check_run(const DiffusionConfig *c, const DiffusionRun *run, SnugError *err)
{
    const int most = c->train_steps < SCHEDULER_MAX_STEPS ? c->train_steps : SCHEDULER_MAX_STEPS;
    if (run->steps < 1 || run->steps > most)
        return error_set(err, SNUG_ERR_ARG, "%d steps: 1 to %d", run->steps, most);
    if (run->first < 0 || run->first >= run->steps)
        return error_set(err, SNUG_ERR_ARG, "first step %d: 0 to %d", run->first, run->steps - 1);
    if (!(run->eta >= 0.0 && run->eta <= 1.0))
        return error_set(err, SNUG_ERR_ARG, "eta %g: 0 to 1", run->eta);
    return SNUG_OK;
}

static SnugStatus check_steps(const Diffusion *d, SnugError *err)
{
    for (int i = d->first; i < d->n; i++) {
        StepProgram program;
        diffusion_step(d, i, &program);
        for (int k = 0; k < program.n; k++)
            for (int t = 0; t < program.sum[k].n; t++)
                if (!isfinite(program.sum[k].coef[t]))
                    return error_set(err, SNUG_ERR_ARG,
                                     "%d steps: step %d from level %.9g is not finite", d->n, i,
                                     (double)d->sigmas[i]);
    }
    return SNUG_OK;
}

SnugStatus diffusion_init(Diffusion *d, const DiffusionConfig *config, const DiffusionRun *run,
                          SnugError *err)
{
    Trained trained;
    double y[SCHEDULER_MAX_STEPS];
    *d = (Diffusion){ .config = *config, .n = run->steps, .first = run->first, .eta = run->eta };
    assert(config->train_steps >= 2 && config->train_steps <= DIFFUSION_MAX_TRAIN);
    TRY(check_run(config, run, err));
    train(&trained, config);
    space(d, &trained, y);
    if (config->kind == DIFFUSION_DDIM)
        TRY(make_kept(d, &trained, y, err));
    else
        make_levels(d, &trained, y);
    for (int i = 0; i < d->n; i++)
        d->timesteps[i] = (float)y[i];
    make_scales(d, run->from_data);
    return check_steps(d, err);
}
