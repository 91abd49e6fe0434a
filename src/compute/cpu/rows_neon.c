/* rows_neon.c  The row kernels of rows_body.h. */
#define VARIANT(name) name##_neon
#include "compute/cpu/rows_body.h"
