/* steps.h  Whole runs of a sampler on plain arrays, as golden_sampling.py and golden_diffusion.py do them. */
#ifndef TESTS_SAMPLING_STEPS_H
#define TESTS_SAMPLING_STEPS_H

#include "test.h"

#include "sampling/scheduler.h"

enum { VALUES = 96, KEPT = 8 };

/** The made-up network: the same f32 operations in the same order. */
static inline float steps_network(float x, float t)
{
    float weight = t * 0.0004f + 0.6f;
    return (x * 0.5f + 0.25f) / (x * x * 0.25f + 1.0f) * weight;
}

/** Slots before the first step: nothing may read what was never written. */
static inline void steps_start(float (*slot)[VALUES], const float *start)
{
    for (int k = 0; k < SLOT_COUNT; k++)
        for (int j = 0; j < VALUES; j++)
            slot[k][j] = NAN;
    memcpy(slot[SLOT_X], start, sizeof slot[0]);
}

/** What op_combine and op_clamp do. */
static inline void steps_sum(float (*slot)[VALUES], const StepProgram *program)
{
    for (int i = 0; i < program->n; i++) {
        const StepSum *sum = &program->sum[i];
        float y[VALUES];
        for (int j = 0; j < VALUES; j++) {
            y[j] = sum->coef[0] * slot[sum->from[0]][j];
            for (int k = 1; k < sum->n; k++)
                y[j] = fmaf(sum->coef[k], slot[sum->from[k]][j], y[j]);
            if (sum->limit > 0) y[j] = fminf(fmaxf(y[j], -sum->limit), sum->limit);
        }
        memcpy(slot[sum->to], y, sizeof y);
    }
}

#endif
