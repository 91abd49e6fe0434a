/* sdxl_unet.c  The whole UNet: unet.h down to the middle, and up again with what was kept.
 *
 * Letters: H W of a level, C its channels. Traps (docs/MODELS.md): what comes from below stands
 * before what was kept; a kept picture of odd size is met by cutting the doubled one; ControlNet
 * is added after the whole way down, so the way down does not see it. */
#include "models/sdxl_unet.h"

#include <stdio.h>

/* ---- weights -------------------------------------------------------------------------------- */

/* Level i counted from the middle; the skips come from level `last - i` and, last, from above it. */
static void up_weights(SdxlUnet *m, Weights *w, int i)
{
    UnetTrunk *t = &m->trunk;
    const UnetConfig *cfg = &t->cfg;
    const int level = cfg->levels - 1 - i, above = level ? level - 1 : 0;
    const int64_t c = cfg->channels[level], below = cfg->channels[i ? level + 1 : level];
    UnetLevel *l = &m->up[i];
    char name[64];
    *l = (UnetLevel){ .n_res = cfg->layers + 1,
                      .depth = cfg->depth[level] > 0 ? cfg->depth[level] : 0,
                      .resamples = level > 0 };
    for (int j = 0; j < l->n_res; j++) {
        const int64_t skip = j + 1 < l->n_res ? c : cfg->channels[above];
        (void)snprintf(name, sizeof name, "up_blocks.%d.resnets.%d", i, j);
        unet_res_weights(t, &l->res[j], w, name, (j ? c : below) + skip, c);
        (void)snprintf(name, sizeof name, "up_blocks.%d.attentions.%d", i, j);
        if (l->depth) unet_transformer_weights(t, &l->transformer[j], w, name, level);
    }
    if (!l->resamples) return;
    weights_unit(w, "up_blocks.%d.upsamplers.0", i);
    weights_conv(w, &l->resample, "conv", c, c, 1, 3, 3, BIAS);
}

void sdxl_unet_weights(SdxlUnet *m, Weights *w)
{
    const UnetConfig *cfg = &m->trunk.cfg;
    unet_trunk_weights(&m->trunk, w);
    for (int i = 0; i < cfg->levels; i++)
        up_weights(m, w, i);
    weights_unit(w, "%s", "");
    m->norm_out = nn_norm_weights(w, "conv_norm_out", cfg->channels[0]);
    weights_conv(w, &m->out, "conv_out", cfg->channels[0], cfg->out_channels, 1, 3, 3, BIAS);
}

/* ---- forward -------------------------------------------------------------------------------- */

/* [1, H, W, C] -> the first h rows and w columns */
static Tensor cut(Run *r, Tensor x, int64_t h, int64_t w)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t height = x.shape.dim[1], c = x.shape.dim[3];
    x = op_columns(r, op_reshape(r, x, SHAPE(height, x.shape.dim[2] * c)), 0, w * c);
    return op_reshape(r, op_rows(r, x, 0, h), SHAPE(1, h, w, c));
}

/* Nearest x2 to the size of what is met next, convolved. */
static Tensor enlarge(Run *r, const UnetLevel *l, Tensor x, Tensor next)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t h = next.shape.dim[1], w = next.shape.dim[2];
    if (h == 2 * x.shape.dim[1] && w == 2 * x.shape.dim[2])
        return nn_picture_conv(r, &l->resample, x, PICTURE_UP);
    Tensor twice = op_dup_up(r, x, x.shape.dim[3], 1, 2, 0, 0);
    return nn_picture_conv(r, &l->resample, cut(r, twice, h, w), PICTURE_SAME);
}

static void meet(Run *r, UnetBranch *b)
{
    const Tensor both[2] = { b->h, b->skip[--b->n_skips] };
    b->h = op_concat(r, 2, both);
}

static void up(Run *r, const SdxlUnet *m, int i, int n, UnetBranch *branches)
{
    const UnetLevel *l = &m->up[i];
    for (int j = 0; j < l->n_res && run_ok(r); j++) {
        run_block(r);
        for (int k = 0; k < n; k++)
            meet(r, &branches[k]);
        unet_res(r, &m->trunk, &l->res[j], n, branches);
        if (l->depth) unet_transformer(r, &m->trunk, &l->transformer[j], n, branches);
    }
    if (!l->resamples) return;
    run_block(r);
    for (int k = 0; k < n; k++) {
        UnetBranch *b = &branches[k];
        b->h = enlarge(r, l, b->h, b->skip[b->n_skips - 1]);
    }
}

static void add_control(Run *r, UnetBranch *b, const UnetControl *c)
{
    if (c->n_skips == 0) return;
    if (c->n_skips != b->n_skips) {
        (void)run_fail(r, SNUG_ERR_INTERNAL, "a ControlNet of another shape than the UNet");
        return;
    }
    for (int i = 0; i < b->n_skips; i++)
        b->skip[i] = op_add(r, b->skip[i], c->skip[i]);
    b->h = op_add(r, b->h, c->mid);
}

static bool fits(Run *r, const SdxlUnet *m, int n_inputs, const Tensor *input, int n)
{
    if (!run_ok(r)) return false;
    if (n > UNET_MAX_BRANCHES || (n_inputs != 1 && n_inputs != n))
        (void)run_fail(r, SNUG_ERR_ARG, "%d prompts at once, at most %d", n, UNET_MAX_BRANCHES);
    for (int k = 0; k < n_inputs && run_ok(r); k++)
        if (tensor_cols(input[k]) != m->trunk.cfg.in_channels)
            (void)run_fail(r, SNUG_ERR_INTERNAL, "the UNet takes %lld channels, not %lld",
                           (long long)m->trunk.cfg.in_channels, (long long)tensor_cols(input[k]));
    return run_ok(r);
}

void sdxl_unet_forward(Run *r, const SdxlUnet *m, int step, int n_inputs, const Tensor *input,
                       int n, const UnetContext *const *contexts, const UnetControl *controls,
                       Tensor *out)
{
    const UnetConfig *cfg = &m->trunk.cfg;
    UnetBranch branches[UNET_MAX_BRANCHES];
    if (!fits(r, m, n_inputs, input, n)) return;
    unet_branches(r, step, n, contexts, branches);
    for (int k = 0; k < n; k++)
        branches[k].h = k && n_inputs == 1
                            ? branches[0].h /* the same so far */
                            : nn_picture_conv(r, &m->trunk.in, input[k], PICTURE_SAME);
    run_tap(r, "unet.in", 0, branches[0].h);
    unet_trunk(r, &m->trunk, n, branches);
    for (int k = 0; k < n && controls; k++)
        add_control(r, &branches[k], &controls[k]);
    for (int i = 0; i < cfg->levels; i++) {
        up(r, m, i, n, branches);
        run_tap(r, "unet.up", i, branches[0].h);
    }
    run_block(r);
    for (int k = 0; k < n; k++)
        out[k] =
            nn_picture_normed_conv(r, &m->norm_out, cfg->groups, cfg->eps, &m->out, branches[k].h);
}
