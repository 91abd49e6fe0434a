/* wan_dit_weights.c  Wan video transformer: configuration and the list of its weights.
 *
 * Names are those of diffusers, the camera networks' those of their own files. Letters: wan_dit.c. */
#include "models/wan_dit.h"

#include <stdio.h>

static SnugStatus read_patch(WanDitConfig *cfg, Json config, SnugError *err)
{
    int64_t patch[3] = { 1, 2, 2 };
    int n = 0;
    TRY(json_ints(config, "patch_size", 1, 16, patch, 3, &n, err));
    if (n != 0 && n != 3)
        return json_fault(json_get(config, "patch_size"), err, FAULT_BAD,
                          "got %d numbers, expected 3", n);
    cfg->pt = (int)patch[0];
    cfg->ph = (int)patch[1];
    cfg->pw = (int)patch[2];
    return SNUG_OK;
}

SnugStatus wan_dit_config_read(WanDitConfig *cfg, Json config, SnugError *err)
{
    int64_t heads, layers;
    double eps;
    const char *qk_norm = NULL;
    *cfg = (WanDitConfig){ 0 };
    TRY(read_patch(cfg, config, err));
    TRY(json_int(config, "num_attention_heads", 40, 1, 1024, &heads, err));
    TRY(json_int(config, "attention_head_dim", 128, 6, 512, &cfg->head_dim, err));
    TRY(json_int(config, "in_channels", 16, 1, 4096, &cfg->in_channels, err));
    TRY(json_int(config, "out_channels", cfg->in_channels, 1, 4096, &cfg->out_channels, err));
    TRY(json_int(config, "text_dim", 4096, 1, 1 << 16, &cfg->text_dim, err));
    TRY(json_int(config, "freq_dim", 256, 2, 1 << 16, &cfg->freq_dim, err));
    TRY(json_int(config, "ffn_dim", 13824, 1, 1 << 18, &cfg->ffn_dim, err));
    TRY(json_int(config, "num_layers", 40, 1, WAN_MAX_LAYERS, &layers, err));
    TRY(json_int(config, "image_dim", 0, 0, 1 << 16, &cfg->image_dim, err));
    TRY(json_int(config, "pos_embed_seq_len", 0, 0, 1 << 16, &cfg->image_tokens, err));
    TRY(json_bool(config, "cross_attn_norm", true, &cfg->cross_norm, err));
    TRY(json_f64(config, "eps", 1e-6, 0.0, 1.0, &eps, err));
    TRY(json_text(config, "qk_norm", "rms_norm_across_heads", &qk_norm, err));
    if (cfg->head_dim % 2 != 0 || cfg->freq_dim % 2 != 0)
        return error_set(err, SNUG_ERR_FILE, "attention_head_dim and freq_dim must be even");
    cfg->heads = (int)heads;
    cfg->layers = (int)layers;
    cfg->eps = (float)eps;
    return SNUG_OK;
}

static int64_t model_dim(const WanDit *m)
{
    return m->cfg.heads * m->cfg.head_dim;
}

static void attention_weights(WanAttention *a, Weights *w, int64_t c, bool image)
{
    weights_linear(w, &a->q, "to_q", c, c, BIAS);
    weights_linear(w, &a->k, "to_k", c, c, BIAS);
    weights_linear(w, &a->v, "to_v", c, c, BIAS);
    weights_linear(w, &a->o, "to_out.0", c, c, BIAS);
    a->norm_q = weights_tensor(w, "norm_q.weight", SHAPE(c));
    a->norm_k = weights_tensor(w, "norm_k.weight", SHAPE(c));
    if (!image) return;
    weights_linear(w, &a->image_k, "add_k_proj", c, c, BIAS);
    weights_linear(w, &a->image_v, "add_v_proj", c, c, BIAS);
    a->norm_image_k = weights_tensor(w, "norm_added_k.weight", SHAPE(c));
    weights_ignore(w, "norm_added_q.weight");
}

static void camera_block_weights(const WanDit *m, WanBlock *b, Weights *w)
{
    const int64_t c = model_dim(m);
    weights_linear(w, &b->camera_in1, "cam_injector_layer1", c, c, BIAS);
    weights_linear(w, &b->camera_in2, "cam_injector_layer2", c, c, BIAS);
    weights_linear(w, &b->camera_scale, "cam_scale_layer", c, c, BIAS);
    weights_linear(w, &b->camera_shift, "cam_shift_layer", c, c, BIAS);
}

/* The large layers, beside which rounding is small; not those of few rows (prompt, picture), nor what
 * modulates. */
static void bear_coarse(WanBlock *b)
{
    Linear *const layers[] = { &b->self.q,  &b->self.k,  &b->self.v, &b->self.o,
                               &b->cross.q, &b->cross.o, &b->up,     &b->down };
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        layers[i]->coarse = true;
}

static void block_weights(const WanDit *m, WanBlock *b, Weights *w, int i)
{
    const int64_t c = model_dim(m);
    weights_unit(w, "blocks.%d", i);
    if (m->camera == WAN_CAMERA_INJECT) camera_block_weights(m, b, w);
    b->modulation = weights_tensor(w, "scale_shift_table", SHAPE(6, c));
    if (m->cfg.cross_norm) {
        b->cross_norm_weight = weights_tensor(w, "norm2.weight", SHAPE(c));
        b->cross_norm_bias = weights_tensor(w, "norm2.bias", SHAPE(c));
    }
    weights_linear(w, &b->up, "ffn.net.0.proj", c, m->cfg.ffn_dim, BIAS);
    weights_linear(w, &b->down, "ffn.net.2", m->cfg.ffn_dim, c, BIAS);
    weights_prefix(w, "blocks.%d.attn1", i);
    attention_weights(&b->self, w, c, false);
    weights_prefix(w, "blocks.%d.attn2", i);
    attention_weights(&b->cross, w, c, m->cfg.image_dim > 0);
    bear_coarse(b);
}

static void image_weights(WanDit *m, Weights *w)
{
    const int64_t c = model_dim(m), i = m->cfg.image_dim;
    weights_prefix(w, "condition_embedder.image_embedder");
    m->image_norm1[0] = weights_tensor(w, "norm1.weight", SHAPE(i));
    m->image_norm1[1] = weights_tensor(w, "norm1.bias", SHAPE(i));
    weights_linear(w, &m->image1, "ff.net.0.proj", i, i, BIAS);
    weights_linear(w, &m->image2, "ff.net.2", i, c, BIAS);
    m->image_norm2[0] = weights_tensor(w, "norm2.weight", SHAPE(c));
    m->image_norm2[1] = weights_tensor(w, "norm2.bias", SHAPE(c));
    if (m->cfg.image_tokens)
        m->image_positions = weights_tensor(w, "pos_embed", SHAPE(m->cfg.image_tokens, i));
}

/* ---- camera --------------------------------------------------------------------------------- */

static const char INJECT_PATCH[] = "patch_embedding_wancamctrl", ADAPTER[] = "control_adapter";

WanCameraKind wan_dit_camera_kind(const Weights *w)
{
    if (weights_has(w, "patch_embedding_wancamctrl.weight")) return WAN_CAMERA_INJECT;
    if (weights_has(w, "control_adapter.conv.weight")) return WAN_CAMERA_ADAPTER;
    return WAN_CAMERA_NONE;
}

/* Without a path the camera's tensors stay in the file: nobody misses them. */
static void ignore_camera(const WanDit *m, Weights *w)
{
    char name[64];
    weights_ignore_all(w, INJECT_PATCH);
    weights_ignore_all(w, "c2ws_hidden_states_layer");
    weights_ignore_all(w, ADAPTER);
    for (int i = 0; i < m->cfg.layers; i++) {
        (void)snprintf(name, sizeof name, "blocks.%d.cam_", i);
        weights_ignore_all(w, name);
    }
}

static void camera_weights(WanDit *m, Weights *w)
{
    const int64_t c = model_dim(m), n = m->camera_features;
    if (m->camera == WAN_CAMERA_INJECT) {
        weights_linear(w, &m->camera_patch, INJECT_PATCH, n, c, BIAS);
        weights_linear(w, &m->camera_mid1, "c2ws_hidden_states_layer1", c, c, BIAS);
        weights_linear(w, &m->camera_mid2, "c2ws_hidden_states_layer2", c, c, BIAS);
    } else if (m->camera == WAN_CAMERA_ADAPTER) {
        const int64_t ph = m->cfg.ph, pw = m->cfg.pw;
        weights_prefix(w, "%s", ADAPTER);
        m->camera_patch.weight = weights_tensor(w, "conv.weight", SHAPE(c, n / (ph * pw), ph, pw));
        m->camera_patch.bias = weights_tensor(w, "conv.bias", SHAPE(c));
        weights_conv(w, &m->camera_conv1, "residual_blocks.0.conv1", c, c, 1, 3, 3, BIAS);
        weights_conv(w, &m->camera_conv2, "residual_blocks.0.conv2", c, c, 1, 3, 3, BIAS);
    }
}

void wan_dit_weights(WanDit *m, Weights *w)
{
    const WanDitConfig *cfg = &m->cfg;
    const int64_t c = model_dim(m), patch = (int64_t)cfg->pt * cfg->ph * cfg->pw;
    weights_unit(w, "%s", "");
    m->patch.weight = weights_tensor(w, "patch_embedding.weight",
                                     SHAPE(c, cfg->in_channels, cfg->pt, cfg->ph, cfg->pw));
    m->patch.bias = weights_tensor(w, "patch_embedding.bias", SHAPE(c));
    weights_adapt(w, &m->patch, "patch_embedding", cfg->in_channels * patch, c);
    weights_linear(w, &m->head, "proj_out", c, patch * cfg->out_channels, BIAS);
    m->head_modulation = weights_tensor(w, "scale_shift_table", SHAPE(2, c));
    weights_prefix(w, "condition_embedder");
    weights_linear(w, &m->time1, "time_embedder.linear_1", cfg->freq_dim, c, BIAS);
    weights_linear(w, &m->time2, "time_embedder.linear_2", c, c, BIAS);
    weights_linear(w, &m->time_proj, "time_proj", c, 6 * c, BIAS);
    weights_linear(w, &m->text1, "text_embedder.linear_1", cfg->text_dim, c, BIAS);
    weights_linear(w, &m->text2, "text_embedder.linear_2", c, c, BIAS);
    if (cfg->image_dim) image_weights(m, w);
    weights_prefix(w, "%s", "");
    if (m->camera == WAN_CAMERA_NONE)
        ignore_camera(m, w);
    else
        camera_weights(m, w);
    for (int i = 0; i < cfg->layers; i++)
        block_weights(m, &m->block[i], w, i);
}
