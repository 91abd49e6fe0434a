/* conv_direct.c  Convolution as a matrix product whose rows are read in place.
 *
 * Rows of the product are output pixels, its columns output channels, its depth the taps of a
 * group times the channels. A row pointer is the pixel under the first tap, the other taps are
 * offsets from it, equal for all pixels inside the image; with nearest upsampling they depend
 * on the parity of the position only (four phases). Pixels whose taps reach over the edge are
 * copied with their zeros, a few at a time. There is no im2col and no padded copy.
 *
 *   unit = slab of output channels x block of output pixels, taken from the pool's counter
 *   for each stage of tap groups (in the order jt, ky) that fits the second-level cache:
 *       pack the slab's weights of the stage
 *       for each strip of up to GEMM_ROWS pixels of one frame, for each group:
 *           kernels->gemm_block adds the group's chains into y */
#include <string.h>

#include "compute/cpu/conv_methods.h"
#include "compute/cpu/conv_taps.h"

enum {
    SLAB_FLOATS = 84 * 1024, /* packed terms of a stage for all panels of a slab: 336 KiB */
    SLAB_PANELS = 6,         /* fewer read the pixels too often: rather fewer terms in a stage */
    EDGE_ROWS = 12,          /* copied pixels per product block: two tiles of AVX2 */
    BLOCK_PIXELS = 504,      /* least pixels per block: packing again costs about 4 % */
    UNITS_PER_THREAD = 4,
    PACK_TERMS = 512, /* terms that are widened at once before they are put in tap order */
    PHASES = 4
};

/** How the work is cut; free to change, bits do not depend on it. */
typedef struct Cut {
    int64_t depth, channels;            /* input and output channels of a convolution group */
    int64_t group_terms;                /* terms of a tap group */
    int n_groups, stage_groups;         /* tap groups in all, and per stage */
    int64_t slab_cols, slabs;           /* output channels per slab, slabs of one conv group */
    int64_t block_pixels, blocks;       /* over all frames */
    size_t packed, lines, edge, thread; /* scratch bytes of one thread */
} Cut;

typedef struct Job {
    const Kernels *kernels;
    const ConvArgs *args;
    ConvOutput out;
    Cut cut;
    char *scratch;
} Job;

/** Tap groups that are packed together. */
typedef struct Stage {
    int first, count;
} Stage;

/** One unit at work. */
typedef struct Unit {
    const Job *job;
    int64_t channel, cols, input; /* first output channel, number of them, first input channel */
    float *packed, *lines, *edge; /* packed weights, widened terms, copied pixels */
    int64_t *tap;                 /* [PHASES][kh * kw] */
    const float *a[PHASES][GEMM_ROWS]; /* rows of the product by phase ... */
    float *c[PHASES][GEMM_ROWS];
    int64_t rows[PHASES];
    const float *edge_a[EDGE_ROWS]; /* ... and those at the edge */
    float *edge_c[EDGE_ROWS];
    int64_t edge_rows;
} Unit;

/** Up to GEMM_ROWS pixels of one frame against one tap group. */
typedef struct Strip {
    int64_t t, first, count; /* output frame, first pixel inside it, number of pixels */
    const float *frame;      /* of the input */
    int ky0, ky1;            /* tap rows of the group */
    GemmTile tile;           /* all but the rows */
} Strip;

/* ---- cutting ---- */

static Cut cut_groups(const ConvShape *s)
{
    const ConvGeometry *g = &s->g;
    const int rows = conv_group_rows(s);
    Cut cut = { .depth = s->cin / g->groups, .channels = s->cout / g->groups };
    cut.group_terms = rows * g->kw * cut.depth;
    cut.n_groups = g->kt * (g->kh / rows);
    const int64_t panels = least(SLAB_PANELS, most(2, ceil_div(cut.channels, PANEL)));
    cut.stage_groups =
        (int)most(1, least(cut.n_groups, SLAB_FLOATS / (cut.group_terms * PANEL * panels)));
    return cut;
}

static Cut cut_conv(const ConvShape *s, const ConvOutput *out, int threads)
{
    Cut cut = cut_groups(s);
    const int64_t terms = cut.group_terms * cut.stage_groups,
                  panels = ceil_div(cut.channels, PANEL);
    const int64_t pixels = most(1, out->frames * out->h * out->w);
    const int64_t units = threads > 1 ? (int64_t)threads * UNITS_PER_THREAD : 1;
    int64_t slabs = ceil_div(panels, most(1, SLAB_FLOATS / (terms * PANEL))), blocks = 1;
    if (slabs * s->g.groups < units)
        blocks = most(1, least(ceil_div(units, slabs * s->g.groups), pixels / BLOCK_PIXELS));
    if (slabs * s->g.groups * blocks < units)
        slabs = most(slabs, least(panels, ceil_div(units, blocks * s->g.groups)));
    cut.slab_cols = ceil_div(panels, slabs) * PANEL;
    cut.slabs = ceil_div(cut.channels, cut.slab_cols);
    cut.block_pixels = ceil_div(ceil_div(pixels, blocks), GEMM_ROWS) * GEMM_ROWS;
    cut.blocks = ceil_div(pixels, cut.block_pixels);
    cut.packed = conv_float_bytes(terms * cut.slab_cols);
    cut.lines = conv_float_bytes(PACK_TERMS * PANEL);
    cut.edge = conv_float_bytes(EDGE_ROWS * cut.group_terms);
    cut.thread = cut.packed + cut.lines + cut.edge +
                 conv_float_bytes(2 * PHASES * (int64_t)s->g.kh * s->g.kw);
    return cut;
}

/* ---- packing ---- */

/** Put widened terms k0 .. k0 + n of one panel where the groups of the stage want them. */
static void place_lines(const Unit *u, int64_t panel, const Stage *stage, int64_t k0, int64_t n)
{
    const Cut *cut = &u->job->cut;
    const int64_t volume = u->job->args->w.cols / cut->depth;
    const int64_t taps = cut->group_terms / cut->depth, panels = ceil_div(u->cols, PANEL);
    for (int64_t group = 0; group < stage->count; group++)
        for (int64_t tap = 0; tap < taps; tap++) {
            float *to = u->packed + (group * panels + panel) * cut->group_terms * PANEL +
                        tap * cut->depth * PANEL;
            const int64_t index = (stage->first + group) * taps + tap;
            int64_t i =
                (index - k0 % volume + volume) % volume; /* term k = channel * volume + tap */
            for (int64_t channel = (k0 + i) / volume; i < n; i += volume, channel++)
                memcpy(to + channel * PANEL, u->lines + i * PANEL, PANEL * sizeof *to);
        }
}

/** Pack the groups of a stage: [group][panel][terms][PANEL]. */
static void pack_stage(const Unit *u, const Stage *stage)
{
    const Stored *w = &u->job->args->w;
    const Cut *cut = &u->job->cut;
    PackPanel *pack = u->job->kernels->pack[w->type];
    const Stored slab = stored_rows(w, u->channel, u->cols);
    for (int64_t n = 0; n < u->cols; n += PANEL) {
        if (w->cols == cut->depth) { /* a single tap: already in order */
            pack(u->packed + n * cut->depth, &slab, n, 0, cut->depth);
            continue;
        }
        for (int64_t k = 0; k < w->cols; k += PACK_TERMS) {
            const int64_t terms = least(PACK_TERMS, w->cols - k);
            pack(u->lines, &slab, n, k, terms);
            place_lines(u, n / PANEL, stage, k, terms);
        }
    }
}

/* ---- pixels ---- */

/** Offsets of the taps of a group from its first one, for every phase. */
static void fill_taps(Unit *u, GemmTile *tile)
{
    const ConvShape *s = &u->job->args->shape;
    const int shift = s->g.upsample - 1, rows = conv_group_rows(s);
    const bool whole_rows = shift == 0 && s->g.groups == 1; /* a row of taps is contiguous */
    const int columns = whole_rows ? 1 : s->g.kw;
    tile->kc = whole_rows ? s->g.kw * s->cin : u->job->cut.depth;
    tile->n_taps = rows * columns;
    for (int phase = 0; phase < PHASES; phase++)
        for (int ky = 0; ky < rows; ky++)
            for (int kx = 0; kx < columns; kx++)
                u->tap[phase * tile->n_taps + ky * columns + kx] =
                    (((phase / 2 + ky) >> shift) * s->w + ((phase % 2 + kx) >> shift)) * s->cin;
}

static void run_phase(Unit *u, const Strip *strip, int phase)
{
    GemmTile tile = strip->tile;
    tile.a = u->a[phase];
    tile.c = u->c[phase];
    tile.rows = u->rows[phase];
    tile.tap = u->tap + phase * tile.n_taps;
    if (tile.rows > 0) u->job->kernels->gemm_block(&tile);
    u->rows[phase] = 0;
}

static void run_edge(Unit *u, const Strip *strip)
{
    GemmTile tile = strip->tile;
    tile.a = u->edge_a;
    tile.c = u->edge_c;
    tile.rows = u->edge_rows;
    tile.kc = u->job->cut.group_terms;
    tile.tap = NULL;
    if (tile.rows > 0) u->job->kernels->gemm_block(&tile);
    u->edge_rows = 0;
}

/** Copy the taps of the pixel whose first tap is at (iy, ix), zeros where the image ends. */
static void copy_edge(Unit *u, const Strip *strip, int64_t iy, int64_t ix, float *c)
{
    const ConvShape *s = &u->job->args->shape;
    const int64_t depth = u->job->cut.depth;
    float *to = u->edge + u->edge_rows * u->job->cut.group_terms;
    u->edge_a[u->edge_rows] = to;
    u->edge_c[u->edge_rows++] = c;
    for (int64_t y = iy; y < iy + strip->ky1 - strip->ky0; y++)
        for (int64_t x = ix; x < ix + s->g.kw; x++, to += depth) {
            if (y < 0 || x < 0 || y >= s->h * s->g.upsample || x >= s->w * s->g.upsample) {
                memset(to, 0, (size_t)depth * sizeof *to);
                continue;
            }
            const int64_t pixel = y / s->g.upsample * s->w + x / s->g.upsample;
            memcpy(to, strip->frame + pixel * s->cin + u->input, (size_t)depth * sizeof *to);
        }
}

/** One tap group over all pixels of a strip. */
static void run_group(Unit *u, const Strip *strip)
{
    const ConvArgs *args = u->job->args;
    const ConvShape *s = &args->shape;
    const ConvOutput *out = &u->job->out;
    const int shift = s->g.upsample - 1;
    const int64_t y_end = (s->h << shift) - (strip->ky1 - strip->ky0),
                  x_end = (s->w << shift) - s->g.kw;
    int64_t y = strip->first / out->w, x = strip->first % out->w;
    float *c = args->y + (strip->t * out->h * out->w + strip->first) * s->cout + u->channel;
    for (int64_t i = 0; i < strip->count; i++, c += s->cout) {
        const int64_t iy = y * s->g.stride - s->g.top + strip->ky0,
                      ix = x * s->g.stride - s->g.left;
        if (iy >= 0 && ix >= 0 && iy <= y_end && ix <= x_end) {
            const int phase = shift ? (int)(iy % 2 * 2 + ix % 2) : 0;
            const int64_t row = u->rows[phase]++;
            u->a[phase][row] =
                strip->frame + ((iy >> shift) * s->w + (ix >> shift)) * s->cin + u->input;
            u->c[phase][row] = c;
        } else {
            copy_edge(u, strip, iy, ix, c);
            if (u->edge_rows == EDGE_ROWS) run_edge(u, strip);
        }
        if (++x == out->w) {
            x = 0;
            y++;
        }
    }
    for (int phase = 0; phase < PHASES; phase++)
        run_phase(u, strip, phase);
    run_edge(u, strip);
}

static void add_residual(const Unit *u, const Strip *strip)
{
    const ConvArgs *args = u->job->args;
    const ConvOutput *out = &u->job->out;
    int64_t at = (strip->t * out->h * out->w + strip->first) * args->shape.cout + u->channel;
    for (int64_t i = 0; i < strip->count; i++, at += args->shape.cout)
        u->job->kernels->add(args->y + at, args->y + at, args->residual + at, u->cols);
}

/** The groups of a stage over one strip. */
static void run_strip(Unit *u, Strip *strip, const Stage *stage)
{
    const ConvArgs *args = u->job->args;
    const ConvGeometry *g = &args->shape.g;
    const Cut *cut = &u->job->cut;
    const int first_tap = conv_first_tap(args, strip->t), rows = conv_group_rows(&args->shape);
    for (int i = 0; i < stage->count; i++) {
        const int group = stage->first + i, jt = group * rows / g->kh;
        const bool last = group == cut->n_groups - 1;
        if (jt < first_tap) continue;
        strip->ky0 = group * rows % g->kh;
        strip->ky1 = strip->ky0 + rows;
        strip->frame = conv_frame(args, strip->t * g->stride_t + jt - g->n_past);
        strip->tile.b = u->packed + i * ceil_div(u->cols, PANEL) * cut->group_terms * PANEL;
        strip->tile.add = jt > first_tap || strip->ky0 > 0;
        strip->tile.bias = last && args->bias ? args->bias + u->channel : NULL;
        run_group(u, strip);
        if (last && args->residual) add_residual(u, strip);
    }
}

/* ---- units ---- */

/** All stages over output pixels p0 .. p1 - 1. */
static void run_pixels(Unit *u, int64_t p0, int64_t p1)
{
    const Job *job = u->job;
    const int64_t frame_pixels = job->out.h * job->out.w;
    const int kh_groups = job->cut.n_groups / job->args->shape.g.kt;
    Strip strip = { .tile = { .cols = u->cols } };
    fill_taps(u, &strip.tile);
    Stage stage = { 0, 0 };
    for (; stage.first < job->cut.n_groups; stage.first += stage.count) {
        stage.count = (int)least(job->cut.stage_groups, job->cut.n_groups - stage.first);
        const int last_tap = (stage.first + stage.count - 1) / kh_groups;
        if (last_tap < conv_first_tap(job->args, (p1 - 1) / frame_pixels)) continue; /* no frame */
        pack_stage(u, &stage);
        for (int64_t p = p0; p < p1; p += strip.count) {
            strip.t = p / frame_pixels;
            strip.first = p % frame_pixels;
            strip.count = least(GEMM_ROWS, least(p1 - p, frame_pixels - strip.first));
            run_strip(u, &strip, &stage);
        }
    }
}

static void run_unit(void *context, int64_t index, int worker)
{
    const Job *job = context;
    const Cut *cut = &job->cut;
    const int64_t block = index % cut->blocks, slab = index / cut->blocks % cut->slabs;
    const int64_t group = index / cut->blocks / cut->slabs;
    char *scratch = job->scratch + (size_t)worker * cut->thread;
    Unit u = { .job = job,
               .channel = group * cut->channels + slab * cut->slab_cols,
               .cols = least(cut->slab_cols, cut->channels - slab * cut->slab_cols),
               .input = group * cut->depth,
               .packed = (float *)scratch,
               .lines = (float *)(scratch + cut->packed),
               .edge = (float *)(scratch + cut->packed + cut->lines),
               .tap = (int64_t *)(scratch + cut->packed + cut->lines + cut->edge) };
    const int64_t pixels = job->out.frames * job->out.h * job->out.w;
    const int64_t p0 = block * cut->block_pixels;
    run_pixels(&u, p0, least(p0 + cut->block_pixels, pixels));
}

size_t conv_direct_bytes(const ConvShape *shape, int threads)
{
    const ConvOutput out = cpu_conv_output(shape);
    return cut_conv(shape, &out, threads).thread * (size_t)threads;
}

void conv_direct(const Kernels *kernels, Pool *pool, const ConvArgs *args, void *workspace)
{
    const ConvOutput out = cpu_conv_output(&args->shape);
    Job job = { kernels, args, out, cut_conv(&args->shape, &out, pool_threads(pool)), workspace };
    pool_run(pool, args->shape.g.groups * job.cut.slabs * job.cut.blocks, run_unit, &job);
}
