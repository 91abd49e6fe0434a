/* tensor.c  Shape arithmetic, all of it checked. */
#include "tensor/tensor.h"

#include <stdio.h>

#include "base/size.h"

int64_t shape_count(Shape shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape.rank; i++)
        if (shape.dim[i] < 0 || !dim_mul(n, shape.dim[i], &n)) return -1;
    return n;
}

bool shape_equal(Shape a, Shape b)
{
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

const char *shape_text(Shape shape, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < shape.rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "",
                                 (long long)shape.dim[i]);
    if (used < size) (void)snprintf(text + used, size - used, "]");
    return text;
}

size_t tensor_bytes(Tensor t)
{
    size_t bytes;
    int64_t n = shape_count(t.shape);
    return n >= 0 && dtype_bytes(t.dtype, n, &bytes) ? bytes : SIZE_MAX;
}

int64_t tensor_rows(Tensor t)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < t.shape.rank; i++)
        n *= t.shape.dim[i];
    return n;
}

int64_t tensor_cols(Tensor t)
{
    return t.shape.rank ? t.shape.dim[t.shape.rank - 1] : 1;
}
