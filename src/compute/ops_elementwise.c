/* ops_elementwise.c  One value in, one value out; the output may take an input's place. */
#include "compute/ops_check.h"

Tensor op_add(Run *r, Tensor x, Tensor y)
{
    Op op = op_like(OP_ADD, x);
    const int64_t n = tensor_exists(y) ? tensor_count(y) : 0;
    const bool repeats = n > 0 && tensor_cols(x) == tensor_cols(y) && tensor_count(x) % n == 0;
    if (!op_require(r, OP_ADD, shape_equal(x.shape, y.shape) || repeats, "the shapes differ", y))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = y;
    op.in_place = 0;
    op.flops = (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_add_weight(Run *r, Tensor x, const Weight *weight)
{
    Op op = op_like(OP_ADD_WEIGHT, x);
    const int64_t n = weight ? shape_count(weight->shape) : 0;
    const bool first_rows = n > tensor_count(x) && weight->shape.rank > 0 &&
                            weight->shape.dim[weight->shape.rank - 1] == tensor_cols(x);
    if (!op_require(r, OP_ADD_WEIGHT, n > 0 && (first_rows || tensor_count(x) % n == 0),
                    "the weight does not repeat into the input", x))
        return NO_TENSOR;
    op.n_weights = 1;
    op.weight[0] = weight;
    op.in_place = 0;
    op.flops = (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_gated_add(Run *r, Tensor x, Tensor y, Modulation m, int gate)
{
    Op op = op_like(OP_GATED_ADD, x);
    if (!op_require(r, OP_GATED_ADD, shape_equal(x.shape, y.shape), "the shapes differ", y) ||
        !op_require(r, OP_GATED_ADD,
                    m.mod.shape.rank == 3 && m.mod.shape.dim[2] == tensor_cols(x) && gate >= 0 &&
                        gate < m.mod.shape.dim[1] && m.split >= 0,
                    "the modulation needs [1 or 2, n, C]", m.mod))
        return NO_TENSOR;
    op.n_in = 3;
    op.in[1] = y;
    op.in[2] = m.mod;
    op.in_place = 0;
    op.arg.gated.split = m.split;
    op.arg.gated.gate = (int8_t)gate;
    op.flops = 2.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_activation(Run *r, Tensor x, Activation act)
{
    Op op = op_like(OP_ACTIVATION, x);
    op.in_place = 0;
    op.arg.act.activation = act;
    op.flops = 12.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_gated_activation(Run *r, Tensor a, Tensor b, Activation act)
{
    Op op = op_like(OP_GATED_ACTIVATION, a);
    if (!op_require(r, OP_GATED_ACTIVATION, shape_equal(a.shape, b.shape), "the shapes differ", b))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = b;
    op.in_place = 0;
    op.arg.act.activation = act;
    op.flops = 13.0 * (double)tensor_count(a);
    return run_op(r, &op);
}

Tensor op_combine(Run *r, int n, const float *coef, const Tensor *x)
{
    Op op = op_like(OP_COMBINE, n > 0 ? x[0] : NO_TENSOR);
    if (!op_require(r, OP_COMBINE, n >= 1 && n <= OP_MAX_IN, "takes 1 to 8 tensors", op.out))
        return NO_TENSOR;
    for (int i = 0; i < n; i++) {
        if (!op_require(r, OP_COMBINE, shape_equal(x[i].shape, x[0].shape), "the shapes differ",
                        x[i]))
            return NO_TENSOR;
        op.in[i] = x[i];
        op.arg.combine.coef[i] = coef[i];
    }
    op.n_in = n;
    op.in_place = 0;
    op.flops = 2.0 * n * (double)tensor_count(x[0]);
    return run_op(r, &op);
}

Tensor op_guide(Run *r, Tensor uncond, Tensor cond, float g)
{
    Op op = op_like(OP_GUIDE, uncond);
    if (!op_require(r, OP_GUIDE, shape_equal(uncond.shape, cond.shape), "the shapes differ", cond))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = cond;
    op.in_place = 0;
    op.arg.combine.coef[0] = g;
    op.flops = 3.0 * (double)tensor_count(uncond);
    return run_op(r, &op);
}

Tensor op_affine(Run *r, Tensor x, const float *mul, const float *add)
{
    Op op = op_like(OP_AFFINE, x);
    op.in_place = 0;
    op.arg.affine.mul = mul;
    op.arg.affine.add = add;
    op.flops = 2.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_clamp(Run *r, Tensor x, float low, float high)
{
    Op op = op_like(OP_CLAMP, x);
    op.in_place = 0;
    op.arg.clamp.low = low;
    op.arg.clamp.high = high;
    op.flops = 2.0 * (double)tensor_count(x);
    return run_op(r, &op);
}
