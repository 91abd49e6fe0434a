/* rows_avx2.c  The row kernels of rows_body.h. */
#define VARIANT(name) name##_avx2
#include "compute/cpu/rows_body.h"
