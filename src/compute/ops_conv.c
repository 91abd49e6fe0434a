/* ops_conv.c  Convolution over [F, H, W, C]. */
#include "compute/ops_check.h"

static bool geometry_fits(const ConvGeometry *g, const Weight *w, int64_t cin)
{
    return w && w->shape.rank >= 3 && g->groups >= 1 && cin % g->groups == 0 &&
           w->shape.dim[0] % g->groups == 0 && g->stride >= 1 && g->stride_t >= 1 &&
           (g->upsample == 1 || g->upsample == 2) && g->n_past >= 0 && g->top >= 0 &&
           g->left >= 0 && g->bottom >= 0 && g->right >= 0 &&
           shape_count(w->shape) == w->shape.dim[0] * (cin / g->groups) * g->kt * g->kh * g->kw;
}

static int64_t extent(int64_t in, int kernel, int stride)
{
    return in < kernel ? 0 : (in - kernel) / stride + 1;
}

Tensor op_conv(Run *r, Tensor x, const Tensor *past, int n_held, const Weight *weight,
               const Weight *bias, const ConvGeometry *g)
{
    Op op = op_like(OP_CONV, x);
    if (!op_require(r, OP_CONV, tensor_exists(x) && x.shape.rank == 4, "needs [F, H, W, C]", x) ||
        !op_require(r, OP_CONV, geometry_fits(g, weight, x.shape.dim[3]),
                    "the kernel does not fit the input's channels", x) ||
        !op_require(r, OP_CONV, n_held >= 0 && n_held <= g->n_past && n_held < OP_MAX_IN,
                    "more past frames than the kernel sees", x) ||
        (bias && !op_require_weight(r, OP_CONV, bias, weight->shape.dim[0])))
        return NO_TENSOR;
    for (int i = 0; i < n_held; i++) {
        if (!op_require(r, OP_CONV, tensor_count(past[i]) * x.shape.dim[0] == tensor_count(x),
                        "a past frame has another size", past[i]))
            return NO_TENSOR;
        op.in[op.n_in++] = past[i];
    }
    const int64_t f = extent(x.shape.dim[0] + g->n_past, g->kt, g->stride_t);
    const int64_t h = extent(x.shape.dim[1] * g->upsample + g->top + g->bottom, g->kh, g->stride);
    const int64_t w = extent(x.shape.dim[2] * g->upsample + g->left + g->right, g->kw, g->stride);
    const int64_t cout = weight->shape.dim[0];
    op.out.shape = SHAPE(f, h, w, cout);
    if (!op_require(r, OP_CONV, f > 0 && h > 0 && w > 0, "the input is smaller than the kernel", x))
        return NO_TENSOR;
    op.n_weights = bias ? 2 : 1;
    op.weight[0] = weight;
    op.weight[1] = bias;
    op.arg.conv = *g;
    op.flops = 2.0 * (double)(f * h * w) * (double)shape_count(weight->shape);
    return run_op(r, &op);
}
