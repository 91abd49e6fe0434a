/* winograd_body.h  The transforms of winograd.h over lanes: included once per ISA, after
 * VARIANT(name). */
#include "compute/cpu/kernels.h"
#include "compute/cpu/vmath.h"

enum { IN = WINOGRAD_IN, OUT = WINOGRAD_OUT };

/* Points and their powers, exact in f32. */
#define A  0.75f
#define B  1.5f
#define A2 0.5625f
#define B2 2.25f
#define A3 0.421875f
#define B3 3.375f
/* f and h of the weight transform times powers of the points, each rounded once. */
#define F_  (1.0 / (2 * 0.5625 * (0.5625 - 2.25)))
#define H_  (1.0 / (2 * 2.25 * (2.25 - 0.5625)))
#define F0  ((float)F_)
#define F1  ((float)(F_ * 0.75))
#define F2  ((float)(F_ * 0.5625))
#define H0  ((float)H_)
#define H1  ((float)(H_ * 1.5))
#define H2  ((float)(H_ * 2.25))
#define AB2 ((float)(1.0 / (0.5625 * 2.25)))

VEC_INLINE void input_line(vfloat out[IN], const vfloat d[IN])
{
    const vfloat t = vec_fma(vec_set(-B2), d[2], d[4]), s = vec_fma(vec_set(-A2), d[2], d[4]);
    const vfloat u = vec_set(A) * vec_fma(vec_set(-B2), d[1], d[3]);
    const vfloat v = vec_set(B) * vec_fma(vec_set(-A2), d[1], d[3]);
    out[0] = vec_fma(vec_set(A2 * B2), d[0], vec_fma(vec_set(-(A2 + B2)), d[2], d[4]));
    out[1] = t + u;
    out[2] = t - u;
    out[3] = s + v;
    out[4] = s - v;
    out[5] = vec_fma(vec_set(A2 * B2), d[1], vec_fma(vec_set(-(A2 + B2)), d[3], d[5]));
}

VEC_INLINE void weight_line(vfloat out[IN], vfloat w0, vfloat w1, vfloat w2)
{
    const vfloat p = vec_fma(vec_set(F2), w2, vec_set(F0) * w0), q = vec_set(F1) * w1;
    const vfloat r = vec_fma(vec_set(H2), w2, vec_set(H0) * w0), k = vec_set(H1) * w1;
    out[0] = vec_set(AB2) * w0;
    out[1] = p + q;
    out[2] = p - q;
    out[3] = r + k;
    out[4] = r - k;
    out[5] = w2;
}

VEC_INLINE void output_line(vfloat out[OUT], const vfloat m[IN])
{
    const vfloat s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    out[0] = m[0] + (s + s2);
    out[1] = vec_fma(vec_set(B), d2, vec_set(A) * d);
    out[2] = vec_fma(vec_set(B2), s2, vec_set(A2) * s);
    out[3] = vec_fma(vec_set(B3), d2, vec_fma(vec_set(A3), d, m[5]));
}

/** Channels c .. of one tile: all lanes, or n of them. V's rows are padded to whole vectors. */
VEC_INLINE void input_lanes(float *v, int64_t pitch, const float *const *pixel, int64_t c,
                            int64_t n)
{
    vfloat half[IN][IN], d[IN], out[IN];
    for (int y = 0; y < IN; y++) {
        for (int x = 0; x < IN; x++)
            d[x] = vec_load_some(pixel[y * IN + x] + c, n);
        input_line(half[y], d);
    }
    for (int x = 0; x < IN; x++) {
        for (int y = 0; y < IN; y++)
            d[y] = half[y][x];
        input_line(out, d);
        for (int y = 0; y < IN; y++)
            vec_store_some(v + (y * IN + x) * pitch + c, out[y], n);
    }
}

void VARIANT(winograd_input)(float *v, int64_t pitch, const float *const *d, int64_t n)
{
    int64_t c = 0;
    for (; c + VLEN <= n; c += VLEN)
        input_lanes(v, pitch, d, c, VLEN);
    if (c < n) input_lanes(v, pitch, d, c, n - c);
}

VEC_INLINE void weight_lanes(float *u, int64_t pitch, const float *w)
{
    vfloat half[IN][3], column[IN];
    for (int kx = 0; kx < 3; kx++) {
        weight_line(column, vec_load(w + kx * PANEL), vec_load(w + (3 + kx) * PANEL),
                    vec_load(w + (6 + kx) * PANEL));
        for (int y = 0; y < IN; y++)
            half[y][kx] = column[y];
    }
    for (int y = 0; y < IN; y++) {
        weight_line(column, half[y][0], half[y][1], half[y][2]);
        for (int x = 0; x < IN; x++)
            vec_store(u + (y * IN + x) * pitch, column[x]);
    }
}

void VARIANT(winograd_weights)(float *u, int64_t pitch, const float *w, int64_t step, int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        for (int j = 0; j < PANEL; j += VLEN)
            weight_lanes(u + c * PANEL + j, pitch, w + c * step + j);
}

VEC_INLINE void output_lanes(const WinogradTile *t, int64_t c, int64_t n)
{
    vfloat half[IN][OUT], m[IN], out[OUT];
    for (int y = 0; y < IN; y++) {
        for (int x = 0; x < IN; x++)
            m[x] = vec_load_some(t->m + (y * IN + x) * t->pitch + c, n);
        output_line(half[y], m);
    }
    for (int x = 0; x < OUT; x++) {
        for (int y = 0; y < IN; y++)
            m[y] = half[y][x];
        output_line(out, m);
        for (int y = 0; y < OUT; y++) {
            const int pixel = y * OUT + x;
            if (!t->y[pixel]) continue;
            if (t->bias) out[y] = out[y] + vec_load_some(t->bias + c, n);
            if (t->residual) out[y] = out[y] + vec_load_some(t->residual[pixel] + c, n);
            vec_store_some(t->y[pixel] + c, out[y], n);
        }
    }
}

void VARIANT(winograd_output)(const WinogradTile *tile)
{
    int64_t c = 0;
    for (; c + VLEN <= tile->n; c += VLEN)
        output_lanes(tile, c, VLEN);
    if (c < tile->n) output_lanes(tile, c, tile->n - c);
}
