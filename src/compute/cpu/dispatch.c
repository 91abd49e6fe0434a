/* dispatch.c  Fill the kernel table: reference first, then each better variant over it. */
#include "compute/cpu/kernels.h"

void kernels_fill(Kernels *kernels, Isa isa)
{
    *kernels = (Kernels){ .isa = isa };
#define KERNEL(slot, Type, need, fn)                                                               \
    if (isa_covers(isa, ISA_##need)) kernels->slot = fn;
#include "compute/cpu/kernels.def"
#undef KERNEL
}
