/* controlnet.c  Half a UNet with a way out at every skip.
 *
 * Letters: H W of the picture, h w of the latent. Traps (docs/MODELS.md): the picture is 0..1, not
 * -1..1; no activation behind the last convolution of the hint; the first skip already has it. */
#include "models/controlnet.h"

#include <stdio.h>

/* ---- configuration -------------------------------------------------------------------------- */

SnugStatus controlnet_config_read(ControlnetConfig *cfg, Json config, SnugError *err)
{
    static const int64_t USUAL[] = { 16, 32, 96, 256 };
    static const char *const ORDERS[] = { "rgb", "bgr", NULL };
    int order;
    bool pools;
    *cfg = (ControlnetConfig){ .levels = 0 };
    for (int i = 0; i < 4; i++)
        cfg->channels[i] = USUAL[i];
    TRY(unet_config_read(&cfg->unet, config, err));
    TRY(json_int(config, "conditioning_channels", 3, 1, 3, &cfg->picture_channels, err));
    TRY(json_ints(config, "conditioning_embedding_out_channels", 1, 8192, cfg->channels,
                  CONTROLNET_MAX_LEVELS, &cfg->levels, err));
    if (cfg->levels == 0) cfg->levels = 4;
    TRY(json_choice(config, "controlnet_conditioning_channel_order", ORDERS, 0, &order, err));
    cfg->reversed = order == 1;
    TRY(json_bool(config, "global_pool_conditions", false, &pools, err));
    if (pools)
        return json_fault(json_get(config, "global_pool_conditions"), err, FAULT_UNSUPPORTED,
                          "a ControlNet that pools what it adds");
    return SNUG_OK;
}

int controlnet_factor(const ControlnetConfig *cfg)
{
    return 1 << (cfg->levels - 1);
}

/* ---- weights -------------------------------------------------------------------------------- */

static void hint_weights(Controlnet *m, Weights *w)
{
    const ControlnetConfig *cfg = &m->cfg;
    char name[32];
    weights_unit(w, "controlnet_cond_embedding"); /* not needed again after the first step */
    weights_conv(w, &m->hint_in, "conv_in", cfg->picture_channels, cfg->channels[0], 1, 3, 3, BIAS);
    for (int i = 0; i < 2 * (cfg->levels - 1); i++) {
        (void)snprintf(name, sizeof name, "blocks.%d", i);
        weights_conv(w, &m->hint[i], name, cfg->channels[i / 2], cfg->channels[(i + 1) / 2], 1, 3,
                     3, BIAS);
    }
    weights_conv(w, &m->hint_out, "conv_out", cfg->channels[cfg->levels - 1], cfg->unet.channels[0],
                 1, 3, 3, BIAS);
}

static void way_out(Controlnet *m, Weights *w, int64_t channels)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%d", m->n_skips);
    weights_conv(w, &m->skip[m->n_skips++], name, channels, channels, 1, 1, 1, BIAS);
}

void controlnet_weights(Controlnet *m, Weights *w)
{
    const UnetConfig *cfg = &m->cfg.unet;
    const int64_t last = cfg->channels[cfg->levels - 1];
    m->trunk.cfg = *cfg;
    unet_trunk_weights(&m->trunk, w);
    hint_weights(m, w);
    weights_unit(w, "controlnet_down_blocks");
    m->n_skips = 0;
    way_out(m, w, cfg->channels[0]);
    for (int i = 0; i < cfg->levels; i++)
        for (int j = 0; j < cfg->layers + (i + 1 < cfg->levels); j++)
            way_out(m, w, cfg->channels[i]);
    weights_prefix(w, "%s", "");
    weights_conv(w, &m->mid, "controlnet_mid_block", last, last, 1, 1, 1, BIAS);
}

/* ---- forward -------------------------------------------------------------------------------- */

Tensor controlnet_hint(Run *r, const Controlnet *m, Tensor picture)
{
    const int n = 2 * (m->cfg.levels - 1);
    run_block(r);
    Tensor x = picture;
    for (int i = -1; i < n; i++) {
        const PictureLayer l = { .x = x,
                                 .conv = i < 0 ? &m->hint_in : &m->hint[i],
                                 .step = i >= 0 && i % 2 ? PICTURE_HALVE : PICTURE_SAME,
                                 .after = ACT_SILU,
                                 .skip = NO_TENSOR };
        x = nn_picture_layer(r, &l);
    }
    x = nn_picture_conv(r, &m->hint_out, x, PICTURE_SAME);
    run_tap(r, "controlnet.hint", 0, x);
    return x;
}

/* conv(x) * scale, perhaps beside what is there. */
static Tensor let_out(Run *r, const Conv *conv, Tensor x, float scale, bool add, Tensor before)
{
    Tensor y = nn_picture_conv(r, conv, x, PICTURE_SAME);
    if (scale != 1.0f) y = op_combine(r, 1, &scale, &y);
    return add ? op_add(r, before, y) : y;
}

static void begin(Run *r, const Controlnet *m, int n_inputs, const Tensor *input, Tensor hint,
                  int n, UnetBranch *branches)
{
    for (int k = 0; k < n; k++) {
        UnetBranch *b = &branches[k];
        if (k && n_inputs == 1) {
            b->h = branches[0].h; /* the same so far */
            continue;
        }
        const PictureLayer l = {
            .x = input[k], .conv = &m->trunk.in, .skip = hint, .keeps_skip = true
        };
        b->h = nn_picture_layer(r, &l);
    }
}

void controlnet_forward(Run *r, const Controlnet *m, int step, int n_inputs, const Tensor *input,
                        Tensor hint, float scale, int n, const UnetContext *const *contexts,
                        bool add, UnetControl *out)
{
    UnetBranch branches[UNET_MAX_BRANCHES];
    if (!run_ok(r)) return;
    if (n > UNET_MAX_BRANCHES || (n_inputs != 1 && n_inputs != n)) {
        (void)run_fail(r, SNUG_ERR_ARG, "%d prompts at once, at most %d", n, UNET_MAX_BRANCHES);
        return;
    }
    unet_branches(r, step, n, contexts, branches);
    begin(r, m, n_inputs, input, hint, n, branches);
    unet_trunk(r, &m->trunk, n, branches);
    run_block(r);
    for (int k = 0; k < n && run_ok(r); k++) {
        UnetBranch *b = &branches[k];
        UnetControl *c = &out[k];
        c->n_skips = b->n_skips;
        for (int i = 0; i < b->n_skips; i++)
            c->skip[i] = let_out(r, &m->skip[i], b->skip[i], scale, add, c->skip[i]);
        c->mid = let_out(r, &m->mid, b->h, scale, add, c->mid);
    }
    run_block(r);
}
