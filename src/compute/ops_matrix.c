/* ops_matrix.c  Linear layers, embeddings, attention. */
#include "compute/ops_check.h"

#include <math.h>

/* Outputs first .. first + count. */
typedef struct Part {
    int64_t first, count;
    Arithmetic arithmetic;
} Part;

static Arithmetic possible(Arithmetic asked, int64_t terms)
{
    const bool too_long = asked == ARITHMETIC_INT8 && terms > OP_INT8_TERMS;
    return terms > 0 && !too_long ? asked : ARITHMETIC_F32;
}

static Tensor linear(Run *r, Tensor x, const Weight *weight, const Weight *bias, Activation act,
                     Part part)
{
    const int64_t first = part.first, count = part.count;
    const int64_t k = tensor_cols(x), n = weight ? weight->shape.dim[0] : 0;
    Op op = op_like(OP_LINEAR, x);
    if (!op_require(r, OP_LINEAR, tensor_exists(x) && x.shape.rank >= 1, "needs an input", x) ||
        !op_require_weight(r, OP_LINEAR, weight, n * k) ||
        (bias && !op_require_weight(r, OP_LINEAR, bias, n)) ||
        !op_require(r, OP_LINEAR, first >= 0 && count >= 0 && first + count <= n,
                    "the layer has fewer outputs", x))
        return NO_TENSOR;
    op.out.shape.dim[x.shape.rank - 1] = count;
    op.n_weights = bias ? 2 : 1;
    op.weight[0] = weight;
    op.weight[1] = bias;
    op.flops = 2.0 * (double)tensor_rows(x) * (double)count * (double)k;
    op.arg.linear.activation = act;
    op.arg.linear.first = first;
    op.arg.linear.arithmetic = possible(part.arithmetic, k);
    return run_op(r, &op);
}

Tensor op_linear(Run *r, Tensor x, const Weight *weight, const Weight *bias, Activation act)
{
    const Part all = { 0, weight ? weight->shape.dim[0] : 0, ARITHMETIC_F32 };
    return linear(r, x, weight, bias, act, all);
}

Tensor op_linear_part(Run *r, Tensor x, const Weight *weight, const Weight *bias, int64_t first,
                      int64_t count)
{
    return linear(r, x, weight, bias, ACT_NONE, (Part){ first, count, ARITHMETIC_F32 });
}

Tensor op_linear_coarse(Run *r, Tensor x, const Weight *weight, const Weight *bias, Activation act,
                        int64_t first, int64_t count)
{
    return linear(r, x, weight, bias, act, (Part){ first, count, r->arithmetic });
}

static bool plain_type(DType type)
{
    return dtype_info(type)->block == 1;
}

Tensor op_linear_pair(Run *r, Tensor x, Tensor z, const Weight *weight, const Weight *bias,
                      Activation act)
{
    const int64_t k1 = tensor_cols(x), k = k1 + tensor_cols(z);
    const int64_t n = weight ? weight->shape.dim[0] : 0;
    Op op = op_like(OP_LINEAR, x);
    if (!op_require(r, OP_LINEAR, tensor_exists(x) && tensor_exists(z) && x.shape.rank >= 1,
                    "needs two inputs", x) ||
        !op_require(r, OP_LINEAR, tensor_rows(x) == tensor_rows(z), "the rows differ", z) ||
        !op_require_weight(r, OP_LINEAR, weight, n * k) ||
        (bias && !op_require_weight(r, OP_LINEAR, bias, n)) ||
        !op_require(r, OP_LINEAR, plain_type(weight->dtype) || k1 % 256 == 0,
                    "a weight in blocks is cut at multiples of 256", x))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = z;
    op.out.shape.dim[x.shape.rank - 1] = n;
    op.n_weights = bias ? 2 : 1;
    op.weight[0] = weight;
    op.weight[1] = bias;
    op.flops = 2.0 * (double)tensor_rows(x) * (double)n * (double)k;
    op.arg.linear.activation = act;
    return run_op(r, &op);
}

/* To outputs from `first` on, as many as y has. */
static Tensor linear_add(Run *r, Tensor y, Tensor x, const Weight *weight, const Weight *bias,
                         Activation act, int64_t first)
{
    const int64_t k = tensor_cols(x), n = weight ? weight->shape.dim[0] : 0;
    Op op = op_like(OP_LINEAR_ADD, y);
    if (!op_require(r, OP_LINEAR_ADD,
                    tensor_exists(y) && tensor_exists(x) && tensor_rows(x) == tensor_rows(y),
                    "the rows differ", x) ||
        !op_require_weight(r, OP_LINEAR_ADD, weight, n * k) ||
        (bias && !op_require_weight(r, OP_LINEAR_ADD, bias, n)) ||
        !op_require(r, OP_LINEAR_ADD, first >= 0 && first + tensor_cols(y) <= n,
                    "the layer has fewer outputs", y))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = x;
    op.mutates = true;
    op.out.first = y.first;
    op.n_weights = bias ? 2 : 1;
    op.weight[0] = weight;
    op.weight[1] = bias;
    op.flops = 2.0 * (double)tensor_count(y) * (double)k;
    op.arg.linear.activation = act;
    op.arg.linear.first = first;
    return run_op(r, &op);
}

Tensor op_linear_add(Run *r, Tensor y, Tensor x, const Weight *weight, const Weight *bias,
                     Activation act)
{
    if (!op_require(r, OP_LINEAR_ADD, !weight || weight->shape.dim[0] == tensor_cols(y),
                    "the layer has other outputs", y))
        return NO_TENSOR;
    return linear_add(r, y, x, weight, bias, act, 0);
}

Tensor op_linear_add_part(Run *r, Tensor y, Tensor x, const Weight *weight, const Weight *bias,
                          int64_t first)
{
    return linear_add(r, y, x, weight, bias, ACT_NONE, first);
}

Tensor op_linear_turned(Run *r, Tensor x, const Weight *weight)
{
    Op op = op_like(OP_LINEAR_TURNED, x);
    if (!op_require(r, OP_LINEAR_TURNED,
                    tensor_exists(x) && weight && weight->shape.rank == 2 &&
                        weight->shape.dim[0] == tensor_cols(x),
                    "the weight needs a row for each column of the input", x))
        return NO_TENSOR;
    op.out.shape.dim[op.out.shape.rank - 1] = weight->shape.dim[1];
    op.n_weights = 1;
    op.weight[0] = weight;
    op.flops = 2.0 * (double)tensor_rows(x) * (double)shape_count(weight->shape);
    return run_op(r, &op);
}

Tensor op_embed(Run *r, const Weight *table, const int32_t *ids, int64_t n)
{
    Op op = { .kind = OP_EMBED, .in_place = -1, .n_weights = 1, .weight = { table } };
    if (!run_ok(r)) return NO_TENSOR;
    if (!table->by_row || table->shape.rank != 2)
        return run_fail(r, SNUG_ERR_INTERNAL, "op embed: %s is no table", table->name);
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(n, table->shape.dim[1]) };
    op.arg.embed.ids = ids;
    return run_op(r, &op);
}

static bool heads_fit(Heads h, int64_t width)
{
    return tensor_exists(h.x) && h.x.shape.rank == 2 && h.col >= 0 &&
           h.col + width <= h.x.shape.dim[1];
}

static bool add_biases(Run *r, Op *op, const AttentionOptions *o, int64_t n_keys)
{
    if (o->has_bias) {
        if (!op_require(r, OP_ATTENTION,
                        o->bias.shape.rank == 2 &&
                            o->bias.shape.dim[0] == op->arg.attention.heads &&
                            o->bias.shape.dim[1] == 2 * n_keys - 1,
                        "the bias needs [heads, 2 * keys - 1]", o->bias))
            return false;
        op->in[op->n_in++] = o->bias;
    }
    if (o->has_key_bias) {
        if (!op_require(r, OP_ATTENTION, tensor_count(o->key_bias) == n_keys,
                        "the key bias needs [keys]", o->key_bias))
            return false;
        op->in[op->n_in++] = o->key_bias;
    }
    op->arg.attention.has_bias = o->has_bias;
    op->arg.attention.has_key_bias = o->has_key_bias;
    return true;
}

Tensor op_attention(Run *r, Heads q, Heads k, Heads v, int heads, int64_t head_dim,
                    const AttentionOptions *options)
{
    const int64_t width = heads * head_dim;
    Op op = { .kind = OP_ATTENTION, .in_place = -1, .n_in = 3, .in = { q.x, k.x, v.x } };
    if (!op_require(r, OP_ATTENTION,
                    heads_fit(q, width) && heads_fit(k, width) && heads_fit(v, width),
                    "q, k, v need heads * head_dim columns", q.x) ||
        !op_require(r, OP_ATTENTION, k.x.shape.dim[0] == v.x.shape.dim[0], "k and v differ in rows",
                    v.x))
        return NO_TENSOR;
    const int64_t n_q = q.x.shape.dim[0], n_k = k.x.shape.dim[0];
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(n_q, width) };
    op.arg.attention.heads = heads;
    op.arg.attention.head_dim = head_dim;
    op.arg.attention.q_col = q.col;
    op.arg.attention.k_col = k.col;
    op.arg.attention.v_col = v.col;
    op.arg.attention.scale =
        options && options->scale != 0.0f ? options->scale : 1.0f / sqrtf((float)head_dim);
    op.arg.attention.q_first = options ? options->q_first : 0;
    op.arg.attention.causal = options && options->causal;
    if (!op_require(r, OP_ATTENTION, !op.arg.attention.causal || op.arg.attention.q_first >= 0,
                    "causal queries need a position", q.x))
        return NO_TENSOR;
    op.flops = 4.0 * (double)n_q * (double)n_k * (double)width;
    if (options && !add_biases(r, &op, options, n_k)) return NO_TENSOR;
    return run_op(r, &op);
}

Tensor op_position_bias(Run *r, const Weight *table, int64_t length, int max_distance)
{
    Op op = { .kind = OP_POSITION_BIAS, .in_place = -1, .n_weights = 1, .weight = { table } };
    if (!run_ok(r)) return NO_TENSOR;
    if (table->shape.rank != 2 || length < 1)
        return run_fail(r, SNUG_ERR_INTERNAL, "op position_bias: %s is no table", table->name);
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(table->shape.dim[1], 2 * length - 1) };
    op.arg.bias.length = length;
    op.arg.bias.buckets = (int)table->shape.dim[0];
    op.arg.bias.max_distance = max_distance;
    return run_op(r, &op);
}
