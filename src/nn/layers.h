/* layers.h  Layers that several networks share, on top of operations. */
#ifndef NN_LAYERS_H
#define NN_LAYERS_H

#include "compute/ops.h"
#include "nn/weights.h"

/** x [R, in] -> [R, out]. */
static inline Tensor nn_linear(Run *r, Tensor x, const Linear *l)
{
    return op_linear(r, x, l->weight, l->bias, ACT_NONE);
}
/** Dense layer with the activation fused. */
static inline Tensor nn_linear_act(Run *r, Tensor x, const Linear *l, Activation act)
{
    return op_linear(r, x, l->weight, l->bias, act);
}
/** 2-D convolution of every frame, zero padding `pad` all round. */
Tensor nn_conv2d(Run *r, Tensor x, const Conv *c, int pad, int upsample);

#endif
