/* conv_winograd.c  3x3 convolution by F(4x4, 3x3) (winograd.h), summed over time taps and
 * channels between the transforms.
 *
 *   for each block of output frames, for each band of tiles:        (V stays near)
 *       V[frame][position][tile][Cin]     = input transform, all input frames of the block
 *       for each slab of output channels:                           (U stays near)
 *           U[position][jt][panel][Cin][PANEL] = weight transform, from the stored weights
 *           M[frame][position][tile][slab] = per position a product over (jt, Cin)
 *           y                              = output transform + bias + residual
 *
 * Each line is one parallel region. A product is a chain per time tap over the channels, added
 * oldest tap first; tiles count from pixel (0, 0) of the image. So no bit depends on blocks,
 * bands, slabs or threads, nor on the chunks of time; a band of an image must begin at a
 * multiple of WINOGRAD_OUT rows and end at one or at the image's end. */
#include <string.h>

#include "compute/cpu/conv_methods.h"
#include "compute/cpu/conv_taps.h"

enum {
    FRAMES = 4,                 /* most output frames of a block: V is shared between them */
    V_FLOATS = 4 * 1024 * 1024, /* V of a band: 16 MiB, but at least ... */
    LEAST_TILES = 64,           /* ... so many tiles, to pay for the weight transform */
    U_FLOATS = 4 * 1024 * 1024, /* U of a slab: 16 MiB */
    U_POSITION = 48 * 1024,     /* U of one position and time tap: 192 KiB of second-level cache */
    M_TILES = 512,              /* most tiles of a band times frames */
    PACK_TERMS = 1024,          /* terms widened at once, about */
    PACK_GRAIN = 256,           /* PackPanel begins at its multiples */
    TILE_UNIT = 8,              /* tiles per unit of the input and output transforms */
    PRODUCT_TILES = 24,         /* least tiles per unit of the products */
    UNITS_PER_THREAD = 4,
    SKEW = 16 /* floats between positions, so that 36 rows do not share a cache set */
};

/** How the work is cut, and the layout of the workspace; bits do not depend on it. */
typedef struct Cut {
    int64_t tiles_x, tiles;        /* of one output frame */
    int64_t frames, band;          /* most output frames and tiles at once */
    int64_t slab;                  /* output channels at once, whole panels */
    int64_t pitch;                 /* floats of a row of V */
    int64_t v_position, v_frame;   /* floats between positions and frames */
    int64_t u_position;            /* floats */
    int64_t m_position, m_frame;   /* floats */
    int64_t pack_channels;         /* input channels per unit of the weight transform */
    int64_t pack_lines;            /* lines of PANEL floats per thread */
    size_t v, u, m, zero, threads; /* bytes */
} Cut;

/** The job, and where it stands. */
typedef struct Job {
    const Kernels *kernels;
    const ConvArgs *args;
    ConvOutput out;
    Cut cut;
    float *v, *u, *m, *zero, *lines;
    int64_t t0, n_frames;  /* output frames of this block */
    int64_t tile0, tiles;  /* tiles of this band */
    int64_t channel, cols; /* output channels of this slab */
    int64_t product_tiles; /* per unit */
} Job;

/* ---- cutting ---- */

/** Parts of at most `limit` (at least one), of even size. */
static int64_t even_part(int64_t whole, int64_t limit)
{
    return ceil_div(whole, ceil_div(whole, most(1, limit)));
}

static Cut cut_winograd(const ConvShape *s, const ConvOutput *out, int threads)
{
    const int kt = s->g.kt;
    Cut cut = { .tiles_x = ceil_div(out->w, WINOGRAD_OUT) };
    cut.tiles = cut.tiles_x * ceil_div(out->h, WINOGRAD_OUT);
    cut.frames = even_part(out->frames, FRAMES);
    cut.pitch = ceil_div(s->cin, PANEL) * PANEL;
    const int64_t tile_floats = (cut.frames + kt - 1) * WINOGRAD_POSITIONS * cut.pitch;
    const int64_t fit = least(V_FLOATS / tile_floats, M_TILES / cut.frames);
    cut.band = even_part(cut.tiles, most(fit, LEAST_TILES));
    const int64_t slab =
        least(U_POSITION / cut.pitch, U_FLOATS / (WINOGRAD_POSITIONS * kt * cut.pitch)) / PANEL;
    cut.slab = even_part(ceil_div(s->cout, PANEL), slab) * PANEL;
    cut.v_position = cut.band * cut.pitch + SKEW;
    cut.v_frame = WINOGRAD_POSITIONS * cut.v_position;
    cut.u_position = kt * s->cin * cut.slab + SKEW;
    cut.m_position = cut.band * cut.slab + SKEW;
    cut.m_frame = WINOGRAD_POSITIONS * cut.m_position;
    cut.pack_channels = most(1, PACK_TERMS / (9 * kt));
    cut.pack_lines = cut.pack_channels * 9 * kt + 2 * PACK_GRAIN;
    cut.v = conv_float_bytes((cut.frames + kt - 1) * cut.v_frame);
    cut.u = conv_float_bytes(WINOGRAD_POSITIONS * cut.u_position);
    cut.m = conv_float_bytes(cut.frames * cut.m_frame);
    cut.zero = conv_float_bytes(s->cin);
    cut.threads = conv_float_bytes(cut.pack_lines * PANEL) * (size_t)threads;
    return cut;
}

/* ---- input ---- */

/** Pixel (y, x) of the input, upsampled if that is asked; the zero row outside. */
static const float *pixel_at(const Job *job, const float *frame, int64_t y, int64_t x)
{
    const ConvShape *s = &job->args->shape;
    const int shift = s->g.upsample - 1;
    if (y < 0 || x < 0 || y >= s->h << shift || x >= s->w << shift) return job->zero;
    return frame + ((y >> shift) * s->w + (x >> shift)) * s->cin;
}

/** Input frame `f` of the block (0 is the oldest that its first output sees); may be NULL. */
static const float *block_frame(const Job *job, int64_t f)
{
    return conv_frame(job->args, job->t0 + f - job->args->shape.g.n_past);
}

static void input_unit(void *context, int64_t unit, int worker)
{
    const Job *job = context;
    const ConvGeometry *g = &job->args->shape.g;
    const int64_t per_frame = ceil_div(job->tiles, TILE_UNIT), f = unit / per_frame;
    const int64_t first = unit % per_frame * TILE_UNIT, end = least(first + TILE_UNIT, job->tiles);
    const float *frame = block_frame(job, f), *pixel[WINOGRAD_POSITIONS];
    (void)worker;
    if (!frame) return;
    for (int64_t i = first; i < end; i++) {
        const int64_t tile = job->tile0 + i;
        const int64_t y = tile / job->cut.tiles_x * WINOGRAD_OUT - g->top;
        const int64_t x = tile % job->cut.tiles_x * WINOGRAD_OUT - g->left;
        for (int p = 0; p < WINOGRAD_POSITIONS; p++)
            pixel[p] = pixel_at(job, frame, y + p / WINOGRAD_IN, x + p % WINOGRAD_IN);
        job->kernels->winograd_input(job->v + f * job->cut.v_frame + i * job->cut.pitch,
                                     job->cut.v_position, pixel, job->args->shape.cin);
    }
}

/* ---- weights ---- */

/** One panel of a slab, pack_channels input channels of it, all time taps. */
static void weights_unit(void *context, int64_t unit, int worker)
{
    const Job *job = context;
    const ConvShape *s = &job->args->shape;
    const Cut *cut = &job->cut;
    const Stored *w = &job->args->w;
    const int64_t parts = ceil_div(s->cin, cut->pack_channels), panel = unit / parts;
    const int64_t c0 = unit % parts * cut->pack_channels;
    const int64_t n = least(cut->pack_channels, s->cin - c0), volume = (int64_t)9 * s->g.kt;
    const int64_t k0 = c0 * volume / PACK_GRAIN * PACK_GRAIN;
    const int64_t k1 = (c0 + n) * volume;
    const int64_t n0 = job->channel + panel * PANEL;
    const Stored rows = stored_rows(w, n0, least(PANEL, w->rows - n0));
    float *lines = job->lines + worker * cut->pack_lines * PANEL;
    job->kernels->pack[w->type](lines, &rows, 0, k0, k1 - k0);
    for (int jt = 0; jt < s->g.kt; jt++)
        job->kernels->winograd_weights(
            job->u + ((jt * ceil_div(job->cols, PANEL) + panel) * s->cin + c0) * PANEL,
            cut->u_position, lines + (c0 * volume - k0 + jt * 9) * PANEL, volume * PANEL, n);
}

/* ---- products ---- */

/** Tiles of one output frame at one position and time tap, added to what older taps gave. */
static void multiply(const Job *job, int64_t frame, int position, int jt, int64_t first,
                     int64_t end)
{
    const ConvShape *s = &job->args->shape;
    const Cut *cut = &job->cut;
    const float *a[GEMM_ROWS];
    float *c[GEMM_ROWS];
    const int64_t panels = ceil_div(job->cols, PANEL);
    GemmTile tile = { .a = a,
                      .c = c,
                      .cols = job->cols,
                      .b = job->u + position * cut->u_position + jt * panels * s->cin * PANEL,
                      .kc = s->cin,
                      .add = jt > conv_first_tap(job->args, job->t0 + frame) };
    for (int64_t i = first; i < end; i += tile.rows) {
        tile.rows = least(GEMM_ROWS, end - i);
        for (int64_t r = 0; r < tile.rows; r++) {
            a[r] = job->v + (frame + jt) * cut->v_frame + position * cut->v_position +
                   (i + r) * cut->pitch;
            c[r] = job->m + frame * cut->m_frame + position * cut->m_position + (i + r) * cut->slab;
        }
        job->kernels->gemm_block(&tile);
    }
}

static void product_unit(void *context, int64_t unit, int worker)
{
    const Job *job = context;
    const int position = (int)(unit % WINOGRAD_POSITIONS);
    const int64_t first = unit / WINOGRAD_POSITIONS * job->product_tiles;
    const int64_t end = least(first + job->product_tiles, job->tiles);
    (void)worker;
    for (int jt = 0; jt < job->args->shape.g.kt; jt++)
        for (int64_t frame = 0; frame < job->n_frames; frame++)
            if (jt >= conv_first_tap(job->args, job->t0 + frame))
                multiply(job, frame, position, jt, first, end);
}

/* ---- output ---- */

static void output_tile(const Job *job, int64_t frame, int64_t i)
{
    const ConvArgs *args = job->args;
    const int64_t tile = job->tile0 + i;
    const int64_t y0 = tile / job->cut.tiles_x * WINOGRAD_OUT;
    const int64_t x0 = tile % job->cut.tiles_x * WINOGRAD_OUT;
    float *y[WINOGRAD_OUT * WINOGRAD_OUT];
    const float *residual[WINOGRAD_OUT * WINOGRAD_OUT];
    for (int p = 0; p < WINOGRAD_OUT * WINOGRAD_OUT; p++) {
        const int64_t py = y0 + p / WINOGRAD_OUT, px = x0 + p % WINOGRAD_OUT;
        const bool inside = py < job->out.h && px < job->out.w;
        const int64_t at =
            (((job->t0 + frame) * job->out.h + py) * job->out.w + px) * args->shape.cout +
            job->channel;
        y[p] = inside ? args->y + at : NULL;
        residual[p] = inside && args->residual ? args->residual + at : NULL;
    }
    const WinogradTile t = { .m = job->m + frame * job->cut.m_frame + i * job->cut.slab,
                             .pitch = job->cut.m_position,
                             .n = job->cols,
                             .bias = args->bias ? args->bias + job->channel : NULL,
                             .y = y,
                             .residual = args->residual ? residual : NULL };
    job->kernels->winograd_output(&t);
}

static void output_unit(void *context, int64_t unit, int worker)
{
    const Job *job = context;
    const int64_t per_frame = ceil_div(job->tiles, TILE_UNIT);
    const int64_t first = unit % per_frame * TILE_UNIT, end = least(first + TILE_UNIT, job->tiles);
    (void)worker;
    for (int64_t i = first; i < end; i++)
        output_tile(job, unit / per_frame, i);
}

/* ---- the whole ---- */

static void run_band(Job *job, Pool *pool)
{
    const ConvShape *s = &job->args->shape;
    const int64_t chunks = ceil_div(job->tiles, TILE_UNIT);
    const int64_t parts =
        ceil_div((int64_t)pool_threads(pool) * UNITS_PER_THREAD, WINOGRAD_POSITIONS);
    job->product_tiles = most(PRODUCT_TILES, ceil_div(job->tiles, parts));
    const int64_t products = WINOGRAD_POSITIONS * ceil_div(job->tiles, job->product_tiles);
    pool_run(pool, (job->n_frames + s->g.kt - 1) * chunks, input_unit, job);
    for (job->channel = 0; job->channel < s->cout; job->channel += job->cols) {
        job->cols = least(job->cut.slab, s->cout - job->channel);
        pool_run(pool, ceil_div(job->cols, PANEL) * ceil_div(s->cin, job->cut.pack_channels),
                 weights_unit, job);
        pool_run(pool, products, product_unit, job);
        pool_run(pool, job->n_frames * chunks, output_unit, job);
    }
}

size_t conv_winograd_bytes(const ConvShape *shape, int threads)
{
    const ConvOutput out = cpu_conv_output(shape);
    const Cut cut = cut_winograd(shape, &out, threads);
    return cut.v + cut.u + cut.m + cut.zero + cut.threads;
}

void conv_winograd(const Kernels *kernels, Pool *pool, const ConvArgs *args, void *workspace)
{
    Job job = { .kernels = kernels, .args = args, .out = cpu_conv_output(&args->shape) };
    job.cut = cut_winograd(&args->shape, &job.out, pool_threads(pool));
    char *place = workspace;
    job.v = (float *)place;
    job.u = (float *)(place += job.cut.v);
    job.m = (float *)(place += job.cut.u);
    job.zero = (float *)(place += job.cut.m);
    job.lines = (float *)(place + job.cut.zero);
    memset(job.zero, 0, job.cut.zero);
    for (job.t0 = 0; job.t0 < job.out.frames; job.t0 += job.n_frames) {
        job.n_frames = least(job.cut.frames, job.out.frames - job.t0);
        for (job.tile0 = 0; job.tile0 < job.cut.tiles; job.tile0 += job.tiles) {
            job.tiles = least(job.cut.band, job.cut.tiles - job.tile0);
            run_band(&job, pool);
        }
    }
}
