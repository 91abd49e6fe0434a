/* step_draft.h  A sum over slots under construction: one f64 coefficient per slot until complete. */
#ifndef SAMPLING_STEP_DRAFT_H
#define SAMPLING_STEP_DRAFT_H

#include "sampling/scheduler.h"

/** Zeroed at first. */
typedef struct StepDraft {
    double coef[SLOT_COUNT];
    bool used[SLOT_COUNT];
} StepDraft;

static inline void step_draft_add(StepDraft *draft, StepSlot slot, double coef)
{
    draft->coef[slot] += coef;
    draft->used[slot] = true;
}

/** Terms in slot order: the sample first, then predictions. Zero terms go: the last step to sigma 0
 *  is a renaming of m, and steps from infinite lambda do not read a history that is not there. */
static inline void step_draft_close(StepProgram *program, StepSlot to, const StepDraft *draft)
{
    StepSum *sum = &program->sum[program->n++];
    *sum = (StepSum){ .to = to };
    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        float coef = (float)draft->coef[slot];
        if (!draft->used[slot] || coef == 0.0f) continue;
        sum->from[sum->n] = (StepSlot)slot;
        sum->coef[sum->n++] = coef;
    }
}

#endif
