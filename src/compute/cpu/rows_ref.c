/* rows_ref.c  The meaning of the row kernels: plain loops every variant equals bit for bit. */
#define VMATH_SCALAR
#include "compute/cpu/kernels.h"
#include "compute/cpu/vmath.h"

/** Fold the partial sums of a row: 8-4-2-1. */
static float fold(float *part)
{
    for (int width = ROW_PARTIALS / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            part[i] += part[i + width];
    return part[0];
}

static float row_sum(const float *x, int64_t cols)
{
    float part[ROW_PARTIALS] = { 0 };
    for (int64_t c = 0; c < cols; c++)
        part[c % ROW_PARTIALS] += x[c];
    return fold(part);
}

/** Sum of (x - centre)^2. */
static float row_squares(const float *x, float centre, int64_t cols)
{
    float part[ROW_PARTIALS] = { 0 };
    for (int64_t c = 0; c < cols; c++) {
        const float d = x[c] - centre;
        part[c % ROW_PARTIALS] = fmaf(d, d, part[c % ROW_PARTIALS]);
    }
    return fold(part);
}

void layer_norm_ref(float *y, const float *x, const float *mul, const float *add, float mul_plus,
                    float eps, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
        const float mean = row_sum(x, cols) / (float)cols;
        const float inverse = 1.0f / sqrtf(row_squares(x, mean, cols) / (float)cols + eps);
        for (int64_t c = 0; c < cols; c++) {
            const float n = (x[c] - mean) * inverse;
            const float factor = mul ? mul_plus + mul[c] : 1.0f;
            y[c] = add ? fmaf(n, factor, add[c]) : n * factor;
        }
    }
}

void rms_norm_ref(float *y, const float *x, const float *w, float eps, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
        const float factor = 1.0f / sqrtf(row_squares(x, 0.0f, cols) / (float)cols + eps);
        for (int64_t c = 0; c < cols; c++)
            y[c] = x[c] * factor * (w ? w[c] : 1.0f);
    }
}

void rms_factors_ref(float *factor, const float *x, float eps, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols)
        factor[r] = 1.0f / sqrtf(row_squares(x, 0.0f, cols) / (float)cols + eps);
}

void scale_rows_ref(float *y, const float *x, const float *factor, const float *w, int64_t rows,
                    int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols)
        for (int64_t c = 0; c < cols; c++)
            y[c] = x[c] * factor[r] * (w ? w[c] : 1.0f);
}

void l2_norm_ref(float *y, const float *x, const float *w, bool silu, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
        const float norm = vec_max(1e-12f, sqrtf(row_squares(x, 0.0f, cols)));
        const float factor = sqrtf((float)cols) / norm;
        for (int64_t c = 0; c < cols; c++) {
            const float n = x[c] * factor * (w ? w[c] : 1.0f);
            y[c] = silu ? vmath_silu(n) : n;
        }
    }
}

void rope_pairs_ref(float *y, const float *x, const float *table, int64_t rows, int64_t heads,
                    int64_t head_dim)
{
    for (int64_t r = 0; r < rows; r++, table += head_dim)
        for (int64_t h = 0; h < heads; h++, x += head_dim, y += head_dim)
            for (int64_t i = 0; i < head_dim; i += 2) {
                const float cosine = table[i], sine = table[i + 1], a = x[i], b = x[i + 1];
                y[i] = fmaf(a, cosine, b * -sine);
                y[i + 1] = fmaf(b, cosine, a * sine);
            }
}

void column_sums_ref(float *y, const float *x, int64_t rows, int64_t cols)
{
    for (int64_t c = 0; c < cols; c++)
        y[c] = 0.0f;
    for (int64_t r = 0; r < rows; r++, x += cols)
        for (int64_t c = 0; c < cols; c++)
            y[c] += x[c];
}

void column_squares_ref(float *y, const float *x, const float *centre, int64_t rows, int64_t cols)
{
    for (int64_t c = 0; c < cols; c++)
        y[c] = 0.0f;
    for (int64_t r = 0; r < rows; r++, x += cols)
        for (int64_t c = 0; c < cols; c++) {
            const float d = x[c] - centre[c];
            y[c] = fmaf(d, d, y[c]);
        }
}

void gated_add_ref(float *y, const float *x, const float *gate, const float *z, int64_t rows,
                   int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, z += cols, y += cols)
        for (int64_t c = 0; c < cols; c++)
            y[c] = fmaf(gate[c], z[c], x[c]);
}

void affine_rows_ref(float *y, const float *x, const float *mul, const float *add, int64_t rows,
                     int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols)
        for (int64_t c = 0; c < cols; c++)
            y[c] = fmaf(x[c], mul[c], add[c]);
}

void combine_ref(float *y, const float *const *x, const float *coef, int n_x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float t = coef[0] * x[0][i];
        for (int k = 1; k < n_x; k++)
            t = fmaf(coef[k], x[k][i], t);
        y[i] = t;
    }
}

void scale_ref(float *y, const float *x, float s, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = s * x[i];
}

void clamp_ref(float *y, const float *x, float low, float high, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vec_min(high, vec_max(low, x[i]));
}

void lerp_ref(float *y, const float *a, const float *b, float s, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = fmaf(s, b[i] - a[i], a[i]);
}

void add_ref(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

void sub_ref(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] - b[i];
}

void mul_ref(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

void silu_mul_ref(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_silu(a[i]) * b[i];
}

void gelu_tanh_mul_ref(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_gelu_tanh(a[i]) * b[i];
}

void gelu_erf_mul_ref(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_gelu_erf(a[i]) * b[i];
}

void silu_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_silu(x[i]);
}

void gelu_tanh_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_gelu_tanh(x[i]);
}

void gelu_erf_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_gelu_erf(x[i]);
}

void gelu_quick_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_gelu_quick(x[i]);
}

void relu_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vec_max(0.0f, x[i]);
}

void tanh_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_tanh(x[i]);
}

void sigmoid_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_sigmoid(x[i]);
}

void exp_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_exp(x[i]);
}

void exp2_ref(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_exp2(x[i]);
}
