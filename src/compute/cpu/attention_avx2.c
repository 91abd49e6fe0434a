/* attention_avx2.c  The softmax step in lanes of 8. */
#include "compute/cpu/attention_body.h"

void softmax_step_avx2(const SoftmaxRow *row)
{
    softmax_step_body(row);
}
