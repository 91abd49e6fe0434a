/* weight_delta.h  Small weights with something added: read, widened and summed in place. */
#ifndef NN_WEIGHT_DELTA_H
#define NN_WEIGHT_DELTA_H

#include "nn/weights.h"

/** Read a weight with deltas: value + scale * delta + ..., in their order, as F32. */
SNUG_MUST_USE SnugStatus weight_delta_read(const BoundWeight *b, float *to, SnugError *err);

#endif
