/* autoencoder_kl.c  The forward passes of the image VAE, layer by layer, in bands of rows.
 *
 * A group norm looks at the whole image before it gives its first value, so a picture cannot run
 * through all layers band by band as a video frame does. Each layer's result is kept whole, with the
 * moments of its rows; norm, activation and convolution then go over it in bands, and only
 * a band of what lies between them exists. A residual block ends in the place of its input.
 * Letters: H W of the level, C channels.
 * Traps (docs/MODELS.md): going down the zero row and column are at the right and the bottom only;
 * eps is 1e-6; one head over all channels in the middle; the latent is scaled after the shift. */
#include "models/autoencoder_kl.h"

static const float EPS = 1e-6f;

typedef enum Resample { SAME, UP, DOWN } Resample;

/** One layer: norm and SiLU (where there is a norm), convolution, what is added. */
typedef struct Layer {
    Tensor x;           /* [1, H, W, C] */
    const KlNorm *norm; /* or NULL */
    Tensor moments;     /* of x, with a norm */
    const Conv *conv;
    Resample resample;
    Tensor skip;          /* added to the result, or NO_TENSOR */
    const Conv *shortcut; /* 1x1, of `skip` first; or NULL */
} Layer;

/* ---- rows of pictures ----------------------------------------------------------------------- */

static Tensor picture_rows(Run *r, Tensor x, int64_t first, int64_t end)
{
    if (!run_ok(r) || (first == 0 && end == x.shape.dim[1])) return x;
    const int64_t h = x.shape.dim[1], w = x.shape.dim[2], c = x.shape.dim[3];
    Tensor rows = op_rows(r, op_reshape(r, x, SHAPE(h, w * c)), first, end - first);
    return op_reshape(r, rows, SHAPE(1, end - first, w, c));
}

static Tensor write_picture_rows(Run *r, Tensor x, int64_t first, Tensor rows)
{
    if (!run_ok(r)) return NO_TENSOR;
    const Shape shape = x.shape;
    const int64_t row = shape.dim[2] * shape.dim[3];
    x = op_write_rows(r, op_reshape(r, x, SHAPE(shape.dim[1], row)), first,
                      op_reshape(r, rows, SHAPE(rows.shape.dim[1], row)));
    return op_reshape(r, x, shape);
}

/* Rows of a band: the plan's number, in whole blocks of the convolutions. */
static int64_t band_rows(const Run *r, int64_t height)
{
    const int64_t rows = (r->knobs.band_rows + CONV_BAND - 1) / CONV_BAND * CONV_BAND;
    return rows > 0 && rows < height ? rows : height;
}

static Tensor moments_of(Run *r, const AutoencoderKl *m, Tensor x)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t h = x.shape.dim[1], band = band_rows(r, h);
    if (band == h) return op_group_moments(r, x, m->cfg.groups);
    Tensor all = op_blank(r, SHAPE(h, m->cfg.groups, 2));
    for (int64_t y = 0; y < h && run_ok(r); y += band) {
        Tensor rows = picture_rows(r, x, y, y + band < h ? y + band : h);
        all = op_write_rows(r, all, y, op_group_moments(r, rows, m->cfg.groups));
    }
    return all;
}

/* ---- a layer -------------------------------------------------------------------------------- */

static int64_t result_rows(const Layer *l)
{
    const int64_t h = l->x.shape.dim[1];
    return l->resample == UP ? 2 * h : l->resample == DOWN ? h / 2 : h;
}

/* Geometry of result rows y0 .. y1 - 1, and the rows of x they take: *first .. *end - 1. */
static ConvGeometry band_geometry(const Layer *l, int64_t y0, int64_t y1, int64_t *first,
                                  int64_t *end)
{
    const int up = l->resample == UP ? 2 : 1, stride = l->resample == DOWN ? 2 : 1;
    const int kernel = l->conv->kh, pad = l->resample == DOWN ? 0 : kernel / 2;
    const int64_t h = l->x.shape.dim[1];
    const int64_t low = stride * y0 - pad, high = stride * (y1 - 1) - pad + kernel; /* of up * h */
    *first = low < 0 ? 0 : low / up;
    *end = (high + up - 1) / up < h ? (high + up - 1) / up : h;
    return (ConvGeometry){ .kt = 1,
                           .kh = kernel,
                           .kw = kernel,
                           .stride_t = 1,
                           .stride = stride,
                           .top = (int)(up * *first - low),
                           .bottom = (int)(high - up * *end),
                           .left = pad,
                           .right = l->resample == DOWN ? 1 : pad,
                           .upsample = up,
                           .groups = 1,
                           .image_h = result_rows(l),
                           .image_w = l->resample == UP     ? 2 * l->x.shape.dim[2]
                                      : l->resample == DOWN ? l->x.shape.dim[2] / 2
                                                            : l->x.shape.dim[2] };
}

static Tensor skip_rows(Run *r, const Layer *l, int64_t y0, int64_t y1)
{
    if (!tensor_exists(l->skip)) return NO_TENSOR;
    Tensor rows = picture_rows(r, l->skip, y0, y1);
    if (!l->shortcut) return rows;
    int64_t first, end;
    const Layer point = { .x = l->skip, .conv = l->shortcut };
    const ConvGeometry g = band_geometry(&point, y0, y1, &first, &end);
    return op_conv(r, rows, NULL, 0, l->shortcut->weight, l->shortcut->bias, &g);
}

static Tensor layer_rows(Run *r, const Layer *l, int64_t y0, int64_t y1)
{
    int64_t first, end;
    const ConvGeometry g = band_geometry(l, y0, y1, &first, &end);
    Tensor skip = skip_rows(r, l, y0, y1);
    Tensor rows = picture_rows(r, l->x, first, end);
    if (l->norm)
        rows = op_group_norm(r, rows, l->moments, l->norm->weight, l->norm->bias, EPS, ACT_SILU);
    return op_conv_add(r, rows, NULL, 0, l->conv->weight, l->conv->bias, &g, skip);
}

static Tensor run_layer(Run *r, const Layer *l)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t h = result_rows(l), band = band_rows(r, h);
    if (band == h) return layer_rows(r, l, 0, h);
    const int64_t w = l->resample == UP     ? 2 * l->x.shape.dim[2]
                      : l->resample == DOWN ? l->x.shape.dim[2] / 2
                                            : l->x.shape.dim[2];
    /* rows that were added are not needed again: the result may lie in their place */
    Tensor y = tensor_exists(l->skip) && !l->shortcut
                   ? l->skip
                   : op_blank(r, SHAPE(1, h, w, l->conv->weight->shape.dim[0]));
    for (int64_t y0 = 0; y0 < h && run_ok(r); y0 += band)
        y = write_picture_rows(r, y, y0, layer_rows(r, l, y0, y0 + band < h ? y0 + band : h));
    return y;
}

/* ---- blocks --------------------------------------------------------------------------------- */

static Tensor convolve(Run *r, const Conv *conv, Tensor x, Resample resample)
{
    return run_layer(r, &(Layer){ .x = x, .conv = conv, .resample = resample, .skip = NO_TENSOR });
}

static Tensor normed_convolve(Run *r, const AutoencoderKl *m, const KlNorm *norm, const Conv *conv,
                              Tensor x)
{
    const Layer l = {
        .x = x, .norm = norm, .moments = moments_of(r, m, x), .conv = conv, .skip = NO_TENSOR
    };
    return run_layer(r, &l);
}

static Tensor res_block(Run *r, const AutoencoderKl *m, const KlRes *b, Tensor x)
{
    run_block(r);
    Tensor y = normed_convolve(r, m, &b->norm1, &b->conv1, x);
    const Layer second = { .x = y,
                           .norm = &b->norm2,
                           .moments = moments_of(r, m, y),
                           .conv = &b->conv2,
                           .skip = x,
                           .shortcut = b->has_shortcut ? &b->shortcut : NULL };
    return run_layer(r, &second);
}

/* One head over all pixels. */
static Tensor attention(Run *r, const AutoencoderKl *m, const KlAttention *a, Tensor x)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t pixels = tensor_rows(x), c = tensor_cols(x);
    Tensor n =
        op_group_norm(r, x, moments_of(r, m, x), a->norm.weight, a->norm.bias, EPS, ACT_NONE);
    n = op_reshape(r, n, SHAPE(pixels, c));
    const Heads q = { nn_linear(r, n, &a->q), 0 }, k = { nn_linear(r, n, &a->k), 0 },
                v = { nn_linear(r, n, &a->v), 0 };
    Tensor y = nn_linear(r, op_attention(r, q, k, v, 1, c, NULL), &a->o); /* [HW, C] */
    return op_reshape(r, op_add(r, op_reshape(r, x, SHAPE(pixels, c)), y), x.shape);
}

static Tensor middle(Run *r, const AutoencoderKl *m, const KlCoder *k, Tensor x)
{
    x = res_block(r, m, &k->mid[0], x);
    run_block(r);
    if (m->cfg.attention) x = attention(r, m, &k->attention, x);
    return res_block(r, m, &k->mid[1], x);
}

static Tensor level(Run *r, const AutoencoderKl *m, const KlLevel *l, Tensor x, Resample resample)
{
    for (int j = 0; j < l->n_res; j++)
        x = res_block(r, m, &l->res[j], x);
    run_block(r);
    return l->resamples ? convolve(r, &l->resample, x, resample) : x;
}

/* ---- encoding and decoding ------------------------------------------------------------------ */

static bool sides_fit(Run *r, const AutoencoderKl *m, Tensor picture)
{
    if (!run_ok(r)) return false;
    const int f = autoencoder_kl_factor(&m->cfg);
    if (picture.shape.dim[1] % f == 0 && picture.shape.dim[2] % f == 0) return true;
    (void)run_fail(r, SNUG_ERR_INTERNAL, "a picture of %lldx%lld for a VAE of blocks of %d",
                   (long long)picture.shape.dim[2], (long long)picture.shape.dim[1], f);
    return false;
}

Tensor autoencoder_kl_encode(Run *r, const AutoencoderKl *m, Tensor picture)
{
    const KlCoder *k = &m->encoder;
    if (!sides_fit(r, m, picture)) return NO_TENSOR;
    Tensor x = convolve(r, &k->in, picture, SAME);
    run_tap(r, "kl.encoder.in", 0, x);
    for (int i = 0; i < m->cfg.levels; i++) {
        x = level(r, m, &k->level[i], x, DOWN);
        run_tap(r, "kl.encoder.down", i, x);
    }
    x = middle(r, m, k, x);
    run_tap(r, "kl.encoder.mid", 0, x);
    x = normed_convolve(r, m, &k->norm_out, &k->out, x);
    return m->cfg.quant ? convolve(r, &m->quant, x, SAME) : x; /* [1, h, w, 2 z] */
}

Tensor autoencoder_kl_mean(Run *r, const AutoencoderKl *m, Tensor moments)
{
    return op_affine(r, op_columns(r, moments, 0, m->cfg.z), m->mul_in, m->add_in);
}

Tensor autoencoder_kl_sample(Run *r, const AutoencoderKl *m, Tensor moments, Tensor noise)
{
    const float half = 0.5f, one[2] = { 1.0f, 1.0f };
    Tensor mean = op_columns(r, moments, 0, m->cfg.z);
    Tensor s = op_clamp(r, op_columns(r, moments, m->cfg.z, m->cfg.z), -30.0f, 20.0f);
    s = op_activation(r, op_combine(r, 1, &half, &s), ACT_EXP); /* standard deviation */
    const Tensor both[2] = { mean, op_gated_activation(r, s, noise, ACT_NONE) };
    return op_affine(r, op_combine(r, 2, one, both), m->mul_in, m->add_in);
}

Tensor autoencoder_kl_decode(Run *r, const AutoencoderKl *m, Tensor latent)
{
    const KlCoder *k = &m->decoder;
    Tensor x = op_affine(r, latent, m->mul_out, m->add_out);
    if (m->cfg.post_quant) x = convolve(r, &m->post_quant, x, SAME);
    x = convolve(r, &k->in, x, SAME);
    run_tap(r, "kl.decoder.in", 0, x);
    x = middle(r, m, k, x);
    run_tap(r, "kl.decoder.mid", 0, x);
    for (int i = 0; i < m->cfg.levels; i++) {
        x = level(r, m, &k->level[i], x, UP);
        run_tap(r, "kl.decoder.up", i, x);
    }
    return normed_convolve(r, m, &k->norm_out, &k->out, x); /* [1, H, W, 3] */
}
