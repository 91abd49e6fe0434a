/* equal_bits.h  Compare arrays bit for bit; any NaN equals any NaN. */
#ifndef TESTS_COMPUTE_EQUAL_BITS_H
#define TESTS_COMPUTE_EQUAL_BITS_H

#include "test.h"

static inline bool equal_bits(const float *got, const float *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, sizeof *got) != 0 && !(isnan(got[i]) && isnan(want[i]))) {
            print_message("at %lld: got %.9g, want %.9g\n", (long long)i, (double)got[i],
                          (double)want[i]);
            return false;
        }
    return true;
}

#endif
