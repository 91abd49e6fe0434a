/* guidance.h  Classifier-free guidance: v = u + g * (c - u), in f32 and in the references' order.
 *
 * Wan runs both branches at any scale, diffusers leaves u out at g <= 1. Here u is left out at
 * g = 1 only, where the result is c: u + (c - u) differs from it by roundings of c - u and of the
 * sum, at most 1.2e-7 (|u| + |c|). Below 1 it is a blend, as in Wan. */
#ifndef SAMPLING_GUIDANCE_H
#define SAMPLING_GUIDANCE_H

#include "compute/run.h"

/** Does scale g need the unconditional branch at all? */
bool guidance_needs_uncond(float g);

/** The guided velocity. `uncond` may be NO_TENSOR when it is not needed. */
Tensor guidance_apply(Run *r, float g, Tensor uncond, Tensor cond);

#endif
