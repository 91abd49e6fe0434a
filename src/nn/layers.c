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

/* Frame f of x as its own tensor when x has more: else keeping it would keep the whole chunk. */
static Tensor keep_frame(Run *r, Tensor x, int64_t f)
{
    Tensor frame = op_rows(r, x, f, 1);
    return x.shape.dim[0] == 1 ? frame : op_stack(r, 1, &frame);
}

static void remember(Run *r, Tensor x, int reach, CausalPast *past)
{
    const int64_t f = x.shape.dim[0];
    CausalPast next = { .n = 0 };
    int64_t from_past = reach - f; /* still needed of the old ones */
    if (from_past > past->n) from_past = past->n;
    for (int64_t i = past->n - (from_past > 0 ? from_past : 0); i < past->n; i++)
        next.frame[next.n++] = past->frame[i];
    for (int64_t i = f > reach ? f - reach : 0; i < f; i++)
        next.frame[next.n++] = keep_frame(r, x, i);
    *past = next;
}

Tensor nn_causal_conv(Run *r, Tensor x, const Conv *c, CausalPast *past)
{
    const int pad_h = c->kh / 2, pad_w = c->kw / 2, reach = c->kt - 1;
    const ConvGeometry g = { .kt = c->kt,
                             .kh = c->kh,
                             .kw = c->kw,
                             .stride_t = 1,
                             .stride = 1,
                             .top = pad_h,
                             .left = pad_w,
                             .bottom = pad_h,
                             .right = pad_w,
                             .upsample = 1,
                             .n_past = reach,
                             .groups = 1 };
    Tensor y = op_conv(r, x, past->frame, past->n, c->weight, c->bias, &g);
    if (run_ok(r) && reach > 0) remember(r, x, reach, past);
    return y;
}
