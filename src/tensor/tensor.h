/* tensor.h  Shapes, and the Tensor: a small value that names a buffer of the plan; owns nothing. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/dtype.h"

enum { TENSOR_MAX_RANK = 5 };

/** Dimensions, slowest first (C order). */
typedef struct Shape {
    int rank;
    int64_t dim[TENSOR_MAX_RANK];
} Shape;

/** Contiguous view of a buffer. id < 0 is "no tensor" (after a failure, or an optional input). */
typedef struct Tensor {
    int32_t id; /**< buffer in the trace */
    DType dtype;
    Shape shape;
    int64_t first; /**< element of the buffer where this view begins */
} Tensor;

#define NO_TENSOR ((Tensor){ .id = -1 })

/** SHAPE(2, 3): rank 2. */
#define SHAPE(...)                                                                                 \
    ((Shape){ .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                 \
              .dim = { __VA_ARGS__ } })

/** Number of elements; -1 on overflow or a negative dimension. Rank 0 has one element. */
int64_t shape_count(Shape shape);
bool shape_equal(Shape a, Shape b);
/** "[2, 3]" into text[size]; returns text. */
const char *shape_text(Shape shape, char *text, size_t size);
enum { SHAPE_TEXT = 128 };

static inline bool tensor_exists(Tensor t)
{
    return t.id >= 0;
}
static inline int64_t tensor_count(Tensor t)
{
    return shape_count(t.shape);
}
/** Bytes of the view; SIZE_MAX on overflow. */
size_t tensor_bytes(Tensor t);
/** Product of all dimensions but the last. */
int64_t tensor_rows(Tensor t);
/** The last dimension (1 for rank 0). */
int64_t tensor_cols(Tensor t);

#endif
