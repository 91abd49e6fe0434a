/* attention_ref.c  The softmax step, one key at a time: the meaning. */
#define VMATH_SCALAR
#include "compute/cpu/attention_body.h"

void softmax_step_ref(const SoftmaxRow *row)
{
    softmax_step_body(row);
}
