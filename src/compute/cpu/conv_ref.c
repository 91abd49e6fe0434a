/* conv_ref.c  The meaning of the direct convolution: plain loops in the order of conv.h. */
#include <math.h>

#include "compute/cpu/conv_taps.h"
#include "compute/cpu/widen.h"

/** One output: where it is, and the sum of its chains so far. */
typedef struct Output {
    const ConvArgs *args;
    int64_t y, x, channel;
} Output;

static float input_at(const Output *o, const float *frame, int ky, int kx, int64_t c)
{
    const ConvShape *s = &o->args->shape;
    const int64_t y = o->y * s->g.stride + ky - s->g.top, x = o->x * s->g.stride + kx - s->g.left;
    if (y < 0 || x < 0 || y >= s->h * s->g.upsample || x >= s->w * s->g.upsample) return 0.0f;
    return frame[(y / s->g.upsample * s->w + x / s->g.upsample) * s->cin + c];
}

/** The chain over tap rows ky0 .. ky1 - 1 of time tap jt. */
static float chain(const Output *o, const float *frame, int jt, int ky0, int ky1)
{
    const ConvShape *s = &o->args->shape;
    const ConvGeometry *g = &s->g;
    const int64_t depth = s->cin / g->groups, first = o->channel / (s->cout / g->groups) * depth;
    float acc = 0.0f;
    for (int ky = ky0; ky < ky1; ky++)
        for (int kx = 0; kx < g->kw; kx++)
            for (int64_t c = 0; c < depth; c++) {
                const int64_t k = ((c * g->kt + jt) * g->kh + ky) * g->kw + kx;
                float w;
                widen_row(&w, &o->args->w, o->channel, k, 1);
                acc = fmaf(input_at(o, frame, ky, kx, first + c), w, acc);
            }
    return acc;
}

static float output_at(const Output *o, int64_t t)
{
    const ConvGeometry *g = &o->args->shape.g;
    const int step = conv_group_rows(&o->args->shape), first = conv_first_tap(o->args, t);
    float sum = 0.0f;
    for (int jt = first; jt < g->kt; jt++) {
        const float *frame = conv_frame(o->args, t * g->stride_t + jt - g->n_past);
        for (int ky = 0; ky < g->kh; ky += step) {
            const float part = chain(o, frame, jt, ky, ky + step);
            sum = jt == first && ky == 0 ? part : sum + part;
        }
    }
    return o->args->bias ? sum + o->args->bias[o->channel] : sum;
}

void cpu_conv_ref(const ConvArgs *args)
{
    const ConvOutput out = cpu_conv_output(&args->shape);
    int64_t at = 0;
    for (int64_t t = 0; t < out.frames; t++)
        for (int64_t y = 0; y < out.h; y++)
            for (int64_t x = 0; x < out.w; x++)
                for (int64_t c = 0; c < args->shape.cout; c++, at++) {
                    const Output o = { args, y, x, c };
                    const float sum = output_at(&o, t);
                    args->y[at] = args->residual ? sum + args->residual[at] : sum;
                }
}
