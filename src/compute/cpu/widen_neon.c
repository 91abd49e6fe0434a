/* widen_neon.c  Pack panels: widen 4 rows x 256 terms into the first-level cache (widen_body.h and the
 * loops below, as vector code), then transpose 4 x 4 in registers. f32 is read in place. */
#include <arm_neon.h>
#include <string.h>

#include "compute/cpu/kernels.h"
#include "compute/cpu/widen_body.h"

enum { SIDE = 4 };

#define INLINE static inline __attribute__((always_inline))

/** n terms of four rows, `pitch` floats apart, into four columns of the panel. */
INLINE void transpose_rows(float *to, const float *from, int64_t pitch, int64_t n)
{
    int64_t k = 0;
    for (; k + SIDE <= n; k += SIDE, from += SIDE) {
        const float32x4_t r0 = vld1q_f32(from), r1 = vld1q_f32(from + pitch);
        const float32x4_t r2 = vld1q_f32(from + 2 * pitch), r3 = vld1q_f32(from + 3 * pitch);
        const float64x2_t a0 = vreinterpretq_f64_f32(vtrn1q_f32(r0, r1));
        const float64x2_t a1 = vreinterpretq_f64_f32(vtrn2q_f32(r0, r1));
        const float64x2_t a2 = vreinterpretq_f64_f32(vtrn1q_f32(r2, r3));
        const float64x2_t a3 = vreinterpretq_f64_f32(vtrn2q_f32(r2, r3));
        vst1q_f32(to + k * PANEL, vreinterpretq_f32_f64(vtrn1q_f64(a0, a2)));
        vst1q_f32(to + (k + 1) * PANEL, vreinterpretq_f32_f64(vtrn1q_f64(a1, a3)));
        vst1q_f32(to + (k + 2) * PANEL, vreinterpretq_f32_f64(vtrn2q_f64(a0, a2)));
        vst1q_f32(to + (k + 3) * PANEL, vreinterpretq_f32_f64(vtrn2q_f64(a1, a3)));
    }
    for (; k < n; k++, from++)
        for (int j = 0; j < SIDE; j++)
            to[k * PANEL + j] = from[j * pitch];
}

INLINE void convert(float *restrict to, const Stored *w, const char *restrict from, int64_t n)
{
    switch (w->type) {
    case DT_F16:
        for (int64_t i = 0; i < n; i++)
            to[i] = half_at((const uint8_t *)from + 2 * i);
        break;
    case DT_BF16:
        for (int64_t i = 0; i < n; i++) {
            uint16_t bits;
            memcpy(&bits, from + 2 * i, sizeof bits);
            const uint32_t wide = (uint32_t)bits << 16;
            memcpy(to + i, &wide, sizeof wide);
        }
        break;
    default:
        dtype_widen(w->type, from, to, n);
        break;
    }
}

INLINE void plain_terms(float *restrict to, const Stored *w, int64_t row, int64_t k0, int64_t n)
{
    const char *from = (const char *)w->data + row * w->row_bytes;
    convert(to, w, from + k0 * dtype_info(w->type)->bytes, n);
    if (w->row_scale)
        for (int64_t i = 0; i < n; i++)
            to[i] *= w->row_scale[row];
    if (w->scale != 1.0f)
        for (int64_t i = 0; i < n; i++)
            to[i] *= w->scale;
}

INLINE void four_terms(float *restrict to, const Stored *w, int64_t row, int64_t k0, int64_t n)
{
    widen_four(to, w, row, k0, n, widen_nibbles);
}

/** Terms of one row, by whatever its type needs. */
typedef void WidenTerms(float *restrict to, const Stored *w, int64_t row, int64_t k0, int64_t n);

INLINE void pack_terms(float *to, const Stored *w, int64_t n0, int64_t k0, int64_t kc,
                       WidenTerms *widen)
{
    _Alignas(16) float terms[SIDE * WIDEN_MAX_BLOCK];
    for (int64_t k = 0; k < kc; k += WIDEN_MAX_BLOCK) {
        const int64_t n = kc - k < WIDEN_MAX_BLOCK ? kc - k : WIDEN_MAX_BLOCK;
        for (int64_t j = 0; j < PANEL; j++) {
            float *row = terms + j % SIDE * WIDEN_MAX_BLOCK;
            if (n0 + j < w->rows)
                widen(row, w, n0 + j, k0 + k, n);
            else
                memset(row, 0, (size_t)n * sizeof *row);
            if (j % SIDE == SIDE - 1)
                transpose_rows(to + k * PANEL + j + 1 - SIDE, terms, WIDEN_MAX_BLOCK, n);
        }
    }
}

void pack_f32_neon(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    const bool in_place = w->rows - n0 >= PANEL && w->scale == 1.0f && !w->row_scale &&
                          ((uintptr_t)w->data | (uintptr_t)w->row_bytes) % sizeof(float) == 0;
    if (!in_place) {
        pack_terms(to, w, n0, k0, kc, plain_terms);
        return;
    }
    const int64_t pitch = w->row_bytes / (int64_t)sizeof(float);
    const float *from = (const float *)w->data + n0 * pitch + k0;
    for (int j = 0; j < PANEL; j += SIDE)
        transpose_rows(to + j, from + j * pitch, pitch, kc);
}
void pack_plain_neon(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_terms(to, w, n0, k0, kc, plain_terms);
}
void pack_blocks_neon(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_terms(to, w, n0, k0, kc, widen_blocks);
}
void pack_four_neon(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_terms(to, w, n0, k0, kc, four_terms);
}
