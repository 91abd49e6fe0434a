/* gemm.h  Matrix products of f32 activations with stored weights, over all threads. */
#ifndef CPU_GEMM_H
#define CPU_GEMM_H

#include "base/pool.h"
#include "compute/cpu/kernels.h"

/**
 * y[M, N] = map(x[M, K] w[N, K]^T + bias). Rows of x and y are ldx, ldy floats apart.
 * Each output is a chain of fma over K in order, cut every GEMM_KB terms (numerics.h); bits do
 * not depend on the instruction set, the thread count or how the caller splits M or N.
 * y overlaps nothing else. K may be 0: y = map(bias or 0).
 * With `add`, y holds sums to go on from: y = map((y + x w^T) + bias).
 * With z, x has the first k_x columns and z the rest: chains are cut there, too.
 * With bf16, x and w are rounded to bf16 before (which are exact where stored so), the rest is the same:
 * another result, with a relative error of 2e-3. Kernels of level BF16 take values below 2^-126 for 0,
 * by their instruction, and are made as its maker sees fit: bits may then depend on the instruction
 * set, still on nothing else.
 */
typedef struct GemmArgs {
    const float *x;
    int64_t ldx;
    const float *z; /**< or NULL */
    int64_t ldz;
    int64_t k_x; /**< with z */
    float *y;
    int64_t ldy;
    int64_t m;
    Stored w;          /**< kernels->pack[w.type] must exist: widen_has(w.type) */
    const float *bias; /**< [N] or NULL */
    bool add;          /**< add to y instead of overwriting it */
    bool bf16;         /**< round x and w to bf16 */
    MapRow *map;       /**< element function from the kernel table, or NULL */
} GemmArgs;

/** Scratch for `threads` threads, whatever the sizes; in bf16 room for rounded rows of x, too. */
size_t cpu_gemm_scratch_bytes(int threads, bool bf16);

/** `scratch`: cpu_gemm_scratch_bytes(pool_threads(pool), args->bf16) bytes, 64-byte aligned. */
void cpu_gemm(const Kernels *kernels, Pool *pool, const GemmArgs *args, void *scratch);

#endif
