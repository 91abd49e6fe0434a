/* test_rows.c  Row kernels: bit-equal to the plain loops, near to f64, free to be split. */
#include "compute/variants.h"

#include <stdlib.h>

#include "base/heap.h"
#include "base/pool.h"
#include "base/size.h"
#include "compute/cpu/rows_split.h"
#include "compute/equal_bits.h"

enum { ROWS = 5, MAX_COLS = 1031, MAX = ROWS * MAX_COLS, GUARD = 32 };

static const int64_t COLS[] = { 1,  2,  3,  7,  8,  9,  15, 16,  17,      18,
                                31, 32, 33, 40, 47, 64, 96, 100, MAX_COLS };

/** Inputs and outputs of one comparison. */
typedef struct Data {
    float x[MAX], z[MAX], mul[MAX_COLS], add[MAX_COLS];
    float want[MAX], got[MAX + GUARD];
} Data;

static Data *data(void)
{
    static Data d;
    test_random(d.x, COUNT(d.x), -3.0f, 5.0f);
    test_random(d.z, COUNT(d.z), -2.0f, 2.0f);
    test_random(d.mul, COUNT(d.mul), -1.0f, 1.0f);
    test_random(d.add, COUNT(d.add), -1.0f, 1.0f);
    test_guard(d.got, COUNT(d.got));
    return &d;
}

static void check_equal(const Data *d, int64_t n)
{
    CHECK(equal_bits(d->got, d->want, n));
    CHECK(test_guard_intact(d->got + n, GUARD));
}

/* ---- bit-equal to the reference ---- */

static void check_pair(const char *slot, MapPair *reference)
{
    for (EACH_VARIANT(v, slot))
        for (size_t i = 0; i < COUNT(COLS); i++) {
            Data *d = data();
            reference(d->want, d->x, d->z, COLS[i]);
            ((MapPair *)v->fn)(d->got, d->x, d->z, COLS[i]);
            check_equal(d, COLS[i]);
            ((MapPair *)v->fn)(d->x, d->x, d->z, COLS[i]);
            CHECK(equal_bits(d->x, d->want, COLS[i]));
        }
}

TEST(rows, pairwise_maps_equal_the_reference)
{
    check_pair("add", add_ref);
    check_pair("sub", sub_ref);
    check_pair("mul", mul_ref);
    check_pair("silu_mul", silu_mul_ref);
    check_pair("gelu_tanh_mul", gelu_tanh_mul_ref);
    check_pair("gelu_erf_mul", gelu_erf_mul_ref);
}

TEST(rows, scale_clamp_and_lerp_equal_the_reference)
{
    for (size_t i = 0; i < COUNT(COLS); i++) {
        Data *d = data();
        d->x[COLS[i] / 2] = NAN;
        scale_ref(d->want, d->x, 1.7f, COLS[i]);
        for (EACH_VARIANT(v, "scale")) {
            ((ScaleRow *)v->fn)(d->got, d->x, 1.7f, COLS[i]);
            check_equal(d, COLS[i]);
        }
        clamp_ref(d->want, d->x, -1.0f, 2.5f, COLS[i]);
        CHECK(isnan(d->want[COLS[i] / 2]));
        for (EACH_VARIANT(v, "clamp")) {
            ((ClampRow *)v->fn)(d->got, d->x, -1.0f, 2.5f, COLS[i]);
            check_equal(d, COLS[i]);
        }
        lerp_ref(d->want, d->x, d->z, 5.0f, COLS[i]);
        for (EACH_VARIANT(v, "lerp")) {
            ((LerpRow *)v->fn)(d->got, d->x, d->z, 5.0f, COLS[i]);
            check_equal(d, COLS[i]);
        }
    }
}

TEST(rows, combine_equals_the_reference)
{
    static const float COEF[COMBINE_MAX] = { 1.5f, -2.0f, 0.3f, 1e-3f, 7.0f, -0.1f, 2.0f, 3.0f };
    for (EACH_VARIANT(v, "combine"))
        for (int n_x = 1; n_x <= COMBINE_MAX; n_x++)
            for (size_t i = 0; i < COUNT(COLS); i++) {
                Data *d = data();
                const float *x[COMBINE_MAX];
                for (int k = 0; k < n_x; k++)
                    x[k] = k % 2 ? d->z + k * MAX_COLS / 2 : d->x + k * MAX_COLS / 2;
                combine_ref(d->want, x, COEF, n_x, COLS[i]);
                ((CombineRow *)v->fn)(d->got, x, COEF, n_x, COLS[i]);
                check_equal(d, COLS[i]);
            }
}

TEST(rows, affine_and_gated_add_equal_the_reference)
{
    for (size_t i = 0; i < COUNT(COLS); i++) {
        const int64_t n = ROWS * COLS[i];
        Data *d = data();
        affine_rows_ref(d->want, d->x, d->mul, d->add, ROWS, COLS[i]);
        for (EACH_VARIANT(v, "affine_rows")) {
            ((AffineRows *)v->fn)(d->got, d->x, d->mul, d->add, ROWS, COLS[i]);
            check_equal(d, n);
        }
        gated_add_ref(d->want, d->x, d->mul, d->z, ROWS, COLS[i]);
        for (EACH_VARIANT(v, "gated_add")) {
            ((GatedAdd *)v->fn)(d->got, d->x, d->mul, d->z, ROWS, COLS[i]);
            check_equal(d, n);
        }
    }
}

TEST(rows, column_sums_equal_the_reference)
{
    for (size_t i = 0; i < COUNT(COLS); i++) {
        Data *d = data();
        column_sums_ref(d->want, d->x, ROWS, COLS[i]);
        for (EACH_VARIANT(v, "column_sums")) {
            ((ColumnSums *)v->fn)(d->got, d->x, ROWS, COLS[i]);
            check_equal(d, COLS[i]);
        }
        column_squares_ref(d->want, d->x, d->mul, ROWS, COLS[i]);
        for (EACH_VARIANT(v, "column_squares")) {
            ((ColumnSquares *)v->fn)(d->got, d->x, d->mul, ROWS, COLS[i]);
            check_equal(d, COLS[i]);
        }
    }
}

TEST(rows, norms_equal_the_reference_with_any_part_missing)
{
    for (size_t i = 0; i < COUNT(COLS); i++)
        for (int parts = 0; parts < 8; parts++) {
            const int64_t n = ROWS * COLS[i];
            Data *d = data();
            const float *mul = parts & 1 ? d->mul : NULL, *add = parts & 2 ? d->add : NULL;
            const bool silu = parts & 2;
            const float plus = parts & 4 ? 1.0f : 0.0f;
            float factors[ROWS];
            layer_norm_ref(d->want, d->x, mul, add, plus, 1e-6f, ROWS, COLS[i]);
            for (EACH_VARIANT(v, "layer_norm")) {
                ((LayerNorm *)v->fn)(d->got, d->x, mul, add, plus, 1e-6f, ROWS, COLS[i]);
                check_equal(d, n);
            }
            rms_norm_ref(d->want, d->x, mul, 1e-6f, ROWS, COLS[i]);
            for (EACH_VARIANT(v, "rms_norm")) {
                ((RmsNorm *)v->fn)(d->got, d->x, mul, 1e-6f, ROWS, COLS[i]);
                check_equal(d, n);
            }
            for (EACH_VARIANT(v, "scale_rows")) { /* in two halves: the same bits */
                for (EACH_VARIANT(f, "rms_factors"))
                    ((RmsFactors *)f->fn)(factors, d->x, 1e-6f, ROWS, COLS[i]);
                ((ScaleRows *)v->fn)(d->got, d->x, factors, mul, ROWS, COLS[i]);
                check_equal(d, n);
            }
            l2_norm_ref(d->want, d->x, mul, silu, ROWS, COLS[i]);
            for (EACH_VARIANT(v, "l2_norm")) {
                ((L2Norm *)v->fn)(d->got, d->x, mul, silu, ROWS, COLS[i]);
                check_equal(d, n);
            }
        }
}

TEST(rows, rotation_equals_the_reference)
{
    static const int64_t HEAD[] = { 2, 4, 6, 8, 14, 16, 18, 30, 40, 64, 128 };
    enum { HEADS = 3 };
    for (EACH_VARIANT(v, "rope_pairs"))
        for (size_t i = 0; i < COUNT(HEAD); i++) {
            Data *d = data();
            rope_pairs_ref(d->want, d->x, d->z, ROWS, HEADS, HEAD[i]);
            ((RopePairs *)v->fn)(d->got, d->x, d->z, ROWS, HEADS, HEAD[i]);
            check_equal(d, ROWS * HEADS * HEAD[i]);
            ((RopePairs *)v->fn)(d->x, d->x, d->z, ROWS, HEADS, HEAD[i]); /* in place */
            CHECK(equal_bits(d->x, d->want, ROWS * HEADS * HEAD[i]));
        }
}

/* ---- what the reference means, in f64 ---- */

TEST(rows, layer_norm_is_a_layer_norm)
{
    Data *d = data();
    const int64_t cols = MAX_COLS;
    for (int64_t c = 0; c < cols; c++)
        d->x[c] += 100.0f; /* a mean far from 0: one pass (E[x^2] - m^2) would lose 4 digits */
    layer_norm_ref(d->got, d->x, d->mul, d->add, 1.0f, 1e-6f, 1, cols);
    double mean = 0, square = 0;
    for (int64_t c = 0; c < cols; c++)
        mean += (double)d->x[c] / (double)cols;
    for (int64_t c = 0; c < cols; c++)
        square += ((double)d->x[c] - mean) * ((double)d->x[c] - mean) / (double)cols;
    for (int64_t c = 0; c < cols; c++)
        d->want[c] =
            (float)(((double)d->x[c] - mean) / sqrt(square + 1e-6) * (1.0 + (double)d->mul[c]) +
                    (double)d->add[c]);
    /* x - mean has the error of the mean: 100 * 2^-24 * 3 = 2e-5, over sigma 2.3, times 2 */
    CHECK_CLOSE(d->got, d->want, cols, 2e-5);
}

TEST(rows, rms_and_l2_norm_are_norms)
{
    enum { COLS_HERE = 96 };
    Data *d = data();
    double square = 0;
    for (int64_t c = 0; c < COLS_HERE; c++)
        square += (double)d->x[c] * (double)d->x[c];
    rms_norm_ref(d->got, d->x, d->mul, 1e-3f, 1, COLS_HERE);
    for (int64_t c = 0; c < COLS_HERE; c++)
        d->want[c] = (float)((double)d->x[c] / sqrt(square / COLS_HERE + 1e-3) * (double)d->mul[c]);
    CHECK_CLOSE(d->got, d->want, COLS_HERE, 1e-6); /* values < 2.2; five roundings of 2^-24 */
    l2_norm_ref(d->got, d->x, d->mul, true, 1, COLS_HERE);
    for (int64_t c = 0; c < COLS_HERE; c++) {
        const double n = (double)d->x[c] / sqrt(square) * sqrt(COLS_HERE) * (double)d->mul[c];
        d->want[c] = (float)(n / (1.0 + exp(-n)));
    }
    CHECK_CLOSE(d->got, d->want, COLS_HERE, 1e-6);
    memset(d->x, 0, COLS_HERE * sizeof *d->x);
    l2_norm_ref(d->got, d->x, d->mul, false, 1, COLS_HERE);
    for (int64_t c = 0; c < COLS_HERE; c++)
        CHECK(d->got[c] == 0.0f); /* a zero pixel stays zero */
}

TEST(rows, rotation_turns_neighbours_by_the_table)
{
    const float x[] = { 1, 0, 0, 1, 2, 3, 4, 5 }, table[] = { 0, 1, 1, 0 }; /* 90 degrees, 0 */
    const float want[] = { 0, 1, 0, 1, -3, 2, 4, 5 };
    float y[8];
    rope_pairs_ref(y, x, table, 1, 2, 4);
    CHECK_CLOSE(y, want, 8, 0.0);
}

/* ---- split over threads ---- */

typedef struct Touched {
    unsigned char *times;
    int64_t rows;
} Touched;

static void touch(void *context, int64_t first, int64_t count)
{
    Touched *t = context;
    for (int64_t i = first; i < first + count; i++)
        if (i < t->rows) t->times[i]++;
}

TEST(rows, split_calls_every_row_once)
{
    static const int64_t SHAPES[][2] = { { 0, 10 },    { 1, 1 },       { 200000, 1 },
                                         { 65537, 1 }, { 3, 1000000 }, { 1000, 1536 } };
    Heap *heap = heap_create();
    CHECK(heap);
    for (int threads = 0; threads <= 3; threads += 3) {
        Pool *pool = threads ? pool_create(heap, threads) : NULL;
        for (size_t i = 0; i < COUNT(SHAPES); i++) {
            Touched t = { calloc((size_t)SHAPES[i][0] + 1, 1), SHAPES[i][0] };
            CHECK(t.times);
            rows_split(pool, SHAPES[i][0], SHAPES[i][1], touch, &t);
            for (int64_t r = 0; r < t.rows; r++)
                CHECK(t.times[r] == 1);
            free(t.times);
        }
        if (pool) pool_free(pool);
    }
    heap_free(heap);
}
