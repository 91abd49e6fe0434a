/* test_vmath.c  exp and friends: equal bits on every ISA, close to libm's double functions. */
#include "compute/variants.h"

#include "base/size.h"
#include "compute/equal_bits.h"

enum { MANY = 4096, GUARD = 32 };

/** Floats of all sizes and signs, the special ones first. */
static void fill_wide(float *x, int64_t n)
{
    static const float SPECIAL[] = { 0.0f,      -0.0f,   1.0f,    -1.0f,   NAN,     INFINITY,
                                     -INFINITY, 1e-45f,  -1e-38f, 88.7f,   88.73f,  -87.4f,
                                     -103.9f,   -104.5f, 127.5f,  -126.5f, 3.4e38f, -3.4e38f,
                                     0.5f,      -0.5f,   9.02f,   15.0f,   -15.0f,  1e20f };
    float exponent[2];
    for (int64_t i = 0; i < n; i++) {
        test_random(exponent, 2, -1.0f, 1.0f);
        x[i] = (exponent[1] < 0 ? -1.0f : 1.0f) * exp2f(exponent[0] * 12.0f);
    }
    for (size_t i = 0; i < COUNT(SPECIAL) && (int64_t)i < n; i++)
        x[i] = SPECIAL[i];
}

static void check_variants(const char *slot, MapRow *reference)
{
    static float x[MANY], want[MANY], got[MANY + GUARD];
    static const int64_t N[] = { 0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 100, MANY };
    fill_wide(x, MANY);
    for (EACH_VARIANT(v, slot))
        for (size_t i = 0; i < COUNT(N); i++) {
            const float *from = x + (MANY - N[i]) / 2; /* other alignments, too */
            reference(want, from, N[i]);
            test_guard(got + N[i], GUARD);
            ((MapRow *)v->fn)(got, from, N[i]);
            CHECK(equal_bits(got, want, N[i]));
            CHECK(test_guard_intact(got + N[i], GUARD));
            memcpy(got, from, (size_t)N[i] * sizeof *got);
            ((MapRow *)v->fn)(got, got, N[i]); /* in place */
            CHECK(equal_bits(got, want, N[i]));
        }
}

TEST(vmath, variants_equal_the_scalar_text)
{
    check_variants("exp", exp_ref);
    check_variants("exp2", exp2_ref);
    check_variants("silu", silu_ref);
    check_variants("gelu_tanh", gelu_tanh_ref);
    check_variants("gelu_erf", gelu_erf_ref);
    check_variants("gelu_quick", gelu_quick_ref);
    check_variants("relu", relu_ref);
    check_variants("tanh", tanh_ref);
    check_variants("sigmoid", sigmoid_ref);
}

/* ---- distance to f64 ---- */

typedef double Exact(double x);

static double exact_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}
static double exact_silu(double x)
{
    return x / (1.0 + exp(-x));
}
static double exact_gelu_erf(double x)
{
    return 0.5 * x * erfc(-x * sqrt(0.5));
}
static double exact_gelu_tanh(double x)
{
    return x / (1.0 + exp(-2.0 * sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

static double exact_gelu_quick(double x)
{
    return x / (1.0 + exp(-1.702 * x));
}

/** Units in the last place of f32 at y; the least normal's unit below it. */
static double ulp(double y)
{
    int exponent;
    if (fabs(y) < 0x1p-126) return 0x1p-149;
    frexp(y, &exponent);
    return ldexp(1.0, exponent - 24);
}

/** Worst error over a grid of [low, high]: in ulp, or absolute relative to max(1, |x|). */
static double worst(MapRow *f, Exact *exact, double low, double high, bool in_ulp)
{
    double largest = 0;
    for (int i = 0; i <= 200000; i++) {
        const float x = (float)(low + (high - low) * i / 200000);
        float y;
        f(&y, &x, 1);
        const double want = exact((double)x), error = fabs((double)y - want);
        largest = fmax(largest, error / (in_ulp ? ulp(want) : fmax(1.0, fabs((double)x))));
    }
    return largest;
}

TEST(vmath, errors_are_as_the_header_says)
{
    /* limits: measured over every 61st float (vmath.h), which is more than this grid sees */
    CHECK(worst(exp2_ref, exp2, -126, 127, true) <= 1.0);
    CHECK(worst(exp_ref, exp, -104, 88.7, true) <= 1.0);
    CHECK(worst(sigmoid_ref, exact_sigmoid, -87, 100, true) <= 2.4);
    CHECK(worst(silu_ref, exact_silu, -87, 100, true) <= 2.3);
    CHECK(worst(silu_ref, exact_silu, -1000, 1000, false) <= 1.2e-7);
    CHECK(worst(tanh_ref, tanh, -12, 12, true) <= 4.7);
    CHECK(worst(gelu_erf_ref, exact_gelu_erf, -20, 0, false) <= 9e-8);
    CHECK(worst(gelu_erf_ref, exact_gelu_erf, 0, 40, false) <= 1e-7);
    CHECK(worst(gelu_tanh_ref, exact_gelu_tanh, -20, 0, false) <= 5e-8);
    CHECK(worst(gelu_tanh_ref, exact_gelu_tanh, 0, 40, false) <= 1.2e-7);
    CHECK(worst(gelu_quick_ref, exact_gelu_quick, -40, 40, false) <= 1.2e-7);
}

static float at(MapRow *f, float x)
{
    float y;
    f(&y, &x, 1);
    return y;
}

TEST(vmath, special_values)
{
    CHECK(at(exp2_ref, 0.0f) == 1.0f && at(exp_ref, 0.0f) == 1.0f);
    CHECK(at(exp2_ref, -1e30f) == 0x1p-126f && at(exp2_ref, -126.0f) == 0x1p-126f);
    CHECK(isinf(at(exp_ref, 89.0f)) && isinf(at(exp_ref, INFINITY)));
    CHECK(at(exp_ref, -INFINITY) == 0.0f && at(exp_ref, -200.0f) == 0.0f);
    CHECK(at(tanh_ref, 1e30f) == 1.0f && at(tanh_ref, -INFINITY) == -1.0f);
    CHECK(at(sigmoid_ref, 1e30f) == 1.0f && at(sigmoid_ref, -1e30f) == 0.0f);
    CHECK(at(silu_ref, 1e30f) == 1e30f && at(silu_ref, -1e30f) == 0.0f);
    CHECK(at(gelu_erf_ref, 1e30f) == 1e30f && at(gelu_erf_ref, -1e30f) == 0.0f);
    CHECK(at(gelu_tanh_ref, 1e30f) == 1e30f && at(gelu_tanh_ref, -1e30f) == 0.0f);
    CHECK(at(gelu_quick_ref, 1e30f) == 1e30f && at(gelu_quick_ref, -1e30f) == 0.0f);
    MapRow *const ALL[] = { exp_ref,        exp2_ref, silu_ref, gelu_tanh_ref, gelu_erf_ref,
                            gelu_quick_ref, relu_ref, tanh_ref, sigmoid_ref };
    for (size_t i = 0; i < COUNT(ALL); i++)
        CHECK(isnan(at(ALL[i], NAN)));
}
