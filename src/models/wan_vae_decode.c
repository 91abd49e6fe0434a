/* wan_vae_decode.c  The decoder of the Wan video VAE: latent frames to pictures.
 *
 * Causal convolutions only look back, so a group of latent frames runs through all levels before
 * the next one is touched; above each temporal level a frame splits into two. The rules for the
 * first frame are those of the reference's chunked execution (spec/wan.md 4.2): time convolutions
 * do not see it and let it pass.
 *
 * The plan chooses how much is in flight, and no choice changes a bit of the result:
 *   knobs.group_frames 0: single frames at every level. At a temporal level the frame is collected
 *       whole, becomes two, and each of these runs to the end before the other. What the causal
 *       convolutions keep, two frames each, is most of the memory.
 *   knobs.group_frames n: n latent frames and all that become of them run together. More rows in
 *       flight; with all latent frames in one group no frame is kept at all.
 *   knobs.band_rows: most rows of a group that are computed at once, at every level (nn/bands.h).
 * Letters: F frames of the group, H W of the level, C channels. */
#include "models/wan_vae_coder.h"

/* What a level remembers. */
typedef struct LevelState {
    VaeResState res[VAE_MAX_RES];
    BandKeep shortcut; /* rows of the level's input, for its shortcut (2.2) */
    BandConv time;
    BandKeep up;             /* rows before the upsampling convolution */
    BandGather whole, input; /* a frame that becomes two, and the level's input under it */
} LevelState;

typedef struct Decoder {
    Run *r;
    const WanVae *m;
    BandConv in, out;
    VaeResState mid[2];
    LevelState level[VAE_MAX_LEVELS];
    int64_t rows; /* of a band */
    bool singly;
    BandGather rgb;
    WanVaeFrame *frame;
    void *context;
    int64_t n_frames; /* handed out */
} Decoder;

/* A level's input brought to the size of its output: rows are taken from `x` as they are needed. */
typedef struct Shortcut {
    Band x;
    int times, drop, keep; /* frames become `times` as many, see op_dup_up */
} Shortcut;

static void decode_out(Decoder *d, Frames f, Band x)
{
    Run *r = d->r;
    const VaeCoder *c = &d->m->decoder;
    const int p = d->m->cfg.patch;
    Band whole;
    if (x.first == x.end) return;
    x.x = op_l2_norm(r, x.x, c->norm_out, ACT_SILU);
    x = nn_band_causal(r, &d->out, &c->out, f, x, NO_BAND); /* [F, H, W, 3 p^2] */
    if (x.first == x.end || !run_ok(r)) return;
    if (p > 1) {
        const TokenGrid grid = { x.x.shape.dim[0], x.x.shape.dim[1], x.x.shape.dim[2] };
        x.x = op_reshape(r, x.x, SHAPE(tensor_rows(x.x), tensor_cols(x.x)));
        x.x = op_unpatchify(r, x.x, grid, 1, p, p, PATCH_CTWH);
        x = (Band){ x.x, x.first * p, x.end * p, x.height * p };
    }
    x.x = op_clamp(r, x.x, -1.0f, 1.0f);
    if (!nn_band_gather(r, &d->rgb, x, &whole)) return;
    for (int64_t k = 0; k < f.count && run_ok(r); k++)
        d->frame(d->context, r, d->n_frames++, op_rows(r, whole.x, k, 1));
}

static void decode_level(Decoder *d, int i, Frames f, Band x);

static void decode_next(Decoder *d, int i, Frames f, Band x)
{
    if (i + 1 < d->m->cfg.levels)
        decode_level(d, i + 1, f, x);
    else
        decode_out(d, f, x);
}

/* Rows of the upsampling convolution as far as they are ready, passed on in bands. */
static void decode_up(Decoder *d, int i, Frames f, Band y, const Shortcut *s)
{
    Run *r = d->r;
    const VaeLevel *l = &d->m->decoder.level[i];
    LevelState *state = &d->level[i];
    const BandStep up = { 3, 1, 2 };
    const int64_t first = nn_band_ready(up, y.first, y.height);
    const int64_t end = nn_band_ready(up, y.end, y.height);
    if (y.first == y.end) return;
    const Band all = nn_band_join(r, &state->up, y, nn_band_need(up, first, y.height));
    nn_band_keep(r, &state->up, all, nn_band_need(up, end, y.height), nn_band_most(up));
    for (int64_t o = first, e; o < end && run_ok(r); o = e) {
        e = end - o > d->rows ? o + d->rows : end;
        Tensor add = NO_TENSOR;
        run_block(r);
        if (d->m->cfg.residual) {
            const Band rows = nn_band_part(r, s->x, o / 2, (e + 1) / 2);
            add = op_dup_up(r, rows.x, l->out, s->times, 2, s->drop, s->keep);
        }
        const Tensor x = nn_band_conv2d(r, &l->conv, up, all, o, e, add);
        decode_next(d, i, f, (Band){ x, o, e, 2 * y.height });
    }
}

/* The time convolution makes two frames of each but the video's first: [F, H, W, C] to
 * [2 F, H, W, C]. It starts at the second frame and does not see the first. */
static Band time_up(Decoder *d, int i, Frames f, Band y)
{
    Run *r = d->r;
    const bool first = f.first == 0;
    Frames seen = { first ? 0 : f.first - 1, first ? f.count - 1 : f.count, f.total - 1 };
    Band later = y;
    if (seen.count == 0) return y;
    if (first) later.x = op_rows(r, y.x, 1, seen.count);
    later =
        nn_band_causal(r, &d->level[i].time, &d->m->decoder.level[i].time, seen, later, NO_BAND);
    later.x = op_split_frames(r, later.x); /* [.., 2C] to twice the frames */
    if (!first) return later;
    const Tensor both[2] = { op_rows(r, y.x, 0, 1), later.x };
    y.x = op_stack(r, 2, both);
    return y;
}

/* Twice the frames, by groups or frame after frame. */
static void decode_time(Decoder *d, int i, Frames f, Band x, Band y)
{
    Run *r = d->r;
    const bool first = f.first == 0;
    const Frames next = { first ? 0 : 2 * f.first - 1, first ? 2 * f.count - 1 : 2 * f.count,
                          2 * f.total - 1 };
    Shortcut s = { x, 2, first ? 1 : 0, 0 };
    if (y.first == y.end) return;
    y = time_up(d, i, f, y);
    if (!d->singly || next.count == 1) {
        decode_up(d, i, next, y, &s);
        return;
    }
    for (int64_t k = 0; k < next.count && run_ok(r); k++) {
        Band frame = y;
        frame.x = op_rows(r, y.x, k, 1);
        s.drop = (int)k;
        s.keep = 1;
        decode_up(d, i, (Frames){ next.first + k, 1, next.total }, frame, &s);
    }
}

/* A frame that becomes two is needed whole where each of these runs to the end by itself. */
static void decode_collected(Decoder *d, int i, Frames f, Band x, Band y)
{
    Run *r = d->r;
    LevelState *s = &d->level[i];
    Band input = x, frame;
    if (d->m->cfg.residual) (void)nn_band_gather(r, &s->input, x, &input);
    if (y.first < y.end && nn_band_gather(r, &s->whole, y, &frame))
        decode_time(d, i, f, input, frame);
}

static void decode_level(Decoder *d, int i, Frames f, Band x)
{
    Run *r = d->r;
    const VaeLevel *l = &d->m->decoder.level[i];
    LevelState *s = &d->level[i];
    const BandStep up = { 3, 1, 2 };
    Band y = x, input = x;
    for (int j = 0; j < l->n_res; j++)
        y = wan_vae_coder_res(r, &l->res[j], &s->res[j], f, y);
    if (!run_ok(r)) return;
    if (y.end - y.first == y.height) run_tap(r, "vae.up", i, y.x);
    if (!l->resamples) {
        decode_next(d, i, f, y);
        return;
    }
    if (l->temporal && d->singly && f.first > 0) {
        decode_collected(d, i, f, x, y);
        return;
    }
    if (d->m->cfg.residual) {
        const int64_t low = nn_band_ready(up, y.first, y.height) / 2;
        input = nn_band_join(r, &s->shortcut, x, low);
        nn_band_keep(r, &s->shortcut, input, nn_band_ready(up, y.end, y.height) / 2,
                     (2 * l->n_res + 1) * CONV_BAND);
    }
    if (l->temporal)
        decode_time(d, i, f, input, y);
    else
        decode_up(d, i, f, y, &(Shortcut){ input, 1, 0, 0 });
}

static void decode_group(Decoder *d, Tensor latent, Frames f)
{
    Run *r = d->r;
    const WanVae *m = d->m;
    Tensor z = op_affine(r, latent, m->cfg.decode_mul, m->cfg.decode_add);
    Band x = nn_band_whole(r, nn_linear(r, z, &m->post_quant));
    x = nn_band_causal(r, &d->in, &m->decoder.in, f, x, NO_BAND);
    run_tap(r, "vae.decoder_in", f.first, x.x);
    x = wan_vae_coder_mid(r, &m->decoder, d->mid, f, x);
    run_tap(r, "vae.decoder_mid", f.first, x.x);
    for (int64_t y = 0, e; y < x.height && run_ok(r); y = e) {
        e = x.height - y > d->rows ? y + d->rows : x.height;
        decode_level(d, 0, f, nn_band_part(r, x, y, e));
    }
}

void wan_vae_decode(Run *r, const WanVae *m, Tensor latent, WanVaeFrame *frame, void *context)
{
    if (!run_ok(r)) return;
    const int64_t group = r->knobs.group_frames > 0 ? r->knobs.group_frames : 1;
    Frames f = { 0, 0, latent.shape.dim[0] };
    Decoder d = { .r = r, .m = m, .frame = frame, .context = context };
    d.rows = wan_vae_coder_rows(r);
    d.singly = r->knobs.group_frames <= 0;
    for (; f.first < f.total && run_ok(r); f.first += f.count) {
        f.count = f.total - f.first < group ? f.total - f.first : group;
        run_block(r);
        decode_group(&d, op_rows(r, latent, f.first, f.count), f);
    }
}
