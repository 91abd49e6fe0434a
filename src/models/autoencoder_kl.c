/* autoencoder_kl.c  The forward passes of the image VAE, layer by layer, in bands of rows
 * (nn/picture.h). A residual block ends in the place of its input.
 * Letters: H W of the level, C channels.
 * Traps (docs/MODELS.md): going down the zero row and column are at the right and the bottom only;
 * eps is 1e-6; one head over all channels in the middle; the latent is scaled after the shift. */
#include "models/autoencoder_kl.h"

static const float EPS = 1e-6f;

/* ---- blocks --------------------------------------------------------------------------------- */

static Tensor res_block(Run *r, const AutoencoderKl *m, const KlRes *b, Tensor x)
{
    run_block(r);
    Tensor y = nn_picture_normed_conv(r, &b->norm1, m->cfg.groups, EPS, &b->conv1, x);
    const PictureLayer second = { .x = y,
                                  .norm = &b->norm2,
                                  .moments = nn_picture_moments(r, y, m->cfg.groups),
                                  .eps = EPS,
                                  .conv = &b->conv2,
                                  .skip = x,
                                  .shortcut = b->has_shortcut ? &b->shortcut : NULL };
    return nn_picture_layer(r, &second);
}

/* One head over all pixels. */
static Tensor attention(Run *r, const AutoencoderKl *m, const KlAttention *a, Tensor x)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t pixels = tensor_rows(x), c = tensor_cols(x);
    Tensor n = op_group_norm(r, x, nn_picture_moments(r, x, m->cfg.groups), a->norm.weight,
                             a->norm.bias, EPS, ACT_NONE);
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

static Tensor level(Run *r, const AutoencoderKl *m, const KlLevel *l, Tensor x, PictureStep step)
{
    for (int j = 0; j < l->n_res; j++)
        x = res_block(r, m, &l->res[j], x);
    run_block(r);
    return l->resamples ? nn_picture_conv(r, &l->resample, x, step) : x;
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
    Tensor x = nn_picture_conv(r, &k->in, picture, PICTURE_SAME);
    run_tap(r, "kl.encoder.in", 0, x);
    for (int i = 0; i < m->cfg.levels; i++) {
        x = level(r, m, &k->level[i], x, PICTURE_DOWN);
        run_tap(r, "kl.encoder.down", i, x);
    }
    x = middle(r, m, k, x);
    run_tap(r, "kl.encoder.mid", 0, x);
    x = nn_picture_normed_conv(r, &k->norm_out, m->cfg.groups, EPS, &k->out, x);
    return m->cfg.quant ? nn_picture_conv(r, &m->quant, x, PICTURE_SAME) : x; /* [1, h, w, 2 z] */
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
    if (m->cfg.post_quant) x = nn_picture_conv(r, &m->post_quant, x, PICTURE_SAME);
    x = nn_picture_conv(r, &k->in, x, PICTURE_SAME);
    run_tap(r, "kl.decoder.in", 0, x);
    x = middle(r, m, k, x);
    run_tap(r, "kl.decoder.mid", 0, x);
    for (int i = 0; i < m->cfg.levels; i++) {
        x = level(r, m, &k->level[i], x, PICTURE_UP);
        run_tap(r, "kl.decoder.up", i, x);
    }
    return nn_picture_normed_conv(r, &k->norm_out, m->cfg.groups, EPS, &k->out,
                                  x); /* [1, H, W, 3] */
}
