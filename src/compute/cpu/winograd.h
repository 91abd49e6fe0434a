/* winograd.h  The transforms of F(4x4, 3x3): 16 outputs of a 3x3 convolution for 36 products.
 *
 * Points 0, +-a, +-b, infinity with a = 3/4, b = 3/2: every constant of the input and output
 * transforms is exact in f32, and the error is a third of that of the usual +-1, +-2. With d a
 * 6x6 tile of the input, g the kernel and y the 4x4 outputs, per channel:
 *   V = B' d B,  U = G g G',  M[p] = sum over channels of V[p] U[p],  y = A' M A
 * Position p = 6 * row + column. In one dimension, in exactly this form (n = a^2, m = b^2):
 *   input    t = fma(-m, d2, d4), u = a * fma(-m, d1, d3), s = fma(-n, d2, d4), v = b * fma(-n, d1, d3)
 *            fma(nm, d0, fma(-(n + m), d2, d4)), t + u, t - u, s + v, s - v,
 *            fma(nm, d1, fma(-(n + m), d3, d5))
 *   weights  w0 / nm, p + q, p - q with p = fma(f n, w2, f w0), q = f a w1, f = 1 / (2n (n - m));
 *            r + k, r - k with r = fma(h m, w2, h w0), k = h b w1, h = 1 / (2m (m - n)); w2
 *   output   s = m1 + m2, d = m1 - m2, s' = m3 + m4, d' = m3 - m4
 *            m0 + (s + s'), fma(b, d', a d), fma(m, s', n s), fma(b^3, d', fma(a^3, d, m5))
 * Input and output transform rows (x) before columns (y), weights columns before rows. */
#ifndef CPU_WINOGRAD_H
#define CPU_WINOGRAD_H

#include <stdint.h>

enum {
    WINOGRAD_OUT = 4,       /**< outputs of a tile, each way: also the grid that bands keep to */
    WINOGRAD_IN = 6,        /**< inputs of a tile, each way */
    WINOGRAD_POSITIONS = 36 /**< WINOGRAD_IN squared */
};

/** v[p * pitch + c] for all positions of one tile, c < n; d: its 36 pixels of n channels. */
typedef void WinogradInput(float *v, int64_t pitch, const float *const *d, int64_t n);

/** u[p * pitch + c * PANEL + j] for n channels, from w[c * step + (3 ky + kx) * PANEL + j]. */
typedef void WinogradWeights(float *u, int64_t pitch, const float *w, int64_t step, int64_t n);

/** One tile of products back to up to 16 pixels. */
typedef struct WinogradTile {
    const float *m; /**< [36] rows of n floats, `pitch` apart */
    int64_t pitch, n;
    const float *bias;            /**< [n] or NULL */
    float *const *y;              /**< [16] pixels of n floats, row by row; NULL: outside */
    const float *const *residual; /**< [16] added after the bias, or NULL */
} WinogradTile;
typedef void WinogradOutput(const WinogradTile *tile);

#endif
