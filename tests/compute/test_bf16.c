/* test_bf16.c  Products in bf16: how values are rounded, what is no number, that rows do not see each
 * other, and the error. That products follow the rule of f32 after that is test_gemm.c's. */
#include "compute/bf16_terms.h"
#include "compute/equal_bits.h"
#include "compute/variants.h"

#include <stdlib.h>

#include "base/size.h"
#include "compute/cpu/gemm.h"

static const int64_t TERMS[] = { 0, 1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 511, 512 };

TEST(bf16, every_variant_rounds_to_the_nearest_halves_to_even)
{
    const CpuVariant *panel = next_variant("bf16_panel", NULL);
    for (EACH_VARIANT(v, "bf16_row")) {
        for (size_t i = 0; i < COUNT(TERMS); i++)
            bf16_check((Bf16Row *)v->fn, (Bf16Panel *)panel->fn, TERMS[i], v->need == ISA_BF16);
        panel = next_variant("bf16_panel", panel);
    }
}

TEST(bf16, nan_stays_nan)
{
    static const uint32_t NANS[] = { 0x7fc00000u, 0x7f800001u, 0xff80ffffu, 0xffffffffu };
    for (EACH_VARIANT(v, "bf16_row"))
        for (size_t i = 0; i < COUNT(NANS); i++) {
            float x[3] = { 1, 2, 3 }, made[3];
            memcpy(x + 1, &NANS[i], sizeof x[1]);
            ((Bf16Row *)v->fn)(made, x, 3);
            CHECK(isnan(bf16_term(made, 1, 1, 0, v->need == ISA_BF16)));
            CHECK(bf16_term(made, 0, 1, 0, v->need == ISA_BF16) == 1.0f);
            CHECK(bf16_term(made, 2, 1, 0, v->need == ISA_BF16) == 3.0f);
        }
}

/* ---- whole products ---- */

enum { M = 40, K = 2048, N = 60 };

typedef struct Data {
    float x[M * K], w[N * K], y[M * N];
} Data;

static Data *make_data(void)
{
    Data *d = malloc(sizeof *d);
    CHECK(d);
    test_random(d->x, COUNT(d->x), -2.0f, 2.0f);
    test_random(d->w, COUNT(d->w), -1.0f, 1.0f);
    return d;
}

/* Rows m0 .. m0 + m of Data.x. */
static void multiply(const Data *d, int64_t m0, int64_t m, int threads, float *y)
{
    Kernels kernels;
    Heap *heap = heap_create();
    Pool *pool = pool_create(heap, threads);
    kernels_fill(&kernels, isa_detect());
    void *scratch = heap_take(heap, cpu_gemm_scratch_bytes(threads, true), "scratch");
    CHECK(pool && scratch);
    const GemmArgs args = { .x = d->x + m0 * K,
                            .ldx = K,
                            .y = y,
                            .ldy = N,
                            .m = m,
                            .w = stored_dense(DT_F32, d->w, N, K),
                            .bf16 = true };
    cpu_gemm(&kernels, pool, &args, scratch);
    heap_give(heap, scratch);
    pool_free(pool);
    heap_free(heap);
}

TEST(bf16, rows_do_not_see_each_other_nor_the_threads)
{
    static float some[M * N];
    Data *d = make_data();
    multiply(d, 0, M, 1, d->y);
    multiply(d, 0, M, 3, some);
    CHECK(equal_bits(some, d->y, M * N));
    multiply(d, 21, 7, 2, some);
    CHECK(equal_bits(some, d->y + 21 * N, 7 * N));
    free(d);
}

TEST(bf16, what_is_no_number_stays_in_its_row)
{
    static float plain[M * N];
    Data *d = make_data();
    multiply(d, 0, M, 1, plain);
    d->x[3 * K + 700] = NAN;
    d->x[5 * K + 701] = INFINITY;
    d->x[7 * K + 702] = 3.4e38f; /* beyond what bf16 holds */
    multiply(d, 0, M, 1, d->y);
    for (int64_t i = 0; i < M * N; i++) {
        const float w = d->w[i % N * K + (i / N == 5 ? 701 : 702)];
        if (i / N == 3)
            CHECK(isnan(d->y[i]));
        else if (i / N == 5 || i / N == 7)
            CHECK(isinf(d->y[i]) && (d->y[i] > 0) == (w > 0));
        else
            CHECK(equal_bits(d->y + i, plain + i, 1));
    }
    free(d);
}

/* Uniform values of magnitude up to a power of two: in a binade below 2^e an error of 2^(e - 8) / sqrt(12);
 * over all of them relative 1.48e-3 rms for each of x and w, together 2.09e-3 in the sum. */
TEST(bf16, its_error_is_that_of_two_roundings_to_eight_bits)
{
    Data *d = make_data();
    multiply(d, 0, M, 2, d->y);
    double error = 0, size = 0;
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            double sum = 0;
            for (int64_t k = 0; k < K; k++)
                sum += (double)d->x[m * K + k] * (double)d->w[n * K + k];
            const double off = (double)d->y[m * N + n] - sum;
            error += off * off;
            size += sum * sum;
        }
    print_message("relative error %.2e\n", sqrt(error / size));
    CHECK(sqrt(error / size) < 2.3e-3);
    CHECK(sqrt(error / size) > 1.9e-3);
    free(d);
}
