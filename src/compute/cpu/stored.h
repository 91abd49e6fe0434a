/* stored.h  A weight matrix as the file keeps it: type, place, and the scales that belong to it. */
#ifndef CPU_STORED_H
#define CPU_STORED_H

#include <stdint.h>

#include "compute/weight.h"
#include "tensor/dtype.h"

/** Scales of NF4 and FP4. Plain: absmax. Nested: codes, map, nested, offset (formats.md 5). */
typedef struct StoredAbsmax {
    int64_t block;        /**< elements per scale; runs over the flattened weight, across rows */
    const float *absmax;  /**< plain [blocks], or NULL when nested */
    const uint8_t *codes; /**< nested [blocks]: absmax = map[code] * nested[b / 256] + offset */
    const float *map;     /**< [256] */
    const float *nested;  /**< [ceil(blocks / 256)] */
    float offset;
} StoredAbsmax;

/**
 * Matrix [rows, cols], row-major, rows = outputs (N), cols = inputs (K). Owns nothing.
 * Its value w[n][k] is what the reference dequantiser gives in f32 (widen.h):
 * plain types (q * row_scale[n]) * scale, each product rounded; block types as ggml's.
 * Data need no alignment beyond one byte.
 */
typedef struct Stored {
    DType type;
    const void *data;
    int64_t rows, cols;
    int64_t row_bytes;      /**< plain types: from one row to the next */
    float scale;            /**< plain types: of the whole tensor; 1 = none */
    const float *row_scale; /**< plain types: [rows], or NULL */
    int64_t first;          /**< block and 4-bit types: flattened index of w[0][0], for views */
    StoredAbsmax four;      /**< NF4, FP4 */
} Stored;

/** Dense matrix without scales. Blocks may straddle rows. */
Stored stored_dense(DType type, const void *data, int64_t rows, int64_t cols);
/** A weight of the plan at its place, with the scales behind its data. */
Stored stored_weight(const Weight *weight, const void *at, int64_t rows, int64_t cols);
/** Are the bytes in place its f32 values? */
bool stored_is_f32(const Weight *weight);
/** Where row `row` keeps its terms from k0 on, or a few bytes before; no scales. */
const char *stored_at(const Stored *w, int64_t row, int64_t k0);
/** The same matrix from row `first` on, `rows` rows. */
Stored stored_rows(const Stored *w, int64_t first, int64_t rows);

#endif
