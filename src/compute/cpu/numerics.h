/* numerics.h  Constants that fix the bits of every result: changing one changes every picture. */
#ifndef CPU_NUMERICS_H
#define CPU_NUMERICS_H

/* Rules all CPU kernels obey, on every instruction set, so that a scalar fmaf loop is an exact
 * oracle for them (tolerance 0):
 *  1. Vector lanes are outputs, never the reduction: an output is one chain
 *     acc = fma(x[k], w[k], acc), k ascending, begun at +0.
 *  2. Chains are cut at fixed places (below) and the partial sums added in order.
 *  3. Sums over a row are ROW_PARTIALS sums by index modulo ROW_PARTIALS, folded 8-4-2-1.
 *  4. max(a, b) = a > b ? a : b, with the new value as a.
 *  5. Only fma, mul, add, sub, divide, sqrt and round-to-nearest-even; one polynomial each
 *     for exp and friends. No estimates (rcp, rsqrt), no flush to zero.
 * Blocking, tile shapes and thread counts are free, as long as blocks end on the cuts. */
enum {
    GEMM_KB = 512,      /**< terms per chain of a matrix product; partial sums are added in order */
    ATTENTION_BK = 256, /**< keys per step of the streaming softmax, from key 0 */
    CONV_ROW_TERMS = 384, /**< from this many terms a row of convolution taps is a chain (conv.h) */
    CONV_WINOGRAD_CHANNELS = 32, /**< 3x3 with as many inputs and outputs, and as many tiles of */
    CONV_WINOGRAD_TILES = 16,    /**< 4x4 in the whole image, is computed by F(4x4, 3x3) */
    ROW_PARTIALS = 16            /**< partial sums of a row reduction */
};

/** Softmax is taken in powers of two: 2^(x log2 e). */
#define LOG2_E 1.44269504f

#endif
