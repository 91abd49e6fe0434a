/* conv.c  Sizes and the choice of method. */
#include "compute/cpu/conv_taps.h"
#include "compute/cpu/conv_methods.h"

static int64_t extent(int64_t in, int kernel, int stride)
{
    return in < kernel ? 0 : (in - kernel) / stride + 1;
}

ConvOutput cpu_conv_output(const ConvShape *s)
{
    const ConvGeometry *g = &s->g;
    return (ConvOutput){
        extent(s->frames + g->n_past, g->kt, g->stride_t),
        extent(s->h * g->upsample + g->top + g->bottom, g->kh, g->stride),
        extent(s->w * g->upsample + g->left + g->right, g->kw, g->stride),
    };
}

ConvMethod cpu_conv_method(const ConvShape *s)
{
    (void)s;
    return CONV_DIRECT;
}

size_t cpu_conv_workspace_bytes(const ConvShape *s, int threads)
{
    return conv_direct_bytes(s, threads);
}

void cpu_conv(const Kernels *kernels, Pool *pool, const ConvArgs *args, void *workspace)
{
    const ConvOutput out = cpu_conv_output(&args->shape);
    if (out.frames <= 0 || out.h <= 0 || out.w <= 0) return;
    conv_direct(kernels, pool, args, workspace);
}
