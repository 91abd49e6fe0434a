/* wan_dit.c  Wan video transformer.
 *
 * Letters: T tokens (frame, row, column order), C model dim, F feed-forward dim, G 1 or 2 timesteps.
 * Traps (docs/MODELS.md): names norm2/norm3 are swapped against the original; q and k are
 * normalised over the full C before the heads are split; patch order is [c, y, x] going in and
 * [y, x, c] coming out; the head is modulated by the time embedding before its projection; text
 * padding is attended: 512 - n equal keys, kept as one key with ln(512 - n) added to its score,
 * which is the same softmax. */
#include "models/wan_dit.h"

#include <math.h>

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

static void block_weights(const WanDit *m, WanBlock *b, Weights *w, int i)
{
    const int64_t c = model_dim(m);
    weights_unit(w, "blocks.%d", i);
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

void wan_dit_weights(WanDit *m, Weights *w)
{
    const WanDitConfig *cfg = &m->cfg;
    const int64_t c = model_dim(m), patch = (int64_t)cfg->pt * cfg->ph * cfg->pw;
    weights_unit(w, "%s", "");
    m->patch.weight = weights_tensor(w, "patch_embedding.weight",
                                     SHAPE(c, cfg->in_channels, cfg->pt, cfg->ph, cfg->pw));
    m->patch.bias = weights_tensor(w, "patch_embedding.bias", SHAPE(c));
    weights_linear(w, &m->head, "proj_out", c, patch * cfg->out_channels, BIAS);
    m->head_modulation = weights_tensor(w, "scale_shift_table", SHAPE(2, c));
    weights_prefix(w, "condition_embedder");
    weights_linear(w, &m->time1, "time_embedder.linear_1", cfg->freq_dim, c, BIAS);
    weights_linear(w, &m->time2, "time_embedder.linear_2", c, c, BIAS);
    weights_linear(w, &m->time_proj, "time_proj", c, 6 * c, BIAS);
    weights_linear(w, &m->text1, "text_embedder.linear_1", cfg->text_dim, c, BIAS);
    weights_linear(w, &m->text2, "text_embedder.linear_2", c, c, BIAS);
    if (cfg->image_dim) image_weights(m, w);
    for (int i = 0; i < cfg->layers; i++)
        block_weights(m, &m->block[i], w, i);
}

/* ---- context -------------------------------------------------------------------------------- */

static void fill_zero(void *context, float *to, int64_t count)
{
    (void)context;
    for (int64_t i = 0; i < count; i++)
        to[i] = 0.0f;
}

/* All keys but the last are real rows; the last stands for all padding rows. */
static void fill_key_bias(void *context, float *to, int64_t count)
{
    fill_zero(context, to, count);
    to[count - 1] = logf((float)(WAN_TEXT_ROWS - (count - 1)));
}

static Tensor embed_image(Run *r, const WanDit *m, Tensor image)
{
    const float eps = 1e-5f; /* torch's LayerNorm default, unlike the blocks' eps */
    if (m->image_positions) image = op_add_weight(r, image, m->image_positions);
    Tensor h = op_layer_norm(r, image, m->image_norm1[0], m->image_norm1[1], eps);
    h = nn_linear(r, nn_linear_act(r, h, &m->image1, ACT_GELU_ERF), &m->image2);
    return op_layer_norm(r, h, m->image_norm2[0], m->image_norm2[1], eps);
}

void wan_dit_context(Run *r, const WanDit *m, Tensor text, Tensor image, WanContext *out)
{
    *out = (WanContext){ .image = NO_TENSOR };
    if (!run_ok(r)) return;
    const int64_t n = text.shape.dim[0];
    if (n > WAN_TEXT_ROWS) {
        (void)run_fail(r, SNUG_ERR_ARG, "the prompt has %lld tokens, at most %d are taken",
                       (long long)n, WAN_TEXT_ROWS);
        return;
    }
    Tensor rows = text;
    if (n < WAN_TEXT_ROWS) {
        Tensor pair[2] = { text, run_input(r, SHAPE(1, m->cfg.text_dim), fill_zero, NULL) };
        rows = op_stack(r, 2, pair); /* [n + 1, text_dim] */
        out->key_bias = run_input(r, SHAPE(n + 1), fill_key_bias, NULL);
    } else
        out->key_bias = run_input(r, SHAPE(n), fill_zero, NULL);
    out->text = nn_linear(r, nn_linear_act(r, rows, &m->text1, ACT_GELU_TANH), &m->text2);
    if (tensor_exists(image) && m->cfg.image_dim) {
        out->image = embed_image(r, m, image);
        out->has_image = true;
    }
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* One pass's constants, and what differs between the guidance branches. */
typedef struct Pass {
    const WanDit *m;
    TokenGrid grid;
    int64_t tokens, chunk;
    Tensor rope;
    int64_t split; /* tokens at the first timestep */
} Pass;

/* Modulation as a chunk of rows from `first` sees it. */
static Modulation modulation_at(const Pass *p, Tensor mod, int64_t first)
{
    int64_t split = p->split - first;
    return (Modulation){ mod, split > 0 ? split : 0 };
}

static Tensor chunk_of(Run *r, const Pass *p, Tensor x, int64_t first)
{
    const int64_t n = p->tokens - first < p->chunk ? p->tokens - first : p->chunk;
    return op_rows(r, x, first, n);
}

static Tensor rotated(Run *r, const Pass *p, Tensor a, const Linear *l, const Weight *norm,
                      int64_t first)
{
    Tensor q = op_rms_norm(r, nn_linear(r, a, l), norm, p->m->cfg.eps); /* over the full C */
    return op_rope(r, q, p->rope, p->grid, p->m->cfg.heads, first);
}

enum { SHIFT_SELF, SCALE_SELF, GATE_SELF, SHIFT_FFN, SCALE_FFN, GATE_FFN };

/* Pass A: keys and values of all tokens, in chunks of rows. */
static void self_keys(Run *r, const Pass *p, const WanBlock *b, Tensor x, Tensor mod, Tensor *k,
                      Tensor *v)
{
    const bool whole = p->chunk >= p->tokens;
    if (!whole) {
        *k = op_blank(r, x.shape);
        *v = op_blank(r, x.shape);
    }
    for (int64_t first = 0; first < p->tokens && run_ok(r); first += p->chunk) {
        Tensor a = op_modulated_norm(r, chunk_of(r, p, x, first), modulation_at(p, mod, first),
                                     SHIFT_SELF, SCALE_SELF, p->m->cfg.eps);
        Tensor kc = rotated(r, p, a, &b->self.k, b->self.norm_k, first);
        Tensor vc = nn_linear(r, a, &b->self.v);
        *k = whole ? kc : op_write_rows(r, *k, first, kc);
        *v = whole ? vc : op_write_rows(r, *v, first, vc);
    }
}

typedef struct KeyValue {
    Tensor k, v, image_k, image_v;
} KeyValue;

static KeyValue cross_keys(Run *r, const WanDit *m, const WanBlock *b, const WanContext *c)
{
    KeyValue kv = { .image_k = NO_TENSOR, .image_v = NO_TENSOR };
    kv.k = op_rms_norm(r, nn_linear(r, c->text, &b->cross.k), b->cross.norm_k, m->cfg.eps);
    kv.v = nn_linear(r, c->text, &b->cross.v);
    if (!c->has_image) return kv;
    kv.image_k = op_rms_norm(r, nn_linear(r, c->image, &b->cross.image_k), b->cross.norm_image_k,
                             m->cfg.eps);
    kv.image_v = nn_linear(r, c->image, &b->cross.image_v);
    return kv;
}

/* Keys and values of the prompt: computed once and kept where the plan says so. */
static KeyValue cross_keys_of(Run *r, const WanDit *m, int i, WanContext *c)
{
    if (c->cached) return (KeyValue){ c->k[i], c->v[i], c->image_k[i], c->image_v[i] };
    KeyValue kv = cross_keys(r, m, &m->block[i], c);
    if (r->knobs.cache_cross) {
        c->k[i] = kv.k;
        c->v[i] = kv.v;
        c->image_k[i] = kv.image_k;
        c->image_v[i] = kv.image_v;
    }
    return kv;
}

static Tensor cross_attention(Run *r, const WanDit *m, const WanBlock *b, Tensor x,
                              const WanContext *c, const KeyValue *kv)
{
    const WanDitConfig *cfg = &m->cfg;
    Tensor u = x;
    if (cfg->cross_norm)
        u = op_layer_norm(r, x, b->cross_norm_weight, b->cross_norm_bias, cfg->eps);
    Tensor q = op_rms_norm(r, nn_linear(r, u, &b->cross.q), b->cross.norm_q, cfg->eps);
    const AttentionOptions options = { .key_bias = c->key_bias, .has_key_bias = true };
    Tensor a = op_attention(r, (Heads){ q, 0 }, (Heads){ kv->k, 0 }, (Heads){ kv->v, 0 },
                            cfg->heads, cfg->head_dim, &options);
    if (c->has_image)
        a = op_add(r, a,
                   op_attention(r, (Heads){ q, 0 }, (Heads){ kv->image_k, 0 },
                                (Heads){ kv->image_v, 0 }, cfg->heads, cfg->head_dim, NULL));
    return op_add(r, x, nn_linear(r, a, &b->cross.o));
}

/* Pass B for one chunk of rows: everything after the keys and values. */
static Tensor block_rows(Run *r, const Pass *p, const WanBlock *b, Tensor x, Modulation mod,
                         int64_t first, const KeyValue *self, const WanContext *c,
                         const KeyValue *cross)
{
    const WanDitConfig *cfg = &p->m->cfg;
    Tensor u = op_modulated_norm(r, x, mod, SHIFT_SELF, SCALE_SELF, cfg->eps);
    Tensor q = rotated(r, p, u, &b->self.q, b->self.norm_q, first);
    Tensor a = op_attention(r, (Heads){ q, 0 }, (Heads){ self->k, 0 }, (Heads){ self->v, 0 },
                            cfg->heads, cfg->head_dim, NULL);
    x = op_gated_add(r, x, nn_linear(r, a, &b->self.o), mod, GATE_SELF);
    x = cross_attention(r, p->m, b, x, c, cross);
    u = op_modulated_norm(r, x, mod, SHIFT_FFN, SCALE_FFN, cfg->eps);
    u = nn_linear_act(r, u, &b->up, ACT_GELU_TANH); /* [rows, F] */
    return op_gated_add(r, x, nn_linear(r, u, &b->down), mod, GATE_FFN);
}

static Tensor block(Run *r, const Pass *p, int i, Tensor x, Tensor time, WanContext *c)
{
    const WanBlock *b = &p->m->block[i];
    Tensor mod = op_add_weight(r, time, b->modulation); /* [G, 6, C] */
    KeyValue self = { NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR };
    self_keys(r, p, b, x, mod, &self.k, &self.v);
    const KeyValue cross = cross_keys_of(r, p->m, i, c);
    for (int64_t first = 0; first < p->tokens && run_ok(r); first += p->chunk) {
        Tensor rows = block_rows(r, p, b, chunk_of(r, p, x, first), modulation_at(p, mod, first),
                                 first, &self, c, &cross);
        x = p->chunk >= p->tokens ? rows : op_write_rows(r, x, first, rows);
    }
    return x;
}

/* ---- forward -------------------------------------------------------------------------------- */

/* [G, 6, C] for the blocks, [G, 2, C] for the head. */
static void embed_time(Run *r, const WanDit *m, WanTime time, Tensor *blocks, Tensor *head)
{
    const int n = time.split_frames > 0 ? 2 : 1;
    const double t[2] = { n == 2 ? time.t_first : time.t, time.t };
    Tensor e = op_timestep(r, t, n, m->cfg.freq_dim);
    e = nn_linear(r, nn_linear_act(r, e, &m->time1, ACT_SILU), &m->time2); /* [G, C] */
    Tensor twice[2] = { e, e };
    *head = op_reshape(r, op_concat(r, 2, twice), SHAPE(n, 2, model_dim(m)));
    *head = op_add_weight(r, *head, m->head_modulation);
    Tensor e0 = nn_linear(r, op_activation(r, e, ACT_SILU), &m->time_proj);
    *blocks = op_reshape(r, e0, SHAPE(n, 6, model_dim(m)));
}

static Tensor embed_patches(Run *r, const WanDit *m, Tensor latent)
{
    Tensor x = op_patchify(r, latent, m->cfg.pt, m->cfg.ph, m->cfg.pw, PATCH_CTHW);
    return nn_linear(r, x, &m->patch); /* [T, C] */
}

static Tensor project_out(Run *r, const Pass *p, Tensor x, Tensor head)
{
    const WanDitConfig *cfg = &p->m->cfg;
    Tensor y = op_modulated_norm(r, x, modulation_at(p, head, 0), 0, 1, cfg->eps);
    y = nn_linear(r, y, &p->m->head);
    return op_unpatchify(r, y, p->grid, cfg->pt, cfg->ph, cfg->pw, PATCH_THWC);
}

void wan_dit_forward(Run *r, const WanDit *m, Tensor latent, WanTime time, int n_branches,
                     WanContext *const *contexts, Tensor *out)
{
    const WanDitConfig *cfg = &m->cfg;
    if (!run_ok(r)) return;
    Pass p = { .m = m };
    p.grid = (TokenGrid){ latent.shape.dim[0] / cfg->pt, latent.shape.dim[1] / cfg->ph,
                          latent.shape.dim[2] / cfg->pw };
    p.tokens = p.grid.frames * p.grid.height * p.grid.width;
    p.chunk = r->knobs.chunk_rows > 0 ? r->knobs.chunk_rows : p.tokens;
    p.split = time.split_frames / cfg->pt * p.grid.height * p.grid.width;
    p.rope = op_rope_table(r, p.grid, cfg->head_dim);
    Tensor blocks = NO_TENSOR, head = NO_TENSOR, x[WAN_MAX_BRANCHES];
    embed_time(r, m, time, &blocks, &head);
    for (int k = 0; k < n_branches; k++)
        x[k] = embed_patches(r, m, latent);
    run_tap(r, "dit.patch", 0, x[0]);
    run_tap(r, "dit.time", 0, blocks);
    for (int i = 0; i < cfg->layers; i++) {
        run_block(r);
        for (int k = 0; k < n_branches; k++) {
            x[k] = block(r, &p, i, x[k], blocks, contexts[k]);
            run_tap(r, "dit.block", (int64_t)k * WAN_MAX_LAYERS + i, x[k]);
        }
    }
    run_block(r);
    for (int k = 0; k < n_branches; k++) {
        if (r->knobs.cache_cross) contexts[k]->cached = true;
        out[k] = project_out(r, &p, x[k], head);
    }
}
