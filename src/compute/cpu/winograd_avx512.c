/* winograd_avx512.c  The transforms of winograd_body.h. */
#define VARIANT(name) name##_avx512
#include "compute/cpu/winograd_body.h"
