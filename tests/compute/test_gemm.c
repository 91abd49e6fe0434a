/* test_gemm.c  Product blocks and the product driver: bit-equal to fmaf, near to f64. */
#include "compute/variants.h"
#include "compute/equal_bits.h"
#include "compute/matrices.h"

#include <stdlib.h>

#include "base/size.h"
#include "compute/cpu/gemm.h"
#include "compute/cpu/widen.h"

static float *floats(size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);
    CHECK(x);
    return x;
}

/* ---- isa ---- */

TEST(isa, names_and_levels_agree)
{
    static const Isa ALL[] = { ISA_REF, ISA_AVX2, ISA_AVX512, ISA_VNNI, ISA_BF16, ISA_NEON };
    for (size_t i = 0; i < COUNT(ALL); i++) {
        Isa isa;
        CHECK(isa_parse(isa_name(ALL[i]), &isa));
        CHECK_INT(isa, ALL[i]);
        CHECK(isa_covers(ALL[i], ISA_REF));
    }
    Isa isa = ISA_REF;
    CHECK(!isa_parse("sse9", &isa));
    CHECK(isa_covers(ISA_AVX512, ISA_AVX2) && !isa_covers(ISA_AVX2, ISA_AVX512));
    CHECK(!isa_covers(ISA_AVX512, ISA_NEON) && !isa_covers(ISA_VNNI, ISA_BF16));
    CHECK(isa_covers(ISA_BF16, ISA_VNNI) && isa_covers(ISA_VNNI, ISA_AVX512));
    print_message("this machine: %s\n", isa_name(isa_detect()));
}

TEST(isa, a_forced_level_fills_the_table_with_that_level_only)
{
    Kernels k;
    kernels_fill(&k, ISA_REF);
    CHECK(k.gemm_block == gemm_block_ref);
    CHECK(!k.pack[DT_I64]);
    kernels_fill(&k, isa_detect());
    CHECK(isa_detect() == ISA_REF || k.gemm_block != gemm_block_ref);
}

/* ---- product blocks ---- */

typedef struct BlockCase {
    int64_t rows, cols, kc, n_taps; /* n_taps 0: none */
    bool add, bias;
} BlockCase;

enum { MAX_ROWS = 30, MAX_COLS = 70, MAX_DEPTH = 600, X_PITCH = 700, C_PITCH = MAX_COLS + 3 };

static void check_block(GemmBlock *fn, const BlockCase *t)
{
    static float x[MAX_ROWS * X_PITCH], old[MAX_ROWS * C_PITCH], bias[MAX_COLS];
    static float want[MAX_ROWS * C_PITCH], got[MAX_ROWS * C_PITCH];
    static _Alignas(64) float b[80 * MAX_DEPTH];
    static const int64_t TAP[] = { 0, 37, 11 };
    const float *a[MAX_ROWS];
    float *c_want[MAX_ROWS], *c_got[MAX_ROWS];
    test_random(x, COUNT(x), -1.0f, 1.0f);
    test_random(b, COUNT(b), -1.0f, 1.0f);
    test_random(old, COUNT(old), -1.0f, 1.0f);
    test_random(bias, COUNT(bias), -1.0f, 1.0f);
    memcpy(want, old, sizeof want);
    memcpy(got, old, sizeof got);
    for (int r = 0; r < MAX_ROWS; r++) {
        a[r] = x + r * X_PITCH;
        c_want[r] = want + r * C_PITCH;
        c_got[r] = got + r * C_PITCH;
    }
    GemmTile tile = { .a = a,
                      .c = c_want,
                      .rows = t->rows,
                      .cols = t->cols,
                      .b = b,
                      .kc = t->kc,
                      .tap = t->n_taps ? TAP : NULL,
                      .n_taps = t->n_taps,
                      .bias = t->bias ? bias : NULL,
                      .add = t->add };
    gemm_block_ref(&tile);
    tile.c = c_got;
    fn(&tile);
    CHECK(equal_bits(got, want, COUNT(got))); /* also beyond cols and rows: untouched */
    if (t->n_taps) return;
    tile.fetch = (GemmFetch){ .from = (const char *)b, .rows = 5, .pitch = 200, .bytes = 150 };
    memcpy(got, old, sizeof got);
    fn(&tile);
    CHECK(equal_bits(got, want, COUNT(got)));
}

TEST(gemm_block, every_variant_equals_the_reference)
{
    static const int64_t COLS[] = { 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, MAX_COLS };
    for (EACH_VARIANT(v, "gemm_block"))
        for (int64_t rows = 1; rows <= MAX_ROWS; rows++)
            for (size_t i = 0; i < COUNT(COLS); i++) {
                const BlockCase t = {
                    rows, COLS[i], (rows * 7 + COLS[i]) % 40, 0, rows & 1, i & 1
                };
                check_block((GemmBlock *)v->fn, &t);
            }
}

TEST(gemm_block, taps_continue_one_chain)
{
    static const BlockCase CASES[] = {
        { 6, 32, 20, 3, false, true }, { 13, 17, 5, 2, true, false },
        { 1, 16, 200, 3, true, true }, { 28, 70, 3, 1, false, false },
        { 4, 16, 0, 2, false, true },  { 6, 48, 512, 1, true, true }
    };
    for (EACH_VARIANT(v, "gemm_block"))
        for (size_t i = 0; i < COUNT(CASES); i++)
            check_block((GemmBlock *)v->fn, &CASES[i]);
}

/* ---- whole products ---- */

typedef struct Product {
    int64_t m, n, k;
    DType type;
    bool bf16;
} Product;

/** What a product is to give: these bits, or where `slack` is there as near as that. */
typedef struct Want {
    float *y, *slack; /* [m, n] */
} Want;

static void double_all(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = 2.0f * x[i];
}

/** The rule of numerics.h, spelled out: fmaf chains of 512, partial sums in order, then bias. */
static void by_the_rule(float *y, const float *x, const Stored *w, const float *bias, int64_t m)
{
    const int64_t k = w->cols;
    float *row = floats((size_t)k + 1);
    for (int64_t j = 0; j < w->rows; j++) {
        widen_row(row, w, j, 0, k);
        for (int64_t i = 0; i < m; i++) {
            float sum = 0.0f;
            for (int64_t k0 = 0; k0 < k; k0 += 512) {
                float part = 0.0f;
                for (int64_t t = k0; t < k && t < k0 + 512; t++)
                    part = fmaf(x[i * k + t], row[t], part);
                sum = k0 == 0 ? part : sum + part;
            }
            y[i * w->rows + j] = bias ? sum + bias[j] : sum;
        }
    }
    free(row);
}

static bool as_wanted(const float *y, const Want *want, int64_t i, bool mapped)
{
    const float factor = mapped ? 2.0f : 1.0f, to = factor * want->y[i];
    if (!want->slack) return equal_bits(y, &to, 1);
    return fabsf(*y - to) <= factor * want->slack[i];
}

static void check_product(const Product *p, Isa isa, int threads, const float *x, const Stored *w,
                          const float *bias, const Want *want)
{
    Kernels kernels;
    kernels_fill(&kernels, isa);
    Heap *heap = heap_create();
    Pool *pool = pool_create(heap, threads);
    void *scratch = heap_take(heap, cpu_gemm_scratch_bytes(threads, p->bf16), "scratch");
    const int64_t ldy = p->n + 5;
    const size_t total = (size_t)(p->m * ldy);
    float *y = floats(total), *old = floats(total);
    test_guard(y, total);
    memcpy(old, y, total * sizeof *y);
    GemmArgs args = { .x = x, .ldx = p->k, .y = y, .ldy = ldy, .m = p->m, .w = *w, .bias = bias };
    args.bf16 = p->bf16;
    for (int mapped = 0; mapped < 2; mapped++) {
        args.map = mapped ? double_all : NULL;
        cpu_gemm(&kernels, pool, &args, scratch);
        for (int64_t i = 0; i < p->m * p->n; i++) {
            const int64_t at = i / p->n * ldy + i % p->n;
            CHECK(as_wanted(y + at, want, i, mapped));
            old[at] = y[at];
        }
        CHECK(equal_bits(y, old, total)); /* the gap between rows stays as it was */
    }
    free(y);
    free(old);
    heap_give(heap, scratch);
    pool_free(pool);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static float *copy_in_bf16(const float *x, int64_t n, bool magnitude)
{
    float *to = floats((size_t)n);
    for (int64_t i = 0; i < n; i++) {
        to[i] = dtype_bf16_to_f32(dtype_f32_to_bf16(x[i]));
        if (magnitude) to[i] = fabsf(to[i]);
    }
    return to;
}

/** In bf16 the same rule holds for values rounded before. */
static void rounded_before(float *y, const float *x, const Stored *w, const float *bias, int64_t m,
                           bool magnitude)
{
    float *wide = floats((size_t)(w->rows * w->cols));
    for (int64_t j = 0; j < w->rows; j++)
        widen_row(wide + j * w->cols, w, j, 0, w->cols);
    float *rounded = copy_in_bf16(wide, w->rows * w->cols, magnitude),
          *x_rounded = copy_in_bf16(x, m * w->cols, magnitude);
    const Stored dense = stored_dense(DT_F32, rounded, w->rows, w->cols);
    by_the_rule(y, x_rounded, &dense, bias, m);
    free(x_rounded);
    free(rounded);
    free(wide);
}

/** How far two ways of adding K products may be apart, each off by half a unit in the last place of at
 *  most their magnitudes' sum per addition; and what counts as 0 below 2^-126. */
static void make_slack(float *slack, const float *x, const Stored *w, int64_t m)
{
    rounded_before(slack, x, w, NULL, m, true);
    for (int64_t i = 0; i < m * w->rows; i++)
        slack[i] = slack[i] * (float)(w->cols + 2) * 0x1p-23f + (float)w->cols * 0x1p-125f;
}

static void check_all_ways(const Product *p)
{
    TestMatrix matrix = matrix_create(p->type, p->n, p->k);
    const Stored w = matrix.w;
    float *x = floats((size_t)(p->m * p->k)), *bias = floats((size_t)p->n);
    float *slack = floats((size_t)(p->m * p->n));
    Want want = { .y = floats((size_t)(p->m * p->n)) };
    test_random(x, (size_t)(p->m * p->k), -1.0f, 1.0f);
    test_random(bias, (size_t)p->n, -1.0f, 1.0f);
    if (p->bf16)
        rounded_before(want.y, x, &w, bias, p->m, false);
    else
        by_the_rule(want.y, x, &w, bias, p->m);
    check_product(p, ISA_REF, 1, x, &w, bias, &want);
    make_slack(slack, x, &w, p->m);
    if (p->bf16 && isa_covers(isa_detect(), ISA_BF16)) want.slack = slack;
    check_product(p, isa_detect(), 1, x, &w, bias, &want);
    check_product(p, isa_detect(), 3, x, &w, bias, &want);
    free(slack);
    free(want.y);
    free(bias);
    free(x);
    matrix_free(&matrix);
}

TEST(gemm, few_rows_equal_the_rule_on_every_level_and_thread_count)
{
    for (int64_t m = 1; m <= 20; m++) {
        const Product p = { m, 1 + m * 13 % 75, 500 + m * 3, DT_F16, false },
                      in_bf16 = { m, 1 + m * 13 % 75, 500 + m * 3, DT_F32, true };
        check_all_ways(&p);
        check_all_ways(&in_bf16);
    }
}

TEST(gemm, shapes_around_the_blocking_equal_the_rule)
{
    static const Product CASES[] = {
        { 1, 1, 1, DT_F32, false },       { 90, 130, 513, DT_BF16, false },
        { 400, 16, 64, DT_F32, false },   { 70, 300, 1030, DT_I8, false },
        { 350, 40, 31, DT_F16, false },   { 3, 400, 7, DT_F8_E4M3, false },
        { 5, 17, 1536, DT_F32, false },   { 200, 33, 600, DT_F8_E5M2, false },
        { 9, 40, 768, DT_Q4_K, false },   { 4, 37, 515, DT_NF4, false },
        { 7, 18, 96, DT_Q8_0, false },    { 1, 1, 1, DT_F32, true },
        { 90, 130, 513, DT_BF16, true },  { 400, 16, 511, DT_F32, true },
        { 3, 400, 1025, DT_F16, true },   { 9, 40, 768, DT_Q4_K, true },
        { 300, 1300, 33, DT_F32, false }, { 181, 1100, 600, DT_F16, false },
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        check_all_ways(&CASES[i]);
}

TEST(gemm, no_terms_give_the_bias_and_no_rows_nothing)
{
    static const float bias[3] = { 1.0f, -2.0f, 3.0f };
    const Product p = { 2, 3, 0, DT_F32, false }, in_bf16 = { 2, 3, 0, DT_F32, true };
    const Stored w = stored_dense(DT_F32, bias, 3, 0);
    float y[6] = { 1.0f, -2.0f, 3.0f, 1.0f, -2.0f, 3.0f };
    check_product(&p, isa_detect(), 2, bias, &w, bias, &(Want){ .y = y });
    check_product(&in_bf16, isa_detect(), 2, bias, &w, bias, &(Want){ .y = y });
}

/** Views: the first and the remaining outputs of one weight, as split projections use them. */
TEST(gemm, views_of_rows_give_the_same_columns)
{
    TestMatrix matrix = matrix_create(DT_BF16, 50, 40);
    const Stored w = matrix.w;
    float all[2 * 50], part[2 * 50], x[2 * 40];
    test_random(x, COUNT(x), -1.0f, 1.0f);
    by_the_rule(all, x, &w, NULL, 2);
    const Stored tail = stored_rows(&w, 20, 30);
    by_the_rule(part, x, &tail, NULL, 2);
    CHECK(equal_bits(part, all + 20, 30));
    CHECK(equal_bits(part + 30, all + 70, 30));
    matrix_free(&matrix);
}

/** RMS error of normal-ish x and w relative to RMS(y): about sqrt(512) / 2 roundings of 2^-24
 *  each 2^-24 / sqrt(3) per partial sum: 4e-7 measured for K 1536 to 14336; 1e-6 is twice that. */
TEST(gemm, stays_close_to_f64)
{
    enum { M = 4, N = 24, K = 5000 };
    float *x = floats(M * K), *y = floats(M * N), *v = floats(N * K);
    test_random(x, M * K, -1.0f, 1.0f);
    test_random(v, N * K, -1.0f, 1.0f);
    const Stored w = stored_dense(DT_F32, v, N, K);
    by_the_rule(y, x, &w, NULL, M);
    double error = 0.0, size = 0.0;
    for (int i = 0; i < M * N; i++) {
        double sum = 0.0;
        for (int k = 0; k < K; k++)
            sum += (double)x[i / N * K + k] * (double)v[i % N * K + k];
        error += (sum - (double)y[i]) * (sum - (double)y[i]);
        size += sum * sum;
    }
    CHECK(sqrt(error / size) < 1e-6);
    free(x);
    free(y);
    free(v);
}
