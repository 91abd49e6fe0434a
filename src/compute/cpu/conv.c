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
    const ConvGeometry *g = &s->g;
    const ConvOutput out = cpu_conv_output(s);
    const int64_t h = g->image_h > 0 ? g->image_h : out.h, w = g->image_w > 0 ? g->image_w : out.w;
    const int64_t tiles =
        ((h + WINOGRAD_OUT - 1) / WINOGRAD_OUT) * ((w + WINOGRAD_OUT - 1) / WINOGRAD_OUT);
    const bool fits =
        g->kh == 3 && g->kw == 3 && g->stride == 1 && g->stride_t == 1 && g->groups == 1;
    return fits && s->cin >= CONV_WINOGRAD_CHANNELS && s->cout >= CONV_WINOGRAD_CHANNELS &&
                   tiles >= CONV_WINOGRAD_TILES
               ? CONV_WINOGRAD
               : CONV_DIRECT;
}

size_t cpu_conv_workspace_bytes(const ConvShape *s, int threads)
{
    return cpu_conv_method(s) == CONV_WINOGRAD ? conv_winograd_bytes(s, threads)
                                               : conv_direct_bytes(s, threads);
}

void cpu_conv(const Kernels *kernels, Pool *pool, const ConvArgs *args, void *workspace)
{
    const ConvOutput out = cpu_conv_output(&args->shape);
    if (out.frames <= 0 || out.h <= 0 || out.w <= 0) return;
    if (cpu_conv_method(&args->shape) == CONV_WINOGRAD)
        conv_winograd(kernels, pool, args, workspace);
    else
        conv_direct(kernels, pool, args, workspace);
}
