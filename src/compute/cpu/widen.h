/* widen.h  Reference dequantiser: the f32 value of every stored weight (formats.md 3.3, 5.2). */
#ifndef CPU_WIDEN_H
#define CPU_WIDEN_H

#include "compute/cpu/stored.h"

/** to[i] = w[row][k0 + i], i < n. Any k0 and n inside the row. */
void widen_row(float *to, const Stored *w, int64_t row, int64_t k0, int64_t n);

/** True when `type` can be a weight (has a widening). */
bool widen_has(DType type);

#endif
