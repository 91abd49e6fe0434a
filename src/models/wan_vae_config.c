/* wan_vae_config.c  config.json of the Wan VAE, and its list of weights. */
#include "models/wan_vae.h"

#include <stdio.h>

static SnugStatus read_levels(WanVaeConfig *cfg, Json config, SnugError *err)
{
    int64_t mult[VAE_MAX_LEVELS] = { 1, 2, 4, 4 };
    int n = 0;
    TRY(json_ints(config, "dim_mult", 1, 1024, mult, VAE_MAX_LEVELS, &n, err));
    cfg->levels = n ? n : 4;
    for (int i = 0; i < cfg->levels; i++)
        cfg->mult[i] = mult[i];
    Json temporal;
    TRY(json_get_array(config, "temperal_downsample", &temporal, err));
    const bool defaults[] = { false, true, true };
    const int64_t given = json_length(temporal);
    cfg->time_factor = 1;
    cfg->space_factor = cfg->patch;
    for (int i = 0; i + 1 < cfg->levels; i++) {
        cfg->temporal[i] = i < 3 ? defaults[i] : false;
        if (i < given)
            TRY(json_as_bool(json_item(temporal, i), &cfg->temporal[i], err));
        else if (given)
            return json_fault(config, err, FAULT_MISMATCH,
                              "temperal_downsample has fewer entries than levels - 1");
        cfg->time_factor *= cfg->temporal[i] ? 2 : 1;
        cfg->space_factor *= 2;
    }
    if (cfg->time_factor > 4)
        return json_fault(config, err, FAULT_UNSUPPORTED, "more than two temporal levels");
    return SNUG_OK;
}

/* The shortcuts of 2.2 average or repeat whole runs of channels (op_avg_down, op_dup_up). */
static SnugStatus check_shortcuts(const WanVaeConfig *cfg, Json config, SnugError *err)
{
    const int last = cfg->levels - 1;
    for (int i = 0; cfg->residual && i <= last; i++) {
        const int64_t block = i == last ? 1 : cfg->temporal[i] ? 8 : 4;
        const int64_t below = i ? cfg->mult[i - 1] : 1, own = cfg->mult[i];
        const int64_t above = i + 1 < last ? cfg->mult[i + 2] : cfg->mult[last];
        const bool down = below * block % own == 0;
        const bool up = i == last || cfg->mult[i + 1] * block % above == 0;
        if (!down || !up)
            return json_fault(config, err, FAULT_MISMATCH,
                              "dim_mult[%d] = %lld: no shortcut from the level beside it", i,
                              (long long)own);
    }
    return SNUG_OK;
}

static SnugStatus read_statistics(WanVaeConfig *cfg, Json config, SnugError *err)
{
    static const double MEAN[16] = { -0.7571, -0.7089, -0.9113, 0.1075,  -0.1745, 0.9653,
                                     -0.1517, 1.5508,  0.4134,  -0.0715, 0.5517,  -0.3632,
                                     -0.1922, -0.9497, 0.2503,  -0.2921 };
    static const double STD[16] = {
        2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
        3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160
    };
    double mean[VAE_MAX_Z], std[VAE_MAX_Z];
    int n_mean = 0, n_std = 0;
    TRY(json_f64s(config, "latents_mean", -1e6, 1e6, mean, VAE_MAX_Z, &n_mean, err));
    TRY(json_f64s(config, "latents_std", 1e-6, 1e6, std, VAE_MAX_Z, &n_std, err));
    const bool defaults = n_mean == 0 && n_std == 0;
    if (defaults ? cfg->z != 16 : n_mean != cfg->z || n_std != cfg->z)
        return json_fault(config, err, FAULT_MISMATCH,
                          "latents_mean and latents_std need z_dim = %lld numbers (got %d and %d)",
                          (long long)cfg->z, n_mean, n_std);
    for (int i = 0; i < cfg->z; i++) { /* the reference multiplies by an f32 reciprocal */
        cfg->mean[i] = (float)(defaults ? MEAN[i] : mean[i]);
        cfg->std[i] = (float)(defaults ? STD[i] : std[i]);
        const float inverse = 1.0f / cfg->std[i];
        cfg->encode_mul[i] = inverse;
        cfg->encode_add[i] = -cfg->mean[i] * inverse;
        cfg->decode_mul[i] = 1.0f / inverse;
        cfg->decode_add[i] = cfg->mean[i];
    }
    return SNUG_OK;
}

SnugStatus wan_vae_config_read(WanVaeConfig *cfg, Json config, SnugError *err)
{
    int64_t res_blocks, patch;
    Json scales;
    *cfg = (WanVaeConfig){ 0 };
    TRY(json_int(config, "base_dim", 96, 1, 8192, &cfg->encoder_dim, err));
    TRY(json_int(config, "decoder_base_dim", cfg->encoder_dim, 1, 8192, &cfg->decoder_dim, err));
    TRY(json_int(config, "z_dim", 16, 1, VAE_MAX_Z, &cfg->z, err));
    TRY(json_int(config, "in_channels", 3, 1, 1024, &cfg->in_channels, err));
    TRY(json_int(config, "out_channels", 3, 1, 1024, &cfg->out_channels, err));
    TRY(json_int(config, "num_res_blocks", 2, 1, VAE_MAX_RES - 1, &res_blocks, err));
    TRY(json_int(config, "patch_size", 1, 1, 8, &patch, err));
    TRY(json_bool(config, "is_residual", false, &cfg->residual, err));
    TRY(json_get_array(config, "attn_scales", &scales, err));
    if (json_length(scales) > 0)
        return json_fault(scales, err, FAULT_UNSUPPORTED, "attention inside the levels");
    cfg->res_blocks = (int)res_blocks;
    cfg->patch = (int)patch;
    if (cfg->in_channels != 3 * patch * patch || cfg->out_channels != 3 * patch * patch)
        return json_fault(config, err, FAULT_MISMATCH,
                          "in_channels and out_channels must be 3 * patch_size^2 = %lld",
                          (long long)(3 * patch * patch));
    TRY(read_levels(cfg, config, err));
    TRY(check_shortcuts(cfg, config, err));
    return read_statistics(cfg, config, err);
}

/* ---- weights -------------------------------------------------------------------------------- */

static void res_weights(VaeRes *b, Weights *w, int64_t in, int64_t out)
{
    b->norm1 = weights_tensor(w, "norm1.gamma", SHAPE(in));
    weights_conv(w, &b->conv1, "conv1", in, out, 3, 3, 3, BIAS);
    b->norm2 = weights_tensor(w, "norm2.gamma", SHAPE(out));
    weights_conv(w, &b->conv2, "conv2", out, out, 3, 3, 3, BIAS);
    b->has_shortcut = in != out;
    if (b->has_shortcut) weights_conv(w, &b->shortcut, "conv_shortcut", in, out, 1, 1, 1, BIAS);
}

static void mid_weights(VaeCoder *c, Weights *w, const char *coder, int64_t dim)
{
    for (int i = 0; i < 2; i++) {
        weights_unit(w, "%s.mid_block.resnets.%d", coder, i);
        res_weights(&c->mid[i], w, dim, dim);
    }
    weights_unit(w, "%s.mid_block.attentions.0", coder);
    c->attention.norm = weights_tensor(w, "norm.gamma", SHAPE(dim));
    weights_linear(w, &c->attention.qkv, "to_qkv", dim, 3 * dim, BIAS); /* stored as 1x1 conv */
    weights_linear(w, &c->attention.proj, "proj", dim, dim, BIAS);
}

static void resample_weights(VaeLevel *l, Weights *w, int64_t out, int64_t time_out)
{
    weights_conv(w, &l->conv, "resample.1", l->out, out, 1, 3, 3, BIAS);
    if (l->temporal) weights_conv(w, &l->time, "time_conv", l->out, time_out, 3, 1, 1, BIAS);
}

/* Encoder blocks are numbered flat in 2.1, by level in 2.2. */
static void encoder_level_weights(const WanVae *m, VaeLevel *l, Weights *w, int i, int *flat)
{
    for (int j = 0; j < l->n_res; j++) {
        if (m->cfg.residual)
            weights_unit(w, "encoder.down_blocks.%d.resnets.%d", i, j);
        else
            weights_unit(w, "encoder.down_blocks.%d", (*flat)++);
        res_weights(&l->res[j], w, j ? l->out : l->in, l->out);
    }
    if (!l->resamples) return;
    if (m->cfg.residual)
        weights_unit(w, "encoder.down_blocks.%d.downsampler", i);
    else
        weights_unit(w, "encoder.down_blocks.%d", (*flat)++);
    resample_weights(l, w, l->out, l->out);
}

static void encoder_weights(WanVae *m, Weights *w)
{
    const WanVaeConfig *cfg = &m->cfg;
    VaeCoder *c = &m->encoder;
    int64_t dim = cfg->encoder_dim;
    int flat = 0;
    weights_unit(w, "encoder");
    weights_conv(w, &c->in, "conv_in", cfg->in_channels, dim, 3, 3, 3, BIAS);
    for (int i = 0; i < cfg->levels; i++) {
        VaeLevel *l = &c->level[i];
        *l = (VaeLevel){ .in = dim,
                         .out = cfg->encoder_dim * cfg->mult[i],
                         .n_res = cfg->res_blocks,
                         .resamples = i + 1 < cfg->levels,
                         .temporal = i + 1 < cfg->levels && cfg->temporal[i] };
        encoder_level_weights(m, l, w, i, &flat);
        dim = l->out;
    }
    mid_weights(c, w, "encoder", dim);
    weights_unit(w, "%s", "");
    c->norm_out = weights_tensor(w, "encoder.norm_out.gamma", SHAPE(dim));
    weights_conv(w, &c->out, "encoder.conv_out", dim, 2 * cfg->z, 3, 3, 3, BIAS);
    weights_linear(w, &m->quant, "quant_conv", 2 * cfg->z, 2 * cfg->z, BIAS);
}

static void decoder_level_weights(const WanVae *m, VaeLevel *l, Weights *w, int i)
{
    const bool residual = m->cfg.residual;
    for (int j = 0; j < l->n_res; j++) {
        weights_unit(w, "decoder.up_blocks.%d.resnets.%d", i, j);
        res_weights(&l->res[j], w, j ? l->out : l->in, l->out);
    }
    if (!l->resamples) return;
    weights_unit(
        w, residual ? "decoder.up_blocks.%d.upsampler" : "decoder.up_blocks.%d.upsamplers.0", i);
    resample_weights(l, w, residual ? l->out : l->out / 2, 2 * l->out);
}

static void decoder_weights(WanVae *m, Weights *w)
{
    const WanVaeConfig *cfg = &m->cfg;
    VaeCoder *c = &m->decoder;
    const int last = cfg->levels - 1;
    int64_t dim = cfg->decoder_dim * cfg->mult[last];
    weights_unit(w, "%s", "");
    weights_linear(w, &m->post_quant, "post_quant_conv", cfg->z, cfg->z, BIAS);
    weights_conv(w, &c->in, "decoder.conv_in", cfg->z, dim, 3, 3, 3, BIAS);
    mid_weights(c, w, "decoder", dim);
    for (int i = 0; i < cfg->levels; i++) {
        VaeLevel *l = &c->level[i];
        *l = (VaeLevel){ .in = i && !cfg->residual ? dim / 2 : dim, /* 2.1 halves when upsampling */
                         .out = cfg->decoder_dim * cfg->mult[last - i],
                         .n_res = cfg->res_blocks + 1,
                         .resamples = i < last,
                         .temporal = i < last && cfg->temporal[last - 1 - i] };
        decoder_level_weights(m, l, w, i);
        dim = l->out;
    }
    weights_unit(w, "%s", "");
    c->norm_out = weights_tensor(w, "decoder.norm_out.gamma", SHAPE(dim));
    weights_conv(w, &c->out, "decoder.conv_out", dim, cfg->out_channels, 3, 3, 3, BIAS);
}

void wan_vae_weights(WanVae *m, Weights *w)
{
    encoder_weights(m, w);
    decoder_weights(m, w);
}
