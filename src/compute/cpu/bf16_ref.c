/* bf16_ref.c  The meaning of products in bf16: those of gemm_block_ref, of values rounded before. */
#include "compute/cpu/bf16_body.h"

int64_t bf16_row_ref(float *restrict to, const float *restrict x, int64_t n)
{
    return row_body(to, x, n);
}

int64_t bf16_panel_ref(float *restrict to, const float *restrict panel, int64_t n)
{
    return panel_body(to, panel, n);
}
