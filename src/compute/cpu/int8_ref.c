/* int8_ref.c  The meaning of products in int8. */
#define BIAS_X 0
#include "compute/cpu/int8_body.h"

float int8_row_ref(int8_t *restrict to, const float *restrict x, int64_t n)
{
    return row_body(to, x, n);
}

void int8_peak_ref(uint32_t *restrict peak, const float *restrict panel, int64_t n)
{
    peak_body(peak, panel, n);
}

void int8_panel_ref(int8_t *restrict to, int32_t *restrict sum, const float *restrict panel,
                    const float *restrict factor, int64_t n)
{
    panel_body(to, sum, panel, factor, n);
}

void int8_block_ref(const Int8Tile *t)
{
    const int64_t depth = t->k4 * 4;
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t j = 0; j < t->cols; j++) {
            const int8_t *x = t->x + r * depth,
                         *w = t->w + j / PANEL * PANEL * depth + j % PANEL * 4;
            int32_t sum = 0;
            for (int64_t k = 0; k < depth; k++)
                sum += x[k] * w[k / 4 * 4 * PANEL + k % 4];
            const float y = ((float)sum * t->x_scale[r]) * t->w_scale[j];
            t->c[r * t->ldc + j] = t->bias ? y + t->bias[j] : y;
        }
}
