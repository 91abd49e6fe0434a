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

Stored stored_rows(const Stored *w, int64_t first, int64_t rows)
{
    Stored view = *w;
    view.rows = rows;
    if (view.row_scale) view.row_scale += first;
    if (w->type == DT_NF4 || w->type == DT_FP4)
        view.first += first * w->cols;
    else
        view.data = (const char *)w->data + first * w->row_bytes;
    return view;
}
