/* layers.h  Layers that several networks share, on top of operations. */
#ifndef NN_LAYERS_H
#define NN_LAYERS_H

#include "compute/ops.h"
#include "nn/weights.h"

/** Affine weights of a norm. */
typedef struct NormWeights {
    const Weight *weight, *bias;
} NormWeights;

/** name.weight, name.bias. */
NormWeights nn_norm_weights(Weights *w, const char *name, int64_t channels);

/** x [R, in] -> [R, out], with what LoRA files add; the activation fused. */
Tensor nn_linear_act(Run *r, Tensor x, const Linear *l, Activation act);
static inline Tensor nn_linear(Run *r, Tensor x, const Linear *l)
{
    return nn_linear_act(r, x, l, ACT_NONE);
}
/** Outputs first .. first + count of nn_linear alone: the same bits. */
Tensor nn_linear_part(Run *r, Tensor x, const Linear *l, int64_t first, int64_t count);
/** nn_linear_act of two tensors side by side (op_linear_pair). */
Tensor nn_linear_pair(Run *r, Tensor x, Tensor z, const Linear *l, Activation act);
/** y + conv(x) of frames alone, LoRA changes included; y: NO_TENSOR for none. */
Tensor nn_conv_add(Run *r, Tensor x, const Conv *c, const ConvGeometry *g, Tensor y);
/** 2-D convolution of every frame, zero padding `pad` all round. */
Tensor nn_conv2d(Run *r, Tensor x, const Conv *c, int pad, int upsample);

#endif
