/* narrow_k.c  Groups of 16 or 32 values are fitted by scale and minimum, scales and minima are
 * rounded to a few bits, then the values are rounded again under the scales as stored.
 * All sums are f32, in the order of the values (formats.md 4). */
#include "tensor/narrow_k.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tensor/dtype.h"

/* ---- rounding ---- */

/* Half to even; |v| < 2^22. */
static int nearest(float v)
{
    const float shifted = v + 12582912.0f;
    int bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (bits & 0x007fffff) - 0x00400000;
}

static int clamp(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

/* Store a half, and what it really is. */
static float put_half(uint8_t *to, float x)
{
    const uint16_t bits = dtype_f32_to_f16(x);
    memcpy(to, &bits, sizeof bits);
    return dtype_f16_to_f32(bits);
}

/* ---- the fit: x ~ scale * level + low ---- */

enum { MAX_GROUP = 32 };

/** How a type fits its groups. */
typedef struct Fit {
    int n, top; /* values; largest level */
    float first, step;
    int steps;     /* tries after the plain one */
    bool absolute; /* error: by size, not by square */
} Fit;

typedef struct Levels {
    float scale, low;
    uint8_t level[MAX_GROUP];
} Levels;

static void levels_at(const Fit *f, const float *x, float by, float low, uint8_t *level)
{
    for (int i = 0; i < f->n; i++)
        level[i] = (uint8_t)clamp(nearest(by * (x[i] - low)), 0, f->top);
}

static float error_of(const Fit *f, const float *x, const float *w, const uint8_t *level,
                      float scale, float low)
{
    float sum = 0.0f;
    for (int i = 0; i < f->n; i++) {
        const float off = scale * (float)level[i] + low - x[i];
        sum += w[i] * (f->absolute ? fabsf(off) : off * off);
    }
    return sum;
}

/** Weighted sums of values. */
typedef struct Sums {
    float w, x;
} Sums;

/* Least squares for given levels; false when they do not determine a line. */
static bool solve(const Fit *f, const float *x, const float *w, Sums s, Levels *to)
{
    float l = 0.0f, l2 = 0.0f, xl = 0.0f;
    for (int i = 0; i < f->n; i++) {
        const float level = (float)to->level[i];
        l += w[i] * level;
        l2 += w[i] * level * level;
        xl += w[i] * level * x[i];
    }
    const float d = s.w * l2 - l * l;
    if (!(d > 0.0f)) return false;
    to->scale = (s.w * xl - s.x * l) / d;
    to->low = (l2 * s.x - l * xl) / d;
    if (to->low > 0.0f) {
        to->low = 0.0f;
        to->scale = xl / l2;
    }
    return true;
}

static void fit(const Fit *f, const float *x, const float *w, Levels *best)
{
    float high = x[0];
    Sums s = { w[0], w[0] * x[0] };
    *best = (Levels){ .low = x[0] };
    for (int i = 1; i < f->n; i++) {
        if (x[i] < best->low) best->low = x[i];
        if (x[i] > high) high = x[i];
        s.w += w[i];
        s.x += w[i] * x[i];
    }
    if (best->low > 0.0f) best->low = 0.0f;
    if (high == best->low) return;
    const float by = (float)f->top / (high - best->low);
    best->scale = 1.0f / by;
    levels_at(f, x, by, best->low, best->level);
    float least = error_of(f, x, w, best->level, best->scale, best->low);
    for (int t = 0; t <= f->steps; t++) { /* `high` stays, `low` follows the best so far */
        const float k = (f->first + f->step * (float)t + (float)f->top) / (high - best->low);
        Levels next = { .scale = 0.0f };
        levels_at(f, x, k, best->low, next.level);
        if (!solve(f, x, w, s, &next)) continue;
        const float error = error_of(f, x, w, next.level, next.scale, next.low);
        if (error >= least) continue;
        least = error;
        *best = next;
    }
}

/* ---- Q4_K, Q5_K: 8 groups of 32, scales and minima of 6 bits ---- */

enum { GROUPS = 8, GROUP = 32 };

/* Weights of a group: large values and the group's own size. */
static void weigh(const float *x, float *w)
{
    float squares = 0.0f;
    for (int i = 0; i < GROUP; i++)
        squares += x[i] * x[i];
    const float size = sqrtf(squares / (float)GROUP);
    for (int i = 0; i < GROUP; i++)
        w[i] = size + fabsf(x[i]);
}

static void pack_six(uint8_t *to, const uint8_t *scale, const uint8_t *low)
{
    memset(to, 0, 12);
    for (int j = 0; j < GROUPS; j++) {
        if (j < 4) {
            to[j] = scale[j];
            to[j + 4] = low[j];
            continue;
        }
        to[j + 4] = (uint8_t)((scale[j] & 15) | (low[j] & 15) << 4);
        to[j - 4] |= (uint8_t)(scale[j] >> 4 << 6);
        to[j] |= (uint8_t)(low[j] >> 4 << 6);
    }
}

/* Levels of all values under the stored scales; d, dmin and the twelve bytes go to `to`. */
static void six_bit(uint8_t *to, const float *x, const Fit *f, uint8_t *level)
{
    Levels group[GROUPS];
    float w[GROUP], most_scale = 0.0f, most_low = 0.0f;
    uint8_t scale[GROUPS], low[GROUPS];
    for (int j = 0; j < GROUPS; j++) {
        weigh(x + GROUP * j, w);
        fit(f, x + GROUP * j, w, &group[j]);
        if (group[j].scale > most_scale) most_scale = group[j].scale;
        if (-group[j].low > most_low) most_low = -group[j].low;
    }
    const float by_scale = most_scale > 0.0f ? 63.0f / most_scale : 0.0f;
    const float by_low = most_low > 0.0f ? 63.0f / most_low : 0.0f;
    for (int j = 0; j < GROUPS; j++) {
        scale[j] = (uint8_t)clamp(nearest(by_scale * group[j].scale), 0, 63);
        low[j] = (uint8_t)clamp(nearest(by_low * -group[j].low), 0, 63);
    }
    const float d = put_half(to, most_scale / 63.0f), dmin = put_half(to + 2, most_low / 63.0f);
    pack_six(to + 4, scale, low);
    for (int j = 0; j < GROUPS; j++) {
        const float by = d * (float)scale[j], less = dmin * (float)low[j];
        for (int i = 0; i < GROUP; i++) {
            const int at = GROUP * j + i;
            level[at] = by == 0.0f ? group[j].level[i]
                                   : (uint8_t)clamp(nearest((x[at] + less) / by), 0, f->top);
        }
    }
}

void narrow_k_q4(uint8_t *to, const float *from)
{
    static const Fit FIT = { GROUP, 15, -1.0f, 0.1f, 20, false };
    uint8_t level[NARROW_K];
    six_bit(to, from, &FIT, level);
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < GROUP; i++)
            to[16 + 32 * p + i] = (uint8_t)(level[64 * p + i] | level[64 * p + 32 + i] << 4);
}

void narrow_k_q5(uint8_t *to, const float *from)
{
    static const Fit FIT = { GROUP, 31, -0.5f, 0.1f, 15, false };
    uint8_t level[NARROW_K];
    six_bit(to, from, &FIT, level);
    memset(to + 16, 0, 32);
    for (int i = 0; i < NARROW_K; i++)
        to[16 + i % 32] |= (uint8_t)((level[i] >> 4 & 1) << i / 32);
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < GROUP; i++)
            to[48 + 32 * p + i] =
                (uint8_t)((level[64 * p + i] & 15) | (level[64 * p + 32 + i] & 15) << 4);
}

/* ---- Q2_K: 16 groups of 16, scales and minima of 4 bits ---- */

enum { SMALL = 16 };

static float most_of(const float *x)
{
    float most = 0.0f;
    for (int j = 0; j < SMALL; j++)
        if (x[j] > most) most = x[j];
    return most;
}

/* 4-bit numbers under one scale, which is returned as stored. */
static float four_bit(uint8_t *half, const float *x, uint8_t *out)
{
    const float most = most_of(x);
    for (int j = 0; j < SMALL; j++)
        out[j] = most > 0.0f ? (uint8_t)nearest(15.0f / most * x[j]) : 0;
    return put_half(half, most > 0.0f ? most / 15.0f : 0.0f);
}

void narrow_k_q2(uint8_t *to, const float *from)
{
    static const Fit FIT = { SMALL, 3, -0.5f, 0.1f, 15, true };
    Levels group[SMALL];
    float w[SMALL], scale[SMALL], low[SMALL];
    uint8_t level[NARROW_K], by_scale[SMALL], by_low[SMALL];
    for (int j = 0; j < SMALL; j++) {
        for (int i = 0; i < SMALL; i++)
            w[i] = fabsf(from[SMALL * j + i]);
        fit(&FIT, from + SMALL * j, w, &group[j]);
        scale[j] = group[j].scale;
        low[j] = -group[j].low;
    }
    const float d = four_bit(to + 80, scale, by_scale), dmin = four_bit(to + 82, low, by_low);
    for (int j = 0; j < SMALL; j++) {
        const float by = d * (float)by_scale[j], less = dmin * (float)by_low[j];
        to[j] = (uint8_t)(by_scale[j] | by_low[j] << 4);
        for (int i = 0; i < SMALL; i++) {
            const int at = SMALL * j + i;
            level[at] = by == 0.0f ? group[j].level[i]
                                   : (uint8_t)clamp(nearest((from[at] + less) / by), 0, 3);
        }
    }
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 32; i++) {
            const uint8_t *l = level + 128 * h + i;
            to[16 + 32 * h + i] = (uint8_t)(l[0] | l[32] << 2 | l[64] << 4 | l[96] << 6);
        }
}

/* ---- Q6_K: 16 groups of 16, signed levels, scales of 8 bits ---- */

static const float NOTHING = 1e-15f;

/* Levels of -32 .. 31 for 1 / scale = by; their products with the values. */
static void products(const float *x, float by, float *xl, float *l2)
{
    *xl = *l2 = 0.0f;
    for (int i = 0; i < SMALL; i++) {
        const float level = (float)clamp(nearest(by * x[i]), -32, 31);
        const float w = x[i] * x[i];
        *xl += w * x[i] * level;
        *l2 += w * level * level;
    }
}

static void levels_of(const float *x, float by, uint8_t *level)
{
    for (int i = 0; i < SMALL; i++)
        level[i] = (uint8_t)(32 + clamp(nearest(by * x[i]), -32, 31));
}

/* Scale of a group, its levels + 32. */
static float fit_signed(const float *x, uint8_t *level)
{
    float size = 0.0f, most = 0.0f, xl, l2;
    memset(level, 0, SMALL);
    for (int i = 0; i < SMALL; i++)
        if (fabsf(x[i]) > size) {
            size = fabsf(x[i]);
            most = x[i];
        }
    if (size < NOTHING) return 0.0f;
    products(x, -32.0f / most, &xl, &l2);
    levels_of(x, -32.0f / most, level);
    float scale = l2 != 0.0f ? xl / l2 : 0.0f, best = scale * xl;
    for (int t = -9; t <= 9; t++) {
        if (t == 0) continue;
        const float by = -(32.0f + 0.1f * (float)t) / most;
        products(x, by, &xl, &l2);
        if (!(l2 > 0.0f) || !(xl * xl > best * l2)) continue;
        levels_of(x, by, level);
        scale = xl / l2;
        best = scale * xl;
    }
    return scale;
}

static void pack_q6(uint8_t *to, const uint8_t *level)
{
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 32; i++) {
            const uint8_t *l = level + 128 * h + i;
            uint8_t *low = to + 64 * h + i;
            low[0] = (uint8_t)((l[0] & 15) | (l[64] & 15) << 4);
            low[32] = (uint8_t)((l[32] & 15) | (l[96] & 15) << 4);
            to[128 + 32 * h + i] =
                (uint8_t)(l[0] >> 4 | l[32] >> 4 << 2 | l[64] >> 4 << 4 | l[96] >> 4 << 6);
        }
}

void narrow_k_q6(uint8_t *to, const float *from)
{
    float scale[SMALL], size = 0.0f, most = 0.0f;
    uint8_t level[NARROW_K];
    for (int j = 0; j < SMALL; j++) {
        scale[j] = fit_signed(from + SMALL * j, level + SMALL * j);
        if (fabsf(scale[j]) > size) {
            size = fabsf(scale[j]);
            most = scale[j];
        }
    }
    memset(to, 0, 210);
    if (size < NOTHING) return;
    const float by = -128.0f / most, d = put_half(to + 208, 1.0f / by);
    for (int j = 0; j < SMALL; j++) {
        const int stored = nearest(by * scale[j]);
        to[192 + j] = (uint8_t)(int8_t)(stored < 127 ? stored : 127);
        const float unit = d * (float)(int8_t)to[192 + j];
        for (int i = 0; unit != 0.0f && i < SMALL; i++) {
            const int at = SMALL * j + i;
            level[at] = (uint8_t)(32 + clamp(nearest(from[at] / unit), -32, 31));
        }
    }
    pack_q6(to, level);
}
