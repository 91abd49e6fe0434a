/* philox.h  Seeded noise as torch draws it on a CUDA card: `torch.Generator("cuda")` and its randn.
 *
 * Source: Salmon and others 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox4x32-10); curand's
 * Box-Muller as pytorch calls it. Each value is a function of seed, draw and place, so pieces may be
 * taken in any order. Torch spreads a draw over as many threads as the card runs at once; while they
 * are at least as many as the draw has values (true up to 65,536 values on any card that
 * diffusion models run on), every thread gives one value, and cards do not differ. */
#ifndef BASE_PHILOX_H
#define BASE_PHILOX_H

#include <stdint.h>

/** A draw of a generator. */
typedef struct Philox {
    uint64_t seed;
    uint64_t draw; /**< randn calls before this one */
} Philox;

/** Four random words: counter (c0, 0, low and high word of `place`), key `seed`. */
void philox_words(uint64_t seed, uint64_t c0, uint64_t place, uint32_t out[4]);
/** x[0, n) = places first .. first + n - 1 of the draw. */
void philox_normal(Philox draw, uint64_t first, float *x, int64_t n);

#endif
