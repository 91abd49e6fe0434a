/* stepper.h  Carry a scheduler's steps out on a Run.
 *
 *     Stepper st;
 *     stepper_init(&st);
 *     for (int i = s->first; run_step(r, i - s->first, s->n - s->first); i++) {
 *         Tensor v = network(r, x, s->timesteps[i]);
 *         x = stepper_step(r, &st, s, i, x, v);     // x may be changed between steps
 *     }
 *
 * Between steps a Stepper names the latents that the next step still needs (UniPC of order 2: three
 * in f32); the plan sees their uses like those of any tensor. */
#ifndef SAMPLING_STEPPER_H
#define SAMPLING_STEPPER_H

#include "compute/run.h"
#include "sampling/scheduler.h"

typedef struct Stepper {
    Tensor slot[SLOT_COUNT];
} Stepper;

/** Before the first step of a run. */
void stepper_init(Stepper *stepper);

/** Step i: x is what the network saw, v what it answered, both f32 of one shape. Returns the sample
 *  for step i + 1. Steps are taken in order from s->first; a repeated run needs stepper_init. */
Tensor stepper_step(Run *r, Stepper *stepper, const Scheduler *s, int i, Tensor x, Tensor v);

/** Which latents beside x the steps from `next` on still read: what must be kept of a run between two
 *  steps. SLOT_X and SLOT_V are never among them. */
void stepper_live(const Scheduler *s, int next, bool live[SLOT_COUNT]);

/** The sums of any scheduler's step. `noise`: what its SLOT_NOISE stands for, or NO_TENSOR. */
Tensor stepper_run(Run *r, Stepper *stepper, const StepProgram *program, Tensor x, Tensor v,
                   Tensor noise);

/** data, level `sigma`: (1 - sigma) * data + sigma * noise, where image to image begins. */
Tensor stepper_mix(Run *r, float sigma, Tensor data, Tensor noise);

#endif
