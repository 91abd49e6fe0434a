/* test_ops_norm.c  Group norm over bands of rows: the same bits as over the whole image, on every level
 * and thread count; near to f64. */
#include "eager.h"

#include "base/size.h"
#include "compute/equal_bits.h"
#include "nn/layers.h"

enum { H = 13, W = 9, MAX_C = 96, MAX = H * W * MAX_C };

static float x[MAX], weight[MAX], bias[MAX];

static void fill(float centre)
{
    test_random(x, MAX, centre - 2.0f, centre + 2.0f);
    test_random(weight, MAX, -1.0f, 2.0f);
    test_random(bias, MAX, -1.0f, 1.0f);
}

/** In bands of `band` rows, both passes. */
static void norm(Isa isa, int threads, int64_t c, int64_t groups, int64_t band, Activation act,
                 float *out)
{
    Eager e;
    eager_open(&e, isa, threads);
    Run *r = &e.run;
    Tensor t = eager_input(&e, x, SHAPE(1, H, W, c)), moments = op_blank(r, SHAPE(H, groups, 2));
    const Weight *w = eager_weight(&e, weight, SHAPE(c)), *b = eager_weight(&e, bias, SHAPE(c));
    t = op_reshape(r, t, SHAPE(H, W * c));
    for (int64_t y = 0; y < H; y += band) {
        const int64_t n = H - y < band ? H - y : band;
        Tensor rows = op_reshape(r, op_rows(r, t, y, n), SHAPE(1, n, W, c));
        moments = op_write_rows(r, moments, y, op_group_moments(r, rows, groups));
    }
    for (int64_t y = 0; y < H; y += band) {
        const int64_t n = H - y < band ? H - y : band;
        Tensor rows = op_reshape(r, op_rows(r, t, y, n), SHAPE(1, n, W, c));
        rows = op_group_norm(r, rows, moments, w, b, 1e-6f, act);
        memcpy(out + y * W * c, eager_data(&e, rows), (size_t)(n * W * c) * sizeof *out);
    }
    eager_close(&e);
}

TEST(ops_norm, group_norm_has_the_same_bits_in_any_bands)
{
    static const int64_t SHAPES[][2] = { { 96, 32 }, { 8, 4 }, { 33, 3 }, { 64, 1 }, { 16, 16 } };
    static float want[MAX], got[MAX];
    fill(0.5f);
    for (size_t i = 0; i < COUNT(SHAPES); i++) {
        const int64_t c = SHAPES[i][0], n = H * W * c;
        norm(ISA_REF, 1, c, SHAPES[i][1], H, ACT_SILU, want);
        for (int64_t band = 1; band <= H; band += 4)
            for (int threads = 1; threads <= 3; threads += 2) {
                norm(isa_detect(), threads, c, SHAPES[i][1], band, ACT_SILU, got);
                CHECK(equal_bits(got, want, n));
            }
    }
}

/* mean 100, sigma 1.15: scale and shift carry 2^-24 of 100 / 1.15 * 2, the sums some more */
TEST(ops_norm, group_norm_is_near_to_f64_even_with_a_large_mean)
{
    enum { C = 24, G = 4, PER = C / G };
    static float got[MAX];
    fill(100.0f);
    norm(isa_detect(), 2, C, G, H, ACT_NONE, got);
    for (int g = 0; g < G; g++) {
        double sum = 0, square = 0;
        for (int p = 0; p < H * W; p++)
            for (int k = g * PER; k < (g + 1) * PER; k++)
                sum += (double)x[p * C + k];
        const double n = H * W * PER, mean = sum / n;
        for (int p = 0; p < H * W; p++)
            for (int k = g * PER; k < (g + 1) * PER; k++)
                square += ((double)x[p * C + k] - mean) * ((double)x[p * C + k] - mean);
        for (int p = 0; p < H * W; p++)
            for (int k = g * PER; k < (g + 1) * PER; k++) {
                const double want =
                    ((double)x[p * C + k] - mean) / sqrt(square / n + 1e-6) * (double)weight[k] +
                    (double)bias[k];
                CHECK(fabs((double)got[p * C + k] - want) < 3e-5);
            }
    }
}

/* ---- products of two tensors ---- */

static void pair(Isa isa, int64_t rows, int64_t k1, int64_t k2, int64_t n, const float *w,
                 float *out)
{
    Eager e;
    eager_open(&e, isa, 2);
    Tensor a = eager_input(&e, x, SHAPE(rows, k1)),
           b = eager_input(&e, x + rows * k1, SHAPE(rows, k2));
    const Weight *matrix = eager_weight(&e, w, SHAPE(n, k1 + k2));
    const Weight *add = eager_weight(&e, bias, SHAPE(n));
    Tensor y = op_linear_pair(&e.run, a, b, matrix, add, ACT_NONE);
    memcpy(out, eager_data(&e, y), (size_t)(rows * n) * sizeof *out);
    eager_close(&e);
}

TEST(ops_matrix, a_pair_is_cut_at_its_border_and_nowhere_else)
{
    static const int64_t K[][2] = { { 32, 128 }, { 512, 512 }, { 7, 600 }, { 700, 3 } };
    enum { ROWS = 5, N = 20 };
    static float w[N * 1100], want[ROWS * N], got[ROWS * N];
    fill(0.0f);
    test_random(w, COUNT(w), -1.0f, 1.0f);
    for (size_t i = 0; i < COUNT(K); i++) {
        const int64_t k1 = K[i][0], k = k1 + K[i][1];
        for (int64_t r = 0; r < ROWS; r++)
            for (int64_t j = 0; j < N; j++) {
                float sum = 0.0f, part = 0.0f;
                for (int64_t t = 0, in_chain = 0; t < k; t++) {
                    const float v = t < k1 ? x[r * k1 + t] : x[ROWS * k1 + r * (k - k1) + t - k1];
                    part = fmaf(v, w[j * k + t], part);
                    if (++in_chain < 512 && t + 1 != k1 && t + 1 != k) continue;
                    sum = t + 1 == in_chain ? part : sum + part;
                    part = 0.0f;
                    in_chain = 0;
                }
                want[r * N + j] = sum + bias[j];
            }
        pair(ISA_REF, ROWS, k1, k - k1, N, w, got);
        CHECK(equal_bits(got, want, ROWS * N));
        pair(isa_detect(), ROWS, k1, k - k1, N, w, got);
        CHECK(equal_bits(got, want, ROWS * N));
    }
}

/* ---- layers and norms in parts -------------------------------------------------------------- */

enum { PART_ROWS = 13, PART_K = 64, PART_N = 50, PART_CUT = 17 };

/* The layer with a low-rank change, then its norm: at once, or columns before and from PART_CUT on
 * by themselves. */
static void normed_layer(Isa isa, const Weight *like, const void *data, bool parts, float *out)
{
    Eager e;
    eager_open(&e, isa, 2);
    Run *r = &e.run;
    const Tensor t = eager_input(&e, x, SHAPE(PART_ROWS, PART_K));
    const Weight *w = eager_weight(&e, data, like->shape);
    e.weight[0] = *like;
    const Weight *b = eager_weight(&e, bias, SHAPE(PART_N)),
                 *scale = eager_weight(&e, weight, SHAPE(PART_N));
    const LowRank full = { .up = eager_weight(&e, weight, SHAPE(PART_N, PART_K)) },
                  thin = { .down = eager_weight(&e, x, SHAPE(3, PART_K)),
                           .up = eager_weight(&e, bias, SHAPE(PART_N, 3)),
                           .bias = b,
                           .next = &full };
    const Linear layer = { .weight = w, .bias = b, .lora = &thin };
    Tensor y = nn_linear(r, t, &layer);
    if (parts) {
        static const int64_t FIRST[] = { 0, PART_CUT, PART_N };
        const Tensor factors = op_rms_factors(r, y, 1e-6f);
        y = op_blank(r, y.shape);
        for (int i = 0; i < 2; i++) {
            const int64_t n = FIRST[i + 1] - FIRST[i];
            Tensor part = nn_linear_part(r, t, &layer, FIRST[i], n);
            part = op_rms_norm_part(r, part, factors, scale, FIRST[i]);
            /* into rows of a view, as a block of a transformer does it */
            for (int64_t row = 0; row < PART_ROWS; row += 5) {
                const int64_t rows = PART_ROWS - row < 5 ? PART_ROWS - row : 5;
                (void)op_write_columns(r, op_rows(r, y, row, rows), FIRST[i],
                                       op_rows(r, part, row, rows), 0, n);
            }
        }
    } else
        y = op_rms_norm(r, y, scale, 1e-6f);
    memcpy(out, eager_data(&e, y), PART_ROWS * PART_N * sizeof *out);
    eager_close(&e);
}

TEST(ops_norm, layers_and_norms_in_parts_have_the_same_bits)
{
    enum { BLOCK = 32, BLOCK_BYTES = 34, BLOCKS = PART_N * PART_K / BLOCK };
    static uint16_t words[PART_N * PART_K];
    static unsigned char blocks[BLOCKS * BLOCK_BYTES];
    static float plain[PART_N * PART_K], want[PART_ROWS * PART_N], got[PART_ROWS * PART_N];
    fill(0.0f);
    test_random(plain, COUNT(plain), -1.0f, 1.0f);
    memcpy(blocks, plain, sizeof blocks);
    for (size_t i = 0; i < BLOCKS; i++)
        memcpy(blocks + i * BLOCK_BYTES, &(uint16_t){ 0x2400 }, 2); /* scale 2^-6 */
    for (size_t i = 0; i < COUNT(words); i++) {
        uint32_t bits;
        memcpy(&bits, &plain[i], sizeof bits);
        words[i] = (uint16_t)(bits >> 16);
    }
    const Weight layers[] = { { .dtype = DT_F32, .bytes = sizeof plain },
                              { .dtype = DT_BF16, .bytes = sizeof words },
                              { .dtype = DT_Q8_0, .bytes = sizeof blocks } };
    const void *const data[] = { plain, words, blocks };
    for (size_t i = 0; i < COUNT(layers); i++) {
        Weight layer = layers[i];
        layer.name = "test";
        layer.shape = SHAPE(PART_N, PART_K);
        normed_layer(ISA_REF, &layer, data[i], false, want);
        normed_layer(isa_detect(), &layer, data[i], true, got);
        CHECK(isfinite(want[0]) && want[0] != 0.0f);
        CHECK(equal_bits(got, want, COUNT(want)));
    }
}
