/* exec_matrix.c  Linear layers, embeddings and attention on the CPU. */
#include "compute/cpu/attention.h"
#include "compute/cpu/exec.h"
#include "compute/cpu/gemm.h"
#include "compute/cpu/int8.h"
#include "compute/cpu/widen.h"

#include <math.h>
#include <string.h>

static size_t int8_bytes(const CpuDevice *cpu, const Op *op)
{
    return cpu_int8_scratch_bytes(pool_threads(cpu->pool), tensor_rows(op->in[0]),
                                  tensor_cols(op->in[0]));
}

static size_t gemm_bytes(const CpuDevice *cpu, const Op *op)
{
    return cpu_gemm_scratch_bytes(pool_threads(cpu->pool),
                                  op->arg.linear.arithmetic == ARITHMETIC_BF16);
}

size_t cpu_space_linear(const CpuDevice *cpu, const Op *op)
{
    const bool int8 = op->arg.linear.arithmetic == ARITHMETIC_INT8;
    return call_vector_bytes(op, 1) + (int8 ? int8_bytes(cpu, op) : gemm_bytes(cpu, op));
}

static SnugStatus linear_int8(Call *c)
{
    const Op *op = c->op;
    const int64_t k = tensor_cols(op->in[0]), n = tensor_cols(op->out),
                  first = op->arg.linear.first;
    const Stored all = call_matrix(c, 0, op->weight[0]->shape.dim[0], k);
    Int8Args g = { .x = c->at->in[0],
                   .ldx = k,
                   .y = c->at->out,
                   .ldy = n,
                   .m = tensor_rows(op->in[0]),
                   .w = stored_rows(&all, first, n),
                   .map = call_map(c->cpu, op->arg.linear.activation) };
    g.bias = call_vector(c, 1);
    if (g.bias) g.bias += first;
    cpu_int8(&c->cpu->kernels, c->cpu->pool, &g, call_scratch(c, int8_bytes(c->cpu, op)));
    return SNUG_OK;
}

SnugStatus cpu_exec_linear(Call *c)
{
    const Op *op = c->op;
    if (op->arg.linear.arithmetic == ARITHMETIC_INT8) return linear_int8(c);
    const int64_t k_x = tensor_cols(op->in[0]), n = tensor_cols(op->out);
    const int64_t k = k_x + (op->n_in > 1 ? tensor_cols(op->in[1]) : 0);
    const int64_t first = op->arg.linear.first;
    const Stored all = call_matrix(c, 0, op->weight[0]->shape.dim[0], k);
    GemmArgs g = { .x = c->at->in[0],
                   .ldx = k_x,
                   .y = c->at->out,
                   .ldy = n,
                   .m = tensor_rows(op->in[0]),
                   .w = stored_rows(&all, first, n),
                   .bf16 = op->arg.linear.arithmetic == ARITHMETIC_BF16,
                   .map = call_map(c->cpu, op->arg.linear.activation) };
    if (op->n_in > 1) {
        g.z = c->at->in[1];
        g.ldz = k - k_x;
        g.k_x = k_x;
    }
    g.bias = call_vector(c, 1);
    if (g.bias) g.bias += first;
    cpu_gemm(&c->cpu->kernels, c->cpu->pool, &g, call_scratch(c, gemm_bytes(c->cpu, op)));
    return SNUG_OK;
}

SnugStatus cpu_exec_linear_add(Call *c)
{
    const Op *op = c->op;
    const int64_t k = tensor_cols(op->in[1]), n = tensor_cols(op->out);
    const int64_t first = op->arg.linear.first;
    const Stored all = call_matrix(c, 0, op->weight[0]->shape.dim[0], k);
    GemmArgs g = { .x = c->at->in[1],
                   .ldx = k,
                   .y = c->at->out,
                   .ldy = n,
                   .m = tensor_rows(op->in[1]),
                   .w = stored_rows(&all, first, n),
                   .add = true,
                   .map = call_map(c->cpu, op->arg.linear.activation) };
    g.bias = call_vector(c, 1);
    if (g.bias) g.bias += first;
    cpu_gemm(&c->cpu->kernels, c->cpu->pool, &g, call_scratch(c, gemm_bytes(c->cpu, op)));
    return SNUG_OK;
}

/* ---- stored the other way round ---- */

enum { TURNED_ROWS = COMBINE_MAX - 1 };

size_t cpu_space_linear_turned(const CpuDevice *cpu, const Op *op)
{
    (void)cpu;
    return size_align((size_t)(TURNED_ROWS * tensor_cols(op->out)) * sizeof(float), CPU_ALIGN);
}

/* y = 1 y + x0 w0 + x1 w1 + ..: one chain of fma over the rows of the weight, from zeros. */
SnugStatus cpu_exec_linear_turned(Call *c)
{
    const Op *op = c->op;
    const int64_t k = tensor_cols(op->in[0]), n = tensor_cols(op->out);
    const Stored w = call_matrix(c, 0, k, n);
    float *wide = call_scratch(c, cpu_space_linear_turned(c->cpu, op));
    for (int64_t row = 0; row < tensor_rows(op->in[0]); row++) {
        const float *x = (const float *)c->at->in[0] + row * k;
        float *y = (float *)c->at->out + row * n;
        memset(y, 0, (size_t)n * sizeof *y);
        for (int64_t first = 0; first < k; first += TURNED_ROWS) {
            const float *from[COMBINE_MAX] = { y };
            float coef[COMBINE_MAX] = { 1.0f };
            int terms = 1;
            for (int64_t i = first; i < k && terms < COMBINE_MAX; i++, terms++) {
                float *to = wide + (terms - 1) * n;
                widen_row(to, &w, i, 0, n);
                from[terms] = to;
                coef[terms] = x[i];
            }
            c->cpu->kernels.combine(y, from, coef, terms, n);
        }
    }
    return SNUG_OK;
}

static size_t row_bytes(const Op *op)
{
    const Weight *w = op->weight[0];
    return w->bytes / (size_t)w->shape.dim[0];
}

size_t cpu_space_embed(const CpuDevice *cpu, const Op *op)
{
    (void)cpu;
    return size_align(row_bytes(op), CPU_ALIGN);
}

SnugStatus cpu_exec_embed(Call *c)
{
    const Op *op = c->op;
    const Weight *table = op->weight[0];
    const int64_t n = tensor_rows(op->out), cols = tensor_cols(op->out);
    void *row = call_scratch(c, row_bytes(op));
    float *y = c->at->out;
    for (int64_t i = 0; i < n; i++) {
        const int32_t id = op->arg.embed.ids[i];
        if (id < 0 || id >= table->shape.dim[0])
            return error_set(c->err, SNUG_ERR_FILE,
                             "token %d is outside the embedding table (%lld rows)", id,
                             (long long)table->shape.dim[0]);
        TRY(c->at->read_row(c->at->read_context, table, id, row, c->err));
        const Stored stored = stored_weight(table, row, 1, cols);
        widen_row(y + i * cols, &stored, 0, 0, cols);
    }
    return SNUG_OK;
}

size_t cpu_space_attention(const CpuDevice *cpu, const Op *op)
{
    return cpu_attention_scratch_bytes(pool_threads(cpu->pool), op->arg.attention.head_dim);
}

SnugStatus cpu_exec_attention(Call *c)
{
    const Op *op = c->op;
    const float *q = c->at->in[0], *k = c->at->in[1], *v = c->at->in[2];
    const int64_t lk = op->in[1].shape.dim[0];
    AttentionArgs a = { .q = { q + op->arg.attention.q_col, tensor_cols(op->in[0]), 0 },
                        .k = { k + op->arg.attention.k_col, tensor_cols(op->in[1]), 0 },
                        .v = { v + op->arg.attention.v_col, tensor_cols(op->in[2]), 0 },
                        .y = { c->at->out, tensor_cols(op->out), 0 },
                        .lq = op->in[0].shape.dim[0],
                        .lk = lk,
                        .heads = op->arg.attention.heads,
                        .d = op->arg.attention.head_dim,
                        .n_batch = 1,
                        .scale = op->arg.attention.scale,
                        .causal = op->arg.attention.causal,
                        .q_first = op->arg.attention.q_first };
    int next = 3;
    if (op->arg.attention.has_bias) { /* relative positions: [heads, 2 lk - 1] */
        a.bias = (const float *)c->at->in[next++] + lk - 1 - op->arg.attention.q_first;
        a.bias_head = 2 * lk - 1;
        a.bias_row = -1;
    }
    if (op->arg.attention.has_key_bias) a.key_mask = c->at->in[next];
    cpu_attention(&c->cpu->kernels, c->cpu->pool, &a,
                  call_scratch(c, cpu_space_attention(c->cpu, op)));
    return SNUG_OK;
}

/* T5's bidirectional bucket of a distance key - query (arXiv:1910.10683, transformers 5.23). */
static int bucket_of(int64_t relative, int buckets, int max_distance)
{
    const int half = buckets / 2, exact = half / 2;
    const int side = relative > 0 ? half : 0;
    const int64_t d = relative < 0 ? -relative : relative;
    if (d < exact) return side + (int)d;
    const float ratio =
        logf((float)d / (float)exact) / (float)log((double)max_distance / (double)exact);
    int far = exact + (int)(ratio * (float)(half - exact));
    return side + (far < half - 1 ? far : half - 1);
}

SnugStatus cpu_exec_position_bias(Call *c)
{
    const Op *op = c->op;
    const float *table = call_vector(c, 0); /* [buckets, heads] */
    const int64_t length = op->arg.bias.length, heads = op->out.shape.dim[0], n = 2 * length - 1;
    float *y = c->at->out;
    for (int64_t i = 0; i < n; i++) {
        const int b = bucket_of(i - (length - 1), op->arg.bias.buckets, op->arg.bias.max_distance);
        for (int64_t h = 0; h < heads; h++)
            y[h * n + i] = table[b * heads + h];
    }
    return SNUG_OK;
}
