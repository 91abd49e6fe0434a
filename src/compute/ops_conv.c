/* ops_conv.c  Convolution over [F, H, W, C]. */
#include "compute/ops_check.h"

static bool geometry_fits(const ConvGeometry *g, const Weight *w, int64_t cin)
{
    return w && w->shape.rank >= 3 && g->groups >= 1 && cin % g->groups == 0 &&
           w->shape.dim[0] % g->groups == 0 && g->stride >= 1 && g->stride_t >= 1 &&
           (g->upsample == 1 || g->upsample == 2) && g->n_past >= 0 && g->n_past < g->kt &&
           g->left >= 0 && g->right >= 0 &&
           shape_count(w->shape) == w->shape.dim[0] * (cin / g->groups) * g->kt * g->kh * g->kw;
}

static int64_t extent(int64_t in, int kernel, int stride)
{
    return in < kernel ? 0 : (in - kernel) / stride + 1;
}

/* Frames before x as further inputs. */
static bool add_past(Run *r, Op *op, const Tensor *past, int n_held)
{
    const Tensor x = op->in[0];
    if (!op_require(r, OP_CONV,
                    n_held >= 0 && n_held <= op->arg.conv.n_past && n_held < OP_MAX_IN - 1,
                    "more past frames than the kernel sees", x))
        return false;
    for (int i = 0; i < n_held; i++) {
        if (!op_require(r, OP_CONV, tensor_count(past[i]) * x.shape.dim[0] == tensor_count(x),
                        "a past frame has another size", past[i]))
            return false;
        op->in[op->n_in++] = past[i];
    }
    return true;
}

/* Size of the result, once the operands are known to fit. */
static bool add_result(Run *r, Op *op)
{
    const ConvGeometry *g = &op->arg.conv;
    const Shape x = op->in[0].shape;
    const int64_t f = extent(x.dim[0] + g->n_past, g->kt, g->stride_t);
    const int64_t h = extent(x.dim[1] * g->upsample + g->top + g->bottom, g->kh, g->stride);
    const int64_t w = extent(x.dim[2] * g->upsample + g->left + g->right, g->kw, g->stride);
    op->out.shape = SHAPE(f, h, w, op->weight[0]->shape.dim[0]);
    op->flops = 2.0 * (double)(f * h * w) * (double)shape_count(op->weight[0]->shape);
    return op_require(r, OP_CONV, f > 0 && h > 0 && w > 0, "the input is smaller than the kernel",
                      op->in[0]) &&
           op_require(r, OP_CONV, !g->image_h || (g->image_h >= h && g->image_w >= w),
                      "the band is larger than its image", op->out);
}

Tensor op_conv_add(Run *r, Tensor x, const Tensor *past, int n_held, const Weight *weight,
                   const Weight *bias, const ConvGeometry *g, Tensor residual)
{
    Op op = op_like(OP_CONV, x);
    if (!op_require(r, OP_CONV, tensor_exists(x) && x.shape.rank == 4, "needs [F, H, W, C]", x) ||
        !op_require(r, OP_CONV, geometry_fits(g, weight, x.shape.dim[3]),
                    "the kernel does not fit the input's channels", x) ||
        (bias && !op_require_weight(r, OP_CONV, bias, weight->shape.dim[0])))
        return NO_TENSOR;
    op.n_weights = bias ? 2 : 1;
    op.weight[0] = weight;
    op.weight[1] = bias;
    op.arg.conv = *g;
    op.arg.conv.residual = tensor_exists(residual);
    if (!add_past(r, &op, past, n_held) || !add_result(r, &op)) return NO_TENSOR;
    if (op.arg.conv.residual) {
        if (!op_require(r, OP_CONV, shape_equal(residual.shape, op.out.shape),
                        "what is added has another shape than the result", residual))
            return NO_TENSOR;
        op.in[op.n_in++] = residual;
    }
    return run_op(r, &op);
}

Tensor op_conv(Run *r, Tensor x, const Tensor *past, int n_held, const Weight *weight,
               const Weight *bias, const ConvGeometry *g)
{
    return op_conv_add(r, x, past, n_held, weight, bias, g, NO_TENSOR);
}
