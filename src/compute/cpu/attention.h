/* attention.h  softmax(scale q k^T + bias) v by blocks of keys; the scores are never stored. */
#ifndef CPU_ATTENTION_H
#define CPU_ATTENTION_H

#include "base/pool.h"
#include "compute/cpu/kernels.h"

/** Operands: row r of head h in problem b begins at data + b * batch + r * row + h * d. */
typedef struct AttentionIn {
    const float *data;
    int64_t row;   /**< floats from one row to the next */
    int64_t batch; /**< floats from one problem to the next; free when n_batch is 1 */
} AttentionIn;
typedef struct AttentionOut {
    float *data;
    int64_t row, batch;
} AttentionOut;

/**
 * Attention of `lq` queries over `lk` keys in `heads` heads of `d` columns, d >= 1, for n_batch
 * equal problems (windows). Keys come in blocks of ATTENTION_BK from key 0, so bits depend on
 * neither the split of queries over calls nor the thread count. lk = 0 gives zeros.
 * y overlaps nothing else.
 *
 * The logit of query i and key j in head h is
 *   scale * q.k + bias[b * bias_batch + h * bias_head + i * bias_row + j] + key_mask[j].
 * A full table has bias_row = lk. Relative positions (T5), table [heads][2 L - 1] by j - i + L - 1:
 * bias = table + L - 1 - first query's position, bias_head = 2 L - 1, bias_row = -1.
 * -inf in bias or mask excludes a key (its weight becomes 2^-126 of the largest); a query whose
 * keys are all excluded gets the mean of v.
 */
typedef struct AttentionArgs {
    AttentionIn q, k, v;
    AttentionOut y;
    int64_t lq, lk, heads, d, n_batch;
    float scale;
    const float *bias; /**< or NULL */
    int64_t bias_head, bias_row, bias_batch;
    const float *key_mask; /**< [lk], or NULL */
    bool causal;           /**< query i sees keys 0 .. q_first + i only; the others add nothing */
    int64_t q_first;       /**< >= 0, for `causal` */
} AttentionArgs;

/** Scratch for `threads` threads and head dimension d, whatever the lengths. */
size_t cpu_attention_scratch_bytes(int threads, int64_t d);

/** `scratch`: cpu_attention_scratch_bytes(pool_threads(pool), d) bytes, 64-byte aligned. */
void cpu_attention(const Kernels *kernels, Pool *pool, const AttentionArgs *args, void *scratch);

#endif
