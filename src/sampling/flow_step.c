/* flow_step.c  Coefficients of one step.
 *
 * UniPC: arXiv:2302.04867, predictor B(h) and corrector; DPM-Solver++: arXiv:2211.01095, multistep.
 * Source: diffusers 0.42.1 scheduling_unipc_multistep.py and scheduling_dpmsolver_multistep.py; the
 * Flow* classes of Wan2.2 do the same steps on other tables. The trap in UniPC: the network's
 * velocity is turned into data with the sample it saw, before the corrector improves that sample.
 */
#include "sampling/flow_step.h"

#include <math.h>

#include "sampling/step_draft.h"

static float lambda(float sigma)
{
    return logf(1.0f - sigma) - logf(sigma);
}

/* Where the prediction of step i is kept: one more place than the order needs, because the
 * corrector wants the oldest beside the newest. */
static StepSlot slot_m(const Scheduler *s, int i)
{
    return (StepSlot)(SLOT_M + i % (s->config.order + 1));
}

/* m = x - sigma * v */
static void convert(const Scheduler *s, int i, StepProgram *program)
{
    StepDraft m = { 0 };
    step_draft_add(&m, SLOT_X, 1.0);
    step_draft_add(&m, SLOT_V, -(double)s->sigmas[i]);
    step_draft_close(program, slot_m(s, i), &m);
}

/* Solve a x = b in f32 for n <= 3, with row exchange as LAPACK does; a and b are used up. */
static void solve(int n, float a[SCHEDULER_MAX_ORDER][SCHEDULER_MAX_ORDER], float *b)
{
    for (int k = 0; k < n; k++) {
        int best = k;
        for (int row = k + 1; row < n; row++)
            if (fabsf(a[row][k]) > fabsf(a[best][k])) best = row;
        for (int col = 0; col < n && best != k; col++) {
            float t = a[k][col];
            a[k][col] = a[best][col];
            a[best][col] = t;
        }
        float t = b[k];
        b[k] = b[best];
        b[best] = t;
        for (int row = k + 1; row < n; row++) {
            float factor = a[row][k] / a[k][k];
            for (int col = k; col < n; col++)
                a[row][col] -= factor * a[k][col];
            b[row] -= factor * b[k];
        }
    }
    for (int k = n - 1; k >= 0; k--) {
        for (int col = k + 1; col < n; col++)
            b[k] -= a[k][col] * b[col];
        b[k] /= a[k][k];
    }
}

/* The exponential integrals of a UniPC step of log-ratio h. */
typedef struct Phi {
    float first;                  /* e^-h - 1 */
    float scale;                  /* B(h) */
    float b[SCHEDULER_MAX_ORDER]; /* right-hand side for the weights */
} Phi;

static Phi phi_of(SolverType solver, float h, int order)
{
    float hh = -h;
    Phi phi = { .first = expm1f(hh) };
    phi.scale = solver == SOLVER_BH1 ? hh : phi.first;
    float k = phi.first / hh - 1.0f;
    int factorial = 1;
    for (int i = 0; i < order; i++) {
        phi.b[i] = k * (float)factorial / phi.scale;
        factorial *= i + 2;
        k = k / hh - (float)(1.0 / factorial);
    }
    return phi;
}

/* weights = solution of sum_k r[k]^j weights[k] = b[j], j < n */
static void weights_of(int n, const float *r, const float *b, float *weights)
{
    float a[SCHEDULER_MAX_ORDER][SCHEDULER_MAX_ORDER];
    for (int k = 0; k < n; k++) {
        a[0][k] = 1.0f;
        for (int j = 1; j < n; j++)
            a[j][k] = a[j - 1][k] * r[k];
        weights[k] = b[k];
    }
    solve(n, a, weights);
}

/* Predictor order of step i: warm-up at the beginning, lower again at the end. */
static int unipc_order(const Scheduler *s, int i)
{
    int order = s->config.order;
    if (s->config.lower_order_final && s->n - i < order) order = s->n - i;
    return i - s->first + 1 < order ? i - s->first + 1 : order;
}

static bool corrects(const Scheduler *s, int i)
{
    return i > s->first && (i > 64 || !(s->config.uncorrected >> (i - 1) & 1));
}

/* From level i - 1 to i once more, now that m at level i is known. */
static void correct(const Scheduler *s, int i, StepProgram *program)
{
    int order = unipc_order(s, i - 1);
    float l0 = lambda(s->sigmas[i - 1]), h = lambda(s->sigmas[i]) - l0;
    float r[SCHEDULER_MAX_ORDER], rho[SCHEDULER_MAX_ORDER] = { 0.5f };
    for (int k = 0; k < order - 1; k++)
        r[k] = (lambda(s->sigmas[i - 2 - k]) - l0) / h;
    r[order - 1] = 1.0f;
    Phi phi = phi_of(s->config.solver, h, order);
    if (order > 1) weights_of(order, r, phi.b, rho);

    double alpha = (double)(1.0f - s->sigmas[i]), scale = alpha * (double)phi.scale;
    StepSlot m0 = slot_m(s, i - 1);
    StepDraft x = { 0 };
    step_draft_add(&x, SLOT_LAST, (double)(s->sigmas[i] / s->sigmas[i - 1]));
    step_draft_add(&x, m0, -alpha * (double)phi.first);
    for (int k = 0; k < order; k++) {
        double weight = scale * (double)rho[k] / (double)r[k];
        step_draft_add(&x, k < order - 1 ? slot_m(s, i - 2 - k) : slot_m(s, i), -weight);
        step_draft_add(&x, m0, weight);
    }
    step_draft_close(program, SLOT_LAST, &x);
}

/* From level i to i + 1. */
static void predict(const Scheduler *s, int i, StepProgram *program)
{
    int order = unipc_order(s, i);
    float l0 = lambda(s->sigmas[i]), h = lambda(s->sigmas[i + 1]) - l0;
    StepSlot m0 = slot_m(s, i);
    StepDraft x = { 0 };
    step_draft_add(&x, SLOT_LAST, (double)(s->sigmas[i + 1] / s->sigmas[i]));
    if (h != 0.0f) { /* zero where the table ends by repeating its last level */
        float r[SCHEDULER_MAX_ORDER], rho[SCHEDULER_MAX_ORDER] = { 0.5f };
        for (int k = 0; k < order - 1; k++)
            r[k] = (lambda(s->sigmas[i - 1 - k]) - l0) / h;
        Phi phi = phi_of(s->config.solver, h, order);
        if (order > 2) weights_of(order - 1, r, phi.b, rho);
        double alpha = (double)(1.0f - s->sigmas[i + 1]);
        step_draft_add(&x, m0, -alpha * (double)phi.first);
        for (int k = 0; k < order - 1; k++) {
            double weight = alpha * (double)phi.scale * (double)rho[k] / (double)r[k];
            step_draft_add(&x, slot_m(s, i - 1 - k), -weight);
            step_draft_add(&x, m0, weight);
        }
    }
    step_draft_close(program, SLOT_X, &x);
}

void flow_step_unipc(const Scheduler *s, int i, StepProgram *program)
{
    *program = (StepProgram){ 0 };
    convert(s, i, program);
    if (corrects(s, i)) {
        correct(s, i, program);
    } else {
        StepDraft same = { 0 };
        step_draft_add(&same, SLOT_X, 1.0);
        step_draft_close(program, SLOT_LAST, &same);
    }
    predict(s, i, program);
}

static int dpmpp_order(const Scheduler *s, int i)
{
    const SchedulerConfig *c = &s->config;
    bool few = c->lower_order_final && s->n < 15;
    int order = c->order;
    if (i == s->n - 1 && (c->euler_at_final || few || !c->final_sigma_min)) order = 1;
    if (i == s->n - 2 && few && order > 2) order = 2;
    return i - s->first + 1 < order ? i - s->first + 1 : order;
}

/* coef times the slope of m over the k-th step back, which took r of this step's h */
static void add_slope(const Scheduler *s, int i, StepDraft *x, int k, double inverse_r, double coef)
{
    step_draft_add(x, slot_m(s, i - k), coef * inverse_r);
    step_draft_add(x, slot_m(s, i - k - 1), -coef * inverse_r);
}

void flow_step_dpmpp(const Scheduler *s, int i, StepProgram *program)
{
    *program = (StepProgram){ 0 };
    convert(s, i, program);
    int order = dpmpp_order(s, i);
    float next = s->sigmas[i + 1], alpha = 1.0f - next;
    float l0 = lambda(s->sigmas[i]), h = lambda(next) - l0;
    float e = expf(-h) - 1.0f;
    double first = (double)(alpha * e);
    StepDraft x = { 0 };
    step_draft_add(&x, SLOT_X, (double)(next / s->sigmas[i]));
    step_draft_add(&x, slot_m(s, i), -first);
    if (order == 2) {
        float r0 = (l0 - lambda(s->sigmas[i - 1])) / h;
        double slope =
            s->config.solver == SOLVER_HEUN ? (double)(alpha * (e / h + 1.0f)) : -0.5 * first;
        add_slope(s, i, &x, 0, (double)(1.0f / r0), slope);
    } else if (order == 3) {
        float l1 = lambda(s->sigmas[i - 1]);
        float r0 = (l0 - l1) / h, r1 = (l1 - lambda(s->sigmas[i - 2])) / h;
        double d1 = (double)(alpha * (e / h + 1.0f));
        double d2 = -(double)(alpha * ((e + h) / (h * h) - 0.5f));
        /* D1 = s0 + r0 / (r0 + r1) (s0 - s1), D2 = (s0 - s1) / (r0 + r1); r1 may be infinite */
        double bend = d1 * (double)(r0 / (r0 + r1)) + d2 * (double)(1.0f / (r0 + r1));
        add_slope(s, i, &x, 0, (double)(1.0f / r0), d1 + bend);
        add_slope(s, i, &x, 1, (double)(1.0f / r1), -bend);
    }
    step_draft_close(program, SLOT_X, &x);
}

void flow_step_euler(const Scheduler *s, int i, StepProgram *program)
{
    *program = (StepProgram){ 0 };
    StepDraft x = { 0 };
    step_draft_add(&x, SLOT_X, 1.0);
    step_draft_add(&x, SLOT_V, (double)(s->sigmas[i + 1] - s->sigmas[i]));
    step_draft_close(program, SLOT_X, &x);
}
