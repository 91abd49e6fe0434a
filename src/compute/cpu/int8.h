/* int8.h  Products in int8: another arithmetic than everything else here, only where it is asked for.
 *
 * Rows of x and rows of w (outputs) become whole numbers -127..127 by a scale each, their largest
 * magnitude / 127; sums are exact 32-bit integers, so the order of terms, and with it blocking, thread
 * count and instruction set, cannot change a bit; then y = ((float)sum * x scale) * w scale, + bias.
 * A row of x does not see the others, so that chunks of rows give the same bits, too.
 *
 * Error (relative rms of y, K 1536, both normally distributed): 1.2e-2; a row whose largest value is
 * far above the rest loses more. A row with NaN or infinity gives NaN. */
#ifndef CPU_INT8_H
#define CPU_INT8_H

#include "base/pool.h"
#include "compute/cpu/kernels.h"

/** y[M, N] = map(x[M, K] w[N, K]^T + bias); rows of x and y are ldx, ldy floats apart. */
typedef struct Int8Args {
    const float *x;
    int64_t ldx;
    float *y;
    int64_t ldy;
    int64_t m;
    Stored w;          /**< 0 < cols <= OP_INT8_TERMS (op.h); any type */
    const float *bias; /**< [N] or NULL */
    MapRow *map;       /**< element function from the kernel table, or NULL */
} Int8Args;

/** Scratch for `threads` threads, m rows of x and K = k: x once more in bytes, some panels of w. */
size_t cpu_int8_scratch_bytes(int threads, int64_t m, int64_t k);

/** `scratch`: that many bytes, 64-byte aligned. */
void cpu_int8(const Kernels *kernels, Pool *pool, const Int8Args *args, void *scratch);

#endif
