/* test_conv.c  Convolution: bit-equal to plain loops, near to f64, free to be cut into chunks. */
#include "compute/variants.h"

#include <stdlib.h>

#include "base/heap.h"
#include "base/pool.h"
#include "base/size.h"
#include "compute/cpu/conv.h"
#include "compute/cpu/widen.h"
#include "compute/equal_bits.h"

enum { GUARD = 64, MAX_PAST = 4 };

/** One convolution with owned data. */
typedef struct Case {
    ConvArgs args;
    float *x, *past, *y, *want, *bias, *residual;
    float *widened; /* weights */
    unsigned char *weights;
    const float *past_frames[MAX_PAST];
    int64_t n_out;
} Case;

static void *take(size_t bytes)
{
    void *block = aligned_alloc(64, size_align(bytes + 1, 64));
    CHECK(block);
    return block;
}

static float *random_floats(int64_t n, float low, float high)
{
    float *x = take((size_t)n * sizeof *x);
    test_random(x, (size_t)n, low, high);
    return x;
}

/** Finite weights of any stored type: plain ones from random values, blocks from random codes. */
static unsigned char *random_weights(DType type, int64_t n)
{
    size_t bytes = 0;
    CHECK(dtype_bytes(type, n, &bytes));
    unsigned char *data = take(bytes);
    float v;
    for (int64_t i = 0; i < n && dtype_info(type)->block == 1; i++) {
        test_random(&v, 1, -1.0f, 1.0f);
        const uint16_t half = type == DT_F16 ? dtype_f32_to_f16(v) : dtype_f32_to_bf16(v);
        if (type == DT_F32)
            memcpy(data + i * 4, &v, 4);
        else
            memcpy(data + i * 2, &half, 2);
    }
    for (size_t i = 0; i < bytes && type == DT_Q8_0; i++) {
        test_random(&v, 1, 0.0f, 256.0f);
        data[i] = i % 34 == 0 ? 0 : i % 34 == 1 ? 0x20 : (unsigned char)v; /* scale 2^-7 */
    }
    return data;
}

static int64_t weight_cols(const ConvShape *s)
{
    return s->cin / s->g.groups * s->g.kt * s->g.kh * s->g.kw;
}

static void open_case(Case *c, const ConvShape *s, int n_held, DType type, bool extras)
{
    const ConvOutput out = cpu_conv_output(s);
    const int64_t pixel_floats = s->h * s->w * s->cin;
    c->n_out = out.frames * out.h * out.w * s->cout;
    c->x = random_floats(s->frames * pixel_floats, -1.0f, 1.0f);
    c->past = random_floats(MAX_PAST * pixel_floats, -1.0f, 1.0f);
    c->y = random_floats(c->n_out + GUARD, 1.0f, 2.0f);
    c->want = random_floats(c->n_out, 1.0f, 2.0f);
    c->bias = random_floats(s->cout, -1.0f, 1.0f);
    c->residual = random_floats(c->n_out, -1.0f, 1.0f);
    c->weights = random_weights(type, s->cout * weight_cols(s));
    c->widened = random_floats(s->cout * weight_cols(s), 0.0f, 1.0f);
    for (int i = 0; i < n_held; i++)
        c->past_frames[i] = c->past + i * pixel_floats;
    c->args = (ConvArgs){ .shape = *s,
                          .x = c->x,
                          .past = c->past_frames,
                          .n_held = n_held,
                          .w = stored_dense(type, c->weights, s->cout, weight_cols(s)),
                          .bias = extras ? c->bias : NULL,
                          .residual = extras ? c->residual : NULL,
                          .y = c->y };
    for (int64_t o = 0; o < s->cout; o++)
        widen_row(c->widened + o * weight_cols(s), &c->args.w, o, 0, weight_cols(s));
    test_guard(c->y + c->n_out, GUARD);
}

static void close_case(Case *c)
{
    free(c->x);
    free(c->past);
    free(c->y);
    free(c->want);
    free(c->bias);
    free(c->residual);
    free(c->weights);
    free(c->widened);
}

/** Run on `threads` threads with the workspace that the shape asks for, and not a byte more. */
static void run(const ConvArgs *args, Isa isa, int threads)
{
    Kernels kernels;
    kernels_fill(&kernels, isa);
    Heap *heap = heap_create();
    Pool *pool = pool_create(heap, threads);
    CHECK(pool);
    const size_t bytes = cpu_conv_workspace_bytes(&args->shape, threads);
    CHECK(bytes % 64 == 0);
    char *workspace = aligned_alloc(64, bytes + 64);
    CHECK(workspace);
    memset(workspace, 0xff, bytes + 64); /* NaN: nothing may be read before it is written */
    cpu_conv(&kernels, pool, args, workspace);
    for (size_t i = 0; i < 64; i++)
        CHECK_INT((unsigned char)workspace[bytes + i], 0xff);
    free(workspace);
    pool_free(pool);
    heap_free(heap);
}

/** The levels from `least` on that this machine has, one and three threads: the bits of `want`. */
static void check_runs(Case *c, Isa least)
{
    static const Isa LEVELS[] = { ISA_REF, ISA_AVX2, ISA_AVX512, ISA_NEON };
    for (size_t i = 0; i < COUNT(LEVELS); i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            if (LEVELS[i] < least || !isa_covers(isa_detect(), LEVELS[i])) continue;
            memset(c->y, 0xff, (size_t)c->n_out * sizeof *c->y);
            run(&c->args, LEVELS[i], threads);
            CHECK(equal_bits(c->y, c->want, c->n_out));
            CHECK(test_guard_intact(c->y + c->n_out, GUARD));
        }
}

#define CAUSAL .stride_t = 1, .stride = 1, .upsample = 1, .groups = 1
#define SAME3  .top = 1, .left = 1, .bottom = 1, .right = 1

/** What the networks use, at odd sizes. */
static const ConvShape SHAPES[] = {
    { 3, 7, 9, 5, 19, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } },
    { 1, 5, 5, 130, 18, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } }, /* a chain per tap row */
    { 2, 6, 5, 128, 16, { 1, 3, 3, CAUSAL, SAME3 } },
    { 2, 11, 13, 3, 96, { 1, 3, 3, CAUSAL, SAME3 } },
    { 1, 9, 12, 40, 3, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } },
    { 2, 6, 7, 33, 50, { 1, 1, 1, CAUSAL } },
    { 1, 8, 16, 600, 20, { 1, 1, 1, CAUSAL } },
    { 4,
      4,
      5,
      20,
      17,
      { 3, 1, 1, .stride_t = 2, .stride = 1, .upsample = 1, .groups = 1, .n_past = 1 } },
    { 3, 3, 5, 24, 40, { 3, 1, 1, CAUSAL, .n_past = 2 } },
    { 2,
      8,
      7,
      12,
      17,
      { 1, 3, 3, .stride_t = 1, .stride = 2, .upsample = 1, .groups = 1, .bottom = 1,
        .right = 1 } },
    { 2, 7, 6, 9, 17, { 1, 3, 3, .stride_t = 1, .stride = 2, SAME3, .upsample = 1, .groups = 1 } },
    { 2, 6, 8, 16, 48, { 1, 2, 2, .stride_t = 1, .stride = 2, .upsample = 1, .groups = 1 } },
    { 2, 5, 6, 10, 21, { 1, 3, 3, .stride_t = 1, .stride = 1, SAME3, .upsample = 2, .groups = 1 } },
    { 1,
      4,
      3,
      7,
      8,
      { 1, 5, 3, .stride_t = 1, .stride = 2, .top = 2, .left = 0, .bottom = 1, .right = 2,
        .upsample = 2, .groups = 1 } },
    { 1, 6, 7, 12, 8, { 1, 3, 3, .stride_t = 1, .stride = 1, SAME3, .upsample = 1, .groups = 4 } },
    { 1, 5, 6, 9, 9, { 1, 3, 3, .stride_t = 1, .stride = 1, SAME3, .upsample = 1, .groups = 9 } },
    { 1,
      1,
      70,
      8,
      40,
      { 1, 1, 16, .stride_t = 1, .stride = 1, .left = 8, .right = 8, .upsample = 1,
        .groups = 2 } }, /* 1-D, even kernel */
    { 1, 1, 200, 1, 20, { 1, 1, 10, .stride_t = 1, .stride = 5, .upsample = 1, .groups = 1 } },
    { 1, 1, 1, 4, 5, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } },
    { 1,
      29,
      31,
      7,
      33,
      { 1, 7, 7, .stride_t = 1, .stride = 1, .top = 3, .left = 3, .bottom = 3, .right = 3,
        .upsample = 1, .groups = 1 } },
};

TEST(conv, every_level_and_thread_count_equals_plain_loops)
{
    for (size_t i = 0; i < COUNT(SHAPES); i++)
        for (int n_held = 0; n_held <= SHAPES[i].g.n_past; n_held++) {
            Case c;
            open_case(&c, &SHAPES[i], n_held, DT_F32, i % 2 == 0);
            CHECK(c.n_out > 0);
            CHECK_INT(cpu_conv_method(&SHAPES[i]), CONV_DIRECT);
            c.args.y = c.want;
            cpu_conv_ref(&c.args);
            c.args.y = c.y;
            check_runs(&c, ISA_REF);
            close_case(&c);
        }
}

TEST(conv, stored_types_are_widened_first)
{
    static const DType TYPES[] = { DT_F16, DT_BF16, DT_Q8_0 };
    static const ConvShape S = { 1, 5, 6, 32, 18, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } };
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        Kernels kernels;
        kernels_fill(&kernels, ISA_REF);
        if (!kernels.pack[TYPES[i]]) continue;
        Case c;
        open_case(&c, &S, 1, TYPES[i], true);
        c.args.y = c.want;
        cpu_conv_ref(&c.args);
        c.args.y = c.y;
        check_runs(&c, ISA_REF);
        close_case(&c);
    }
}

/* ---- against f64 ---- */

/** The taps of one time tap at the output pixel (y, x), channel o. */
static double exact_tap(const Case *c, const float *frame, int64_t jt, int64_t y, int64_t x,
                        int64_t o)
{
    const ConvShape *s = &c->args.shape;
    const ConvGeometry *g = &s->g;
    const int64_t depth = s->cin / g->groups, first = o / (s->cout / g->groups) * depth;
    const int64_t taps = (int64_t)g->kh * g->kw;
    double sum = 0;
    for (int64_t tap = 0; tap < taps; tap++) {
        const int64_t iy = y * g->stride + tap / g->kw - g->top;
        const int64_t ix = x * g->stride + tap % g->kw - g->left;
        if (iy < 0 || ix < 0 || iy >= s->h * g->upsample || ix >= s->w * g->upsample) continue;
        const float *in = frame + (iy / g->upsample * s->w + ix / g->upsample) * s->cin + first;
        const float *w = c->widened + o * weight_cols(s) + jt * taps + tap;
        for (int64_t k = 0; k < depth; k++)
            sum += (double)w[k * g->kt * taps] * (double)in[k];
    }
    return sum;
}

static double exact_at(const Case *c, int64_t t, int64_t y, int64_t x, int64_t o)
{
    const ConvArgs *a = &c->args;
    const ConvShape *s = &a->shape;
    double sum = a->bias ? (double)a->bias[o] : 0.0;
    for (int64_t jt = 0; jt < s->g.kt; jt++) {
        const int64_t f = t * s->g.stride_t + jt - s->g.n_past;
        if (f < -a->n_held) continue;
        const float *frame = f < 0 ? a->past[a->n_held + f] : a->x + f * s->h * s->w * s->cin;
        sum += exact_tap(c, frame, jt, y, x, o);
    }
    return sum;
}

/** Root of the mean squared error over the root mean square of the exact result. */
static double relative_error(const Case *c)
{
    const ConvOutput out = cpu_conv_output(&c->args.shape);
    double error = 0, size = 0;
    int64_t at = 0;
    for (int64_t t = 0; t < out.frames; t++)
        for (int64_t y = 0; y < out.h; y++)
            for (int64_t x = 0; x < out.w; x++)
                for (int64_t o = 0; o < c->args.shape.cout; o++, at++) {
                    double want = exact_at(c, t, y, x, o);
                    if (c->args.residual) want += (double)c->args.residual[at];
                    error += ((double)c->y[at] - want) * ((double)c->y[at] - want);
                    size += want * want;
                }
    return sqrt(error / size);
}

TEST(conv, direct_error_is_that_of_its_chains)
{
    for (size_t i = 0; i < COUNT(SHAPES); i++) {
        Case c;
        open_case(&c, &SHAPES[i], SHAPES[i].g.n_past, DT_F32, true);
        run(&c.args, isa_detect(), 2);
        /* a chain of n terms of one size errs by about 2^-25 sqrt(n) in the mean; n <= 600 here */
        CHECK(relative_error(&c) <= 0x1p-25 * sqrt(600.0));
        close_case(&c);
    }
}

/* ---- Winograd ---- */

/** 8 x 8 tiles or a little more, with tails everywhere. */
static const ConvShape TILED[] = {
    { 1, 29, 31, 33, 35, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } },
    { 3, 32, 32, 32, 32, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } },
    { 2, 30, 37, 40, 33, { 1, 3, 3, CAUSAL, SAME3 } },
    { 1,
      16,
      15,
      48,
      40,
      { 1, 3, 3, .stride_t = 1, .stride = 1, SAME3, .upsample = 2, .groups = 1 } },
    { 2, 13, 90, 34, 50, { 1, 3, 3, CAUSAL, .top = 2, .left = 0, .bottom = 1, .right = 1 } },
    { 6, 30, 32, 32, 37, { 2, 3, 3, CAUSAL, SAME3, .n_past = 1 } },
};

/** An emulated machine (SNUG_TEST_BRIEF) leaves out what differs in portable code only: more frames,
 *  and pasts that are partly there. */
static bool left_out(size_t i, int n_held)
{
    return getenv("SNUG_TEST_BRIEF") &&
           (TILED[i].frames > 2 || (n_held && n_held < TILED[i].g.n_past));
}

TEST(conv, winograd_gives_equal_bits_on_every_level_and_thread_count)
{
    for (size_t i = 0; i < COUNT(TILED); i++)
        for (int n_held = 0; n_held <= TILED[i].g.n_past; n_held++) {
            if (left_out(i, n_held)) continue;
            Case c;
            open_case(&c, &TILED[i], n_held, DT_F32, i % 2 == 0);
            CHECK_INT(cpu_conv_method(&TILED[i]), CONV_WINOGRAD);
            c.args.y = c.want;
            run(&c.args, ISA_REF, 3); /* slow: once */
            c.args.y = c.y;
            check_runs(&c, ISA_AVX2);
            close_case(&c);
        }
}

TEST(conv, winograd_error_is_that_of_a_direct_sum)
{
    for (size_t i = 0; i < COUNT(TILED); i++) {
        if (left_out(i, 0)) continue;
        Case c;
        open_case(&c, &TILED[i], TILED[i].g.n_past, DT_F32, true);
        run(&c.args, isa_detect(), 2);
        const double error = relative_error(&c);
        print_message("relative error %.2e\n", error);
        /* measured 6.3e-7 .. 7.3e-7; a direct chain of 27 * 33 terms has 2^-25 sqrt(891) = 9e-7 */
        CHECK(error <= 9e-7);
        close_case(&c);
    }
}

TEST(conv, winograd_widens_stored_types)
{
    static const DType TYPES[] = { DT_BF16, DT_Q8_0 };
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        Case c;
        open_case(&c, &TILED[1], 1, TYPES[i], true);
        run(&c.args, isa_detect(), 2);
        CHECK(relative_error(&c) <= 9e-7);
        memcpy(c.want, c.y, (size_t)c.n_out * sizeof *c.want);
        run(&c.args, ISA_REF, 1);
        CHECK(equal_bits(c.y, c.want, c.n_out));
        close_case(&c);
    }
}

/* GGUF files of SDXL cut convolutions into rows of 256 terms before they quantise them. */
TEST(conv, blocks_may_straddle_outputs)
{
    static const ConvShape DIRECT = { 1, 5, 6, 4, 16, { 1, 3, 3, CAUSAL, SAME3 } };
    ConvShape tiled = TILED[1];
    tiled.cin = 36;
    tiled.cout = 32;
    const ConvShape *const shapes[] = { &DIRECT, &tiled };
    for (size_t i = 0; i < COUNT(shapes); i++) {
        Case c;
        CHECK(weight_cols(shapes[i]) % 32 != 0);
        open_case(&c, shapes[i], i ? 1 : 0, DT_Q8_0, true);
        run(&c.args, isa_detect(), 2);
        CHECK(relative_error(&c) <= 9e-7);
        memcpy(c.want, c.y, (size_t)c.n_out * sizeof *c.want);
        run(&c.args, ISA_REF, 1);
        CHECK(equal_bits(c.y, c.want, c.n_out));
        close_case(&c);
    }
}

/* ---- bands of rows ---- */

/** Rows first .. end of the result of `whole` (one frame, one pixel of padding) as a band of their
 *  own, with real halo rows. */
static void run_rows(const ConvArgs *whole, int64_t first, int64_t end, Isa isa)
{
    const ConvShape *s = &whole->shape;
    const int up = s->g.upsample;
    const int64_t height = s->h * up, row = s->w * s->cin, out_row = s->w * up * s->cout;
    const int64_t low = first ? first - 1 : 0, high = end < height ? end + 1 : height;
    const int64_t r0 = low / up, r1 = (high + up - 1) / up;
    const float *past[MAX_PAST];
    ConvArgs band = *whole;
    for (int i = 0; i < whole->n_held; i++)
        past[i] = whole->past[i] + r0 * row;
    band.past = past;
    band.x += r0 * row;
    band.y += first * out_row;
    if (band.residual) band.residual += first * out_row;
    band.shape.h = r1 - r0;
    band.shape.g.image_h = height;
    band.shape.g.image_w = s->w * up;
    band.shape.g.top = first ? -(int)(low - r0 * up) : 1;
    band.shape.g.bottom = end < height ? -(int)(r1 * up - high) : 1;
    CHECK_INT(cpu_conv_output(&band.shape).h, end - first);
    CHECK_INT(cpu_conv_method(&band.shape), cpu_conv_method(s));
    run(&band, isa, 2);
}

TEST(conv, bands_of_any_height_equal_the_whole_image)
{
    static const ConvShape WHOLE[] = {
        { 1, 37, 33, 32, 33, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } },
        { 1, 37, 13, 9, 33, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } },
        { 1, 9, 12, 130, 3, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } },
        { 1,
          23,
          19,
          33,
          32,
          { 1, 3, 3, .stride_t = 1, .stride = 1, SAME3, .upsample = 2, .groups = 1 } },
        { 1,
          6,
          7,
          20,
          18,
          { 1, 3, 3, .stride_t = 1, .stride = 1, SAME3, .upsample = 2, .groups = 1 } },
    };
    static const Isa LEVELS[] = { ISA_REF, ISA_AVX2, ISA_AVX512, ISA_NEON };
    for (size_t i = 0; i < COUNT(WHOLE); i++)
        for (int n_held = 0; n_held <= WHOLE[i].g.n_past; n_held++)
            for (int64_t rows = CONV_BAND; rows < WHOLE[i].h * 2; rows += 3 * CONV_BAND) {
                const Isa isa = LEVELS[(size_t)(rows / CONV_BAND + n_held) % COUNT(LEVELS)];
                const int64_t height = WHOLE[i].h * WHOLE[i].g.upsample;
                Case c;
                open_case(&c, &WHOLE[i], n_held, DT_F32, true);
                c.args.y = c.want;
                run(&c.args, isa_detect(), 2);
                c.args.y = c.y;
                for (int64_t first = 0; first < height; first += rows)
                    run_rows(&c.args, first, first + rows < height ? first + rows : height,
                             isa_covers(isa_detect(), isa) ? isa : isa_detect());
                CHECK(equal_bits(c.y, c.want, c.n_out));
                CHECK(test_guard_intact(c.y + c.n_out, GUARD));
                close_case(&c);
            }
}

/* ---- chunks of time ---- */

/** A causal convolution over all frames at once, and frame by frame with the past handed on. */
static void check_chunks(const ConvShape *whole, const int *chunk, int n_chunks)
{
    Case c;
    open_case(&c, whole, 0, DT_F32, true);
    c.args.y = c.want;
    run(&c.args, isa_detect(), 2);
    const int64_t in_floats = whole->h * whole->w * whole->cin;
    int64_t first = 0, at = 0;
    for (int i = 0; i < n_chunks; i++) {
        ConvArgs part = c.args;
        const float *past[MAX_PAST];
        const int64_t held = first < whole->g.n_past ? first : whole->g.n_past;
        for (int64_t p = 0; p < held; p++)
            past[p] = c.x + (first - held + p) * in_floats;
        part.shape.frames = chunk[i];
        part.x = c.x + first * in_floats;
        part.past = past;
        part.n_held = (int)held;
        part.y = c.y + at;
        part.residual = c.residual + at;
        run(&part, isa_detect(), 2);
        const ConvOutput out = cpu_conv_output(&part.shape);
        at += out.frames * out.h * out.w * whole->cout;
        first += chunk[i];
    }
    CHECK_INT(first, whole->frames);
    CHECK_INT(at, c.n_out);
    CHECK(equal_bits(c.y, c.want, c.n_out));
    close_case(&c);
}

TEST(conv, chunks_of_time_equal_the_whole_sequence)
{
    static const int ONES[] = { 1, 1, 1, 1, 1, 1 }, MIXED[] = { 1, 4, 1 }, PAIRS[] = { 2, 4 };
    static const ConvShape CAUSAL3 = { 6, 5, 7, 20, 17, { 3, 3, 3, CAUSAL, SAME3, .n_past = 2 } };
    static const ConvShape HALVE = {
        6,  3,  4,
        20, 17, { 3, 1, 1, .stride_t = 2, .stride = 1, .upsample = 1, .groups = 1, .n_past = 1 }
    };
    check_chunks(&CAUSAL3, ONES, 6);
    check_chunks(&CAUSAL3, MIXED, 3);
    check_chunks(&TILED[5], ONES, 6);
    check_chunks(&TILED[5], MIXED, 3);
    check_chunks(&HALVE, PAIRS, 2);
}

TEST(conv, nothing_to_do_writes_nothing)
{
    const ConvShape s = { 1, 2, 2, 4, 4, { 1, 3, 3, CAUSAL } }; /* kernel above the image */
    const ConvOutput out = cpu_conv_output(&s);
    CHECK(out.h <= 0 && out.w <= 0);
    CHECK(cpu_conv_workspace_bytes(&s, 3) < (1 << 20));
}
