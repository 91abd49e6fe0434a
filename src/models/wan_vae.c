/* wan_vae.c  The forward passes of the Wan video VAE, one frame at a time, depth first.
 *
 * Causal convolutions only look back, so a frame runs through all levels before the next one is
 * touched; above each temporal level a frame splits into two. The rules for the first frame are
 * those of the reference's chunked execution (spec/wan.md 4.2): time convolutions do not see it
 * going up and pass it through going down.
 * Letters: H W of the level, C channels; every tensor is one frame [1, H, W, C] unless said. */
#include "models/wan_vae.h"

typedef struct ResState {
    CausalPast conv1, conv2;
} ResState;

/* What a level remembers between frames. */
typedef struct LevelState {
    ResState res[VAE_MAX_RES];
    CausalPast time;
    int64_t n_frames;           /* seen so far */
    Tensor pending, pending_in; /* first of a pair going down: after the convolution, before it */
} LevelState;

typedef struct CoderState {
    CausalPast in, out;
    ResState mid[2];
    LevelState level[VAE_MAX_LEVELS];
} CoderState;

static Tensor res_block(Run *r, const VaeRes *b, Tensor x, ResState *s)
{
    Tensor y = op_l2_norm(r, x, b->norm1, ACT_SILU);
    y = nn_causal_conv(r, y, &b->conv1, &s->conv1);
    y = op_l2_norm(r, y, b->norm2, ACT_SILU);
    y = nn_causal_conv(r, y, &b->conv2, &s->conv2);
    Tensor h = b->has_shortcut ? nn_conv2d(r, x, &b->shortcut, 0, 1) : x;
    return op_add(r, y, h);
}

/* One head over the pixels of the frame. */
static Tensor attention(Run *r, const VaeAttention *a, Tensor x)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t pixels = tensor_rows(x), c = tensor_cols(x);
    Tensor rows = op_reshape(r, x, SHAPE(pixels, c));
    Tensor qkv = nn_linear(r, op_l2_norm(r, rows, a->norm, ACT_NONE), &a->qkv); /* [HW, 3C] */
    Tensor y =
        op_attention(r, (Heads){ qkv, 0 }, (Heads){ qkv, c }, (Heads){ qkv, 2 * c }, 1, c, NULL);
    y = op_add(r, nn_linear(r, y, &a->proj), rows);
    return op_reshape(r, y, x.shape);
}

static Tensor mid_block(Run *r, const VaeCoder *c, Tensor x, CoderState *s)
{
    x = res_block(r, &c->mid[0], x, &s->mid[0]);
    x = attention(r, &c->attention, x);
    return res_block(r, &c->mid[1], x, &s->mid[1]);
}

/* ---- decoding ------------------------------------------------------------------------------- */

typedef struct Decoder {
    Run *r;
    const WanVae *m;
    CoderState state;
    WanVaeFrame *frame;
    void *context;
    int64_t n_frames; /* handed out */
} Decoder;

static void decode_out(Decoder *d, Tensor x)
{
    Run *r = d->r;
    const VaeCoder *c = &d->m->decoder;
    const int p = d->m->cfg.patch;
    x = op_l2_norm(r, x, c->norm_out, ACT_SILU);
    x = nn_causal_conv(r, x, &c->out, &d->state.out); /* [1, H, W, 3 p^2] */
    if (p > 1 && run_ok(r)) {
        const TokenGrid grid = { 1, x.shape.dim[1], x.shape.dim[2] };
        x = op_unpatchify(r, op_reshape(r, x, SHAPE(tensor_rows(x), tensor_cols(x))), grid, 1, p, p,
                          PATCH_CTWH);
    }
    x = op_clamp(r, x, -1.0f, 1.0f);
    if (run_ok(r)) d->frame(d->context, r, d->n_frames++, x);
}

static void decode_level(Decoder *d, int i, Tensor x);

static void decode_next(Decoder *d, int i, Tensor x)
{
    if (i + 1 < d->m->cfg.levels)
        decode_level(d, i + 1, x);
    else
        decode_out(d, x);
}

static Tensor with_shortcut(Decoder *d, Tensor y, Tensor shortcut)
{
    return d->m->cfg.residual ? op_add(d->r, y, shortcut) : y;
}

/* One frame becomes two. */
static void decode_pair(Decoder *d, int i, Tensor x, Tensor y)
{
    Run *r = d->r;
    const VaeLevel *l = &d->m->decoder.level[i];
    LevelState *s = &d->state.level[i];
    y = nn_causal_conv(r, y, &l->time, &s->time); /* [1, H, W, 2C]: starts at the second frame */
    y = op_split_frames(r, y);                    /* [2, H, W, C] */
    Tensor shortcut = NO_TENSOR;
    if (d->m->cfg.residual) shortcut = op_dup_up(r, x, l->out, 2, 2, 0);
    for (int k = 0; k < 2 && run_ok(r); k++) {
        Tensor f = nn_conv2d(r, op_rows(r, y, k, 1), &l->conv, 1, 2);
        if (d->m->cfg.residual) f = op_add(r, f, op_rows(r, shortcut, k, 1));
        decode_next(d, i, f);
    }
}

static void decode_level(Decoder *d, int i, Tensor x)
{
    Run *r = d->r;
    const VaeLevel *l = &d->m->decoder.level[i];
    LevelState *s = &d->state.level[i];
    Tensor y = x;
    for (int j = 0; j < l->n_res; j++)
        y = res_block(r, &l->res[j], y, &s->res[j]);
    run_tap(r, "vae.up", i, y);
    if (!run_ok(r)) return;
    const bool first = s->n_frames++ == 0;
    if (!l->resamples) {
        decode_next(d, i, y);
        return;
    }
    if (l->temporal && !first) {
        decode_pair(d, i, x, y);
        return;
    }
    Tensor shortcut = NO_TENSOR;
    if (d->m->cfg.residual) /* of the first frame's pair only the later copy is kept */
        shortcut = op_dup_up(r, x, l->out, l->temporal ? 2 : 1, 2, l->temporal ? 1 : 0);
    decode_next(d, i, with_shortcut(d, nn_conv2d(r, y, &l->conv, 1, 2), shortcut));
}

void wan_vae_decode(Run *r, const WanVae *m, Tensor latent, WanVaeFrame *frame, void *context)
{
    Decoder d = { .r = r, .m = m, .frame = frame, .context = context };
    const int64_t frames = run_ok(r) ? latent.shape.dim[0] : 0;
    for (int64_t t = 0; t < frames && run_ok(r); t++) {
        run_block(r);
        Tensor z = op_affine(r, op_rows(r, latent, t, 1), m->cfg.decode_mul, m->cfg.decode_add);
        z = nn_linear(r, z, &m->post_quant);
        Tensor x = nn_causal_conv(r, z, &m->decoder.in, &d.state.in);
        run_tap(r, "vae.decoder_in", t, x);
        x = mid_block(r, &m->decoder, x, &d.state);
        run_tap(r, "vae.decoder_mid", t, x);
        decode_level(&d, 0, x);
    }
}

/* ---- encoding ------------------------------------------------------------------------------- */

typedef struct Encoder {
    Run *r;
    const WanVae *m;
    CoderState state;
    Tensor latent; /* [T, h, w, z], filled frame by frame */
    int64_t n_latents;
} Encoder;

static void encode_out(Encoder *e, Tensor x)
{
    Run *r = e->r;
    const VaeCoder *c = &e->m->encoder;
    const WanVaeConfig *cfg = &e->m->cfg;
    x = mid_block(r, c, x, &e->state);
    run_tap(r, "vae.encoder_mid", e->n_latents, x);
    x = op_l2_norm(r, x, c->norm_out, ACT_SILU);
    x = nn_causal_conv(r, x, &c->out, &e->state.out);
    Tensor mu =
        op_columns(r, nn_linear(r, x, &e->m->quant), 0, cfg->z); /* mean, then log variance */
    mu = op_affine(r, mu, cfg->encode_mul, cfg->encode_add);
    e->latent = op_write_rows(r, e->latent, e->n_latents++, mu);
}

static Tensor down_conv(Run *r, const VaeLevel *l, Tensor x)
{
    const ConvGeometry g = { .kt = 1,
                             .kh = 3,
                             .kw = 3,
                             .stride_t = 1,
                             .stride = 2,
                             .bottom = 1,
                             .right = 1,
                             .upsample = 1,
                             .groups = 1 };
    return op_conv(r, x, NULL, 0, l->conv.weight, l->conv.bias, &g);
}

/* Two frames become one: y is the second of its pair, s->pending the first. */
static Tensor encode_pair(Encoder *e, const VaeLevel *l, LevelState *s, Tensor y)
{
    const ConvGeometry g = { .kt = 3,
                             .kh = 1,
                             .kw = 1,
                             .stride_t = 1,
                             .stride = 1,
                             .upsample = 1,
                             .n_past = 2,
                             .groups = 1 };
    const Tensor past[2] = { s->time.frame[0], s->pending };
    Tensor out = op_conv(e->r, y, past, 2, l->time.weight, l->time.bias, &g);
    s->time.frame[0] = y;
    return out;
}

static void encode_level(Encoder *e, int i, Tensor x);

static void encode_next(Encoder *e, int i, Tensor x)
{
    run_tap(e->r, "vae.down", i, x);
    if (!run_ok(e->r)) return;
    if (i + 1 < e->m->cfg.levels)
        encode_level(e, i + 1, x);
    else
        encode_out(e, x);
}

/* The level's input x (and the one before it in a pair) brought to the output's size. */
static Tensor down_shortcut(Encoder *e, const VaeLevel *l, const LevelState *s, Tensor x, bool pair)
{
    const Tensor both[2] = { s->pending_in, x };
    if (pair) x = op_stack(e->r, 2, both);
    return op_avg_down(e->r, x, l->out, l->temporal ? 2 : 1, l->resamples ? 2 : 1);
}

static void encode_level(Encoder *e, int i, Tensor x)
{
    Run *r = e->r;
    const VaeLevel *l = &e->m->encoder.level[i];
    LevelState *s = &e->state.level[i];
    Tensor y = x;
    for (int j = 0; j < l->n_res; j++)
        y = res_block(r, &l->res[j], y, &s->res[j]);
    if (l->resamples) y = down_conv(r, l, y);
    const int64_t seen = s->n_frames++;
    bool pair = false;
    if (l->temporal && seen == 0)
        s->time.frame[0] = y; /* the first frame passes through */
    else if (l->temporal && seen % 2 == 1) {
        s->pending = y;
        s->pending_in = x;
        return;
    } else if (l->temporal) {
        y = encode_pair(e, l, s, y);
        pair = true;
    }
    if (e->m->cfg.residual) y = op_add(r, y, down_shortcut(e, l, s, x, pair));
    encode_next(e, i, y);
}

Tensor wan_vae_encode(Run *r, const WanVae *m, int64_t n_frames, WanVaeSource *source,
                      void *context)
{
    const WanVaeConfig *cfg = &m->cfg;
    Encoder e = { .r = r, .m = m };
    for (int64_t f = 0; f < n_frames && run_ok(r); f++) {
        run_block(r);
        Tensor x = source(context, r, f);
        if (!run_ok(r)) break;
        if (f == 0)
            e.latent = op_blank(r, SHAPE((n_frames - 1) / cfg->time_factor + 1,
                                         x.shape.dim[1] / cfg->space_factor,
                                         x.shape.dim[2] / cfg->space_factor, cfg->z));
        if (cfg->patch > 1) {
            const int64_t h = x.shape.dim[1] / cfg->patch, w = x.shape.dim[2] / cfg->patch;
            x = op_patchify(r, x, 1, cfg->patch, cfg->patch, PATCH_CTWH);
            x = op_reshape(r, x, SHAPE(1, h, w, cfg->in_channels));
        }
        x = nn_causal_conv(r, x, &m->encoder.in, &e.state.in);
        run_tap(r, "vae.encoder_in", f, x);
        if (run_ok(r)) encode_level(&e, 0, x);
    }
    return run_ok(r) ? e.latent : NO_TENSOR;
}
