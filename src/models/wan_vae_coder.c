/* wan_vae_coder.c  The blocks of the Wan VAE on bands of rows. */
#include "models/wan_vae_coder.h"

int64_t wan_vae_coder_rows(const Run *r)
{
    const int64_t rows = r->knobs.band_rows;
    if (rows <= 0 || rows > INT64_MAX / 2) return INT64_MAX / 2;
    return (rows + CONV_BAND - 1) / CONV_BAND * CONV_BAND;
}

int64_t wan_vae_coder_ready(int n_blocks, int64_t in_end, int64_t height)
{
    for (int i = 0; i < 2 * n_blocks; i++)
        in_end = nn_band_ready(band_same(), in_end, height);
    return in_end;
}

Band wan_vae_coder_res(Run *r, const VaeRes *b, VaeResState *s, Frames f, Band x)
{
    const int64_t first = wan_vae_coder_ready(1, x.first, x.height);
    const int64_t end = wan_vae_coder_ready(1, x.end, x.height);
    Band y = x, skip = NO_BAND;
    if (x.first == x.end) return (Band){ NO_TENSOR, first, end, x.height };
    y.x = op_l2_norm(r, x.x, b->norm1, ACT_SILU);
    y = nn_band_causal(r, &s->conv1, &b->conv1, f, y, NO_BAND);
    const Band all = nn_band_join(r, &s->skip, x, first);
    nn_band_keep(r, &s->skip, all, end, 2 * CONV_BAND);
    if (first < end) {
        skip = nn_band_part(r, all, first, end);
        if (b->has_shortcut) skip.x = nn_conv2d(r, skip.x, &b->shortcut, 0, 1);
    }
    if (y.first == y.end) return (Band){ NO_TENSOR, first, end, x.height };
    y.x = op_l2_norm(r, y.x, b->norm2, ACT_SILU);
    return nn_band_causal(r, &s->conv2, &b->conv2, f, y, skip);
}

/* One head over the pixels of a frame: rows [H W, C]. */
static Tensor attend(Run *r, const VaeAttention *a, Tensor rows)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t c = tensor_cols(rows);
    Tensor qkv = nn_linear(r, op_l2_norm(r, rows, a->norm, ACT_NONE), &a->qkv); /* [HW, 3C] */
    Tensor y =
        op_attention(r, (Heads){ qkv, 0 }, (Heads){ qkv, c }, (Heads){ qkv, 2 * c }, 1, c, NULL);
    return op_add(r, nn_linear(r, y, &a->proj), rows);
}

static Tensor attention(Run *r, const VaeAttention *a, Tensor x)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t frames = x.shape.dim[0], pixels = tensor_rows(x) / frames, c = tensor_cols(x);
    const Tensor rows = op_reshape(r, x, SHAPE(frames * pixels, c));
    if (frames == 1) return op_reshape(r, attend(r, a, rows), x.shape);
    Tensor y = op_blank(r, SHAPE(frames * pixels, c));
    for (int64_t f = 0; f < frames && run_ok(r); f++)
        y = op_write_rows(r, y, f * pixels, attend(r, a, op_rows(r, rows, f * pixels, pixels)));
    return op_reshape(r, y, x.shape);
}

Band wan_vae_coder_mid(Run *r, const VaeCoder *c, VaeResState s[2], Frames f, Band x)
{
    x = wan_vae_coder_res(r, &c->mid[0], &s[0], f, x);
    x.x = attention(r, &c->attention, x.x);
    return wan_vae_coder_res(r, &c->mid[1], &s[1], f, x);
}
