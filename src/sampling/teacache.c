/* teacache.c  Sums of foretold moves against a threshold. */
#include "sampling/teacache.h"

#include <math.h>

/* k-th derivative of the polynomial at d. */
static double derivative(const TeaCache *c, int k, double d)
{
    double sum = 0;
    for (int i = 0; i + k < TEACACHE_COEFFICIENTS; i++) {
        const int power = TEACACHE_COEFFICIENTS - 1 - i;
        double factor = c->coefficient[i];
        for (int j = 0; j < k; j++)
            factor *= power - j;
        sum = sum * d + factor;
    }
    return sum;
}

double teacache_estimate(const TeaCache *c, double d)
{
    return derivative(c, 0, d);
}

/* Past its last maximum a polynomial that falls for good says nothing any more: with few steps the
 * modulation moves so far that the published ones go below zero, which would read as "skip". There all
 * derivatives are negative. */
static bool beyond_fit(const TeaCache *c, double d)
{
    for (int k = 1; k < TEACACHE_COEFFICIENTS; k++)
        if (derivative(c, k, d) >= 0) return false;
    return true;
}

int teacache_decide(const TeaCache *c, const double *moved, int n, int n_first, bool *skip)
{
    int skipped = 0;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        skip[i] = false;
        if (i == 0 || i < n_first) continue;
        sum += teacache_estimate(c, moved[i]);
        skip[i] = isfinite(moved[i]) && sum < c->threshold && !beyond_fit(c, moved[i]);
        if (!skip[i]) sum = 0;
        skipped += skip[i];
    }
    return skipped;
}
