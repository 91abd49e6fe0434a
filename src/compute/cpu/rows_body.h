/* rows_body.h  The row kernels over vec.h's lanes: included once per ISA, after VARIANT(name). */
#include <math.h>

#include "compute/cpu/kernels.h"
#include "compute/cpu/vmath.h"

/* ---- elementwise ---- */

typedef vfloat MapLanes(vfloat x);
typedef vfloat MapLanes2(vfloat a, vfloat b);

VEC_INLINE void map_row(float *y, const float *x, int64_t n, MapLanes *f)
{
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        vec_store(y + i, f(vec_load(x + i)));
    if (i < n) vec_store_part(y + i, f(vec_load_part(x + i, n - i)), n - i);
}

VEC_INLINE void map_pair(float *y, const float *a, const float *b, int64_t n, MapLanes2 *f)
{
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        vec_store(y + i, f(vec_load(a + i), vec_load(b + i)));
    if (i < n)
        vec_store_part(y + i, f(vec_load_part(a + i, n - i), vec_load_part(b + i, n - i)), n - i);
}

VEC_INLINE vfloat relu_lanes(vfloat x)
{
    return vec_max(vec_set(0.0f), x);
}
VEC_INLINE vfloat add_lanes(vfloat a, vfloat b)
{
    return a + b;
}
VEC_INLINE vfloat sub_lanes(vfloat a, vfloat b)
{
    return a - b;
}
VEC_INLINE vfloat mul_lanes(vfloat a, vfloat b)
{
    return a * b;
}
VEC_INLINE vfloat silu_mul_lanes(vfloat a, vfloat b)
{
    return vmath_silu(a) * b;
}
VEC_INLINE vfloat gelu_tanh_mul_lanes(vfloat a, vfloat b)
{
    return vmath_gelu_tanh(a) * b;
}
VEC_INLINE vfloat gelu_erf_mul_lanes(vfloat a, vfloat b)
{
    return vmath_gelu_erf(a) * b;
}

void VARIANT(exp)(float *y, const float *x, int64_t n)
{
    map_row(y, x, n, vmath_exp);
}
void VARIANT(exp2)(float *y, const float *x, int64_t n)
{
    map_row(y, x, n, vmath_exp2);
}
void VARIANT(silu)(float *y, const float *x, int64_t n)
{
    map_row(y, x, n, vmath_silu);
}
void VARIANT(gelu_tanh)(float *y, const float *x, int64_t n)
{
    map_row(y, x, n, vmath_gelu_tanh);
}
void VARIANT(gelu_erf)(float *y, const float *x, int64_t n)
{
    map_row(y, x, n, vmath_gelu_erf);
}
void VARIANT(gelu_quick)(float *y, const float *x, int64_t n)
{
    map_row(y, x, n, vmath_gelu_quick);
}
void VARIANT(relu)(float *y, const float *x, int64_t n)
{
    map_row(y, x, n, relu_lanes);
}
void VARIANT(tanh)(float *y, const float *x, int64_t n)
{
    map_row(y, x, n, vmath_tanh);
}
void VARIANT(sigmoid)(float *y, const float *x, int64_t n)
{
    map_row(y, x, n, vmath_sigmoid);
}
void VARIANT(add)(float *y, const float *a, const float *b, int64_t n)
{
    map_pair(y, a, b, n, add_lanes);
}
void VARIANT(sub)(float *y, const float *a, const float *b, int64_t n)
{
    map_pair(y, a, b, n, sub_lanes);
}
void VARIANT(mul)(float *y, const float *a, const float *b, int64_t n)
{
    map_pair(y, a, b, n, mul_lanes);
}
void VARIANT(silu_mul)(float *y, const float *a, const float *b, int64_t n)
{
    map_pair(y, a, b, n, silu_mul_lanes);
}
void VARIANT(gelu_tanh_mul)(float *y, const float *a, const float *b, int64_t n)
{
    map_pair(y, a, b, n, gelu_tanh_mul_lanes);
}
void VARIANT(gelu_erf_mul)(float *y, const float *a, const float *b, int64_t n)
{
    map_pair(y, a, b, n, gelu_erf_mul_lanes);
}

/* ---- elementwise with parameters ---- */

void VARIANT(scale)(float *y, const float *x, float s, int64_t n)
{
    for (int64_t i = 0; i < n; i += VLEN)
        vec_store_some(y + i, vec_set(s) * vec_load_some(x + i, n - i), n - i);
}

void VARIANT(clamp)(float *y, const float *x, float low, float high, int64_t n)
{
    for (int64_t i = 0; i < n; i += VLEN) {
        const vfloat v = vec_max(vec_set(low), vec_load_some(x + i, n - i));
        vec_store_some(y + i, vec_min(vec_set(high), v), n - i);
    }
}

void VARIANT(lerp)(float *y, const float *a, const float *b, float s, int64_t n)
{
    for (int64_t i = 0; i < n; i += VLEN) {
        const vfloat from = vec_load_some(a + i, n - i), to = vec_load_some(b + i, n - i);
        vec_store_some(y + i, vec_fma(vec_set(s), to - from, from), n - i);
    }
}

void VARIANT(combine)(float *y, const float *const *x, const float *coef, int n_x, int64_t n)
{
    for (int64_t i = 0; i < n; i += VLEN) {
        vfloat t = vec_set(coef[0]) * vec_load_some(x[0] + i, n - i);
        for (int k = 1; k < n_x; k++)
            t = vec_fma(vec_set(coef[k]), vec_load_some(x[k] + i, n - i), t);
        vec_store_some(y + i, t, n - i);
    }
}

void VARIANT(affine_rows)(float *y, const float *x, const float *mul, const float *add,
                          int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols)
        for (int64_t c = 0; c < cols; c += VLEN) {
            const int64_t n = cols - c;
            const vfloat factor = vec_load_some(mul + c, n), term = vec_load_some(add + c, n);
            vec_store_some(y + c, vec_fma(vec_load_some(x + c, n), factor, term), n);
        }
}

void VARIANT(gated_add)(float *y, const float *x, const float *gate, const float *z, int64_t rows,
                        int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, z += cols, y += cols)
        for (int64_t c = 0; c < cols; c += VLEN) {
            const int64_t n = cols - c;
            const vfloat factor = vec_load_some(gate + c, n), term = vec_load_some(x + c, n);
            vec_store_some(y + c, vec_fma(factor, vec_load_some(z + c, n), term), n);
        }
}

/* ---- sums over a row ---- */

enum { PARTS = ROW_PARTIALS / VLEN };

VEC_INLINE float fold(const vfloat part[PARTS])
{
    float sum[ROW_PARTIALS];
    for (int i = 0; i < PARTS; i++)
        vec_store(sum + i * VLEN, part[i]);
    for (int width = ROW_PARTIALS / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            sum[i] += sum[i + width];
    return sum[0];
}

/** The last cols % ROW_PARTIALS values of a row, the rest of `tail` filled with a neutral value. */
VEC_INLINE void row_tail(float tail[ROW_PARTIALS], const float *x, int64_t n, float neutral)
{
    for (int i = 0; i < ROW_PARTIALS; i++)
        tail[i] = neutral;
    memcpy(tail, x, (size_t)n * sizeof *x);
}

VEC_INLINE void add_terms(vfloat part[PARTS], const float *x)
{
    for (int i = 0; i < PARTS; i++)
        part[i] = part[i] + vec_load(x + i * VLEN);
}
VEC_INLINE void add_squares(vfloat part[PARTS], const float *x, vfloat centre)
{
    for (int i = 0; i < PARTS; i++) {
        const vfloat d = vec_load(x + i * VLEN) - centre;
        part[i] = vec_fma(d, d, part[i]);
    }
}

static float row_sum(const float *x, int64_t cols)
{
    vfloat part[PARTS];
    float tail[ROW_PARTIALS];
    for (int i = 0; i < PARTS; i++)
        part[i] = vec_set(0.0f);
    int64_t c = 0;
    for (; c + ROW_PARTIALS <= cols; c += ROW_PARTIALS)
        add_terms(part, x + c);
    if (c < cols) {
        row_tail(tail, x + c, cols - c, 0.0f);
        add_terms(part, tail);
    }
    return fold(part);
}

/** Sum of (x - centre)^2. */
static float row_squares(const float *x, float centre, int64_t cols)
{
    vfloat part[PARTS];
    float tail[ROW_PARTIALS];
    for (int i = 0; i < PARTS; i++)
        part[i] = vec_set(0.0f);
    int64_t c = 0;
    for (; c + ROW_PARTIALS <= cols; c += ROW_PARTIALS)
        add_squares(part, x + c, vec_set(centre));
    if (c < cols) {
        row_tail(tail, x + c, cols - c, centre);
        add_squares(part, tail, vec_set(centre));
    }
    return fold(part);
}

/* ---- sums over columns ---- */

enum { STRIP = 4 * VLEN }; /* columns held in registers */

/** One more row: x, or the square of its distance from the centre. */
VEC_INLINE vfloat column_add(vfloat sum, vfloat x, const vfloat *middle)
{
    if (!middle) return sum + x;
    const vfloat d = x - *middle;
    return vec_fma(d, d, sum);
}

/** The columns behind whole strips, one vector at a time. */
VEC_INLINE void column_rest(float *y, const float *x, const float *centre, int64_t rows,
                            int64_t cols, int64_t from)
{
    for (int64_t c = from; c < cols; c += VLEN) {
        const int64_t n = cols - c;
        const vfloat middle = centre ? vec_load_some(centre + c, n) : vec_set(0.0f);
        vfloat sum = vec_set(0.0f);
        for (int64_t r = 0; r < rows; r++)
            sum = column_add(sum, vec_load_some(x + r * cols + c, n), centre ? &middle : NULL);
        vec_store_some(y + c, sum, n);
    }
}

VEC_INLINE void column_strips(float *y, const float *x, const float *centre, int64_t rows,
                              int64_t cols)
{
    int64_t c = 0;
    for (; c + STRIP <= cols; c += STRIP) {
        vfloat sum[4], middle[4];
        for (int i = 0; i < 4; i++) {
            sum[i] = vec_set(0.0f);
            middle[i] = centre ? vec_load(centre + c + i * VLEN) : vec_set(0.0f);
        }
        for (int64_t r = 0; r < rows; r++)
            for (int i = 0; i < 4; i++)
                sum[i] = column_add(sum[i], vec_load(x + r * cols + c + i * VLEN),
                                    centre ? &middle[i] : NULL);
        for (int i = 0; i < 4; i++)
            vec_store(y + c + i * VLEN, sum[i]);
    }
    column_rest(y, x, centre, rows, cols, c);
}

void VARIANT(column_sums)(float *y, const float *x, int64_t rows, int64_t cols)
{
    column_strips(y, x, NULL, rows, cols);
}

void VARIANT(column_squares)(float *y, const float *x, const float *centre, int64_t rows,
                             int64_t cols)
{
    column_strips(y, x, centre, rows, cols);
}

/* ---- norms ---- */

VEC_INLINE vfloat norm_lanes(vfloat n, const float *mul, const float *add, float mul_plus,
                             int64_t left)
{
    if (mul && add) {
        const vfloat factor = vec_set(mul_plus) + vec_load_some(mul, left);
        return vec_fma(n, factor, vec_load_some(add, left));
    }
    if (mul) return n * (vec_set(mul_plus) + vec_load_some(mul, left));
    if (add) return n + vec_load_some(add, left);
    return n;
}

VEC_INLINE void norm_row(float *y, const float *x, const float *mul, const float *add,
                         float mul_plus, float mean, float inverse, int64_t cols)
{
    for (int64_t c = 0; c < cols; c += VLEN) {
        const vfloat n = (vec_load_some(x + c, cols - c) - vec_set(mean)) * vec_set(inverse);
        vec_store_some(y + c,
                       norm_lanes(n, mul ? mul + c : mul, add ? add + c : add, mul_plus, cols - c),
                       cols - c);
    }
}

void VARIANT(layer_norm)(float *y, const float *x, const float *mul, const float *add,
                         float mul_plus, float eps, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
        const float mean = row_sum(x, cols) / (float)cols;
        const float inverse = 1.0f / sqrtf(row_squares(x, mean, cols) / (float)cols + eps);
        norm_row(y, x, mul, add, mul_plus, mean, inverse, cols);
    }
}

VEC_INLINE vfloat same_lanes(vfloat x)
{
    return x;
}

/** y = f((x * factor) * w) */
VEC_INLINE void scale_row(float *y, const float *x, const float *w, float factor, int64_t cols,
                          MapLanes *f)
{
    for (int64_t c = 0; c < cols; c += VLEN) {
        vfloat n = vec_load_some(x + c, cols - c) * vec_set(factor);
        if (w) n = n * vec_load_some(w + c, cols - c);
        vec_store_some(y + c, f(n), cols - c);
    }
}

void VARIANT(rms_norm)(float *y, const float *x, const float *w, float eps, int64_t rows,
                       int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
        const float factor = 1.0f / sqrtf(row_squares(x, 0.0f, cols) / (float)cols + eps);
        scale_row(y, x, w, factor, cols, same_lanes);
    }
}

void VARIANT(rms_factors)(float *factor, const float *x, float eps, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols)
        factor[r] = 1.0f / sqrtf(row_squares(x, 0.0f, cols) / (float)cols + eps);
}

void VARIANT(scale_rows)(float *y, const float *x, const float *factor, const float *w,
                         int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols)
        scale_row(y, x, w, factor[r], cols, same_lanes);
}

void VARIANT(l2_norm)(float *y, const float *x, const float *w, bool silu, int64_t rows,
                      int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
        const float size = sqrtf(row_squares(x, 0.0f, cols));
        const float factor = sqrtf((float)cols) / (1e-12f > size ? 1e-12f : size);
        if (silu)
            scale_row(y, x, w, factor, cols, vmath_silu);
        else
            scale_row(y, x, w, factor, cols, same_lanes);
    }
}

/* ---- rotation ---- */

#if defined(__AVX512F__)
VEC_INLINE vfloat first_of_pairs(vfloat v)
{
    return _mm512_moveldup_ps(v);
}
VEC_INLINE vfloat second_of_pairs(vfloat v)
{
    return _mm512_movehdup_ps(v);
}
VEC_INLINE vfloat swap_pairs(vfloat v)
{
    return _mm512_permute_ps(v, 0xb1);
}
#elif defined(__AVX2__)
VEC_INLINE vfloat first_of_pairs(vfloat v)
{
    return _mm256_moveldup_ps(v);
}
VEC_INLINE vfloat second_of_pairs(vfloat v)
{
    return _mm256_movehdup_ps(v);
}
VEC_INLINE vfloat swap_pairs(vfloat v)
{
    return _mm256_permute_ps(v, 0xb1);
}
#else
VEC_INLINE vfloat first_of_pairs(vfloat v)
{
    return vtrn1q_f32(v, v);
}
VEC_INLINE vfloat second_of_pairs(vfloat v)
{
    return vtrn2q_f32(v, v);
}
VEC_INLINE vfloat swap_pairs(vfloat v)
{
    return vrev64q_f32(v);
}
#endif

/** -sin for the first of a pair, +sin for the second. */
VEC_INLINE vfloat signed_sines(vfloat angles)
{
    static const float SIGN[16] = { -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1 };
    return second_of_pairs(angles) * vec_load(SIGN);
}

void VARIANT(rope_pairs)(float *y, const float *x, const float *table, int64_t rows, int64_t heads,
                         int64_t head_dim)
{
    for (int64_t r = 0; r < rows; r++, table += head_dim)
        for (int64_t h = 0; h < heads; h++, x += head_dim, y += head_dim)
            for (int64_t i = 0; i < head_dim; i += VLEN) {
                const int64_t n = head_dim - i;
                const vfloat v = vec_load_some(x + i, n), angles = vec_load_some(table + i, n);
                const vfloat rotated = swap_pairs(v) * signed_sines(angles);
                vec_store_some(y + i, vec_fma(v, first_of_pairs(angles), rotated), n);
            }
}
