/* weight.h  One stored tensor of a checkpoint as operations see it: where it lies in its unit. */
#ifndef COMPUTE_WEIGHT_H
#define COMPUTE_WEIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/scaling.h"
#include "tensor/tensor.h"

/**
 * A weight keeps its stored dtype in every tier. It belongs to a unit: what the planner keeps,
 * evicts and prefetches as one. `by_row` weights (embedding tables) belong to no unit: single
 * rows are read from the file when an operation gathers them.
 */
typedef struct Weight {
    const char *name; /**< name in the checkpoint, for messages */
    DType dtype;
    Shape shape;        /**< torch order: Linear [out, in], Conv [out, in, kt, kh, kw] */
    size_t bytes;       /**< in the file and in memory, scales included */
    int32_t unit;       /**< index in the job's unit table; -1 when by_row */
    size_t unit_offset; /**< where in the unit's block [bytes, multiple of 64] */
    bool by_row;
    int64_t first_row;      /**< a part of a stored matrix: its rows before these; bytes, offset and
                            scaling are the whole matrix's */
    const Scaling *scaling; /**< of a quantised weight: where its scales lie; NULL: none */
} Weight;

#endif
