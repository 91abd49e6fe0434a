/* flow_step.h  The steps: UniPC, DPM-Solver++ and Euler as sums over latents.
 *
 * lambda = log(1 - sigma) - log(sigma) runs from about -9 to +infinity; h is its change over a
 * step. The references compute lambda, h and all that follows in f32 from the f32 level, and with
 * small h that decides digits; so do we, and only fold the nested sums into coefficients in f64. */
#ifndef SAMPLING_FLOW_STEP_H
#define SAMPLING_FLOW_STEP_H

#include "sampling/scheduler.h"

void flow_step_unipc(const Scheduler *s, int i, StepProgram *program);
void flow_step_dpmpp(const Scheduler *s, int i, StepProgram *program);
void flow_step_euler(const Scheduler *s, int i, StepProgram *program);

#endif
