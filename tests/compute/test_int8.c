/* test_int8.c  Products in int8: every variant gives the reference's bits, whatever the blocking and the
 * threads, and is as near to f64 as bytes can be. */
#include "compute/variants.h"
#include "compute/equal_bits.h"
#include "compute/matrices.h"

#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "compute/cpu/int8.h"
#include "compute/cpu/widen.h"

enum { MAX_K = 2100, MAX_M = 70, MAX_N = 150 };

/* ---- rows ---- */

static void reference_row(int8_t *to, const float *x, int64_t n, float *scale)
{
    double most = 0;
    bool finite = true;
    for (int64_t k = 0; k < n; k++) {
        finite = finite && isfinite(x[k]);
        if (fabs((double)x[k]) > most) most = fabs((double)x[k]);
    }
    const float peak = (float)most, factor = most < 1e-30 || !finite ? 0.0f : 127.0f / peak;
    *scale = !finite ? NAN : factor == 0.0f ? 0.0f : peak / 127.0f;
    for (int64_t k = 0; k < n; k++)
        to[k] = finite ? (int8_t)nearbyintf(x[k] * factor) : 0;
}

TEST(int8, rows_are_rounded_to_the_nearest_of_255)
{
    static const int64_t COLS[] = { 1, 3, 4, 5, 31, 32, 33, 512, 1537 };
    static float x[MAX_K];
    static int8_t want[MAX_K + 4], got[MAX_K + 4];
    for (size_t i = 0; i < COUNT(COLS); i++) {
        const int64_t n = COLS[i];
        float scale;
        test_random(x, (size_t)n, -3.0f, 3.0f);
        x[n / 2] = -4.0f;
        if (n > 4) x[1] = 4.0f * 2.5f / 127.0f; /* a half: to even */
        memset(want, 0, sizeof want);
        reference_row(want, x, n, &scale);
        CHECK_CLOSE(&(float){ int8_row_ref(got, x, n) }, &scale, 1, 0.0f);
        CHECK(memcmp(got, want, (size_t)((n + 3) / 4 * 4)) == 0);
        CHECK_INT(got[n / 2], -127);
    }
}

TEST(int8, what_is_no_number_makes_its_row_one)
{
    static const float BAD[] = { NAN, INFINITY, -INFINITY };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        float x[6] = { 1, 2, BAD[i], 3, 4, 5 };
        int8_t to[8];
        CHECK(isnan(int8_row_ref(to, x, 6)));
        CHECK_INT(to[0], 0);
    }
}

TEST(int8, rows_of_zeros_and_dust_are_zero)
{
    static const float SMALL[] = { 0.0f, -0.0f, 1e-38f, -9e-31f, 1e-45f };
    for (size_t i = 0; i < COUNT(SMALL); i++) {
        const float x[3] = { SMALL[i], 0, 0 };
        int8_t to[4] = { 1, 1, 1, 1 };
        CHECK(int8_row_ref(to, x, 3) == 0.0f);
        CHECK_INT(to[0], 0);
        CHECK_INT(to[3], 0);
    }
}

/* ---- the whole product: all kernels of a level together, as bytes are private to it ---- */

typedef struct Problem {
    int64_t m, k, n;
    DType type;
    bool bias, map;
} Problem;

typedef struct Data {
    float x[MAX_M * MAX_K], w[MAX_N * MAX_K], bias[MAX_N];
    uint16_t half[MAX_N * MAX_K];
} Data;

static Data *make_data(const Problem *p)
{
    Data *d = malloc(sizeof *d);
    CHECK(d);
    test_random(d->x, (size_t)(p->m * p->k), -2.0f, 2.0f);
    test_random(d->w, (size_t)(p->n * p->k), -1.0f, 1.0f);
    test_random(d->bias, COUNT(d->bias), -1.0f, 1.0f);
    for (int64_t i = 0; i < p->n * p->k; i++)
        d->half[i] = dtype_f32_to_bf16(d->w[i]);
    return d;
}

static void run(const Problem *p, const Data *d, Isa isa, int threads, float *y)
{
    Kernels kernels;
    Heap *heap = heap_create();
    Pool *pool = pool_create(heap, threads);
    kernels_fill(&kernels, isa);
    void *scratch = aligned_alloc(64, size_align(cpu_int8_scratch_bytes(threads, p->m, p->k), 64));
    CHECK(pool && scratch);
    Int8Args args = { .x = d->x, .ldx = p->k, .y = y, .ldy = p->n, .m = p->m };
    args.w = stored_dense(p->type, p->type == DT_BF16 ? (const void *)d->half : d->w, p->n, p->k);
    args.bias = p->bias ? d->bias : NULL;
    args.map = p->map ? kernels.silu : NULL;
    cpu_int8(&kernels, pool, &args, scratch);
    free(scratch);
    pool_free(pool);
    heap_free(heap);
}

static const Problem PROBLEMS[] = {
    { 1, 1, 1, DT_F32, false, false },        { 3, 5, 7, DT_F32, true, false },
    { 4, 64, 16, DT_BF16, true, true },       { 5, 511, 17, DT_F32, false, true },
    { 33, 513, 31, DT_BF16, true, false },    { 12, 1536, 40, DT_F32, true, false },
    { 70, 2048, 130, DT_BF16, false, false }, { 13, 2100, 150, DT_F32, true, true },
};

TEST(int8, every_level_and_thread_count_gives_the_same_bits)
{
    static const Isa LEVELS[] = { ISA_AVX2, ISA_AVX512, ISA_VNNI, ISA_NEON };
    static float want[MAX_M * MAX_N], got[MAX_M * MAX_N];
    for (size_t i = 0; i < COUNT(PROBLEMS); i++) {
        const Problem *p = &PROBLEMS[i];
        Data *d = make_data(p);
        run(p, d, ISA_REF, 1, want);
        run(p, d, ISA_REF, 3, got);
        CHECK(equal_bits(got, want, p->m * p->n));
        for (size_t l = 0; l < COUNT(LEVELS); l++) {
            if (!isa_covers(isa_detect(), LEVELS[l])) {
                if (i == 0) print_message("SKIPPED: no %s here\n", isa_name(LEVELS[l]));
                continue;
            }
            run(p, d, LEVELS[l], 1 + (int)(i % 3), got);
            CHECK(equal_bits(got, want, p->m * p->n));
        }
        free(d);
    }
}

/* Sums at the edge of what 16-bit pairs hold: all values at the ends of their scale. */
TEST(int8, the_largest_sums_are_exact)
{
    static float got[MAX_M * MAX_N];
    const Problem p = { 9, 2100, 33, DT_F32, false, false };
    Data *d = make_data(&p);
    for (int64_t i = 0; i < p.m * p.k; i++)
        d->x[i] = i / p.k % 2 ? -1.0f : 1.0f;
    for (int64_t i = 0; i < p.n * p.k; i++)
        d->w[i] = i / p.k % 3 ? 1.0f : -1.0f;
    run(&p, d, isa_detect(), 2, got);
    /* 2100 * 127 * 127 < 2^25.02 rounds once, the scales 1/127 twice and the products twice: 6 eps */
    for (int64_t i = 0; i < p.m * p.n; i++) {
        const double sign = (i / p.n % 2 ? -1.0 : 1.0) * (i % p.n % 3 ? 1.0 : -1.0);
        CHECK(fabs((double)got[i] - sign * 2100.0) < 6 * 6e-8 * 2100.0);
    }
    free(d);
}

TEST(int8, rows_do_not_see_each_other)
{
    static float all[MAX_M * MAX_N], some[MAX_M * MAX_N];
    const Problem p = { 40, 700, 50, DT_F32, true, false };
    Data *d = make_data(&p);
    run(&p, d, isa_detect(), 2, all);
    Problem part = p;
    part.m = 7;
    memmove(d->x, d->x + 21 * p.k, (size_t)(part.m * p.k) * sizeof(float));
    run(&part, d, isa_detect(), 1, some);
    CHECK(equal_bits(some, all + 21 * p.n, part.m * p.n));
    free(d);
}

/* A row of uniform values of magnitude a has steps of a / 127, an error of a / 127 / sqrt(12) and an rms
 * of a / sqrt(3): relative 3.9e-3 for each of x and w, together 5.6e-3 in the sum. */
TEST(int8, its_error_is_that_of_two_roundings_to_bytes)
{
    static float y[MAX_M * MAX_N];
    const Problem p = { 40, 2048, 60, DT_F32, false, false };
    Data *d = make_data(&p);
    run(&p, d, isa_detect(), 2, y);
    double error = 0, size = 0;
    for (int64_t m = 0; m < p.m; m++)
        for (int64_t n = 0; n < p.n; n++) {
            double sum = 0;
            for (int64_t k = 0; k < p.k; k++)
                sum += (double)d->x[m * p.k + k] * (double)d->w[n * p.k + k];
            const double off = (double)y[m * p.n + n] - sum;
            error += off * off;
            size += sum * sum;
        }
    print_message("relative error %.2e\n", sqrt(error / size));
    CHECK(sqrt(error / size) < 6.5e-3);
    CHECK(sqrt(error / size) > 4.5e-3);
    free(d);
}
