/* bf16_terms.h  What the kernels bf16_row and bf16_panel of a level made of values. */
#ifndef TESTS_COMPUTE_BF16_TERMS_H
#define TESTS_COMPUTE_BF16_TERMS_H

#include "test.h"

#include "compute/cpu/kernels.h"
#include "tensor/dtype.h"

/** Term k of a row, or of column j of a panel when `pitch` is PANEL and not 1. Level BF16: pairs in the
 *  place of a float, the earlier term in the upper half. */
static inline float bf16_term(const float *made, int64_t k, int64_t pitch, int64_t j, bool pairs)
{
    uint32_t bits;
    if (!pairs) return made[k * pitch + j];
    memcpy(&bits, &made[k / 2 * pitch + j], sizeof bits);
    return dtype_bf16_to_f32((uint16_t)(k % 2 ? bits : bits >> 16));
}

/** What term that is to be; the instruction of level BF16 takes x below 2^-126 for 0. */
static inline float bf16_wanted(float x, bool pairs)
{
    if (pairs && fabsf(x) < 0x1p-126f) return copysignf(0.0f, x);
    return dtype_bf16_to_f32(dtype_f32_to_bf16(x));
}

/** Check both kernels of a level on n terms drawn anew, with the ends of the range among them. */
static inline void bf16_check(Bf16Row *row, Bf16Panel *panel, int64_t n, bool pairs)
{
    enum { MOST = 520, GUARD = 40 };
    static const float ENDS[] = { 0.0f,      -0.0f,      1.0f + 0x1p-8f,  1.0f + 3 * 0x1p-8f,
                                  3.4e38f,   -3.38e38f,  INFINITY,        -INFINITY,
                                  0x1p-126f, -0x1p-127f, 0x1.fffffep-127f };
    static float x[MOST * PANEL], made[MOST * PANEL + GUARD];
    const int64_t depth = pairs ? (n + 1) / 2 : n;
    CHECK(n <= MOST);
    test_random(x, (size_t)(n * PANEL), -4.0f, 4.0f);
    for (size_t i = 0; n && i < sizeof ENDS / sizeof ENDS[0]; i++)
        x[(int64_t)i * 7 % (n * PANEL)] = ENDS[i];
    test_guard(made + depth, GUARD);
    CHECK_INT(row(made, x, n), depth);
    CHECK(test_guard_intact(made + depth, GUARD));
    for (int64_t k = 0; k < (pairs ? 2 * depth : n); k++) {
        const float want = k < n ? bf16_wanted(x[k], pairs) : 0.0f,
                    got = bf16_term(made, k, 1, 0, pairs);
        CHECK(memcmp(&got, &want, sizeof got) == 0);
    }
    test_guard(made + depth * PANEL, GUARD);
    CHECK_INT(panel(made, x, n), depth);
    CHECK(test_guard_intact(made + depth * PANEL, GUARD));
    for (int64_t i = 0; i < (pairs ? 2 * depth : n) * PANEL; i++) {
        const float want = i < n * PANEL ? bf16_wanted(x[i], pairs) : 0.0f,
                    got = bf16_term(made, i / PANEL, PANEL, i % PANEL, pairs);
        CHECK(memcmp(&got, &want, sizeof got) == 0);
    }
}

#endif
