/* widen_ref.c  The value of every stored term, and the reference packer that serves every type. */
#include "compute/cpu/widen.h"

#include "base/size.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/widen_body.h"

bool widen_has(DType type)
{
    return dtype_is_weight(type);
}

static void widen_plain(float *to, const Stored *w, int64_t row, int64_t k0, int64_t n)
{
    const char *from = (const char *)w->data + row * w->row_bytes;
    dtype_widen(w->type, from + k0 * dtype_info(w->type)->bytes, to, n);
    if (w->row_scale)
        for (int64_t i = 0; i < n; i++)
            to[i] *= w->row_scale[row];
    if (w->scale != 1.0f)
        for (int64_t i = 0; i < n; i++)
            to[i] *= w->scale;
}

void widen_row(float *to, const Stored *w, int64_t row, int64_t k0, int64_t n)
{
    if (w->type == DT_NF4 || w->type == DT_FP4)
        widen_four(to, w, row, k0, n, widen_nibbles);
    else if (dtype_info(w->type)->block > 1)
        widen_blocks(to, w, row, k0, n);
    else
        widen_plain(to, w, row, k0, n);
}

void pack_ref(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    float part[WIDEN_MAX_BLOCK];
    for (int64_t j = 0; j < PANEL; j++)
        for (int64_t k = 0; k < kc; k += (int64_t)COUNT(part)) {
            const int64_t n = kc - k < (int64_t)COUNT(part) ? kc - k : (int64_t)COUNT(part);
            if (n0 + j < w->rows) widen_row(part, w, n0 + j, k0 + k, n);
            for (int64_t i = 0; i < n; i++)
                to[(k + i) * PANEL + j] = n0 + j < w->rows ? part[i] : 0.0f;
        }
}
