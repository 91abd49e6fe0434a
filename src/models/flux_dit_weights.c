/* flux_dit_weights.c  Configuration and the list of weights of the FLUX transformer.
 *
 * Modulation matrices are units of their own: once the vectors of all steps are known they need not be
 * resident (27 % of the model). */
#include "models/flux_dit.h"

static SnugStatus read_axes(FluxDitConfig *cfg, Json config, SnugError *err)
{
    int64_t axes[3] = { 16, 56, 56 };
    int n = 0;
    TRY(json_ints(config, "axes_dims_rope", 0, 1024, axes, 3, &n, err));
    if (n != 0 && n != 3)
        return json_fault(json_get(config, "axes_dims_rope"), err, FAULT_BAD,
                          "got %d numbers, expected 3", n);
    if (axes[0] % 2 || axes[1] % 2 || axes[2] % 2 || axes[0] + axes[1] + axes[2] != cfg->head_dim)
        return json_fault(json_get(config, "axes_dims_rope"), err, FAULT_MISMATCH,
                          "%lld + %lld + %lld must be even numbers and add up to the head "
                          "dimension %lld",
                          (long long)axes[0], (long long)axes[1], (long long)axes[2],
                          (long long)cfg->head_dim);
    cfg->axes = (RopeAxes){ axes[0] / 2, axes[1] / 2, axes[2] / 2 };
    return SNUG_OK;
}

SnugStatus flux_dit_config_read(FluxDitConfig *cfg, Json config, SnugError *err)
{
    int64_t heads, n_double, n_single, patch;
    *cfg = (FluxDitConfig){ 0 };
    TRY(json_int(config, "patch_size", 1, 1, 1, &patch, err)); /* the pipeline packs 2x2 */
    TRY(json_int(config, "in_channels", 64, 1, 1 << 16, &cfg->in_channels, err));
    TRY(json_int(config, "out_channels", cfg->in_channels, 1, 1 << 16, &cfg->out_channels, err));
    TRY(json_int(config, "num_layers", 19, 1, FLUX_MAX_DOUBLE, &n_double, err));
    TRY(json_int(config, "num_single_layers", 38, 1, FLUX_MAX_SINGLE, &n_single, err));
    TRY(json_int(config, "attention_head_dim", 128, 2, 1024, &cfg->head_dim, err));
    TRY(json_int(config, "num_attention_heads", 24, 1, 1024, &heads, err));
    TRY(json_int(config, "joint_attention_dim", 4096, 1, 1 << 16, &cfg->text_dim, err));
    TRY(json_int(config, "pooled_projection_dim", 768, 1, 1 << 16, &cfg->pooled_dim, err));
    TRY(json_bool(config, "guidance_embeds", false, &cfg->guidance, err));
    cfg->heads = (int)heads;
    cfg->n_double = (int)n_double;
    cfg->n_single = (int)n_single;
    return read_axes(cfg, config, err);
}

static int64_t width(const FluxDit *m)
{
    return m->cfg.heads * m->cfg.head_dim;
}

/* Names of one stream's parts below a double block. */
typedef struct StreamNames {
    const char *q, *k, *v, *o, *norm_q, *norm_k, *up, *down;
} StreamNames;

static const StreamNames IMAGE = { .q = "attn.to_q",
                                   .k = "attn.to_k",
                                   .v = "attn.to_v",
                                   .o = "attn.to_out.0",
                                   .norm_q = "attn.norm_q.weight",
                                   .norm_k = "attn.norm_k.weight",
                                   .up = "ff.net.0.proj",
                                   .down = "ff.net.2" };
static const StreamNames TEXT = { .q = "attn.add_q_proj",
                                  .k = "attn.add_k_proj",
                                  .v = "attn.add_v_proj",
                                  .o = "attn.to_add_out",
                                  .norm_q = "attn.norm_added_q.weight",
                                  .norm_k = "attn.norm_added_k.weight",
                                  .up = "ff_context.net.0.proj",
                                  .down = "ff_context.net.2" };

static void stream_weights(const FluxDit *m, FluxStream *s, Weights *w, const StreamNames *n)
{
    const int64_t d = width(m);
    weights_linear(w, &s->q, n->q, d, d, BIAS);
    weights_linear(w, &s->k, n->k, d, d, BIAS);
    weights_linear(w, &s->v, n->v, d, d, BIAS);
    s->norm_q = weights_tensor(w, n->norm_q, SHAPE(m->cfg.head_dim));
    s->norm_k = weights_tensor(w, n->norm_k, SHAPE(m->cfg.head_dim));
    weights_linear(w, &s->o, n->o, d, d, BIAS);
    weights_linear(w, &s->up, n->up, d, 4 * d, BIAS);
    weights_linear(w, &s->down, n->down, 4 * d, d, BIAS);
    s->q.coarse = s->k.coarse = s->v.coarse = s->o.coarse = s->up.coarse = s->down.coarse = true;
}

static void double_weights(const FluxDit *m, FluxDouble *b, Weights *w, int i)
{
    const int64_t d = width(m);
    weights_unit(w, "transformer_blocks.%d.norm1", i);
    weights_linear(w, &b->image.mod, "linear", d, 6 * d, BIAS);
    weights_prefix(w, "transformer_blocks.%d.norm1_context", i);
    weights_linear(w, &b->text.mod, "linear", d, 6 * d, BIAS);
    weights_unit(w, "transformer_blocks.%d", i);
    stream_weights(m, &b->text, w, &TEXT);
    stream_weights(m, &b->image, w, &IMAGE);
}

static void single_weights(const FluxDit *m, FluxSingle *b, Weights *w, int i)
{
    const int64_t d = width(m);
    weights_unit(w, "single_transformer_blocks.%d.norm", i);
    weights_linear(w, &b->mod, "linear", d, 3 * d, BIAS);
    weights_unit(w, "single_transformer_blocks.%d", i);
    weights_linear(w, &b->q, "attn.to_q", d, d, BIAS);
    weights_linear(w, &b->k, "attn.to_k", d, d, BIAS);
    weights_linear(w, &b->v, "attn.to_v", d, d, BIAS);
    b->norm_q = weights_tensor(w, "attn.norm_q.weight", SHAPE(m->cfg.head_dim));
    b->norm_k = weights_tensor(w, "attn.norm_k.weight", SHAPE(m->cfg.head_dim));
    weights_linear(w, &b->up, "proj_mlp", d, 4 * d, BIAS);
    weights_linear(w, &b->out, "proj_out", 5 * d, d, BIAS);
    /* `out` has two inputs side by side */
    b->q.coarse = b->k.coarse = b->v.coarse = b->up.coarse = true;
}

static void embedder_weights(FluxDit *m, Weights *w)
{
    const FluxDitConfig *cfg = &m->cfg;
    const int64_t d = width(m);
    weights_unit(w, "time_text_embed");
    weights_linear(w, &m->time1, "timestep_embedder.linear_1", 256, d, BIAS);
    weights_linear(w, &m->time2, "timestep_embedder.linear_2", d, d, BIAS);
    if (cfg->guidance) {
        weights_linear(w, &m->guidance1, "guidance_embedder.linear_1", 256, d, BIAS);
        weights_linear(w, &m->guidance2, "guidance_embedder.linear_2", d, d, BIAS);
    }
    weights_linear(w, &m->pooled1, "text_embedder.linear_1", cfg->pooled_dim, d, BIAS);
    weights_linear(w, &m->pooled2, "text_embedder.linear_2", d, d, BIAS);
    weights_unit(w, "context_embedder");
    weights_prefix(w, "%s", "");
    weights_linear(w, &m->text_in, "context_embedder", cfg->text_dim, d, BIAS);
}

void flux_dit_weights(FluxDit *m, Weights *w)
{
    const FluxDitConfig *cfg = &m->cfg;
    const int64_t d = width(m);
    embedder_weights(m, w);
    weights_unit(w, "%s", "");
    weights_linear(w, &m->image_in, "x_embedder", cfg->in_channels, d, BIAS);
    weights_linear(w, &m->out, "proj_out", d, cfg->out_channels, BIAS);
    for (int i = 0; i < cfg->n_double; i++)
        double_weights(m, &m->dbl[i], w, i);
    for (int i = 0; i < cfg->n_single; i++)
        single_weights(m, &m->single[i], w, i);
    weights_unit(w, "norm_out");
    weights_linear(w, &m->mod_out, "linear", d, 2 * d, BIAS);
}
