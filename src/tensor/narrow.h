/* narrow.h  From f32 to a stored type: what files are written in. Widening is the CPU kernels'.
 *
 * Plain types round to nearest even; fp8 is clamped to its largest value first. Blocks are those of
 * ggml's reference quantisers, bit for bit (formats.md 4; golden: tests/golden/narrow). */
#ifndef TENSOR_NARROW_H
#define TENSOR_NARROW_H

#include "tensor/dtype.h"

/** Can values be written as this type? NF4 and FP4 are apart: narrow_four.h. */
bool narrow_has(DType type);
/** n values, a multiple of the type's block. `to` need not be aligned. Threads: any. */
void narrow_row(DType type, void *to, const float *from, int64_t n);

#endif
