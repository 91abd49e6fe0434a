/* teacache.h  TeaCache: which denoising steps take over what the network's blocks did the step before.
 *
 * How far the modulation by the timestep moves from one step to the next foretells how far the
 * network's output will move; a polynomial, fitted once per model, translates. The foretold moves add up
 * over skipped steps; the network is computed again when their sum reaches the threshold.
 * Source: arXiv:2411.19108, and the implementations named in docs/MODELS.md. */
#ifndef SAMPLING_TEACACHE_H
#define SAMPLING_TEACACHE_H

#include <stdbool.h>

enum { TEACACHE_COEFFICIENTS = 5, TEACACHE_FIRST = 5 };

typedef struct TeaCache {
    double coefficient[TEACACHE_COEFFICIENTS]; /**< highest power first */
    double threshold;                          /**< >= 0 */
} TeaCache;

/** What a move d of the modulation foretells. */
double teacache_estimate(const TeaCache *cache, double d);

/**
 * @param moved    [n] mean |e - e before| / mean |e before| of each step's modulation e; moved[0] is
 *                 not looked at
 * @param n_first  steps at the beginning that are always computed, at least 1
 * @param skip     [n] out: true where the step takes over the residual of the last computed one
 * @return how many are skipped
 */
int teacache_decide(const TeaCache *cache, const double *moved, int n, int n_first, bool *skip);

#endif
