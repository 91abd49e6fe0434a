/* umt5.c  umT5 encoder: pre-norm, no biases, no score scaling, a relative bias in every layer.
 *
 * Letters: R tokens of one prompt, C model dim, H heads, D head dim, F feed-forward dim.
 * Traps (docs/MODELS.md): the scores are not divided by sqrt(D); H * D need not equal C; the gate
 * is wi_0; padding rows never influence real rows, so only real tokens are run. */
#include "models/umt5.h"

#include <string.h>

static SnugStatus read_activation(Umt5Config *cfg, Json config, SnugError *err)
{
    const char *proj = NULL;
    TRY(json_text(config, "feed_forward_proj", cfg->shared_bias ? "relu" : "gated-gelu", &proj,
                  err));
    cfg->gated = strncmp(proj, "gated-", 6) == 0;
    const char *name = cfg->gated ? proj + 6 : proj;
    /* transformers maps "gated-gelu" to gelu_new, the tanh form */
    if (strcmp(name, "gelu") == 0 && cfg->gated)
        cfg->activation = ACT_GELU_TANH;
    else if (strcmp(name, "gelu_new") == 0)
        cfg->activation = ACT_GELU_TANH;
    else if (strcmp(name, "gelu") == 0)
        cfg->activation = ACT_GELU_ERF;
    else if (strcmp(name, "relu") == 0)
        cfg->activation = ACT_RELU;
    else if (strcmp(name, "silu") == 0)
        cfg->activation = ACT_SILU;
    else
        return error_set(err, SNUG_ERR_FILE, "feed_forward_proj: \"%s\" is not known", proj);
    return SNUG_OK;
}

SnugStatus umt5_config_read(Umt5Config *cfg, Json config, SnugError *err)
{
    int64_t layers, heads, buckets, distance;
    double eps;
    const char *type = NULL;
    *cfg = (Umt5Config){ 0 };
    TRY(json_text(config, "model_type", "umt5", &type, err));
    cfg->shared_bias = strcmp(type, "t5") == 0;
    TRY(json_int(config, "vocab_size", 250112, 1, 1 << 21, &cfg->vocab, err));
    TRY(json_int(config, "d_model", 512, 1, 1 << 16, &cfg->dim, err));
    TRY(json_int(config, "d_kv", 64, 1, 512, &cfg->head_dim, err));
    TRY(json_int(config, "d_ff", 1024, 1, 1 << 18, &cfg->ffn_dim, err));
    TRY(json_int(config, "num_layers", 8, 1, UMT5_MAX_LAYERS, &layers, err));
    TRY(json_int(config, "num_heads", 6, 1, 512, &heads, err));
    TRY(json_int(config, "relative_attention_num_buckets", 32, 4, 1024, &buckets, err));
    TRY(json_int(config, "relative_attention_max_distance", 128, 2, 1 << 20, &distance, err));
    TRY(json_f64(config, "layer_norm_epsilon", 1e-6, 0.0, 1.0, &eps, err));
    cfg->layers = (int)layers;
    cfg->heads = (int)heads;
    cfg->buckets = (int)buckets;
    cfg->max_distance = (int)distance;
    cfg->eps = (float)eps;
    return read_activation(cfg, config, err);
}

static void layer_weights(const Umt5Config *cfg, Umt5Layer *l, Weights *w, int i)
{
    const int64_t c = cfg->dim, inner = cfg->heads * cfg->head_dim, f = cfg->ffn_dim;
    weights_unit(w, "encoder.block.%d", i);
    l->norm1 = weights_tensor(w, "layer.0.layer_norm.weight", SHAPE(c));
    weights_linear(w, &l->q, "layer.0.SelfAttention.q", c, inner, NO_BIAS);
    weights_linear(w, &l->k, "layer.0.SelfAttention.k", c, inner, NO_BIAS);
    weights_linear(w, &l->v, "layer.0.SelfAttention.v", c, inner, NO_BIAS);
    weights_linear(w, &l->o, "layer.0.SelfAttention.o", inner, c, NO_BIAS);
    if (i == 0 || !cfg->shared_bias)
        l->bias_table = weights_tensor(w, "layer.0.SelfAttention.relative_attention_bias.weight",
                                       SHAPE(cfg->buckets, cfg->heads));
    l->norm2 = weights_tensor(w, "layer.1.layer_norm.weight", SHAPE(c));
    weights_linear(w, &l->up,
                   cfg->gated ? "layer.1.DenseReluDense.wi_1" : "layer.1.DenseReluDense.wi", c, f,
                   NO_BIAS);
    if (cfg->gated) weights_linear(w, &l->gate, "layer.1.DenseReluDense.wi_0", c, f, NO_BIAS);
    weights_linear(w, &l->down, "layer.1.DenseReluDense.wo", f, c, NO_BIAS);
}

void umt5_weights(Umt5 *m, Weights *w)
{
    weights_prefix(w, "%s", "");
    /* Tied: files carry either name, or both. */
    const char *shared =
        weights_has(w, "shared.weight") ? "shared.weight" : "encoder.embed_tokens.weight";
    m->embedding = weights_table(w, shared, m->cfg.vocab, m->cfg.dim);
    weights_ignore(w, "encoder.embed_tokens.weight");
    for (int i = 0; i < m->cfg.layers; i++)
        layer_weights(&m->cfg, &m->layer[i], w, i);
    weights_prefix(w, "%s", "");
    m->final_norm = weights_tensor(w, "encoder.final_layer_norm.weight", SHAPE(m->cfg.dim));
}

static Tensor feed_forward(Run *r, const Umt5 *m, const Umt5Layer *l, Tensor x)
{
    if (!m->cfg.gated)
        return nn_linear(r, nn_linear_act(r, x, &l->up, m->cfg.activation), &l->down);
    Tensor gate = nn_linear(r, x, &l->gate); /* [R, F] */
    Tensor up = nn_linear(r, x, &l->up);     /* [R, F] */
    return nn_linear(r, op_gated_activation(r, gate, up, m->cfg.activation), &l->down);
}

static Tensor encode_layer(Run *r, const Umt5 *m, const Umt5Layer *l, Tensor x, Tensor *bias)
{
    const Umt5Config *cfg = &m->cfg;
    Tensor y = op_rms_norm(r, x, l->norm1, cfg->eps);
    Tensor q = nn_linear(r, y, &l->q), k = nn_linear(r, y, &l->k), v = nn_linear(r, y, &l->v);
    AttentionOptions options = { .scale = 1.0f, .has_bias = true };
    if (l->bias_table)
        *bias = op_position_bias(r, l->bias_table, x.shape.dim[0], cfg->max_distance);
    options.bias = *bias;
    y = op_attention(r, (Heads){ q, 0 }, (Heads){ k, 0 }, (Heads){ v, 0 }, cfg->heads,
                     cfg->head_dim, &options); /* [R, H * D] */
    x = op_add(r, x, nn_linear(r, y, &l->o));  /* [R, C] */
    y = op_rms_norm(r, x, l->norm2, cfg->eps);
    return op_add(r, x, feed_forward(r, m, l, y));
}

void umt5_encode(Run *r, const Umt5 *m, int n_prompts, const int32_t *const *ids, const int64_t *n,
                 Tensor *out)
{
    Tensor bias[UMT5_MAX_PROMPTS];
    for (int p = 0; p < n_prompts; p++) {
        out[p] = op_embed(r, m->embedding, ids[p], n[p]); /* [R, C] */
        run_tap(r, "umt5.embed", p, out[p]);
    }
    for (int i = 0; i < m->cfg.layers; i++) {
        run_block(r);
        for (int p = 0; p < n_prompts; p++) {
            out[p] = encode_layer(r, m, &m->layer[i], out[p], &bias[p]);
            run_tap(r, "umt5.block", (int64_t)p * UMT5_MAX_LAYERS + i, out[p]);
        }
    }
    run_block(r);
    for (int p = 0; p < n_prompts; p++)
        out[p] = op_rms_norm(r, out[p], m->final_norm, m->cfg.eps);
}
