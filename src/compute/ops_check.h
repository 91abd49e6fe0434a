/* ops_check.h  Shape checks shared by the operation files: always on, a wrong shape stops the run. */
#ifndef COMPUTE_OPS_CHECK_H
#define COMPUTE_OPS_CHECK_H

#include "compute/ops.h"

/** New op of a kind with one input; the output has x's dtype and shape. */
static inline Op op_like(OpKind kind, Tensor x)
{
    Op op = { .kind = kind, .in_place = -1, .n_in = 1, .in = { x } };
    op.out = (Tensor){ .dtype = DT_F32, .shape = x.shape };
    return op;
}

/** False, and the run marked, unless `holds`; `what` names the rule in words. */
bool op_require(Run *r, OpKind kind, bool holds, const char *what, Tensor x);
/** A weight with exactly n elements. */
bool op_require_weight(Run *r, OpKind kind, const Weight *w, int64_t n);

#endif
