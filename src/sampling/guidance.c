/* guidance.c  One fused operation, so that no difference tensor is ever stored. */
#include "sampling/guidance.h"

#include "compute/ops.h"

bool guidance_needs_uncond(float g)
{
    return g != 1.0f;
}

Tensor guidance_apply(Run *r, float g, Tensor uncond, Tensor cond)
{
    if (!guidance_needs_uncond(g)) return cond;
    return op_guide(r, uncond, cond, g);
}
