/* narrow_four.h  NF4 and FP4 as bitsandbytes writes them: codes of four bits under scales of blocks,
 * and the scales themselves in eight bits (double quantisation). Formulas: formats.md 5.3. */
#ifndef TENSOR_NARROW_FOUR_H
#define TENSOR_NARROW_FOUR_H

#include "tensor/dtype.h"
#include "tensor/scaling.h"

enum { NARROW_FOUR_MAP = 256, NARROW_FOUR_BLOCK = 64 };

/** The sixteen values of DT_NF4 or DT_FP4 by code. */
const float *narrow_four_values(DType type);

/**
 * Codes and scales of n values that begin with a block; high nibble first, an odd rest leaves the
 * last nibble to a zero.
 * @param to      [(n + 1) / 2]
 * @param absmax  [ceil(n / block)]
 * Threads: any.
 */
void narrow_four(DType type, uint8_t *to, float *absmax, const float *from, int64_t n,
                 int64_t block);

/** The map of the eight-bit scales: bitsandbytes' signed dynamic map, bit for bit. */
void narrow_four_map(float map[NARROW_FOUR_MAP]);
/** What is taken from every scale: their mean. */
float narrow_four_offset(const float *absmax, int64_t n);
/** Scales to codes. nested [ceil(n / SCALING_NESTED)] */
void narrow_four_nest(const float map[NARROW_FOUR_MAP], float offset, const float *absmax,
                      int64_t n, uint8_t *codes, float *nested);

#endif
