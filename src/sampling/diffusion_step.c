/* diffusion_step.c  Coefficients of one step.
 *
 * Euler: arXiv:2206.00364; ancestral: k-diffusion's split of the next level into a way down and
 * fresh noise; DDIM: arXiv:2010.02502 formula 12; DPM-Solver++: arXiv:2211.01095, multistep.
 * Levels, logarithms and their differences are f32 as in the references; sums are folded in f64. */
#include "sampling/diffusion.h"

#include <assert.h>
#include <math.h>

#include "sampling/step_draft.h"

/* Predicted data = x * of_x + v * of_v, at noise / signal `sigma`. For samples scaled by
 * sqrt(sigma^2 + 1), as Euler's are. */
static void euler_data(Prediction p, double sigma, double *of_x, double *of_v)
{
    const double kept = 1.0 / (sigma * sigma + 1.0);
    *of_x = p == PREDICTS_NOISE ? 1.0 : p == PREDICTS_V ? kept : 0.0;
    *of_v = p == PREDICTS_NOISE ? -sigma : p == PREDICTS_V ? -sigma * sqrt(kept) : 1.0;
}

/* x' = x + (x - data) / sigma * way + noise * fresh */
static void euler_to(const Diffusion *d, int i, float way, float fresh, StepProgram *program)
{
    const double sigma = (double)d->sigmas[i], part = (double)way / sigma;
    double of_x, of_v;
    StepDraft x = { 0 };
    euler_data(d->config.prediction, sigma, &of_x, &of_v);
    step_draft_add(&x, SLOT_X, 1.0 + part * (1.0 - of_x));
    step_draft_add(&x, SLOT_V, -part * of_v);
    step_draft_add(&x, SLOT_NOISE, (double)fresh);
    step_draft_close(program, SLOT_X, &x);
}

static float fresh_of(const Diffusion *d, int i)
{
    const float from = d->sigmas[i], to = d->sigmas[i + 1];
    return sqrtf(to * to * (from * from - to * to) / (from * from));
}

static void step_ancestral(const Diffusion *d, int i, StepProgram *program)
{
    const float to = d->sigmas[i + 1], fresh = fresh_of(d, i);
    const float down = sqrtf(to * to - fresh * fresh);
    euler_to(d, i, down - d->sigmas[i], fresh, program);
}

/* ---- DDIM ----------------------------------------------------------------------------------- */

static float ddim_deviation(const Diffusion *d, int i)
{
    const float kept = d->sigmas[i], next = d->next[i];
    return (float)d->eta * sqrtf((1.0f - next) / (1.0f - kept) * (1.0f - kept / next));
}

static void step_ddim(const Diffusion *d, int i, StepProgram *program)
{
    const float kept = d->sigmas[i], next = d->next[i], dev = ddim_deviation(d, i);
    const double a = (double)sqrtf(kept), b = (double)sqrtf(1.0f - kept);
    const double direction = (double)sqrtf(1.0f - next - dev * dev);
    const Prediction p = d->config.prediction;
    StepDraft m = { 0 }, x = { 0 };
    if (p == PREDICTS_NOISE) {
        step_draft_add(&m, SLOT_X, 1.0 / a);
        step_draft_add(&m, SLOT_V, -b / a);
        step_draft_add(&x, SLOT_V, direction);
    } else if (p == PREDICTS_V) {
        step_draft_add(&m, SLOT_X, a);
        step_draft_add(&m, SLOT_V, -b);
        step_draft_add(&x, SLOT_V, direction * a);
        step_draft_add(&x, SLOT_X, direction * b);
    } else {
        step_draft_add(&m, SLOT_V, 1.0);
        step_draft_add(&x, SLOT_X, direction / b);
        step_draft_add(&x, SLOT_V, -direction * a / b);
    }
    step_draft_close(program, SLOT_M, &m);
    program->sum[program->n - 1].limit = (float)d->config.clip;
    step_draft_add(&x, SLOT_M, (double)sqrtf(next));
    step_draft_add(&x, SLOT_NOISE, (double)dev);
    step_draft_close(program, SLOT_X, &x);
}

/* ---- DPM++ ---------------------------------------------------------------------------------- */

/** A level as signal and noise with squares that sum up to 1. */
typedef struct Level {
    float alpha, sigma, lambda;
} Level;

static Level level_of(const Diffusion *d, int i)
{
    Level l;
    l.alpha = 1.0f / sqrtf(d->sigmas[i] * d->sigmas[i] + 1.0f);
    l.sigma = d->sigmas[i] * l.alpha;
    l.lambda = logf(l.alpha) - logf(l.sigma);
    return l;
}

static int dpmpp_order(const Diffusion *d, int i)
{
    const DiffusionConfig *c = &d->config;
    const bool few = c->lower_order_final && d->n < 15;
    int order = c->order;
    if (i == d->n - 1 && (c->euler_at_final || few || !c->final_sigma_min)) order = 1;
    if (i == d->n - 2 && few && order > 2) order = 2;
    return i - d->first + 1 < order ? i - d->first + 1 : order;
}

static StepSlot slot_m(const Diffusion *d, int i)
{
    return (StepSlot)(SLOT_M + i % (d->config.order + 1));
}

static void dpmpp_convert(const Diffusion *d, int i, const Level *l, StepProgram *program)
{
    const double alpha = (double)l->alpha, sigma = (double)l->sigma;
    const Prediction p = d->config.prediction;
    StepDraft m = { 0 };
    if (p != PREDICTS_DATA) step_draft_add(&m, SLOT_X, p == PREDICTS_V ? alpha : 1.0 / alpha);
    step_draft_add(&m, SLOT_V,
                   p == PREDICTS_V       ? -sigma
                   : p == PREDICTS_NOISE ? -sigma / alpha
                                         : 1.0);
    step_draft_close(program, slot_m(d, i), &m);
}

/* coef times the slope of m over the k-th step back, which took 1 / inverse_r of this step */
static void add_slope(const Diffusion *d, int i, StepDraft *x, int k, float inverse_r, double coef)
{
    step_draft_add(x, slot_m(d, i - k), coef * (double)inverse_r);
    step_draft_add(x, slot_m(d, i - k - 1), -coef * (double)inverse_r);
}

/** Weights of data, its slope and its bend over a step of log-ratio h. */
typedef struct StepWeights {
    double sample, data, slope, bend, noise;
} StepWeights;

static StepWeights weights_of(bool stochastic, bool heun, const Level *from, const Level *to,
                              float h)
{
    StepWeights w = { .sample = (double)(to->sigma / from->sigma) };
    if (!stochastic) {
        const float e = expf(-h) - 1.0f;
        w.data = -(double)(to->alpha * e);
        w.slope = heun ? (double)(to->alpha * (e / h + 1.0f)) : 0.5 * w.data;
        w.bend = -(double)(to->alpha * ((e + h) / (h * h) - 0.5f));
        return w;
    }
    const float e = 1.0f - expf(-2.0f * h), twice = 2.0f * h;
    w.sample = (double)(to->sigma / from->sigma * expf(-h));
    w.data = (double)(to->alpha * e);
    w.slope = heun ? (double)(to->alpha * (e / -twice + 1.0f)) : 0.5 * w.data;
    w.bend = (double)(to->alpha * ((e - twice) / (twice * twice) - 0.5f));
    w.noise = (double)(to->sigma * sqrtf(e));
    return w;
}

static void add_third_order(const Diffusion *d, int i, StepDraft *x, const StepWeights *w, float r0,
                            float r1)
{
    const double bend = w->slope * (double)(r0 / (r0 + r1)) + w->bend * (double)(1.0f / (r0 + r1));
    add_slope(d, i, x, 0, 1.0f / r0, w->slope + bend);
    add_slope(d, i, x, 1, 1.0f / r1, -bend);
}

static void step_dpmpp(const Diffusion *d, int i, StepProgram *program)
{
    const Level from = level_of(d, i), to = level_of(d, i + 1);
    const int order = dpmpp_order(d, i);
    const float h = to.lambda - from.lambda;
    const DiffusionConfig *c = &d->config;
    /* the third order takes Heun's weight of the slope, whatever the solver */
    const StepWeights w = weights_of(c->stochastic, c->heun || order == 3, &from, &to, h);
    StepDraft x = { 0 };
    dpmpp_convert(d, i, &from, program);
    step_draft_add(&x, SLOT_X, w.sample);
    step_draft_add(&x, slot_m(d, i), w.data);
    if (w.noise != 0.0) step_draft_add(&x, SLOT_NOISE, w.noise);
    if (order >= 2) {
        const float l1 = level_of(d, i - 1).lambda, r0 = (from.lambda - l1) / h;
        if (order == 2)
            add_slope(d, i, &x, 0, 1.0f / r0, w.slope);
        else
            add_third_order(d, i, &x, &w, r0, (l1 - level_of(d, i - 2).lambda) / h);
    }
    step_draft_close(program, SLOT_X, &x);
}

void diffusion_step(const Diffusion *d, int i, StepProgram *program)
{
    assert(i >= d->first && i < d->n);
    *program = (StepProgram){ 0 };
    switch (d->config.kind) {
    case DIFFUSION_EULER:
        euler_to(d, i, d->sigmas[i + 1] - d->sigmas[i], 0.0f, program);
        break;
    case DIFFUSION_EULER_A:
        step_ancestral(d, i, program);
        break;
    case DIFFUSION_DDIM:
        step_ddim(d, i, program);
        break;
    case DIFFUSION_DPMPP:
    default:
        step_dpmpp(d, i, program);
        break;
    }
}

bool diffusion_wants_noise(const Diffusion *d, int i)
{
    StepProgram program;
    diffusion_step(d, i, &program);
    for (int k = 0; k < program.n; k++)
        for (int t = 0; t < program.sum[k].n; t++)
            if (program.sum[k].from[t] == SLOT_NOISE) return true;
    return false;
}
