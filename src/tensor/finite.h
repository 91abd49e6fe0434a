/* finite.h  Are stored values numbers? What NaN and infinity look like in every stored type. */
#ifndef TENSOR_FINITE_H
#define TENSOR_FINITE_H

#include "tensor/dtype.h"

/** Element (block types: block) of the first NaN or infinity in `bytes` bytes of `type`, for block
 *  types in a block's scales; -1: all are finite. A rest shorter than a block is not looked at. */
int64_t finite_find(DType type, const void *data, size_t bytes);

#endif
