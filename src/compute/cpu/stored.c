/* stored.c  Views of stored weight matrices. */
#include "compute/cpu/stored.h"

Stored stored_dense(DType type, const void *data, int64_t rows, int64_t cols)
{
    const DTypeInfo *info = dtype_info(type);
    return (Stored){ .type = type,
                     .data = data,
                     .rows = rows,
                     .cols = cols,
                     .row_bytes = cols / info->block * info->bytes,
                     .scale = 1.0f };
}

Stored stored_weight(const Weight *weight, const void *at, int64_t rows, int64_t cols)
{
    Stored w = stored_dense(weight->dtype, at, rows, cols);
    const Scaling *s = weight->scaling;
    const char *base = at;
    if (!s) return w;
    w.scale = s->whole;
    if (s->row_at) w.row_scale = (const float *)(const void *)(base + s->row_at);
    if (!s->block) return w;
    w.four = (StoredAbsmax){ .block = s->block, .offset = s->offset };
    if (s->absmax_at) {
        w.four.absmax = (const float *)(const void *)(base + s->absmax_at);
    } else {
        w.four.codes = (const uint8_t *)base + s->codes_at;
        w.four.map = (const float *)(const void *)(base + s->map_at);
        w.four.nested = (const float *)(const void *)(base + s->nested_at);
    }
    return w;
}

bool stored_is_f32(const Weight *weight)
{
    return weight->dtype == DT_F32 && !weight->scaling;
}

Stored stored_rows(const Stored *w, int64_t first, int64_t rows)
{
    Stored view = *w;
    view.rows = rows;
    if (view.row_scale) view.row_scale += first;
    if (dtype_info(w->type)->block > 1)
        view.first += first * w->cols;
    else
        view.data = (const char *)w->data + first * w->row_bytes;
    return view;
}

const char *stored_at(const Stored *w, int64_t row, int64_t k0)
{
    const DTypeInfo *info = dtype_info(w->type);
    const char *data = w->data;
    if (info->block == 1) return data + row * w->row_bytes + k0 * info->bytes;
    return data + (w->first + row * w->cols + k0) / info->block * info->bytes;
}
