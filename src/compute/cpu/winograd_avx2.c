/* winograd_avx2.c  The transforms of winograd_body.h. */
#define VARIANT(name) name##_avx2
#include "compute/cpu/winograd_body.h"
