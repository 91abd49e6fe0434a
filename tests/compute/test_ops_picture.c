/* test_ops_picture.c  Resizing, windows, deformable taps, means: near to plain loops in f64, and the same
 * bits on every level, thread count and in every band. */
#include "eager.h"

#include "base/size.h"
#include "compute/equal_bits.h"

enum { H = 9, W = 7, C = 20, MAX = 1 << 18, SIDE_MAX = 7 };

static float x[MAX], y[MAX], z[MAX], weight[MAX], bias[4096];

static void fill(void)
{
    test_random(x, MAX, -2.0f, 2.0f);
    test_random(y, MAX, -2.0f, 2.0f);
    test_random(z, MAX, 0.0f, 2.0f);
    test_random(weight, MAX, -1.0f, 1.0f);
    test_random(bias, COUNT(bias), -1.0f, 1.0f);
}

/** One operation of the subject; the result's values go to `out`. */
typedef int64_t Compute(Eager *e, const int64_t *arg, float *out);

/* The same bits by plain kernels on one thread and by the best on three. */
static int64_t both(Compute *f, const int64_t *arg, float *out)
{
    static float other[MAX];
    Eager e;
    eager_open(&e, ISA_REF, 1);
    const int64_t n = f(&e, arg, out);
    eager_close(&e);
    eager_open(&e, isa_detect(), 3);
    CHECK_INT(f(&e, arg, other), n);
    eager_close(&e);
    CHECK(n <= MAX && equal_bits(out, other, n));
    return n;
}

static int64_t take(Eager *e, Tensor t, float *out)
{
    memcpy(out, eager_data(e, t), (size_t)tensor_count(t) * sizeof *out);
    return tensor_count(t);
}

/* ---- resizing ---- */

/* arg: height and width of the input, of the result, channels, rows of a band */
static int64_t resize(Eager *e, const int64_t *a, float *out)
{
    Run *r = &e->run;
    Tensor t = eager_input(e, x, SHAPE(1, a[0], a[1], a[4]));
    int64_t n = 0;
    for (int64_t row = 0; row < a[2]; row += a[5]) {
        const int64_t rows = a[2] - row < a[5] ? a[2] - row : a[5];
        n += take(e, op_resize(r, t, a[2], a[3], row, rows), out + n);
    }
    return n;
}

static double resized(const int64_t *a, int64_t row, int64_t col, int64_t c)
{
    const double at[2] = { a[2] > 1 ? (double)row * (double)(a[0] - 1) / (double)(a[2] - 1) : 0.0,
                           a[3] > 1 ? (double)col * (double)(a[1] - 1) / (double)(a[3] - 1) : 0.0 };
    double sum = 0.0;
    for (int64_t i = 0; i < a[0]; i++)
        for (int64_t j = 0; j < a[1]; j++) {
            const double down = 1.0 - fabs(at[0] - (double)i),
                         across = 1.0 - fabs(at[1] - (double)j);
            if (down > 0 && across > 0) sum += down * across * (double)x[(i * a[1] + j) * a[4] + c];
        }
    return sum;
}

/* positions are f32 as in the reference: 2^-24 of 36 times a slope of 4 */
TEST(ops_picture, resizing_puts_corners_on_corners)
{
    static const int64_t CASES[][6] = { { 1, 1, 5, 4, 3, 5 },     { 6, 5, 1, 1, 20, 1 },
                                        { 16, 9, 36, 20, 3, 36 }, { 7, 8, 7, 8, 17, 7 },
                                        { 36, 20, 16, 9, 1, 16 }, { 2, 3, 9, 7, 33, 9 } };
    static float got[MAX], want[MAX], banded[MAX];
    fill();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        int64_t a[6];
        memcpy(a, CASES[i], sizeof a);
        const int64_t n = both(resize, a, got);
        CHECK_INT(n, a[2] * a[3] * a[4]);
        for (int64_t k = 0; k < n; k++)
            want[k] = (float)resized(a, k / a[4] / a[3], k / a[4] % a[3], k % a[4]);
        CHECK_CLOSE(got, want, n, 2e-5);
        a[5] = 2;
        CHECK_INT(both(resize, a, banded), n);
        CHECK(equal_bits(got, banded, n));
        if (a[0] == a[2] && a[1] == a[3]) CHECK(equal_bits(got, x, n));
    }
}

/* ---- windows ---- */

/* arg: height, width, heads, head_dim, size, shift */
static int64_t windows(Eager *e, const int64_t *a, float *out)
{
    const int64_t c = a[2] * a[3], side = 2 * a[4] - 1;
    const WindowMap map = { a[0], a[1], (int)a[2], (int)a[4], (int)a[5] };
    Tensor t = eager_input(e, x, SHAPE(a[0] * a[1], 3 * c));
    const Weight *table = eager_weight(e, weight, SHAPE(side * side, a[2]));
    const Weight *b = eager_weight(e, bias, SHAPE(3 * c));
    return take(e, op_window_attention(&e->run, t, b, table, map), out);
}

/* q, k or v (part 0..2) of a place of the padded, moved map */
static double part_of(const int64_t *a, int64_t row, int64_t col, int64_t part, int64_t i)
{
    const int64_t rows = (a[0] + a[4] - 1) / a[4] * a[4], cols = (a[1] + a[4] - 1) / a[4] * a[4];
    const int64_t c = a[2] * a[3], y0 = (row + a[5]) % rows, x0 = (col + a[5]) % cols;
    if (y0 >= a[0] || x0 >= a[1]) return (double)bias[part * c + i];
    return (double)x[(y0 * a[1] + x0) * 3 * c + part * c + i];
}

static int64_t label(int64_t at, int64_t all, const int64_t *a)
{
    return at < all - a[4] ? 0 : at < all - a[5] ? 1 : 2;
}

static bool apart(const int64_t *a, int64_t row, int64_t col, int64_t row2, int64_t col2)
{
    const int64_t rows = (a[0] + a[4] - 1) / a[4] * a[4], cols = (a[1] + a[4] - 1) / a[4] * a[4];
    return a[5] && (label(row, rows, a) != label(row2, rows, a) ||
                    label(col, cols, a) != label(col2, cols, a));
}

/* One head of one query at (row, col) of the moved map. */
static void attend(const int64_t *a, int64_t row, int64_t col, int64_t head, double *out)
{
    const int64_t s = a[4], top = row / s * s, left = col / s * s, d = a[3];
    double sum = 0.0;
    for (int64_t i = 0; i < d; i++)
        out[i] = 0.0;
    for (int64_t r = top; r < top + s; r++)
        for (int64_t k = left; k < left + s; k++) {
            const int64_t at = (row - r + s - 1) * (2 * s - 1) + col - k + s - 1;
            double score = (double)weight[at * a[2] + head];
            if (apart(a, row, col, r, k)) continue;
            for (int64_t i = 0; i < d; i++)
                score += part_of(a, row, col, 0, head * d + i) * part_of(a, r, k, 1, head * d + i) /
                         sqrt((double)d);
            sum += exp(score);
            for (int64_t i = 0; i < d; i++)
                out[i] += exp(score) * part_of(a, r, k, 2, head * d + i);
        }
    for (int64_t i = 0; i < d; i++)
        out[i] /= sum;
}

static void want_windows(const int64_t *a, float *want)
{
    const int64_t rows = (a[0] + a[4] - 1) / a[4] * a[4], cols = (a[1] + a[4] - 1) / a[4] * a[4];
    double out[64];
    for (int64_t row = 0; row < rows; row++)
        for (int64_t col = 0; col < cols; col++)
            for (int64_t h = 0; h < a[2]; h++) {
                const int64_t y0 = (row + a[5]) % rows, x0 = (col + a[5]) % cols;
                if (y0 >= a[0] || x0 >= a[1]) continue;
                attend(a, row, col, h, out);
                for (int64_t i = 0; i < a[3]; i++)
                    want[((y0 * a[1] + x0) * a[2] + h) * a[3] + i] = (float)out[i];
            }
}

/* scores up to 20 in f32, weights by 2^x: 20 * 2^-23 of values of 2 */
TEST(ops_picture, windows_see_what_the_reference_lets_them_see)
{
    static const int64_t CASES[][6] = { { 8, 8, 2, 8, 4, 0 },  { 8, 8, 2, 8, 4, 2 },
                                        { 7, 9, 1, 5, 4, 2 },  { 2, 3, 3, 4, 4, 2 },
                                        { 13, 5, 2, 8, 5, 2 }, { 1, 1, 1, 8, 3, 1 } };
    static float got[MAX], want[MAX];
    fill();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const int64_t n = both(windows, CASES[i], got);
        want_windows(CASES[i], want);
        CHECK_CLOSE(got, want, n, 1e-5);
    }
}

/* many windows: more than one group of them */
TEST(ops_picture, windows_in_groups_are_the_same_windows)
{
    static const int64_t CASE[6] = { 150, 61, 1, 1, 2, 1 };
    static float got[MAX], want[MAX];
    fill();
    const int64_t n = both(windows, CASE, got);
    want_windows(CASE, want);
    CHECK_CLOSE(got, want, n, 1e-5);
}

/* ---- deformable taps ---- */

static float offset[MAX], factor[MAX];

/* arg: kernel, channels out, rows of a band */
static int64_t deform(Eager *e, const int64_t *a, float *out)
{
    Run *r = &e->run;
    const int64_t n = a[0] * a[0];
    Tensor t = eager_input(e, x, SHAPE(1, H, W, C));
    const Weight *w = eager_weight(e, weight, SHAPE(a[1], C, 1, a[0], a[0]));
    int64_t count = 0;
    for (int64_t row = 0; row < H; row += a[2]) {
        const int64_t rows = H - row < a[2] ? H - row : a[2];
        Tensor o = eager_input(e, offset + row * W * 2 * n, SHAPE(1, rows, W, 2 * n));
        Tensor f = eager_input(e, factor + row * W * n, SHAPE(1, rows, W, n));
        Tensor columns = op_deform_columns(r, t, o, f, (int)a[0], row);
        count += take(e, op_linear(r, columns, w, NULL, ACT_NONE), out + count);
    }
    return count;
}

static double map_at(int64_t row, int64_t col, int64_t c)
{
    return row < 0 || row >= H || col < 0 || col >= W ? 0.0 : (double)x[(row * W + col) * C + c];
}

static double sampled(double down, double across, int64_t c)
{
    const int64_t top = (int64_t)floor(down), left = (int64_t)floor(across);
    const double low = down - (double)top, right = across - (double)left;
    if (down <= -1 || down >= H || across <= -1 || across >= W) return 0.0;
    return (1 - low) * ((1 - right) * map_at(top, left, c) + right * map_at(top, left + 1, c)) +
           low * ((1 - right) * map_at(top + 1, left, c) + right * map_at(top + 1, left + 1, c));
}

static double deformed(int64_t k, int64_t pixel, int64_t out)
{
    const int64_t n = k * k, row = pixel / W, col = pixel % W;
    double sum = 0.0;
    for (int64_t c = 0; c < C; c++)
        for (int64_t t = 0; t < n; t++) {
            /* the place is rounded to f32 where the reference rounds it */
            const float down = (float)(row - k / 2 + t / k) + offset[(pixel * n + t) * 2];
            const float across = (float)(col - k / 2 + t % k) + offset[(pixel * n + t) * 2 + 1];
            sum += (double)weight[(out * C + c) * n + t] * (double)factor[pixel * n + t] *
                   sampled((double)down, (double)across, c);
        }
    return sum;
}

/* up to 980 products of 4, added in f32: 30 roundings of sums of 60 */
TEST(ops_picture, deformable_taps_follow_their_offsets)
{
    static float got[MAX], want[MAX], banded[MAX];
    for (int64_t k = 1; k <= SIDE_MAX; k += k < 3 ? 2 : 4) {
        fill();
        test_random(offset, COUNT(offset), -5.0f, 5.0f);
        test_random(factor, COUNT(factor), 0.0f, 2.0f);
        int64_t a[3] = { k, 11, H };
        const int64_t n = both(deform, a, got);
        for (int64_t i = 0; i < n; i++)
            want[i] = (float)deformed(k, i / a[1], i % a[1]);
        CHECK_CLOSE(got, want, n, 2e-4);
        a[2] = 2;
        CHECK_INT(both(deform, a, banded), n);
        CHECK(equal_bits(got, banded, n));
    }
}

static int64_t convolve(Eager *e, const int64_t *a, float *out)
{
    const ConvGeometry g = { .kt = 1,
                             .kh = (int)a[0],
                             .kw = (int)a[0],
                             .stride_t = 1,
                             .stride = 1,
                             .top = (int)a[0] / 2,
                             .left = (int)a[0] / 2,
                             .bottom = (int)a[0] / 2,
                             .right = (int)a[0] / 2,
                             .upsample = 1,
                             .groups = 1 };
    Tensor t = eager_input(e, x, SHAPE(1, H, W, C));
    const Weight *w = eager_weight(e, weight, SHAPE(a[1], C, 1, a[0], a[0]));
    return take(e, op_conv(&e->run, t, NULL, 0, w, NULL, &g), out);
}

TEST(ops_picture, taps_that_stay_make_a_plain_convolution)
{
    static const int64_t CASE[3] = { 3, 11, H };
    static float got[MAX], want[MAX];
    fill();
    memset(offset, 0, sizeof offset);
    for (size_t i = 0; i < COUNT(factor); i++)
        factor[i] = 1.0f;
    const int64_t n = both(deform, CASE, got);
    CHECK_INT(both(convolve, CASE, want), n);
    CHECK_CLOSE(got, want, n, 1e-4);
}

/* ---- means, rows scaled, batch norm ---- */

static int64_t mean(Eager *e, const int64_t *a, float *out)
{
    return take(e, op_mean(&e->run, eager_input(e, x, SHAPE(1, a[0], a[1], a[2]))), out);
}

static int64_t scaled(Eager *e, const int64_t *a, float *out)
{
    Tensor t = eager_input(e, x, SHAPE(1, a[0], a[1], a[2]));
    return take(e, op_scale_rows(&e->run, t, eager_input(e, y, SHAPE(1, a[0], a[1], 1))), out);
}

static int64_t batch(Eager *e, const int64_t *a, float *out)
{
    Tensor t = eager_input(e, x, SHAPE(1, a[0], a[1], a[2]));
    const BatchStatistics s = { eager_weight(e, weight, SHAPE(a[2])),
                                eager_weight(e, bias, SHAPE(a[2])), eager_weight(e, y, SHAPE(a[2])),
                                eager_weight(e, z, SHAPE(a[2])) };
    return take(e, op_batch_norm(&e->run, t, s, 1e-5f, a[3] ? ACT_RELU : ACT_NONE), out);
}

TEST(ops_picture, means_scales_and_batch_norms_are_what_they_say)
{
    static const int64_t CASES[][4] = {
        { H, W, C, 0 }, { 1, 1, 3, 1 }, { 40, 50, 33, 1 }, { 3, 5, 1, 0 }
    };
    static float got[MAX], want[MAX];
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const int64_t *a = CASES[i], n = a[0] * a[1] * a[2];
        fill();
        CHECK_INT(both(mean, a, got), a[2]);
        for (int64_t c = 0; c < a[2]; c++) {
            double sum = 0.0;
            for (int64_t p = c; p < n; p += a[2])
                sum += (double)x[p];
            want[c] = (float)(sum / (double)(a[0] * a[1]));
        }
        CHECK_CLOSE(got, want, a[2], 1e-6);
        CHECK_INT(both(scaled, a, got), n);
        for (int64_t p = 0; p < n; p++)
            CHECK(got[p] == x[p] * y[p / a[2]]);
        CHECK_INT(both(batch, a, got), n);
        for (int64_t p = 0; p < n; p++) {
            const int64_t c = p % a[2];
            const double v =
                ((double)x[p] - (double)y[c]) / sqrt((double)z[c] + 1e-5) * (double)weight[c] +
                (double)bias[c];
            want[p] = (float)(a[3] && v < 0 ? 0.0 : v);
        }
        CHECK_CLOSE(got, want, n, 2e-4); /* variances near 0 make values of some hundreds */
    }
}

/* ---- a matrix the other way round ---- */

static int64_t turned(Eager *e, const int64_t *a, float *out)
{
    Tensor t = eager_input(e, x, SHAPE(a[0], a[1]));
    return take(e, op_linear_turned(&e->run, t, eager_weight(e, weight, SHAPE(a[1], a[2]))), out);
}

/* 100 products of up to 2, one rounding each */
TEST(ops_picture, a_matrix_stored_the_other_way_round)
{
    static const int64_t CASES[][3] = { { 1, 1, 1 }, { 3, 7, 17 }, { 2, 100, 33 } };
    static float got[MAX], want[MAX];
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const int64_t *a = CASES[i], n = a[0] * a[2];
        fill();
        CHECK_INT(both(turned, a, got), n);
        for (int64_t p = 0; p < n; p++) {
            double sum = 0.0;
            for (int64_t k = 0; k < a[1]; k++)
                sum += (double)x[p / a[2] * a[1] + k] * (double)weight[k * a[2] + p % a[2]];
            want[p] = (float)sum;
        }
        CHECK_CLOSE(got, want, n, 2e-5);
    }
}
