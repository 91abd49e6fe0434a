/* clip_text.c  CLIP text transformer: pre-norm blocks, causal attention, biases everywhere.
 *
 * Letters: R tokens of one prompt, C model dim.
 * Traps (docs/MODELS.md): a query sees no later token, so that padding behind the end token changes
 * neither the pooled row nor those before it; SDXL looks at the last layer but one, without the
 * final norm; the pooled row takes the norm first, then the projection; files of old configurations
 * say eos_token_id 2 and mean the greatest id. */
#include "models/clip_text.h"

#include <stdio.h>

static SnugStatus read_sizes(ClipTextConfig *cfg, Json c, SnugError *err)
{
    int64_t heads, layers;
    TRY(json_int(c, "vocab_size", 49408, 1, 1 << 21, &cfg->vocab, err));
    TRY(json_int(c, "hidden_size", 512, 1, 1 << 16, &cfg->dim, err));
    TRY(json_int(c, "intermediate_size", 2048, 1, 1 << 18, &cfg->ffn_dim, err));
    TRY(json_int(c, "max_position_embeddings", 77, 1, 1 << 16, &cfg->positions, err));
    TRY(json_int(c, "num_hidden_layers", 12, 1, CLIP_TEXT_MAX_LAYERS, &layers, err));
    TRY(json_int(c, "num_attention_heads", 8, 1, 1024, &heads, err));
    if (cfg->dim % heads != 0)
        return json_fault(json_get(c, "num_attention_heads"), err, FAULT_BAD,
                          "%lld heads do not divide a width of %lld", (long long)heads,
                          (long long)cfg->dim);
    cfg->heads = (int)heads;
    cfg->layers = (int)layers;
    return SNUG_OK;
}

SnugStatus clip_text_config_read(ClipTextConfig *cfg, Json config, bool projected, SnugError *err)
{
    static const char *const NAMES[] = { "gelu", "quick_gelu", NULL };
    static const Activation ACTIVATIONS[] = { ACT_GELU_ERF, ACT_GELU_QUICK };
    double eps;
    int act = 0;
    *cfg = (ClipTextConfig){ 0 };
    TRY(read_sizes(cfg, config, err));
    TRY(json_f64(config, "layer_norm_eps", 1e-5, 0.0, 1.0, &eps, err));
    TRY(json_choice(config, "hidden_act", NAMES, 1, &act, err));
    TRY(json_int(config, "eos_token_id", 49407, 0, 1 << 21, &cfg->eos, err));
    if (projected)
        TRY(json_int(config, "projection_dim", 512, 1, 1 << 16, &cfg->projection_dim, err));
    cfg->activation = ACTIVATIONS[act];
    cfg->eps = (float)eps;
    return SNUG_OK;
}

/* ---- weights -------------------------------------------------------------------------------- */

static void layer_weights(const ClipTextConfig *cfg, ClipTextLayer *l, Weights *w)
{
    const int64_t c = cfg->dim;
    l->norm1 = nn_norm_weights(w, "layer_norm1", c);
    weights_linear(w, &l->q, "self_attn.q_proj", c, c, BIAS);
    weights_linear(w, &l->k, "self_attn.k_proj", c, c, BIAS);
    weights_linear(w, &l->v, "self_attn.v_proj", c, c, BIAS);
    weights_linear(w, &l->o, "self_attn.out_proj", c, c, BIAS);
    l->norm2 = nn_norm_weights(w, "layer_norm2", c);
    weights_linear(w, &l->up, "mlp.fc1", c, cfg->ffn_dim, BIAS);
    weights_linear(w, &l->down, "mlp.fc2", cfg->ffn_dim, c, BIAS);
}

void clip_text_weights(ClipText *m, Weights *w)
{
    const ClipTextConfig *cfg = &m->cfg;
    weights_prefix(w, "%s", "");
    const char *root =
        weights_has(w, "text_model.embeddings.position_embedding.weight") ? "text_model." : "";
    weights_unit(w, "%sembeddings", root);
    m->embedding = weights_table(w, "token_embedding.weight", cfg->vocab, cfg->dim);
    m->positions = weights_tensor(w, "position_embedding.weight", SHAPE(cfg->positions, cfg->dim));
    weights_ignore(w, "position_ids");
    for (int i = 0; i < cfg->layers; i++) {
        weights_unit(w, "%sencoder.layers.%d", root, i);
        layer_weights(cfg, &m->layer[i], w);
    }
    weights_unit(w, "%sfinal_layer_norm", root);
    m->final_norm.weight = weights_tensor(w, "weight", SHAPE(cfg->dim));
    m->final_norm.bias = weights_tensor(w, "bias", SHAPE(cfg->dim));
    weights_prefix(w, "%s", "");
    if (cfg->projection_dim && cfg->turned)
        m->turned =
            weights_tensor(w, "text_projection.weight", SHAPE(cfg->dim, cfg->projection_dim));
    else if (cfg->projection_dim)
        weights_linear(w, &m->projection, "text_projection", cfg->dim, cfg->projection_dim,
                       NO_BIAS);
}

/* ---- forward -------------------------------------------------------------------------------- */

int64_t clip_text_pooled_row(const ClipTextConfig *cfg, const int32_t *ids, int64_t n)
{
    int64_t greatest = 0;
    for (int64_t i = 0; i < n; i++) {
        if (cfg->eos != 2 && ids[i] == cfg->eos) return i;
        if (ids[i] > ids[greatest]) greatest = i;
    }
    return cfg->eos == 2 ? greatest : 0; /* torch's argmax over no match is 0 */
}

static Tensor encode_layer(Run *r, const ClipText *m, const ClipTextLayer *l, Tensor x)
{
    const ClipTextConfig *cfg = &m->cfg;
    const AttentionOptions causal = { .causal = true };
    Tensor u = op_layer_norm(r, x, l->norm1.weight, l->norm1.bias, cfg->eps);
    const Heads q = { nn_linear(r, u, &l->q), 0 }, k = { nn_linear(r, u, &l->k), 0 },
                v = { nn_linear(r, u, &l->v), 0 };
    u = op_attention(r, q, k, v, cfg->heads, cfg->dim / cfg->heads, &causal);
    x = op_add(r, x, nn_linear(r, u, &l->o)); /* [R, C] */
    u = op_layer_norm(r, x, l->norm2.weight, l->norm2.bias, cfg->eps);
    return op_add(r, x, nn_linear(r, nn_linear_act(r, u, &l->up, cfg->activation), &l->down));
}

static void finish(Run *r, const ClipText *m, ClipTextPrompt *p)
{
    const int64_t row = clip_text_pooled_row(&m->cfg, p->ids, p->n);
    p->pooled = op_layer_norm(r, op_rows(r, p->last, row, 1), m->final_norm.weight,
                              m->final_norm.bias, m->cfg.eps);
    if (m->turned)
        p->pooled = op_linear_turned(r, p->pooled, m->turned);
    else if (m->cfg.projection_dim)
        p->pooled = nn_linear(r, p->pooled, &m->projection);
}

void clip_text_encode(Run *r, const ClipText *m, int n_prompts, ClipTextPrompt *prompts)
{
    const int layers = m->cfg.layers;
    for (int p = 0; p < n_prompts && run_ok(r); p++) {
        if (prompts[p].n < 1 || prompts[p].n > m->cfg.positions) {
            (void)run_fail(r, SNUG_ERR_ARG, "a prompt of %lld tokens, CLIP takes 1 to %lld",
                           (long long)prompts[p].n, (long long)m->cfg.positions);
            return;
        }
        Tensor x = op_embed(r, m->embedding, prompts[p].ids, prompts[p].n); /* [R, C] */
        prompts[p].last = prompts[p].penultimate = op_add_weight(r, x, m->positions);
        run_tap(r, "clip_text.embed", p, prompts[p].last);
    }
    for (int i = 0; i < layers; i++) {
        run_block(r);
        for (int p = 0; p < n_prompts; p++) {
            prompts[p].penultimate = prompts[p].last;
            prompts[p].last = encode_layer(r, m, &m->layer[i], prompts[p].last);
            run_tap(r, "clip_text.block", (int64_t)p * CLIP_TEXT_MAX_LAYERS + i, prompts[p].last);
        }
    }
    run_block(r);
    for (int p = 0; p < n_prompts; p++)
        finish(r, m, &prompts[p]);
}
