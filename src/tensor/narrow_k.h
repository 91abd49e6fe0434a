/* narrow_k.h  Blocks of 256 values with scales of scales: ggml's K types. */
#ifndef TENSOR_NARROW_K_H
#define TENSOR_NARROW_K_H

#include <stdint.h>

enum { NARROW_K = 256 };

/** One block of 256 values. */
typedef void NarrowK(uint8_t *to, const float *from);
NarrowK narrow_k_q2, narrow_k_q4, narrow_k_q5, narrow_k_q6;

#endif
