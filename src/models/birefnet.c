/* birefnet.c  A Swin backbone at two sizes, and a decoder that sees pieces of the picture at each level.
 *
 * Letters: H W of the picture, h w of a level, C its channels.
 * Traps (docs/MODELS.md): corners are aligned in every resizing; the half-size picture is made of the
 * normalised one; pieces of the picture are blocks of it, not every n-th pixel; offsets are down,
 * then right; factors are twice a sigmoid; no activation ends a decoder block or stands between
 * the two convolutions of the pieces; the gates work at inference, too. */
#include "models/birefnet.h"

static const float EPS = 1e-5f;

/* What the deformable branches unfold at once [floats], and rows of the last level. */
enum { COLUMNS = 4 << 20 };

static Tensor conv_norm(Run *r, const Conv *c, const BatchStatistics *norm, Tensor x,
                        Activation act)
{
    return op_batch_norm(r, nn_picture_conv(r, c, x, PICTURE_SAME), *norm, EPS, act);
}

static Tensor resize(Run *r, Tensor x, int64_t h, int64_t w)
{
    if (!run_ok(r) || (x.shape.dim[1] == h && x.shape.dim[2] == w)) return x;
    return op_resize(r, x, h, w, 0, h);
}

/* Rows of a picture as a picture. */
static Tensor rows_of(Run *r, Tensor x, int64_t first, int64_t count)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t w = x.shape.dim[2], c = x.shape.dim[3];
    x = op_rows(r, op_reshape(r, x, SHAPE(x.shape.dim[1], w * c)), first, count);
    return op_reshape(r, x, SHAPE(1, count, w, c));
}

/* ---- decoder block -------------------------------------------------------------------------- */

/** Where each branch looks: whole maps. */
typedef struct Looks {
    Tensor offset, factor; /* [1, h, w, 2 k k], [1, h, w, k k] */
} Looks;

static Looks look(Run *r, const BirefnetDeform *d, Tensor x)
{
    const float two = 2.0f;
    Tensor f = nn_picture_conv(r, &d->factor, x, PICTURE_SAME);
    f = op_activation(r, f, ACT_SIGMOID);
    return (Looks){ nn_picture_conv(r, &d->offset, x, PICTURE_SAME), op_combine(r, 1, &two, &f) };
}

/* `count` rows of what all branches see, joined: [count w, inner]. `mean`: [1, 1, 1, branch]. */
static Tensor join_rows(Run *r, const BirefnetBlock *b, Tensor x, const Looks *looks, Tensor mean,
                        int64_t first, int64_t count)
{
    Tensor seen[BIREFNET_BRANCHES + 1];
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t w = x.shape.dim[2];
    for (int i = 0; i < BIREFNET_BRANCHES; i++) {
        const BirefnetDeform *d = &b->branch[i];
        Tensor columns =
            op_deform_columns(r, x, rows_of(r, looks[i].offset, first, count),
                              rows_of(r, looks[i].factor, first, count), d->kernel, first);
        seen[i] = op_batch_norm(r, op_linear(r, columns, d->weight, NULL, ACT_NONE), d->norm, EPS,
                                ACT_RELU);
    }
    mean = op_resize(r, mean, count, w, 0, count); /* the same everywhere */
    seen[BIREFNET_BRANCHES] = op_reshape(r, mean, SHAPE(count * w, tensor_cols(mean)));
    Tensor y = nn_linear(r, op_concat(r, BIREFNET_BRANCHES + 1, seen), &b->join);
    return op_batch_norm(r, y, b->norm_join, EPS, ACT_RELU);
}

/* What all pixels have in common. */
static Tensor pooled(Run *r, const BirefnetBlock *b, Tensor x)
{
    Tensor y = op_batch_norm(r, nn_linear(r, op_mean(r, x), &b->pool), b->norm_pool, EPS, ACT_RELU);
    return run_ok(r) ? op_reshape(r, y, SHAPE(1, 1, 1, tensor_cols(y))) : NO_TENSOR;
}

static Tensor see_around(Run *r, const BirefnetBlock *b, Tensor x)
{
    Looks looks[BIREFNET_BRANCHES];
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t h = x.shape.dim[1], w = x.shape.dim[2], c = x.shape.dim[3];
    const int k = b->branch[BIREFNET_BRANCHES - 1].kernel;
    int64_t band = COLUMNS / (w * c * k * k);
    if (band < 1) band = 1;
    for (int i = 0; i < BIREFNET_BRANCHES; i++)
        looks[i] = look(r, &b->branch[i], x);
    const Tensor mean = pooled(r, b, x);
    if (band >= h) return op_reshape(r, join_rows(r, b, x, looks, mean, 0, h), x.shape);
    Tensor y = op_blank(r, SHAPE(h * w, c));
    for (int64_t row = 0; row < h && run_ok(r); row += band) {
        const int64_t n = h - row < band ? h - row : band;
        run_block(r);
        y = op_write_rows(r, y, row * w, join_rows(r, b, x, looks, mean, row, n));
    }
    run_block(r);
    return op_reshape(r, y, x.shape);
}

static Tensor decoder_block(Run *r, const BirefnetBlock *b, Tensor x)
{
    run_block(r);
    Tensor y = see_around(r, b, conv_norm(r, &b->in, &b->norm_in, x, ACT_RELU));
    return conv_norm(r, &b->out, &b->norm_out, y, ACT_NONE);
}

/* x, dimmed where the gate says so. */
static Tensor gated(Run *r, const BirefnetGate *g, Tensor x)
{
    Tensor a = conv_norm(r, &g->conv, &g->norm, x, ACT_RELU);
    a = op_activation(r, nn_picture_conv(r, &g->attention, a, PICTURE_SAME), ACT_SIGMOID);
    return op_scale_rows(r, x, a);
}

/* ---- pieces of the picture ------------------------------------------------------------------ */

/* A grid of pieces of h x w pixels, each a channel by colour: [1, h, w, 3 grid_h grid_w]. */
static Tensor pieces(Run *r, const Birefnet *m, Tensor picture, int64_t h, int64_t w)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t down = picture.shape.dim[1] / h, across = picture.shape.dim[2] / w;
    const PatchOrder order = m->patches == BIREFNET_PATCHES_HF
                                 ? PATCH_CTHW /* rows behind colours, columns behind both */
                                 : PATCH_THWC;
    if (down == 1 && across == 1) return picture;
    Tensor x = op_reshape(r, picture, SHAPE(down, h, across * w, 3));
    x = op_patchify(r, x, (int)down, 1, 1, order); /* [h across w, 3 down] */
    x = op_reshape(r, x, SHAPE(h * across, 1, w, 3 * down));
    x = op_patchify(r, x, (int)across, 1, 1, order); /* [h w, 3 down across] */
    return op_reshape(r, x, SHAPE(1, h, w, 3 * down * across));
}

/* x with the picture's pieces beside it; level 0 is the innermost. */
static Tensor with_pieces(Run *r, const Birefnet *m, int level, Tensor x, Tensor picture)
{
    if (!run_ok(r)) return NO_TENSOR;
    Tensor p = pieces(r, m, picture, x.shape.dim[1], x.shape.dim[2]);
    p = nn_picture_conv(r, &m->patch1[level], p, PICTURE_SAME);
    const Tensor both[2] = { x, nn_picture_conv(r, &m->patch2[level], p, PICTURE_SAME) };
    return op_concat(r, 2, both);
}

/* ---- encoder -------------------------------------------------------------------------------- */

static Tensor beside(Run *r, Tensor x, Tensor y)
{
    const Tensor both[2] = { x, resize(r, y, x.shape.dim[1], x.shape.dim[2]) };
    return op_concat(r, 2, both);
}

/* Features of both sizes of the picture side by side. */
static void encode(Run *r, const Birefnet *m, Tensor picture, Tensor out[SWIN_STAGES])
{
    Tensor features[2][SWIN_STAGES];
    if (!run_ok(r)) return;
    const int64_t h = picture.shape.dim[1], w = picture.shape.dim[2];
    const Tensor sizes[2] = { picture, op_resize(r, picture, h / 2, w / 2, 0, h / 2) };
    if (r->knobs.lock_step)
        swin_forward(r, &m->backbone, 2, sizes, features);
    else
        for (int k = 1; k >= 0; k--) /* what is kept of the small one is less */
            swin_forward(r, &m->backbone, 1, sizes + k, features + k);
    run_block(r);
    for (int i = 0; i < SWIN_STAGES && run_ok(r); i++) {
        out[i] = beside(r, features[0][i], features[1][i]);
        run_tap(r, "birefnet.features", i, out[i]);
    }
}

static Tensor squeeze(Run *r, const Birefnet *m, const Tensor x[SWIN_STAGES])
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t h = x[3].shape.dim[1], w = x[3].shape.dim[2];
    Tensor all[SWIN_STAGES];
    for (int i = 0; i < SWIN_STAGES; i++)
        all[i] = resize(r, x[i], h, w);
    return decoder_block(r, &m->squeeze, op_concat(r, SWIN_STAGES, all));
}

/* ---- the last level ------------------------------------------------------------------------- */

/* Rows y0 .. y1 - 1 of a 3x3 convolution; x: rows from `first` of a picture `height` rows high. */
static Tensor conv_rows(Run *r, const Conv *c, Tensor x, int64_t first, int64_t y0, int64_t y1,
                        int64_t height)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t low = y0 ? y0 - 1 : 0, high = y1 < height ? y1 + 1 : height;
    const ConvGeometry g = { .kt = 1,
                             .kh = 3,
                             .kw = 3,
                             .stride_t = 1,
                             .stride = 1,
                             .top = y0 == 0,
                             .bottom = y1 == height,
                             .left = 1,
                             .right = 1,
                             .upsample = 1,
                             .groups = 1,
                             .image_h = height,
                             .image_w = x.shape.dim[2] };
    return op_conv(r, rows_of(r, x, low - first, high - low), NULL, 0, c->weight, c->bias, &g);
}

/* Rows y0 .. y1 - 1 of the logits, [rows W, 1]: the decoder's map enlarged, beside the picture. */
static Tensor out_rows(Run *r, const Birefnet *m, Tensor x, Tensor picture, int64_t y0, int64_t y1)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int last = BIREFNET_LEVELS - 1;
    const int64_t h = picture.shape.dim[1], w = picture.shape.dim[2];
    const int64_t low = y0 ? y0 - CONV_BAND : 0, high = y1 < h ? y1 + CONV_BAND : h;
    Tensor p = conv_rows(r, &m->patch1[last], picture, 0, low, high < h ? high : h, h);
    p = conv_rows(r, &m->patch2[last], p, low, y0, y1, h);
    const Tensor both[2] = { op_resize(r, x, h, w, y0, y1 - y0), p };
    Tensor y = op_concat(r, 2, both);
    if (!run_ok(r)) return NO_TENSOR;
    return nn_linear(r, op_reshape(r, y, SHAPE((y1 - y0) * w, tensor_cols(y))), &m->out);
}

static Tensor finish(Run *r, const Birefnet *m, Tensor x, Tensor picture)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t h = picture.shape.dim[1], w = picture.shape.dim[2];
    int64_t band = COLUMNS / (w * (tensor_cols(x) + 64)) / CONV_BAND * CONV_BAND;
    if (band < CONV_BAND) band = CONV_BAND;
    Tensor y = op_blank(r, SHAPE(h * w, 1));
    for (int64_t y0 = 0; y0 < h && run_ok(r); y0 += band) {
        const int64_t y1 = y0 + band < h ? y0 + band : h;
        run_block(r);
        y = op_write_rows(r, y, y0 * w, out_rows(r, m, x, picture, y0, y1));
    }
    run_block(r);
    return op_reshape(r, y, SHAPE(1, h, w, 1));
}

/* ---- forward -------------------------------------------------------------------------------- */

Tensor birefnet_forward(Run *r, const Birefnet *m, Tensor picture)
{
    Tensor x[SWIN_STAGES];
    if (!run_ok(r)) return NO_TENSOR;
    if (picture.shape.dim[1] % BIREFNET_GRID || picture.shape.dim[2] % BIREFNET_GRID)
        return run_fail(r, SNUG_ERR_INTERNAL, "a picture of %lldx%lld, not multiples of %d",
                        (long long)picture.shape.dim[2], (long long)picture.shape.dim[1],
                        BIREFNET_GRID);
    encode(r, m, picture, x);
    Tensor u = squeeze(r, m, x);
    run_tap(r, "birefnet.squeeze", 0, u);
    for (int i = 0; i < 4 && run_ok(r); i++) {
        Tensor p = decoder_block(r, &m->block[i], with_pieces(r, m, i, u, picture));
        run_tap(r, "birefnet.decoder", i, p);
        if (i == 3) {
            u = p;
            break;
        }
        const Tensor side = nn_picture_conv(r, &m->lateral[i], x[2 - i], PICTURE_SAME);
        if (!run_ok(r)) break;
        p = resize(r, gated(r, &m->gate[i], p), side.shape.dim[1], side.shape.dim[2]);
        u = op_add(r, p, side);
    }
    return finish(r, m, u, picture);
}
