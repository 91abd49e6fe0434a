/* attention_neon.c  The softmax step in lanes of 4. */
#include "compute/cpu/attention_body.h"

void softmax_step_neon(const SoftmaxRow *row)
{
    softmax_step_body(row);
}
