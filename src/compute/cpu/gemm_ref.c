/* gemm_ref.c  The meaning of a product block: one fmaf chain per output. */
#include <math.h>

#include "compute/cpu/kernels.h"

enum { LANES = PANEL };

/** The chains of one row against one panel. Inlined into a copy for machines with fma: libm's
 *  fmaf costs a call, and 50 times as much where the hardware has none. */
static inline __attribute__((always_inline)) void chains(float *acc, const float *a, const float *b,
                                                         const GemmTile *tile)
{
    const int64_t n_taps = tile->tap ? tile->n_taps : 1;
    for (int j = 0; j < LANES; j++)
        acc[j] = 0.0f;
    for (int64_t t = 0; t < n_taps; t++) {
        const float *x = a + (tile->tap ? tile->tap[t] : 0);
        for (int64_t k = 0; k < tile->kc; k++, b += PANEL)
            for (int j = 0; j < LANES; j++)
                acc[j] = fmaf(x[k], b[j], acc[j]);
    }
}

static inline __attribute__((always_inline)) void block(const GemmTile *tile)
{
    const int64_t depth = tile->kc * (tile->tap ? tile->n_taps : 1);
    float acc[LANES];
    for (int64_t n0 = 0; n0 < tile->cols; n0 += PANEL) {
        const int64_t n = tile->cols - n0 < PANEL ? tile->cols - n0 : PANEL;
        for (int64_t r = 0; r < tile->rows; r++) {
            float *c = tile->c[r] + n0;
            chains(acc, tile->a[r], tile->b + n0 * depth, tile);
            for (int64_t j = 0; j < n; j++) {
                const float sum = tile->add ? c[j] + acc[j] : acc[j];
                c[j] = tile->bias ? sum + tile->bias[n0 + j] : sum;
            }
        }
    }
}

#if defined(__x86_64__)
__attribute__((target("fma"))) static void block_fma(const GemmTile *tile)
{
    block(tile);
}

void gemm_block_ref(const GemmTile *tile)
{
    if (__builtin_cpu_supports("fma"))
        block_fma(tile);
    else
        block(tile);
}
#else
void gemm_block_ref(const GemmTile *tile)
{
    block(tile);
}
#endif
