/* scaling.h  The scales of a quantised weight, and where they lie behind its data.
 *
 * In the slab such a weight is one run of bytes: data | scales | ..., each part at a multiple of
 * SCALING_ALIGN. Files keep the parts as tensors of their own; formats/ joins them (join.h). */
#ifndef TENSOR_SCALING_H
#define TENSOR_SCALING_H

#include <stddef.h>
#include <stdint.h>

enum { SCALING_ALIGN = 64, SCALING_NESTED = 256 /* scales under one second-level scale */ };

/** Offsets are bytes from the weight's first byte; 0 means there is no such part. */
typedef struct Scaling {
    /* int8, fp8: w[n][k] = (q * row[n]) * whole, each product rounded to f32 */
    float whole;   /**< 1: none */
    size_t row_at; /**< F32 [rows] */
    /* NF4, FP4: w = value[code] * absmax[e / block], e counts over the flattened matrix */
    int64_t block;
    size_t absmax_at; /**< F32 [blocks]; 0 when nested */
    /* nested: absmax[b] = map[codes[b]] * nested[b / SCALING_NESTED] + offset */
    size_t codes_at;  /**< U8 [blocks] */
    size_t map_at;    /**< F32 [256] */
    size_t nested_at; /**< F32 [ceil(blocks / SCALING_NESTED)] */
    float offset;
} Scaling;

#endif
