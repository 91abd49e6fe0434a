/* attention_body.h  One row's step of the streaming softmax, over the lanes of vmath.h.
 *
 * Included once by each attention_<isa>.c, and by attention_ref.c with VMATH_SCALAR: the same text
 * is then the meaning, one key at a time. Keys go in groups of ROW_PARTIALS, so that partial
 * sums and maxima are by key index modulo 16 whatever the vector length. */
#include <string.h>

#include "compute/cpu/kernels.h"
#include "compute/cpu/vmath.h"

VEC_INLINE vfloat lanes_load(const float *p)
{
    vfloat v;
    memcpy(&v, p, sizeof v);
    return v;
}
VEC_INLINE void lanes_store(float *p, vfloat v)
{
    memcpy(p, &v, sizeof v);
}

/** Logits of 16 keys, in units of log 2; raises the partial maxima. */
VEC_INLINE void logits(float *t, const SoftmaxRow *row, const float *bias, const float *mask,
                       float *max)
{
    for (int i = 0; i < ROW_PARTIALS; i += VLEN) {
        vfloat x = lanes_load(t + i) * vec_set(row->factor);
        if (bias) x = vec_fma(lanes_load(bias + i), vec_set(LOG2_E), x);
        if (mask) x = vec_fma(lanes_load(mask + i), vec_set(LOG2_E), x);
        lanes_store(t + i, x);
        lanes_store(max + i, vec_max(x, lanes_load(max + i)));
    }
}

/** The last group has keys in only some of its lanes; the others keep their maximum. */
VEC_INLINE void logits_part(float *t, const SoftmaxRow *row, int64_t k0, float *max)
{
    const size_t bytes = (size_t)(row->n - k0) * sizeof *t;
    float part[ROW_PARTIALS], bias[ROW_PARTIALS] = { 0 }, mask[ROW_PARTIALS] = { 0 };
    memset(part, 0, sizeof part);
    memcpy(part, t, bytes);
    if (row->bias) memcpy(bias, row->bias + k0, bytes);
    if (row->mask) memcpy(mask, row->mask + k0, bytes);
    float part_max[ROW_PARTIALS];
    memcpy(part_max, max, sizeof part_max);
    logits(part, row, row->bias ? bias : NULL, row->mask ? mask : NULL, part_max);
    memcpy(t, part, bytes);
    memcpy(max, part_max, bytes);
}

VEC_INLINE float row_max(const SoftmaxRow *row)
{
    float max[ROW_PARTIALS];
    for (int j = 0; j < ROW_PARTIALS; j++)
        max[j] = *row->max;
    int64_t k = 0;
    for (; k + ROW_PARTIALS <= row->n; k += ROW_PARTIALS)
        logits(row->scores + k, row, row->bias ? row->bias + k : NULL,
               row->mask ? row->mask + k : NULL, max);
    if (k < row->n) logits_part(row->scores + k, row, k, max);
    for (int width = ROW_PARTIALS / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            max[j] = max[j + width] > max[j] ? max[j + width] : max[j];
    return max[0];
}

/** p = 2^(t - max) of 16 keys. */
VEC_INLINE void weights(float *t, float max)
{
    for (int i = 0; i < ROW_PARTIALS; i += VLEN)
        lanes_store(t + i, vmath_exp2(lanes_load(t + i) - vec_set(max)));
}

VEC_INLINE void add_weights(float *sum, const float *p)
{
    for (int i = 0; i < ROW_PARTIALS; i += VLEN)
        lanes_store(sum + i, lanes_load(sum + i) + lanes_load(p + i));
}

VEC_INLINE void rescale(float *x, int64_t n, float by)
{
    const int64_t whole = n - n % VLEN;
    for (int64_t i = 0; i < whole; i += VLEN)
        lanes_store(x + i, lanes_load(x + i) * vec_set(by));
    for (int64_t i = whole; i < n; i++)
        x[i] *= by;
}

VEC_INLINE void softmax_step_body(const SoftmaxRow *row)
{
    const float before = *row->max, max = row_max(row);
    float shrink[ROW_PARTIALS]; /* by 2^(old maximum - new) */
    for (int j = 0; j < ROW_PARTIALS; j++)
        shrink[j] = before;
    weights(shrink, max);
    *row->max = max;
    if (shrink[0] != 1.0f) {
        rescale(row->sum, ROW_PARTIALS, shrink[0]);
        rescale(row->y, row->d, shrink[0]);
    }
    float sum[ROW_PARTIALS];
    memcpy(sum, row->sum, sizeof sum);
    int64_t k = 0;
    for (; k + ROW_PARTIALS <= row->n; k += ROW_PARTIALS) {
        weights(row->scores + k, max);
        add_weights(sum, row->scores + k);
    }
    if (k < row->n) {
        float part[ROW_PARTIALS] = { 0 };
        const int64_t n = row->n - k;
        memcpy(part, row->scores + k, (size_t)n * sizeof *part);
        weights(part, max);
        for (int64_t j = n; j < ROW_PARTIALS; j++)
            part[j] = 0.0f;
        add_weights(sum, part);
        memcpy(row->scores + k, part, (size_t)n * sizeof *part);
    }
    memcpy(row->sum, sum, sizeof sum);
}
