/* rows_avx512.c  The row kernels of rows_body.h. */
#define VARIANT(name) name##_avx512
#include "compute/cpu/rows_body.h"
