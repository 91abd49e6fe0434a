/* bf16_avx2.c  Products in bf16 without an instruction for them: rounded, then multiplied as f32. */
#include "compute/cpu/bf16_body.h"

int64_t bf16_row_avx2(float *restrict to, const float *restrict x, int64_t n)
{
    return row_body(to, x, n);
}

int64_t bf16_panel_avx2(float *restrict to, const float *restrict panel, int64_t n)
{
    return panel_body(to, panel, n);
}
