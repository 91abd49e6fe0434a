/* wan_dit_camera.c  The camera networks of the Wan transformer.
 *
 * LingBot-World (github Robbyant/lingbot-world 6ca87d4, wan/modules/model.py): features of a token
 * become a row P of width C; each block makes scale and shift of it and applies them between
 * self-attention and prompt. Nothing of it depends on timestep, prompt or latent.
 * Wan-Fun (github aigc-apps/VideoX-Fun, videox_fun/models/wan_camera_adapter.py): patches of the
 * features go through one residual block of 3 x 3 convolutions, frame by frame, and are added to
 * the patches of the latent.
 * Both are the same rows whether they are kept or made again: the plan chooses. */
#include "models/wan_dit.h"

static Tensor embed(Run *r, const WanDit *m, const WanScene *s, int64_t first, int64_t count)
{
    Tensor x = s->camera_rows(s->camera_context, r, first, count); /* [count, features] */
    x = nn_linear(r, x, &m->camera_patch);                         /* [count, C] */
    const Tensor h = nn_linear_act(r, x, &m->camera_mid1, ACT_SILU);
    return op_add(r, x, nn_linear(r, h, &m->camera_mid2));
}

Tensor wan_dit_camera_rows(Run *r, const WanDit *m, const WanScene *s, int64_t first, int64_t count)
{
    if (tensor_exists(s->camera)) return op_rows(r, s->camera, first, count);
    return embed(r, m, s, first, count);
}

void wan_dit_camera_keep(Run *r, const WanDit *m, WanScene *s, int64_t tokens, int64_t chunk)
{
    if (!r->knobs.keep_camera || tensor_exists(s->camera)) return;
    if (chunk >= tokens) {
        s->camera = embed(r, m, s, 0, tokens);
        return;
    }
    s->camera = op_blank(r, SHAPE(tokens, m->cfg.heads * m->cfg.head_dim));
    for (int64_t first = 0; first < tokens && run_ok(r); first += chunk) {
        const int64_t n = tokens - first < chunk ? tokens - first : chunk;
        s->camera = op_write_rows(r, s->camera, first, embed(r, m, s, first, n));
    }
}

WanCameraMotion wan_dit_camera_motion(Run *r, const WanBlock *b, Tensor camera)
{
    Tensor h = nn_linear(r, nn_linear_act(r, camera, &b->camera_in1, ACT_SILU), &b->camera_in2);
    h = op_add(r, h, camera);
    const Tensor scale = nn_linear(r, h, &b->camera_scale);
    return (WanCameraMotion){ scale, nn_linear(r, h, &b->camera_shift) };
}

Tensor wan_dit_camera_move(Run *r, Tensor x, const WanCameraMotion *motion)
{
    static const float ONES[3] = { 1.0f, 1.0f, 1.0f };
    const Tensor scaled = op_gated_activation(r, x, motion->scale, ACT_NONE); /* x scale */
    const Tensor parts[3] = { x, scaled, motion->shift };
    return op_combine(r, 3, ONES, parts);
}

/* Rows of one frame: [height * width, C]. */
static Tensor adapt_frame(Run *r, const WanDit *m, const WanScene *s, TokenGrid grid, int64_t frame)
{
    const int64_t n = grid.height * grid.width, c = m->cfg.heads * m->cfg.head_dim;
    Tensor x = s->camera_rows(s->camera_context, r, frame * n, n);
    x = op_reshape(r, nn_linear(r, x, &m->camera_patch), SHAPE(1, grid.height, grid.width, c));
    const Tensor h = op_activation(r, nn_conv2d(r, x, &m->camera_conv1, 1, 1), ACT_RELU);
    x = op_add(r, nn_conv2d(r, h, &m->camera_conv2, 1, 1), x);
    return op_reshape(r, x, SHAPE(n, c));
}

Tensor wan_dit_camera_patches(Run *r, const WanDit *m, WanScene *s, TokenGrid grid, Tensor x)
{
    const int64_t n = grid.height * grid.width;
    if (tensor_exists(s->camera)) return op_add(r, x, s->camera);
    if (r->knobs.keep_camera) s->camera = op_blank(r, x.shape);
    for (int64_t f = 0; f < grid.frames && run_ok(r); f++) {
        const Tensor y = adapt_frame(r, m, s, grid, f);
        const Tensor sum = op_add(r, op_rows(r, x, f * n, n), y);
        if (r->knobs.keep_camera) s->camera = op_write_rows(r, s->camera, f * n, y);
        x = op_write_rows(r, x, f * n, sum);
    }
    return x;
}
