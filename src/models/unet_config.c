/* unet_config.c  config.json of a UNet or ControlNet, and the list of weights they share. */
#include <stdio.h>
#include <string.h>

#include "models/unet.h"

/* ---- configuration -------------------------------------------------------------------------- */

/* Options that change the network; each must be absent or what snug computes. */
static SnugStatus refuse_other_networks(Json c, SnugError *err)
{
    static const char *const NULLS[] = { "class_embed_type",
                                         "encoder_hid_dim",
                                         "encoder_hid_dim_type",
                                         "time_embedding_act_fn",
                                         "timestep_post_act",
                                         "time_cond_proj_dim",
                                         "num_class_embeds",
                                         "num_attention_heads",
                                         "cross_attention_norm",
                                         "time_embedding_dim",
                                         "reverse_transformer_layers_per_block" };
    static const struct {
        const char *key, *only;
    } WORDS[] = { { "time_embedding_type", "positional" },
                  { "resnet_time_scale_shift", "default" },
                  { "attention_type", "default" },
                  { "mid_block_type", "UNetMidBlock2DCrossAttn" },
                  { "act_fn", "silu" } };
    static const struct {
        const char *key;
        bool only;
    } FLAGS[] = { { "center_input_sample", false },     { "dual_cross_attention", false },
                  { "only_cross_attention", false },    { "mid_block_only_cross_attention", false },
                  { "class_embeddings_concat", false }, { "resnet_skip_time_act", false },
                  { "flip_sin_to_cos", true } };
    static const char *const ONES[] = { "mid_block_scale_factor", "resnet_out_scale_factor",
                                        "downsample_padding" };
    const char *text;
    double number;
    for (size_t i = 0; i < sizeof NULLS / sizeof NULLS[0]; i++)
        TRY(json_only_null(c, NULLS[i], err));
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        TRY(json_text(c, WORDS[i].key, WORDS[i].only, &text, err));
        if (text && strcmp(text, WORDS[i].only) != 0 &&
            !(strcmp(text, "swish") == 0 && strcmp(WORDS[i].only, "silu") == 0))
            return json_fault(json_get(c, WORDS[i].key), err, FAULT_UNSUPPORTED,
                              "%s is only supported when %s", WORDS[i].key, WORDS[i].only);
    }
    for (size_t i = 0; i < sizeof FLAGS / sizeof FLAGS[0]; i++)
        TRY(json_only_bool(c, FLAGS[i].key, FLAGS[i].only, FLAGS[i].only, err));
    for (size_t i = 0; i < sizeof ONES / sizeof ONES[0]; i++) {
        TRY(json_f64(c, ONES[i], 1.0, -1e9, 1e9, &number, err));
        if (number != 1.0)
            return json_fault(json_get(c, ONES[i]), err, FAULT_UNSUPPORTED,
                              "%s is only supported when 1", ONES[i]);
    }
    return SNUG_OK;
}

static SnugStatus read_channels(UnetConfig *cfg, Json c, SnugError *err)
{
    static const int64_t USUAL[UNET_MAX_LEVELS] = { 320, 640, 1280, 1280 };
    memcpy(cfg->channels, USUAL, sizeof USUAL);
    TRY(json_ints(c, "block_out_channels", 2, 16384, cfg->channels, UNET_MAX_LEVELS, &cfg->levels,
                  err));
    if (cfg->levels == 0) cfg->levels = UNET_MAX_LEVELS;
    TRY(json_int(c, "norm_num_groups", 32, 1, 16384, &cfg->groups, err));
    for (int i = 0; i < cfg->levels; i++)
        if (cfg->channels[i] % cfg->groups != 0)
            return json_fault(json_get(c, "norm_num_groups"), err, FAULT_BAD,
                              "%lld groups do not divide %lld channels", (long long)cfg->groups,
                              (long long)cfg->channels[i]);
    if (cfg->channels[0] % 2 != 0)
        return json_fault(json_get(c, "block_out_channels"), err, FAULT_BAD,
                          "the first must be even");
    return SNUG_OK;
}

/* A number for all levels, or one for each; absent: `fallback`. */
static SnugStatus read_levels(const UnetConfig *cfg, Json c, const char *key, int64_t fallback,
                              int64_t max, int *out, SnugError *err)
{
    int64_t each[UNET_MAX_LEVELS] = { fallback, fallback, fallback, fallback };
    int n = 0;
    const Json value = json_get(c, key);
    if (json_kind(value) == JSON_KIND_ARRAY) {
        TRY(json_ints(c, key, 1, max, each, UNET_MAX_LEVELS, &n, err));
        if (n != cfg->levels)
            return json_fault(value, err, FAULT_MISMATCH, "%d numbers for %d levels", n,
                              cfg->levels);
    } else {
        TRY(json_int(c, key, fallback, 1, max, &each[0], err));
        for (int i = 1; i < UNET_MAX_LEVELS; i++)
            each[i] = each[0];
    }
    for (int i = 0; i < cfg->levels; i++)
        out[i] = (int)each[i];
    return SNUG_OK;
}

/* Kinds of the levels; `cross[i]`: level i going down has transformers. */
static SnugStatus read_kinds(const UnetConfig *cfg, Json c, const char *key, const char *plain,
                             const char *crossing, bool reversed, bool *cross, SnugError *err)
{
    Json list;
    TRY(json_get_array(c, key, &list, err));
    if (json_length(list) != 0 && json_length(list) != cfg->levels)
        return json_fault(list, err, FAULT_MISMATCH, "%lld blocks for %d levels",
                          (long long)json_length(list), cfg->levels);
    for (int i = 0; i < cfg->levels; i++) {
        const int level = reversed ? cfg->levels - 1 - i : i;
        cross[level] = level < cfg->levels - 1; /* as published for SD 1.5 */
        if (json_length(list) == 0) continue;
        const char *name;
        TRY(json_as_text(json_item(list, i), &name, err));
        cross[level] = strcmp(name, crossing) == 0;
        if (!cross[level] && strcmp(name, plain) != 0)
            return json_fault(json_item(list, i), err, FAULT_UNSUPPORTED, "%s (only %s and %s)",
                              name, plain, crossing);
    }
    return SNUG_OK;
}

static SnugStatus read_transformers(UnetConfig *cfg, Json c, SnugError *err)
{
    bool down[UNET_MAX_LEVELS], up[UNET_MAX_LEVELS];
    TRY(read_levels(cfg, c, "transformer_layers_per_block", 1, UNET_MAX_DEPTH, cfg->depth, err));
    TRY(read_levels(cfg, c, "attention_head_dim", 8, 1024, cfg->heads, err));
    TRY(read_kinds(cfg, c, "down_block_types", "DownBlock2D", "CrossAttnDownBlock2D", false, down,
                   err));
    memcpy(up, down, sizeof up);
    if (json_has(c, "up_block_types"))
        TRY(read_kinds(cfg, c, "up_block_types", "UpBlock2D", "CrossAttnUpBlock2D", true, up, err));
    for (int i = 0; i < cfg->levels; i++) {
        if (up[i] != down[i])
            return json_fault(json_get(c, "up_block_types"), err, FAULT_UNSUPPORTED,
                              "transformers that differ on the way up");
        /* "attention_head_dim" of these files counts heads, and the middle has the last level's */
        if (cfg->channels[i] % cfg->heads[i] != 0)
            return json_fault(json_get(c, "attention_head_dim"), err, FAULT_BAD,
                              "%d heads do not divide %lld channels", cfg->heads[i],
                              (long long)cfg->channels[i]);
        cfg->depth[i] = down[i] ? cfg->depth[i] : -cfg->depth[i];
    }
    return SNUG_OK;
}

static SnugStatus read_added(UnetConfig *cfg, Json c, SnugError *err)
{
    const char *kind = NULL;
    int64_t all;
    TRY(json_text(c, "addition_embed_type", NULL, &kind, err));
    if (!kind) return SNUG_OK;
    if (strcmp(kind, "text_time") != 0)
        return json_fault(json_get(c, "addition_embed_type"), err, FAULT_UNSUPPORTED,
                          "%s (only text_time)", kind);
    TRY(json_int(c, "addition_time_embed_dim", 256, 2, 1 << 14, &cfg->add_dim, err));
    TRY(json_int(c, "projection_class_embeddings_input_dim", 2816, 1, 1 << 18, &all, err));
    cfg->pooled_dim = all - UNET_TIME_IDS * cfg->add_dim;
    if (cfg->add_dim % 2 != 0 || cfg->pooled_dim < 1)
        return json_fault(json_get(c, "projection_class_embeddings_input_dim"), err, FAULT_BAD,
                          "%lld leaves no room for a pooled prompt beside %d times %lld",
                          (long long)all, UNET_TIME_IDS, (long long)cfg->add_dim);
    return SNUG_OK;
}

static SnugStatus read_rest(UnetConfig *cfg, Json c, SnugError *err)
{
    int64_t layers, kernel;
    double eps;
    TRY(json_int(c, "in_channels", 4, 1, 256, &cfg->in_channels, err));
    TRY(json_int(c, "out_channels", 4, 1, 256, &cfg->out_channels, err));
    TRY(json_int(c, "layers_per_block", 2, 1, UNET_MAX_LAYERS, &layers, err));
    TRY(json_int(c, "cross_attention_dim", 1280, 1, 1 << 16, &cfg->cross_dim, err));
    TRY(json_int(c, "sample_size", 128, 1, 1 << 14, &cfg->sample, err));
    TRY(json_int(c, "conv_in_kernel", 3, 3, 3, &kernel, err));
    TRY(json_int(c, "conv_out_kernel", 3, 3, 3, &kernel, err));
    TRY(json_int(c, "freq_shift", 0, 0, 0, &kernel, err));
    TRY(json_f64(c, "norm_eps", 1e-5, 0.0, 1.0, &eps, err));
    cfg->layers = (int)layers;
    cfg->eps = (float)eps;
    return SNUG_OK;
}

SnugStatus unet_config_read(UnetConfig *cfg, Json config, SnugError *err)
{
    *cfg = (UnetConfig){ 0 };
    TRY(refuse_other_networks(config, err));
    TRY(read_channels(cfg, config, err));
    TRY(read_transformers(cfg, config, err));
    TRY(read_rest(cfg, config, err));
    TRY(read_added(cfg, config, err));
    int blocks = 0;
    for (int i = 0; i < cfg->levels; i++)
        if (cfg->depth[i] > 0) blocks += cfg->depth[i] * (2 * cfg->layers + 1);
    if (blocks + UNET_MAX_DEPTH > UNET_MAX_CROSS)
        return json_fault(json_get(config, "transformer_layers_per_block"), err, FAULT_BAD,
                          "%d transformer blocks are too many", blocks);
    return SNUG_OK;
}

/* ---- weights -------------------------------------------------------------------------------- */

void unet_res_weights(const UnetTrunk *t, UnetRes *b, Weights *w, const char *name, int64_t in,
                      int64_t out)
{
    weights_unit(w, "%s", name);
    b->norm1 = nn_norm_weights(w, "norm1", in);
    weights_conv(w, &b->conv1, "conv1", in, out, 1, 3, 3, BIAS);
    weights_linear(w, &b->time, "time_emb_proj", 4 * t->cfg.channels[0], out, BIAS);
    b->norm2 = nn_norm_weights(w, "norm2", out);
    weights_conv(w, &b->conv2, "conv2", out, out, 1, 3, 3, BIAS);
    b->has_shortcut = in != out;
    if (b->has_shortcut) weights_conv(w, &b->shortcut, "conv_shortcut", in, out, 1, 1, 1, BIAS);
}

/* What projects the prompt is a unit of its own: it may leave before the first step. */
static void block_weights(UnetTrunk *t, UnetBlock *b, Weights *w, const char *name, int i,
                          int64_t c)
{
    const int64_t text = t->cfg.cross_dim;
    weights_unit(w, "%s.transformer_blocks.%d.attn2", name, i);
    weights_linear(w, &b->cross.k, "to_k", text, c, NO_BIAS);
    weights_linear(w, &b->cross.v, "to_v", text, c, NO_BIAS);
    weights_unit(w, "%s.transformer_blocks.%d", name, i);
    weights_linear(w, &b->cross.q, "attn2.to_q", c, c, NO_BIAS);
    weights_linear(w, &b->cross.o, "attn2.to_out.0", c, c, BIAS);
    weights_linear(w, &b->self.q, "attn1.to_q", c, c, NO_BIAS);
    weights_linear(w, &b->self.k, "attn1.to_k", c, c, NO_BIAS);
    weights_linear(w, &b->self.v, "attn1.to_v", c, c, NO_BIAS);
    weights_linear(w, &b->self.o, "attn1.to_out.0", c, c, BIAS);
    b->norm[0] = nn_norm_weights(w, "norm1", c);
    b->norm[1] = nn_norm_weights(w, "norm2", c);
    b->norm[2] = nn_norm_weights(w, "norm3", c);
    weights_linear(w, &b->up, "ff.net.0.proj", c, 8 * c, BIAS);
    weights_linear(w, &b->down, "ff.net.2", 4 * c, c, BIAS);
    t->cross[t->n_cross++] = b;
}

void unet_transformer_weights(UnetTrunk *t, UnetTransformer *a, Weights *w, const char *name,
                              int level)
{
    const int64_t c = t->cfg.channels[level];
    const int depth = t->cfg.depth[level];
    a->depth = depth < 0 ? -depth : depth;
    a->heads = t->cfg.heads[level];
    a->first = t->n_cross;
    weights_unit(w, "%s", name);
    a->norm = nn_norm_weights(w, "norm", c);
    weights_linear(w, &a->in, "proj_in", c, c, BIAS);
    weights_linear(w, &a->out, "proj_out", c, c, BIAS);
    for (int i = 0; i < a->depth; i++)
        block_weights(t, &a->block[i], w, name, i, c);
}

static void level_weights(UnetTrunk *t, UnetLevel *l, Weights *w, int i)
{
    const UnetConfig *cfg = &t->cfg;
    char name[64];
    *l = (UnetLevel){ .n_res = cfg->layers,
                      .depth = cfg->depth[i] > 0 ? cfg->depth[i] : 0,
                      .resamples = i + 1 < cfg->levels };
    for (int j = 0; j < l->n_res; j++) {
        (void)snprintf(name, sizeof name, "down_blocks.%d.resnets.%d", i, j);
        unet_res_weights(t, &l->res[j], w, name, cfg->channels[j || !i ? i : i - 1],
                         cfg->channels[i]);
        (void)snprintf(name, sizeof name, "down_blocks.%d.attentions.%d", i, j);
        if (l->depth) unet_transformer_weights(t, &l->transformer[j], w, name, i);
    }
    if (!l->resamples) return;
    weights_unit(w, "down_blocks.%d.downsamplers.0", i);
    weights_conv(w, &l->resample, "conv", cfg->channels[i], cfg->channels[i], 1, 3, 3, BIAS);
}

void unet_trunk_weights(UnetTrunk *t, Weights *w)
{
    const UnetConfig *cfg = &t->cfg;
    const int64_t wide = 4 * cfg->channels[0];
    const int last = cfg->levels - 1;
    t->n_cross = 0;
    weights_unit(w, "embedding"); /* not needed again once the schedule is embedded */
    weights_prefix(w, "%s", "");
    weights_linear(w, &t->time1, "time_embedding.linear_1", cfg->channels[0], wide, BIAS);
    weights_linear(w, &t->time2, "time_embedding.linear_2", wide, wide, BIAS);
    if (cfg->add_dim) {
        const int64_t in = cfg->pooled_dim + UNET_TIME_IDS * cfg->add_dim;
        weights_linear(w, &t->add1, "add_embedding.linear_1", in, wide, BIAS);
        weights_linear(w, &t->add2, "add_embedding.linear_2", wide, wide, BIAS);
    }
    weights_unit(w, "%s", "");
    weights_conv(w, &t->in, "conv_in", cfg->in_channels, cfg->channels[0], 1, 3, 3, BIAS);
    for (int i = 0; i <= last; i++)
        level_weights(t, &t->down[i], w, i);
    unet_res_weights(t, &t->mid[0], w, "mid_block.resnets.0", cfg->channels[last],
                     cfg->channels[last]);
    unet_transformer_weights(t, &t->mid_transformer, w, "mid_block.attentions.0", last);
    unet_res_weights(t, &t->mid[1], w, "mid_block.resnets.1", cfg->channels[last],
                     cfg->channels[last]);
}
