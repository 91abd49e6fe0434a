/* winograd_neon.c  The transforms of winograd_body.h. */
#define VARIANT(name) name##_neon
#include "compute/cpu/winograd_body.h"
