/* autoencoder_kl_weights.c  Configuration and the list of weights of the image VAE. */
#include <stdio.h>
#include <string.h>

#include "models/autoencoder_kl.h"

/* ---- configuration -------------------------------------------------------------------------- */

static SnugStatus read_blocks(Json config, const char *key, const char *kind, int levels,
                              SnugError *err)
{
    Json list;
    TRY(json_get_array(config, key, &list, err));
    if (json_length(list) && json_length(list) != levels)
        return json_fault(list, err, FAULT_MISMATCH, "%lld blocks for %d levels",
                          (long long)json_length(list), levels);
    for (int64_t i = 0; i < json_length(list); i++) {
        const char *name;
        TRY(json_as_text(json_item(list, i), &name, err));
        if (strcmp(name, kind) != 0)
            return json_fault(json_item(list, i), err, FAULT_UNSUPPORTED, "%s (only %s)", name,
                              kind);
    }
    return SNUG_OK;
}

static SnugStatus read_channels(KlConfig *cfg, Json config, SnugError *err)
{
    int64_t groups;
    cfg->channels[0] = 64;
    TRY(json_ints(config, "block_out_channels", 1, 8192, cfg->channels, KL_MAX_LEVELS, &cfg->levels,
                  err));
    if (cfg->levels == 0) cfg->levels = 1;
    TRY(json_int(config, "norm_num_groups", 32, 1, 8192, &groups, err));
    for (int i = 0; i < cfg->levels; i++)
        if (cfg->channels[i] % groups != 0)
            return json_fault(json_get(config, "norm_num_groups"), err, FAULT_BAD,
                              "%lld groups do not divide %lld channels", (long long)groups,
                              (long long)cfg->channels[i]);
    cfg->groups = groups;
    TRY(read_blocks(config, "down_block_types", "DownEncoderBlock2D", cfg->levels, err));
    return read_blocks(config, "up_block_types", "UpDecoderBlock2D", cfg->levels, err);
}

SnugStatus autoencoder_kl_config_read(KlConfig *cfg, Json config, SnugError *err)
{
    static const char *const ACTIVATIONS[] = { "silu", "swish", NULL };
    int64_t res, in, out;
    double scale, shift;
    int act;
    *cfg = (KlConfig){ 0 };
    TRY(read_channels(cfg, config, err));
    TRY(json_int(config, "in_channels", 3, 3, 3, &in, err));
    TRY(json_int(config, "out_channels", 3, 3, 3, &out, err));
    TRY(json_int(config, "latent_channels", 4, 1, KL_MAX_Z, &cfg->z, err));
    TRY(json_int(config, "layers_per_block", 1, 1, KL_MAX_RES - 1, &res, err));
    TRY(json_choice(config, "act_fn", ACTIVATIONS, 0, &act, err));
    TRY(json_f64(config, "scaling_factor", 0.18215, 1e-6, 1e6, &scale, err));
    TRY(json_f64(config, "shift_factor", 0.0, -1e6, 1e6, &shift, err));
    TRY(json_bool(config, "use_quant_conv", true, &cfg->quant, err));
    TRY(json_bool(config, "use_post_quant_conv", true, &cfg->post_quant, err));
    TRY(json_bool(config, "mid_block_add_attention", true, &cfg->attention, err));
    if (json_has(config, "latents_mean") || json_has(config, "latents_std"))
        return json_fault(json_get(config, "latents_mean"), err, FAULT_UNSUPPORTED,
                          "a VAE that normalises each latent channel");
    cfg->res = (int)res;
    cfg->scale = (float)scale;
    cfg->shift = (float)shift;
    return SNUG_OK;
}

int autoencoder_kl_factor(const KlConfig *cfg)
{
    return 1 << (cfg->levels - 1);
}

/* ---- weights -------------------------------------------------------------------------------- */

/* A unit of its own: what the plan keeps or streams. */
static void res_weights(KlRes *b, Weights *w, const char *coder, const char *name, int64_t in,
                        int64_t out)
{
    weights_unit(w, "%s.%s", coder, name);
    b->norm1 = nn_norm_weights(w, "norm1", in);
    weights_conv(w, &b->conv1, "conv1", in, out, 1, 3, 3, BIAS);
    b->norm2 = nn_norm_weights(w, "norm2", out);
    weights_conv(w, &b->conv2, "conv2", out, out, 1, 3, 3, BIAS);
    b->has_shortcut = in != out;
    if (b->has_shortcut) weights_conv(w, &b->shortcut, "conv_shortcut", in, out, 1, 1, 1, BIAS);
}

/* Files of before 2023 call the projections query, key, value and proj_attn. */
static void attention_weights(KlAttention *a, Weights *w, const char *coder, int64_t c)
{
    weights_unit(w, "%s.mid_block.attentions.0", coder);
    const bool old = weights_has(w, "query.weight");
    a->norm = nn_norm_weights(w, "group_norm", c);
    weights_linear(w, &a->q, old ? "query" : "to_q", c, c, BIAS);
    weights_linear(w, &a->k, old ? "key" : "to_k", c, c, BIAS);
    weights_linear(w, &a->v, old ? "value" : "to_v", c, c, BIAS);
    weights_linear(w, &a->o, old ? "proj_attn" : "to_out.0", c, c, BIAS);
}

static void mid_weights(const KlConfig *cfg, KlCoder *k, Weights *w, const char *coder)
{
    const int64_t c = cfg->channels[cfg->levels - 1];
    res_weights(&k->mid[0], w, coder, "mid_block.resnets.0", c, c);
    if (cfg->attention) attention_weights(&k->attention, w, coder, c);
    res_weights(&k->mid[1], w, coder, "mid_block.resnets.1", c, c);
}

/* Level i in the order of running, from `in` channels to `out`. */
static void level_weights(KlLevel *l, Weights *w, const char *coder, int i, int n_res, int64_t in,
                          int64_t out, bool resamples)
{
    const bool down = strcmp(coder, "encoder") == 0;
    char name[64];
    l->n_res = n_res;
    l->resamples = resamples;
    for (int j = 0; j < n_res; j++) {
        (void)snprintf(name, sizeof name, "%s_blocks.%d.resnets.%d", down ? "down" : "up", i, j);
        res_weights(&l->res[j], w, coder, name, j ? out : in, out);
    }
    if (!resamples) return;
    weights_unit(w, "%s.%s_blocks.%d.%ssamplers.0", coder, down ? "down" : "up", i,
                 down ? "down" : "up");
    weights_conv(w, &l->resample, "conv", out, out, 1, 3, 3, BIAS);
}

static void encoder_weights(AutoencoderKl *m, Weights *w)
{
    const KlConfig *cfg = &m->cfg;
    KlCoder *k = &m->encoder;
    const int last = cfg->levels - 1;
    weights_unit(w, "encoder");
    weights_conv(w, &k->in, "conv_in", 3, cfg->channels[0], 1, 3, 3, BIAS);
    for (int i = 0; i <= last; i++)
        level_weights(&k->level[i], w, "encoder", i, cfg->res, cfg->channels[i ? i - 1 : 0],
                      cfg->channels[i], i < last);
    mid_weights(cfg, k, w, "encoder");
    weights_unit(w, "encoder");
    k->norm_out = nn_norm_weights(w, "conv_norm_out", cfg->channels[last]);
    weights_conv(w, &k->out, "conv_out", cfg->channels[last], 2 * cfg->z, 1, 3, 3, BIAS);
    weights_prefix(w, "%s", "");
    if (cfg->quant) weights_conv(w, &m->quant, "quant_conv", 2 * cfg->z, 2 * cfg->z, 1, 1, 1, BIAS);
}

static void decoder_weights(AutoencoderKl *m, Weights *w)
{
    const KlConfig *cfg = &m->cfg;
    KlCoder *k = &m->decoder;
    const int last = cfg->levels - 1;
    weights_unit(w, "decoder");
    weights_conv(w, &k->in, "conv_in", cfg->z, cfg->channels[last], 1, 3, 3, BIAS);
    weights_prefix(w, "%s", "");
    if (cfg->post_quant)
        weights_conv(w, &m->post_quant, "post_quant_conv", cfg->z, cfg->z, 1, 1, 1, BIAS);
    mid_weights(cfg, k, w, "decoder");
    for (int i = 0; i <= last; i++)
        level_weights(&k->level[i], w, "decoder", i, cfg->res + 1,
                      cfg->channels[i ? last - i + 1 : last], cfg->channels[last - i], i < last);
    weights_unit(w, "decoder");
    k->norm_out = nn_norm_weights(w, "conv_norm_out", cfg->channels[0]);
    weights_conv(w, &k->out, "conv_out", cfg->channels[0], 3, 1, 3, 3, BIAS);
}

void autoencoder_kl_weights(AutoencoderKl *m, Weights *w, bool encodes)
{
    const KlConfig *cfg = &m->cfg;
    for (int64_t c = 0; c < cfg->z; c++) {
        m->mul_in[c] = cfg->scale;
        m->add_in[c] = -cfg->shift * cfg->scale;
        m->mul_out[c] = 1.0f / cfg->scale;
        m->add_out[c] = cfg->shift;
    }
    if (encodes)
        encoder_weights(m, w);
    else {
        weights_ignore_all(w, "encoder.");
        weights_ignore_all(w, "quant_conv.");
    }
    decoder_weights(m, w);
}
