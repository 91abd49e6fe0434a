/* layers.c  Layers with the changes of LoRA files beside them, always in the same order: the layer,
 * then one file after the other, then the activation. */
#include "nn/layers.h"

#include <stdio.h>

NormWeights nn_norm_weights(Weights *w, const char *name, int64_t channels)
{
    char full[96];
    NormWeights norm;
    (void)snprintf(full, sizeof full, "%s.weight", name);
    norm.weight = weights_tensor(w, full, SHAPE(channels));
    (void)snprintf(full, sizeof full, "%s.bias", name);
    norm.bias = weights_tensor(w, full, SHAPE(channels));
    return norm;
}

Tensor nn_linear_act(Run *r, Tensor x, const Linear *l, Activation act)
{
    const Activation own = l->lora ? ACT_NONE : act;
    const int64_t n = l->weight ? l->weight->shape.dim[0] : 0;
    Tensor y = l->coarse ? op_linear_coarse(r, x, l->weight, l->bias, own, 0, n)
                         : op_linear(r, x, l->weight, l->bias, own);
    for (const LowRank *a = l->lora; a; a = a->next) {
        const Tensor h = a->down ? op_linear(r, x, a->down, NULL, ACT_NONE) : x; /* [R, r] */
        y = op_linear_add(r, y, h, a->up, a->bias, a->next ? ACT_NONE : act);
    }
    return y;
}

Tensor nn_linear_part(Run *r, Tensor x, const Linear *l, int64_t first, int64_t count)
{
    Tensor y = l->coarse ? op_linear_coarse(r, x, l->weight, l->bias, ACT_NONE, first, count)
                         : op_linear_part(r, x, l->weight, l->bias, first, count);
    for (const LowRank *a = l->lora; a; a = a->next) {
        const Tensor h = a->down ? op_linear(r, x, a->down, NULL, ACT_NONE) : x; /* [R, r] */
        y = op_linear_add_part(r, y, h, a->up, a->bias, first);
    }
    return y;
}

Tensor nn_linear_pair(Run *r, Tensor x, Tensor z, const Linear *l, Activation act)
{
    Tensor y = op_linear_pair(r, x, z, l->weight, l->bias, l->lora ? ACT_NONE : act);
    for (const LowRank *a = l->lora; a; a = a->next) {
        const Activation last = a->next ? ACT_NONE : act;
        if (a->down) {
            const Tensor h = op_linear_pair(r, x, z, a->down, NULL, ACT_NONE);
            y = op_linear_add(r, y, h, a->up, a->bias, last);
        } else {
            y = op_add(r, y, op_linear_pair(r, x, z, a->up, a->bias, ACT_NONE));
            if (last != ACT_NONE) y = op_activation(r, y, last);
        }
    }
    return y;
}

Tensor nn_conv_add(Run *r, Tensor x, const Conv *c, const ConvGeometry *g, Tensor y)
{
    const ConvGeometry point = { .kt = 1,
                                 .kh = 1,
                                 .kw = 1,
                                 .stride_t = 1,
                                 .stride = 1,
                                 .upsample = 1,
                                 .groups = 1,
                                 .image_h = g->image_h,
                                 .image_w = g->image_w };
    y = tensor_exists(y) ? op_conv_add(r, x, NULL, 0, c->weight, c->bias, g, y)
                         : op_conv(r, x, NULL, 0, c->weight, c->bias, g);
    for (const LowRank *a = c->lora; a; a = a->next) {
        if (!a->down) {
            y = op_conv_add(r, x, NULL, 0, a->up, a->bias, g, y);
            continue;
        }
        const Tensor h = op_conv(r, x, NULL, 0, a->down, NULL, g); /* [F, H, W, r] */
        y = op_conv_add(r, h, NULL, 0, a->up, a->bias, &point, y);
    }
    return y;
}

Tensor nn_conv2d(Run *r, Tensor x, const Conv *c, int pad, int upsample)
{
    const ConvGeometry g = { .kt = 1,
                             .kh = c->kh,
                             .kw = c->kw,
                             .stride_t = 1,
                             .stride = 1,
                             .top = pad,
                             .left = pad,
                             .bottom = pad,
                             .right = pad,
                             .upsample = upsample,
                             .groups = 1 };
    return nn_conv_add(r, x, c, &g, NO_TENSOR);
}
