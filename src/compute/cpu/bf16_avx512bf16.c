/* bf16_avx512bf16.c  Products in bf16 by vdpbf16ps, tiles of 14 x 32: the body of gemm_avx512.c with
 * pairs of terms in the place of floats.
 *
 * The instruction adds the product of a pair's upper halves first, then that of the lower ones. The
 * earlier term is the upper half, so that chains run over the terms in order, as in f32. */
#include "compute/cpu/vec.h"

VEC_INLINE vfloat add_pairs(vfloat x, vfloat w, vfloat sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w);
}

#define TILE_ROWS     14
#define VLEN_IS_PANEL 1
#define TILE_FMA      add_pairs
#include "compute/cpu/gemm_body.h"

/* The first n lanes. */
static __mmask16 lanes(int64_t n)
{
    return n >= 16 ? (__mmask16)0xffff : n > 0 ? (__mmask16)((1u << n) - 1u) : (__mmask16)0;
}

int64_t bf16_row_avx512bf16(float *restrict to, const float *restrict x, int64_t n)
{
    const int64_t pairs = (n + 1) / 2;
    for (int64_t k = 0; k < n; k += 32) {
        const __m512 first = _mm512_maskz_loadu_ps(lanes(n - k), x + k),
                     second = _mm512_maskz_loadu_ps(lanes(n - k - 16), x + k + 16);
        const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(second, first);
        _mm512_mask_storeu_ps(to + k / 2, lanes(pairs - k / 2),
                              (__m512)_mm512_rol_epi32(halves, 16));
    }
    return pairs;
}

int64_t bf16_panel_avx512bf16(float *restrict to, const float *restrict panel, int64_t n)
{
    static const uint16_t ORDER[32] = {
        16, 0, 17, 1, 18, 2,  19, 3,  20, 4,  21, 5,  22, 6,  23, 7,
        24, 8, 25, 9, 26, 10, 27, 11, 28, 12, 29, 13, 30, 14, 31, 15
    };
    const __m512i order = _mm512_loadu_si512(ORDER);
    for (int64_t k = 0; k < n; k += 2, to += PANEL) {
        const __m512 upper = _mm512_loadu_ps(panel + k * PANEL),
                     lower = _mm512_maskz_loadu_ps(lanes(k + 1 < n ? PANEL : 0),
                                                   panel + (k + 1) * PANEL);
        const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(lower, upper);
        _mm512_storeu_ps(to, (__m512)_mm512_permutexvar_epi16(order, halves));
    }
    return (n + 1) / 2;
}

void bf16_block_avx512bf16(const GemmTile *tile)
{
    gemm_block_body(tile);
}
