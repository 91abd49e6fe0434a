/* random.h  Seeded noise with torch's meaning of a seed: `torch.Generator("cpu")` and its randn.
 *
 * Source: pytorch 2.15, aten/src/ATen/core/MT19937RNGEngine.h, native/cpu/DistributionTemplates.h.
 * - A draw of 16 or more normals makes all n uniforms first and then turns blocks of 16 of them
 *   into normals (8 radii, 8 angles); when 16 does not divide n, the last 16 are drawn once more.
 * - A draw of fewer takes double precision pairs, the second of which waits for the next small
 *   draw, also when large draws come between.
 * So noise depends on how it is cut into draws: one draw here is one torch.randn call there.
 * The numbers are those of torch's AVX2 build (what x86 machines run), bit for bit; torch on other
 * machines takes the logarithm and sine of its C library and differs from both in the last bit.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

enum { RANDOM_STATE = 624, RANDOM_BLOCK = 16 };

/** One generator; a plain value: copy it to branch, keep one per image as torch users do. */
typedef struct Random {
    uint32_t state[RANDOM_STATE];
    int next; /**< word of `state` to give out next */
    bool has_spare;
    double spare; /**< second of a pair of small draws */
} Random;

/** A draw of n normals that is taken piece by piece: the same numbers without a buffer of n. */
typedef struct RandomNormal {
    Random *random;
    int64_t left;  /**< values not yet given out */
    int64_t whole; /**< of these, values that come from uniforms drawn in order */
    int lost;      /**< uniforms that only the redrawn values would have used */
    bool small;    /**< fewer than 16 in all */
    int n_ready;   /**< values at the end of `ready` that wait */
    float ready[RANDOM_BLOCK];
} RandomNormal;

/** Seed as torch's manual_seed. Like there only the low 32 bits count; a negative seed of the
 *  caller is its two's complement, (uint64_t)(int64_t)seed. */
void random_init(Random *random, uint64_t seed);

/** 32 random bits. */
uint32_t random_bits(Random *random);
/** Uniform in [0, 1) with 24 bits: one value of torch.rand in f32. */
float random_uniform(Random *random);

/** x[0, n) = torch.randn(n) in f32; n = 0 draws nothing. */
void random_normal(Random *random, float *x, int64_t n);

/** Begin a draw of n values; `random` must outlive it and serve nobody else until all are taken. */
void random_normal_begin(RandomNormal *draw, Random *random, int64_t n);
/** Next `n` values of the draw into x; n <= draw->left. Pieces of a multiple of 16 are fastest. */
void random_normal_next(RandomNormal *draw, float *x, int64_t n);

#endif
