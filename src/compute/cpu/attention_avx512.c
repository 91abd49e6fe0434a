/* attention_avx512.c  The softmax step in lanes of 16. */
#include "compute/cpu/attention_body.h"

void softmax_step_avx512(const SoftmaxRow *row)
{
    softmax_step_body(row);
}
