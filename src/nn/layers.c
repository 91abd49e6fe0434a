/* layers.c  Convolutions with the habits of video networks. */
#include "nn/layers.h"

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
    return op_conv(r, x, NULL, 0, c->weight, c->bias, &g);
}
