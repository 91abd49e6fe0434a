/* wan_vae_encode.c  The encoder of the Wan video VAE: pictures to latent frames, one at a time.
 *
 * A frame runs depth first through all levels; at a temporal level it is collected whole, and every
 * second one goes on with the two before it (the video's first goes on alone, spec/wan.md 4.2).
 * Between temporal levels, in a stretch of levels, rows flow in bands (nn/bands.h).
 *
 * Frames that repeat the one before them, as behind the picture of an image-to-video request, are
 * not computed once all that a stretch looks at is the same: its result is the last one again, bit
 * for bit. n causal convolutions see 2 n frames back, so that holds from the 2 n + 1st repetition.
 * Letters: H W of the level, C channels; every tensor is one frame [1, H, W, C]. */
#include "models/wan_vae_coder.h"

/* A whole frame, and how many before it were equal in a row. */
typedef struct Still {
    Band frame;
    int64_t equal;
} Still;

/* What a level remembers. */
typedef struct LevelState {
    VaeResState res[VAE_MAX_RES];
    BandKeep down, shortcut;      /* rows before the down convolution, of the level's input (2.2) */
    BandGather half[3], input[2]; /* frames after the down convolution, the level's input (2.2) */
    int64_t made;                 /* frames computed so far, which take these in turn */
    Band y[3], x[2];              /* whole frames by number modulo 3 and 2; repeated ones too */
    Band out;                     /* what left a temporal level last */
} LevelState;

typedef struct Encoder {
    Run *r;
    const WanVae *m;
    BandConv in, out;
    VaeResState mid[2];
    LevelState level[VAE_MAX_LEVELS];
    int64_t rows; /* of a band */
    int64_t total[VAE_MAX_LEVELS];
    BandGather whole;
    Tensor latent, mu; /* [T, h, w, z], filled frame by frame; what was written last */
} Encoder;

static const BandStep DOWN = { 3, 2, 1 };

/* ---- the last stretch's end ----------------------------------------------------------------- */

static void encode_latent(Encoder *e, int64_t n, Still x)
{
    Run *r = e->r;
    const VaeCoder *c = &e->m->encoder;
    const WanVaeConfig *cfg = &e->m->cfg;
    const Frames f = { n, 1, e->total[cfg->levels - 1] };
    if (x.equal == 0) {
        Band y = wan_vae_coder_mid(r, c, e->mid, f, x.frame);
        run_tap(r, "vae.encoder_mid", n, y.x);
        y.x = op_l2_norm(r, y.x, c->norm_out, ACT_SILU);
        y = nn_band_causal(r, &e->out, &c->out, f, y, NO_BAND);
        y.x = nn_linear(r, y.x, &e->m->quant); /* mean, then log variance */
        e->mu = op_affine(r, op_columns(r, y.x, 0, cfg->z), cfg->encode_mul, cfg->encode_add);
    }
    e->latent = op_write_rows(r, e->latent, n, e->mu);
}

/* ---- stretches ------------------------------------------------------------------------------ */

static void encode_stretch(Encoder *e, int i, int64_t n, Still x);

/* Last level of the stretch that begins at level i, and its causal convolutions. */
static int stretch_end(const WanVae *m, int i, int *convs)
{
    const VaeCoder *c = &m->encoder;
    *convs = i == 0 ? 1 : 0;
    for (;; i++) {
        *convs += 2 * c->level[i].n_res;
        if (i + 1 == m->cfg.levels) *convs += 5; /* the middle and the last convolution */
        if (i + 1 == m->cfg.levels || c->level[i].temporal) return i;
    }
}

/* Frame n of the level and the two before it, and those of its input, become one. */
static Tensor time_down(Encoder *e, int i, int64_t n)
{
    Run *r = e->r;
    const VaeLevel *l = &e->m->encoder.level[i];
    LevelState *s = &e->level[i];
    const ConvGeometry g = { .kt = 3,
                             .kh = 1,
                             .kw = 1,
                             .stride_t = 1,
                             .stride = 1,
                             .upsample = 1,
                             .n_past = 2,
                             .groups = 1 };
    Tensor y = s->y[n % 3].x, x = s->x[n % 2].x;
    if (n > 0) {
        const Tensor past[2] = { s->y[(n + 1) % 3].x, s->y[(n + 2) % 3].x };
        y = op_conv(r, y, past, 2, l->time.weight, l->time.bias, &g);
    }
    if (!e->m->cfg.residual) return y;
    const Tensor both[2] = { s->x[(n + 1) % 2].x, x };
    if (n > 0) x = op_stack(r, 2, both);
    return op_add(r, y, op_avg_down(r, x, l->out, 2, 2));
}

/* A frame has passed all but the time convolution of temporal level i. */
static void encode_time(Encoder *e, int i, int64_t n, int64_t equal)
{
    LevelState *s = &e->level[i];
    if (n % 2) return;
    const int64_t equal_out = equal >= 4 ? (equal - 2) / 2 : 0; /* it looks at n - 2 .. n */
    if (equal_out == 0) s->out = nn_band_whole(e->r, time_down(e, i, n));
    run_tap(e->r, "vae.down", i, s->out.x);
    encode_stretch(e, i + 1, n / 2, (Still){ s->out, equal_out });
}

/* ---- bands ---------------------------------------------------------------------------------- */

static Band down_rows(Encoder *e, int i, Band y)
{
    Run *r = e->r;
    LevelState *s = &e->level[i];
    const int64_t first = nn_band_ready(DOWN, y.first, y.height);
    const int64_t end = nn_band_ready(DOWN, y.end, y.height);
    Band z = { NO_TENSOR, first, end, nn_band_height(DOWN, y.height) };
    if (y.first == y.end) return z;
    const Band all = nn_band_join(r, &s->down, y, nn_band_need(DOWN, first, y.height));
    if (first < end)
        z.x = nn_band_conv2d(r, &e->m->encoder.level[i].conv, DOWN, all, first, end, NO_TENSOR);
    nn_band_keep(r, &s->down, all, nn_band_need(DOWN, end, y.height), nn_band_most(DOWN));
    return z;
}

/* The level's input x brought to the size of its result z, added. */
static Band add_shortcut(Encoder *e, int i, Band x, Band z)
{
    Run *r = e->r;
    const VaeLevel *l = &e->m->encoder.level[i];
    LevelState *s = &e->level[i];
    const int times = l->resamples ? 2 : 1;
    const Band all = nn_band_join(r, &s->shortcut, x, z.first * times);
    nn_band_keep(r, &s->shortcut, all, z.end * times,
                 2 * l->n_res * CONV_BAND + nn_band_most(DOWN));
    if (z.first == z.end) return z;
    const Tensor rows = nn_band_part(r, all, z.first * times, z.end * times).x;
    z.x = op_add(r, z.x, op_avg_down(r, rows, l->out, 1, times));
    return z;
}

static void encode_level(Encoder *e, int i, int64_t n, Band x)
{
    Run *r = e->r;
    const VaeLevel *l = &e->m->encoder.level[i];
    LevelState *s = &e->level[i];
    const Frames f = { n, 1, e->total[i] };
    Band y = x, whole;
    for (int j = 0; j < l->n_res; j++)
        y = wan_vae_coder_res(r, &l->res[j], &s->res[j], f, y);
    if (l->resamples) y = down_rows(e, i, y);
    if (l->temporal) {
        if (e->m->cfg.residual) (void)nn_band_gather(r, &s->input[s->made % 2], x, &s->x[n % 2]);
        if (y.first == y.end || !nn_band_gather(r, &s->half[s->made % 3], y, &s->y[n % 3])) return;
        s->made++;
        encode_time(e, i, n, 0);
        return;
    }
    if (e->m->cfg.residual) y = add_shortcut(e, i, x, y);
    if (y.first == y.end || !run_ok(r)) return;
    if (y.end - y.first == y.height) run_tap(r, "vae.down", i, y.x);
    if (i + 1 < e->m->cfg.levels)
        encode_level(e, i + 1, n, y);
    else if (nn_band_gather(r, &e->whole, y, &whole))
        encode_latent(e, n, (Still){ whole, 0 });
}

/* Frame n enters level i, the first of its stretch. */
static void encode_stretch(Encoder *e, int i, int64_t n, Still x)
{
    Run *r = e->r;
    int convs = 0;
    const int last = stretch_end(e->m, i, &convs);
    LevelState *s = &e->level[last];
    if (x.equal > 2 * convs) { /* the result is the last one again */
        s->y[n % 3] = s->y[(n + 2) % 3];
        s->x[n % 2] = s->x[(n + 1) % 2];
        if (last + 1 < e->m->cfg.levels)
            encode_time(e, last, n, x.equal - 2 * convs);
        else
            encode_latent(e, n, (Still){ NO_BAND, x.equal - 2 * convs });
        return;
    }
    const Band whole = x.frame;
    for (int64_t y = 0, end; y < whole.height && run_ok(r); y = end) {
        end = whole.height - y > e->rows ? y + e->rows : whole.height;
        Band rows = nn_band_part(r, whole, y, end);
        if (i == 0)
            rows = nn_band_causal(r, &e->in, &e->m->encoder.in, (Frames){ n, 1, e->total[0] }, rows,
                                  NO_BAND);
        if (rows.first < rows.end) encode_level(e, i, n, rows);
    }
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Pixels of a frame to the network's channels. */
static Tensor fold(Run *r, const WanVaeConfig *cfg, Tensor x)
{
    if (cfg->patch == 1 || !run_ok(r)) return x;
    const int64_t h = x.shape.dim[1] / cfg->patch, w = x.shape.dim[2] / cfg->patch;
    x = op_patchify(r, x, 1, cfg->patch, cfg->patch, PATCH_CTWH);
    return op_reshape(r, x, SHAPE(1, h, w, cfg->in_channels));
}

static Tensor blank_latent(Run *r, const WanVaeConfig *cfg, Tensor x, int64_t frames)
{
    if (!run_ok(r)) return NO_TENSOR;
    return op_blank(r, SHAPE(frames, x.shape.dim[1] / cfg->space_factor,
                             x.shape.dim[2] / cfg->space_factor, cfg->z));
}

Tensor wan_vae_encode(Run *r, const WanVae *m, int64_t n_frames, WanVaeSource *source,
                      void *context)
{
    const WanVaeConfig *cfg = &m->cfg;
    Encoder e = { .r = r, .m = m, .rows = wan_vae_coder_rows(r) };
    Still x = { NO_BAND, 0 };
    int64_t frames = n_frames;
    for (int i = 0; i < cfg->levels; i++) {
        e.total[i] = frames;
        if (m->encoder.level[i].temporal) frames = (frames - 1) / 2 + 1;
    }
    for (int64_t f = 0; f < n_frames && run_ok(r); f++) {
        run_block(r);
        const Tensor rgb = source(context, r, f);
        if (f == 0) e.latent = blank_latent(r, cfg, rgb, frames);
        x.equal = tensor_exists(rgb) ? 0 : x.equal + 1;
        if (x.equal == 0) x.frame = nn_band_whole(r, fold(r, cfg, rgb));
        encode_stretch(&e, 0, f, x);
    }
    return run_ok(r) ? e.latent : NO_TENSOR;
}
