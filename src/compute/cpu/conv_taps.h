/* conv_taps.h  Arithmetic shared by the convolution methods: output sizes, frames, tap groups. */
#ifndef CPU_CONV_TAPS_H
#define CPU_CONV_TAPS_H

#include "compute/cpu/conv.h"

static inline int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/** Frame `index` of the input in time (negative: before x); NULL where there is none. */
static inline const float *conv_frame(const ConvArgs *args, int64_t index)
{
    const ConvShape *s = &args->shape;
    if (index >= 0) return args->x + index * s->h * s->w * s->cin;
    return -index <= args->n_held ? args->past[args->n_held + index] : NULL;
}

/** The first time tap that meets a frame at output frame t. x has frames, so there is one. */
static inline int conv_first_tap(const ConvArgs *args, int64_t t)
{
    const ConvGeometry *g = &args->shape.g;
    const int64_t missing = g->n_past - args->n_held - t * g->stride_t;
    return missing > 0 ? (int)missing : 0;
}

/** Rows of taps that make one chain: 1 or kh. */
static inline int conv_group_rows(const ConvShape *s)
{
    return s->g.kw * (s->cin / s->g.groups) >= CONV_ROW_TERMS ? 1 : s->g.kh;
}

/** Bytes of n floats, rounded up to whole cache lines. */
static inline size_t conv_float_bytes(int64_t n)
{
    return ((size_t)n * sizeof(float) + 63) & ~(size_t)63;
}

#endif
