/* bf16_body.h  Values rounded to bf16 and kept as floats, in plain C that compilers turn into vectors:
 * included once by each instruction set's file. */
#include <string.h>

#include "compute/cpu/kernels.h"

/* To the nearest, halves to even; beyond the largest is infinity; NaN stays NaN. */
static inline float to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    bits = (x != x ? bits | 0x400000u : rounded) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline int64_t row_body(float *restrict to, const float *restrict x, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        to[k] = to_bf16(x[k]);
    return n;
}

static inline int64_t panel_body(float *restrict to, const float *restrict panel, int64_t n)
{
    (void)row_body(to, panel, n * PANEL);
    return n;
}
