/* test_bf16_avx512bf16.c  The AVX-512-BF16 kernels by emulated instructions, so that they are held to the
 * reference on machines without them, too. Where they are, test_bf16.c and test_gemm.c run them. */
#include "compute/bf16_terms.h"
#include "compute/equal_bits.h"

#include "compute/emulated_avx512.h"

#include "compute/cpu/bf16_avx512bf16.c" /* the file itself, with other instructions */

#include <stdlib.h>

#include "base/size.h"
#include "compute/cpu/gemm.h"

TEST(bf16_avx512bf16, rows_and_panels_are_pairs_with_the_earlier_term_above)
{
    for (int64_t n = 0; n <= 70; n++)
        bf16_check(bf16_row_avx512bf16, bf16_panel_avx512bf16, n, true);
    bf16_check(bf16_row_avx512bf16, bf16_panel_avx512bf16, 511, true);
    bf16_check(bf16_row_avx512bf16, bf16_panel_avx512bf16, 512, true);
}

typedef struct Product {
    int64_t m, n, k;
    DType type;
    int threads;
} Product;

/* The driver with kernels of the reference, but these in bf16 when `pairs`. */
static void multiply(const Product *p, const GemmArgs *args, bool pairs)
{
    Kernels kernels;
    Heap *heap = heap_create();
    Pool *pool = pool_create(heap, p->threads);
    kernels_fill(&kernels, ISA_REF);
    if (pairs) {
        kernels.bf16_row = bf16_row_avx512bf16;
        kernels.bf16_panel = bf16_panel_avx512bf16;
        kernels.bf16_block = bf16_block_avx512bf16;
    }
    void *scratch = heap_take(heap, cpu_gemm_scratch_bytes(p->threads, true), "scratch");
    CHECK(pool && scratch);
    cpu_gemm(&kernels, pool, args, scratch);
    heap_give(heap, scratch);
    pool_free(pool);
    heap_free(heap);
}

enum { MAX_M = 190, MAX_N = 150, MAX_K = 1100 };

/* No value is near 2^-126, where the instruction knows no denormals: all bits are the reference's. */
static void check(const Product *p, bool bias, bool add)
{
    static float x[MAX_M * MAX_K], w[MAX_N * MAX_K], b[MAX_N], want[MAX_M * MAX_N],
        got[MAX_M * MAX_N];
    static uint16_t half[MAX_N * MAX_K];
    test_random(x, (size_t)(p->m * p->k), -2.0f, 2.0f);
    test_random(w, (size_t)(p->n * p->k), -1.0f, 1.0f);
    test_random(b, COUNT(b), -1.0f, 1.0f);
    test_random(want, COUNT(want), -1.0f, 1.0f);
    memcpy(got, want, sizeof got);
    for (int64_t i = 0; i < p->n * p->k; i++)
        half[i] = dtype_f32_to_bf16(w[i]);
    GemmArgs args = { .x = x, .ldx = p->k, .y = want, .ldy = p->n, .m = p->m };
    args.w = stored_dense(p->type, p->type == DT_BF16 ? (const void *)half : w, p->n, p->k);
    args.bias = bias ? b : NULL;
    args.add = add;
    args.bf16 = true;
    multiply(p, &args, false);
    args.y = got;
    multiply(p, &args, true);
    CHECK(equal_bits(got, want, COUNT(got))); /* also that nothing else was written */
}

TEST(bf16_avx512bf16, products_are_the_reference_s_bit_by_bit)
{
    static const Product CASES[] = {
        { 1, 1, 1, DT_F32, 1 },        { 3, 7, 5, DT_F32, 2 },      { 4, 16, 64, DT_BF16, 1 },
        { 5, 17, 511, DT_F32, 1 },     { 33, 31, 512, DT_BF16, 3 }, { 14, 33, 513, DT_F32, 1 },
        { 190, 150, 140, DT_BF16, 2 }, { 13, 48, 1025, DT_F32, 1 }, { 29, 40, 1100, DT_F32, 2 },
        { 2, 3, 0, DT_F32, 1 },
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        check(&CASES[i], i % 2, i % 3 == 1);
    for (int64_t m = 1; m <= 30; m++)
        check(&(Product){ m, 1 + m * 13 % 75, 30 + m, DT_F32, 1 }, m % 3 == 0, m % 2);
}

TEST(bf16_avx512bf16, what_is_below_the_normal_numbers_counts_as_nothing)
{
    static const float X[3] = { 0x1p-127f, 0x1p-100f, 1.0f },
                       W[3] = { 0x1p127f, 0x1p-100f, 0x1p-126f };
    float y = 7.0f;
    const Product p = { 1, 1, 3, DT_F32, 1 };
    const GemmArgs args = { .x = X,
                            .ldx = 3,
                            .y = &y,
                            .ldy = 1,
                            .m = 1,
                            .w = stored_dense(DT_F32, W, 1, 3),
                            .bf16 = true };
    multiply(&p, &args, true);
    CHECK(y == 0x1p-126f);
}
