/* conv.c  Convolutions of the networks in one frame, as they run between others: two frames held. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "compute/cpu/conv.h"

#ifdef HAVE_DNNL
#include <dnnl.h>
#include <omp.h>
#if DNNL_VERSION_MAJOR != 2 /* another interface */
#undef HAVE_DNNL
#endif
#endif

#define ONE    .stride_t = 1, .stride = 1, .upsample = 1, .groups = 1
#define CAUSAL .kt = 3, .n_past = 2
#define SAME3  .kh = 3, .kw = 3, .top = 1, .left = 1, .bottom = 1, .right = 1
#define POINT  .kh = 1, .kw = 1
static const struct {
    const char *name;
    ConvShape shape;
} LAYERS[] = {
    { "3x3x3", { 1, 32, 32, 384, 384, { CAUSAL, SAME3, ONE } } },
    { "3x3x3", { 1, 64, 64, 384, 384, { CAUSAL, SAME3, ONE } } },
    { "3x3x3", { 1, 128, 128, 192, 192, { CAUSAL, SAME3, ONE } } },
    { "3x3x3", { 1, 256, 256, 96, 96, { CAUSAL, SAME3, ONE } } },
    { "3x3x3", { 1, 32, 32, 1024, 1024, { CAUSAL, SAME3, ONE } } },
    { "3x3x3 in", { 1, 32, 32, 16, 384, { CAUSAL, SAME3, ONE } } },
    { "3x3x3 out", { 1, 256, 256, 96, 3, { CAUSAL, SAME3, ONE } } },
    { "3x3x3 out", { 1, 128, 128, 256, 12, { CAUSAL, SAME3, ONE } } },
    { "3x3", { 1, 64, 64, 512, 512, { .kt = 1, SAME3, ONE } } },
    { "3x3", { 1, 256, 256, 128, 128, { .kt = 1, SAME3, ONE } } },
    { "3x3", { 1, 16, 16, 1280, 1280, { .kt = 1, SAME3, ONE } } },
    { "3x3", { 1, 8, 8, 1280, 1280, { .kt = 1, SAME3, ONE } } },
    { "3x3 x2",
      { 1,
        64,
        64,
        384,
        192,
        { .kt = 1, SAME3, .stride_t = 1, .stride = 1, .upsample = 2, .groups = 1 } } },
    { "3x3 /2",
      { 1,
        256,
        256,
        96,
        96,
        { .kt = 1,
          .kh = 3,
          .kw = 3,
          .bottom = 1,
          .right = 1,
          .stride_t = 1,
          .stride = 2,
          .upsample = 1,
          .groups = 1 } } },
    { "1x1", { 1, 128, 128, 384, 192, { .kt = 1, POINT, ONE } } },
    { "3x1x1", { 1, 64, 64, 384, 768, { CAUSAL, POINT, ONE } } },
    { "7x7 depth",
      { 1,
        64,
        64,
        96,
        96,
        { .kt = 1,
          .kh = 7,
          .kw = 7,
          .top = 3,
          .left = 3,
          .bottom = 3,
          .right = 3,
          .stride_t = 1,
          .stride = 1,
          .upsample = 1,
          .groups = 96 } } },
};

typedef struct Layer {
    Bench *bench;
    ConvArgs args;
    void *scratch;
} Layer;

static void layer_task(void *context)
{
    Layer *l = context;
    cpu_conv(&l->bench->kernels, l->bench->pool, &l->args, l->scratch);
}

#ifdef HAVE_DNNL
/* ---- oneDNN: layouts of its own choice, their conversion not counted ---- */

typedef struct Peer {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t conv;
    dnnl_exec_arg_t arg[4];
    bool failed;
} Peer;

static void peer_task(void *context)
{
    Peer *p = context;
    if (dnnl_primitive_execute(p->conv, p->stream, 4, p->arg) != dnnl_success) p->failed = true;
    dnnl_stream_wait(p->stream);
}

/* [N, C, T, H, W] in any layout, zeros. */
static void peer_memory(Peer *p, int i, int arg, const_dnnl_primitive_desc_t desc,
                        dnnl_query_t what)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(desc, what, 0);
    p->arg[i].arg = arg;
    dnnl_memory_create(&p->arg[i].memory, md, p->engine, DNNL_MEMORY_ALLOCATE);
}

/** False where it has no such convolution. */
static bool peer_open(Peer *p, const Bench *bench, const ConvShape *s)
{
    const ConvGeometry *g = &s->g;
    const ConvOutput out = cpu_conv_output(s);
    const int64_t t = s->frames + g->n_past, per = g->groups;
    const dnnl_dims_t in = { 1, s->cin, t, s->h, s->w },
                      y = { 1, s->cout, out.frames, out.h, out.w };
    const dnnl_dims_t w = { per, s->cout / per, s->cin / per, g->kt, g->kh, g->kw };
    const dnnl_dims_t bias = { s->cout }, step = { g->stride_t, g->stride, g->stride };
    const dnnl_dims_t before = { 0, g->top, g->left }, after = { 0, g->bottom, g->right };
    dnnl_memory_desc_t md[4];
    dnnl_convolution_desc_t conv;
    dnnl_primitive_desc_t desc = NULL;
    omp_set_num_threads(pool_threads(bench->pool));
    if (g->upsample != 1 || dnnl_engine_create(&p->engine, dnnl_cpu, 0) != dnnl_success)
        return false;
    dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags);
    dnnl_memory_desc_init_by_tag(&md[0], 5, in, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&md[1], per > 1 ? 6 : 5, per > 1 ? w : w + 1, dnnl_f32,
                                 dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&md[2], 1, bias, dnnl_f32, dnnl_a);
    dnnl_memory_desc_init_by_tag(&md[3], 5, y, dnnl_f32, dnnl_format_tag_any);
    if (dnnl_convolution_forward_desc_init(&conv, dnnl_forward_inference, dnnl_convolution_auto,
                                           &md[0], &md[1], &md[2], &md[3], step, before,
                                           after) != dnnl_success ||
        dnnl_primitive_desc_create(&desc, &conv, NULL, p->engine, NULL) != dnnl_success)
        return false;
    peer_memory(p, 0, DNNL_ARG_SRC, desc, dnnl_query_src_md);
    peer_memory(p, 1, DNNL_ARG_WEIGHTS, desc, dnnl_query_weights_md);
    peer_memory(p, 3, DNNL_ARG_DST, desc, dnnl_query_dst_md);
    p->arg[2].arg = DNNL_ARG_BIAS;
    dnnl_memory_create(&p->arg[2].memory, &md[2], p->engine, DNNL_MEMORY_ALLOCATE);
    dnnl_primitive_create(&p->conv, desc);
    dnnl_primitive_desc_destroy(desc);
    return true;
}

static void peer_close(Peer *p)
{
    for (int i = 0; i < 4; i++)
        if (p->arg[i].memory) dnnl_memory_destroy(p->arg[i].memory);
    if (p->conv) dnnl_primitive_destroy(p->conv);
    if (p->stream) dnnl_stream_destroy(p->stream);
    if (p->engine) dnnl_engine_destroy(p->engine);
}
#endif

static void race(Bench *bench, const char *name, Layer *l, double flops)
{
    Rival rivals[BENCH_RIVALS] = { { .name = name, .task = layer_task, .context = l } };
    int n = 1;
#ifdef HAVE_DNNL
    Peer peer = { 0 };
    if (peer_open(&peer, bench, &l->args.shape))
        rivals[n++] =
            (Rival){ "  oneDNN", peer_task, &peer, .spins = true, .failed = &peer.failed };
#endif
    bench_race(bench, rivals, n, LIMIT_FMA, flops);
#ifdef HAVE_DNNL
    peer_close(&peer);
#endif
}

static void bench_layer(Bench *bench, const char *name, const ConvShape *s)
{
    char text[64];
    const ConvGeometry *g = &s->g;
    const ConvOutput out = cpu_conv_output(s);
    const int64_t pixels = s->h * s->w * s->cin, n = out.frames * out.h * out.w * s->cout;
    const int64_t terms = s->cin / g->groups * g->kt * g->kh * g->kw;
    snprintf(text, sizeof text, "conv %s %lldx%lld, %lld to %lld%s", name, (long long)s->w,
             (long long)s->h, (long long)s->cin, (long long)s->cout,
             cpu_conv_method(s) == CONV_WINOGRAD ? " F(4,3)" : "");
    if (bench->filter && !strstr(text, bench->filter)) return;
    Slab slab = bench_take((size_t)((s->frames + 2) * pixels) * sizeof(float)),
         weights = bench_take((size_t)(s->cout * terms) * sizeof(float)),
         y = bench_take((size_t)n * sizeof(float)),
         scratch = bench_take(cpu_conv_workspace_bytes(s, pool_threads(bench->pool)));
    float *x = (float *)(void *)slab.base, *w = (float *)(void *)weights.base;
    bench_fill(x, (s->frames + 2) * pixels);
    bench_fill(w, s->cout * terms);
    const float *const past[2] = { x, x + pixels };
    Layer l = { bench,
                { .shape = *s, .x = x + 2 * pixels, .past = past, .n_held = g->n_past },
                scratch.base };
    l.args.w = stored_dense(DT_F32, w, s->cout, terms);
    l.args.y = (float *)(void *)y.base;
    race(bench, text, &l, 2.0 * (double)n * (double)terms);
    slab_close(&scratch);
    slab_close(&y);
    slab_close(&weights);
    slab_close(&slab);
}

void bench_convolutions(Bench *bench)
{
    for (size_t i = 0; i < sizeof LAYERS / sizeof *LAYERS; i++)
        bench_layer(bench, LAYERS[i].name, &LAYERS[i].shape);
}
