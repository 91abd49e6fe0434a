/* ops_norm.c  Normalisations over the last dimension. */
#include "compute/ops_check.h"

Tensor op_layer_norm(Run *r, Tensor x, const Weight *weight, const Weight *bias, float eps)
{
    Op op = op_like(OP_LAYER_NORM, x);
    if (!op_require(r, OP_LAYER_NORM, tensor_exists(x), "needs an input", x)) return NO_TENSOR;
    if (weight || bias) {
        if (!op_require_weight(r, OP_LAYER_NORM, weight, tensor_cols(x)) ||
            !op_require_weight(r, OP_LAYER_NORM, bias, tensor_cols(x)))
            return NO_TENSOR;
        op.n_weights = 2;
        op.weight[0] = weight;
        op.weight[1] = bias;
    }
    op.in_place = 0;
    op.arg.norm.eps = eps;
    op.flops = 8.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

static bool modulation_fits(Tensor x, Modulation m, int vector)
{
    return tensor_exists(m.mod) && m.mod.shape.rank == 3 && m.mod.shape.dim[2] == tensor_cols(x) &&
           vector >= 0 && vector < m.mod.shape.dim[1] && m.split >= 0;
}

Tensor op_modulated_norm(Run *r, Tensor x, Modulation m, int shift, int scale, float eps)
{
    Op op = op_like(OP_LAYER_NORM, x);
    if (!op_require(r, OP_LAYER_NORM, tensor_exists(x), "needs an input", x) ||
        !op_require(r, OP_LAYER_NORM, modulation_fits(x, m, shift) && modulation_fits(x, m, scale),
                    "the modulation needs [1 or 2, n, C]", m.mod))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = m.mod;
    op.in_place = 0;
    op.arg.norm.eps = eps;
    op.arg.norm.split = m.split;
    op.arg.norm.shift = (int8_t)shift;
    op.arg.norm.scale = (int8_t)scale;
    op.flops = 10.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_rms_norm(Run *r, Tensor x, const Weight *weight, float eps)
{
    Op op = op_like(OP_RMS_NORM, x);
    if (!op_require(r, OP_RMS_NORM, tensor_exists(x), "needs an input", x)) return NO_TENSOR;
    if (weight && !op_require_weight(r, OP_RMS_NORM, weight, tensor_cols(x))) return NO_TENSOR;
    op.n_weights = weight ? 1 : 0;
    op.weight[0] = weight;
    op.in_place = 0;
    op.arg.norm.eps = eps;
    op.flops = 4.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_rms_factors(Run *r, Tensor x, float eps)
{
    Op op = op_like(OP_RMS_FACTORS, x);
    if (!op_require(r, OP_RMS_FACTORS, tensor_exists(x), "needs an input", x)) return NO_TENSOR;
    op.out.shape = SHAPE(tensor_rows(x));
    op.arg.norm.eps = eps;
    op.flops = 2.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_rms_norm_part(Run *r, Tensor x, Tensor factors, const Weight *weight, int64_t first)
{
    Op op = op_like(OP_RMS_NORM, x);
    if (!op_require(r, OP_RMS_NORM, tensor_exists(x), "needs an input", x) ||
        !op_require(r, OP_RMS_NORM,
                    tensor_exists(factors) && tensor_count(factors) == tensor_rows(x),
                    "needs a factor for every row", factors) ||
        !op_require(r, OP_RMS_NORM,
                    first >= 0 && first + tensor_cols(x) <= shape_count(weight->shape),
                    "the weight has fewer columns", x))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = factors;
    op.n_weights = 1;
    op.weight[0] = weight;
    op.in_place = 0;
    op.arg.norm.first = first;
    op.flops = 2.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_l2_norm(Run *r, Tensor x, const Weight *gamma, Activation act)
{
    Op op = op_like(OP_L2_NORM, x);
    if (!op_require(r, OP_L2_NORM, tensor_exists(x), "needs an input", x) ||
        !op_require_weight(r, OP_L2_NORM, gamma, tensor_cols(x)))
        return NO_TENSOR;
    op.n_weights = 1;
    op.weight[0] = gamma;
    op.in_place = 0;
    op.arg.norm.activation = act;
    op.flops = 5.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_group_moments(Run *r, Tensor x, int64_t groups)
{
    Op op = op_like(OP_GROUP_MOMENTS, x);
    if (!op_require(r, OP_GROUP_MOMENTS,
                    tensor_exists(x) && x.shape.rank == 4 && x.shape.dim[0] == 1 && groups > 0 &&
                        x.shape.dim[3] % groups == 0,
                    "needs [1, H, W, C], C a multiple of the groups", x))
        return NO_TENSOR;
    op.out.shape = SHAPE(x.shape.dim[1], groups, 2);
    op.flops = 4.0 * (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_group_norm(Run *r, Tensor x, Tensor moments, const Weight *weight, const Weight *bias,
                     float eps, Activation act)
{
    Op op = op_like(OP_GROUP_NORM, x);
    if (!op_require(r, OP_GROUP_NORM, tensor_exists(x) && x.shape.rank == 4 && x.shape.dim[0] == 1,
                    "needs [1, H, W, C]", x) ||
        !op_require(r, OP_GROUP_NORM,
                    tensor_exists(moments) && moments.shape.rank == 3 &&
                        moments.shape.dim[0] >= x.shape.dim[1] && moments.shape.dim[1] > 0 &&
                        x.shape.dim[3] % moments.shape.dim[1] == 0 && moments.shape.dim[2] == 2,
                    "the moments need [rows of the image, groups, 2]", moments) ||
        !op_require_weight(r, OP_GROUP_NORM, weight, tensor_cols(x)) ||
        !op_require_weight(r, OP_GROUP_NORM, bias, tensor_cols(x)))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = moments;
    op.n_weights = 2;
    op.weight[0] = weight;
    op.weight[1] = bias;
    op.in_place = 0;
    op.arg.norm.eps = eps;
    op.arg.norm.activation = act;
    op.flops = (act == ACT_NONE ? 2.0 : 14.0) * (double)tensor_count(x);
    return run_op(r, &op);
}
