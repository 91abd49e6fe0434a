/* stepper.c  Sums over slots become combine operations; a renaming costs nothing. */
#include "sampling/stepper.h"

#include "compute/ops.h"

void stepper_init(Stepper *stepper)
{
    for (int i = 0; i < SLOT_COUNT; i++)
        stepper->slot[i] = NO_TENSOR;
}

static Tensor sum_up(Run *r, const Stepper *stepper, const StepSum *sum)
{
    Tensor x[STEP_MAX_TERMS];
    if (!run_ok(r)) return NO_TENSOR;
    for (int i = 0; i < sum->n; i++) {
        x[i] = stepper->slot[sum->from[i]];
        if (!tensor_exists(x[i]))
            return run_fail(r, SNUG_ERR_INTERNAL, "sampling: steps are not taken in order");
    }
    if (sum->n == 1 && sum->coef[0] == 1.0f) return x[0];
    return op_combine(r, sum->n, sum->coef, x);
}

Tensor stepper_run(Run *r, Stepper *stepper, const StepProgram *program, Tensor x, Tensor v,
                   Tensor noise)
{
    stepper->slot[SLOT_X] = x;
    stepper->slot[SLOT_V] = v;
    stepper->slot[SLOT_NOISE] = noise;
    for (int k = 0; k < program->n; k++) {
        const StepSum *sum = &program->sum[k];
        Tensor y = sum_up(r, stepper, sum);
        stepper->slot[sum->to] = sum->limit > 0 ? op_clamp(r, y, -sum->limit, sum->limit) : y;
    }
    return stepper->slot[SLOT_X];
}

Tensor stepper_step(Run *r, Stepper *stepper, const Scheduler *s, int i, Tensor x, Tensor v)
{
    StepProgram program;
    scheduler_step(s, i, &program);
    return stepper_run(r, stepper, &program, x, v, NO_TENSOR);
}

void stepper_live(const Scheduler *s, int next, bool live[SLOT_COUNT])
{
    bool written[SLOT_COUNT] = { [SLOT_X] = true, [SLOT_V] = true };
    for (int slot = 0; slot < SLOT_COUNT; slot++)
        live[slot] = false;
    for (int i = next; i < s->n; i++) {
        StepProgram program;
        scheduler_step(s, i, &program);
        for (int k = 0; k < program.n; k++) {
            const StepSum *sum = &program.sum[k];
            for (int t = 0; t < sum->n; t++)
                if (!written[sum->from[t]]) live[sum->from[t]] = true;
            written[sum->to] = true;
        }
    }
}

Tensor stepper_mix(Run *r, float sigma, Tensor data, Tensor noise)
{
    const float coef[] = { 1.0f - sigma, sigma };
    const Tensor x[] = { data, noise };
    return op_combine(r, 2, coef, x);
}
