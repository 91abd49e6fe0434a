/* winograd_ref.c  The transforms of winograd_body.h, one float at a time. */
#define VMATH_SCALAR
#define VARIANT(name) name##_ref
#include "compute/cpu/winograd_body.h"
