/* conv_methods.h  The ways to compute a convolution; conv.c chooses. */
#ifndef CPU_CONV_METHODS_H
#define CPU_CONV_METHODS_H

#include "compute/cpu/conv.h"

size_t conv_direct_bytes(const ConvShape *shape, int threads);
void conv_direct(const Kernels *kernels, Pool *pool, const ConvArgs *args, void *workspace);

/** 3x3, all strides 1, one group. */
size_t conv_winograd_bytes(const ConvShape *shape, int threads);
void conv_winograd(const Kernels *kernels, Pool *pool, const ConvArgs *args, void *workspace);

#endif
