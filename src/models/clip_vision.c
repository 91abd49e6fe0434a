/* clip_vision.c  CLIP vision transformer.
 *
 * Letters: T tokens (class row, then patches in rows), C width.
 * Traps: the norm before the blocks is called pre_layrnorm; the patch convolution has no bias; the
 * block's GELU is exact (erf) in ViT-H and the quick one in OpenAI's models, which is also what a
 * configuration without the key means. */
#include "models/clip_vision.h"

#include <stdio.h>
#include <string.h>

SnugStatus clip_vision_config_read(ClipVisionConfig *cfg, Json config, SnugError *err)
{
    static const char *const ACTIVATIONS[] = { "gelu", "quick_gelu", NULL };
    int64_t heads, layers, image, patch, channels;
    double eps;
    int act = 0;
    Json c = config;
    *cfg = (ClipVisionConfig){ 0 };
    if (json_has(config, "vision_config")) TRY(json_get_object(config, "vision_config", &c, err));
    TRY(json_int(c, "hidden_size", 768, 1, 1 << 16, &cfg->dim, err));
    TRY(json_int(c, "intermediate_size", 3072, 1, 1 << 18, &cfg->ffn_dim, err));
    TRY(json_int(c, "num_hidden_layers", 12, 1, CLIP_MAX_LAYERS, &layers, err));
    TRY(json_int(c, "num_attention_heads", 12, 1, 1024, &heads, err));
    TRY(json_int(c, "num_channels", 3, 3, 3, &channels, err));
    TRY(json_int(c, "image_size", 224, 1, 4096, &image, err));
    TRY(json_int(c, "patch_size", 32, 1, 4096, &patch, err));
    TRY(json_f64(c, "layer_norm_eps", 1e-5, 0.0, 1.0, &eps, err));
    TRY(json_choice(c, "hidden_act", ACTIVATIONS, 1, &act, err));
    if (cfg->dim % heads != 0)
        return json_fault(json_get(c, "num_attention_heads"), err, FAULT_BAD,
                          "%lld heads do not divide a width of %lld", (long long)heads,
                          (long long)cfg->dim);
    if (image < patch)
        return json_fault(json_get(c, "image_size"), err, FAULT_BAD,
                          "%lld px are less than one patch of %lld px", (long long)image,
                          (long long)patch);
    cfg->heads = (int)heads;
    cfg->layers = (int)layers;
    cfg->image_px = (int)image;
    cfg->patch_px = (int)patch;
    cfg->quick_gelu = act == 1;
    cfg->eps = (float)eps;
    return SNUG_OK;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* The two families of names. Printed with a layer's number: only `layer` has one. */
typedef struct Names {
    const char *class_row, *patch, *positions, *pre_norm, *layer;
    const char *norm1, *norm2, *qkv, *o, *up, *down;
} Names;

static const Names TRANSFORMERS = { .class_row = "embeddings.class_embedding",
                                    .patch = "embeddings.patch_embedding",
                                    .positions = "embeddings.position_embedding.weight",
                                    .pre_norm = "pre_layrnorm",
                                    .layer = "encoder.layers",
                                    .norm1 = "layer_norm1",
                                    .norm2 = "layer_norm2",
                                    .o = "self_attn.out_proj",
                                    .up = "mlp.fc1",
                                    .down = "mlp.fc2" };
static const Names ORIGINAL = { .class_row = "cls_embedding",
                                .patch = "patch_embedding",
                                .positions = "pos_embedding",
                                .pre_norm = "pre_norm",
                                .layer = "transformer",
                                .norm1 = "norm1",
                                .norm2 = "norm2",
                                .qkv = "attn.to_qkv",
                                .o = "attn.proj",
                                .up = "mlp.0",
                                .down = "mlp.2" };

/* Which names a file uses, and what stands before all of them. */
static const Names *names_in(const Checkpoint *c, const char **root)
{
    if (checkpoint_find(c, "visual.cls_embedding") >= 0) {
        *root = "visual.";
        return &ORIGINAL;
    }
    *root =
        checkpoint_find(c, "vision_model.embeddings.class_embedding") >= 0 ? "vision_model." : "";
    return &TRANSFORMERS;
}

static const Entry *find_entry(const Checkpoint *c, const char *name)
{
    const int32_t i = checkpoint_find(c, name);
    return i < 0 ? NULL : checkpoint_entry(c, i);
}

enum { ORIGINAL_HEAD_DIM = 80 };

SnugStatus clip_vision_config_guess(ClipVisionConfig *cfg, const Checkpoint *c, SnugError *err)
{
    const Entry *patch = find_entry(c, "visual.patch_embedding.weight");
    const Entry *positions = find_entry(c, "visual.pos_embedding");
    const Entry *up = find_entry(c, "visual.transformer.0.mlp.0.weight");
    *cfg = (ClipVisionConfig){ .eps = 1e-5f };
    if (!patch || !positions || !up || patch->rank != 4 || positions->rank != 3 || up->rank != 2)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: no CLIP vision network: visual.patch_embedding.weight, "
                         "visual.pos_embedding or visual.transformer.0 is missing",
                         checkpoint_path(c));
    char name[64];
    for (; cfg->layers < CLIP_MAX_LAYERS; cfg->layers++) {
        (void)snprintf(name, sizeof name, "visual.transformer.%d.norm1.weight", cfg->layers);
        if (checkpoint_find(c, name) < 0) break;
    }
    int64_t side = 1; /* patches along an edge: positions = side^2 + 1 */
    while (side < 4096 && side * side + 1 < positions->dim[1])
        side++;
    cfg->dim = patch->dim[0];
    cfg->ffn_dim = up->dim[0];
    cfg->heads = (int)(cfg->dim / ORIGINAL_HEAD_DIM);
    if (cfg->layers < 1 || cfg->dim < 1 || cfg->dim > 1 << 16 ||
        cfg->dim % ORIGINAL_HEAD_DIM != 0 || patch->dim[2] < 1 || patch->dim[2] > 4096 ||
        side * side + 1 != positions->dim[1] || side * patch->dim[2] > 4096)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: the CLIP vision network has width %lld, patches of %lld px and %lld "
                         "positions, which do not belong together",
                         checkpoint_path(c), (long long)cfg->dim, (long long)patch->dim[2],
                         (long long)positions->dim[1]);
    cfg->patch_px = (int)patch->dim[2];
    cfg->image_px = (int)(side * patch->dim[2]);
    return SNUG_OK;
}

/* ---- weights -------------------------------------------------------------------------------- */

static void layer_weights(const ClipVision *m, ClipVisionLayer *l, Weights *w, const Names *n)
{
    const int64_t c = m->cfg.dim;
    l->norm1 = nn_norm_weights(w, n->norm1, c);
    if (n->qkv)
        weights_linear(w, &l->qkv, n->qkv, c, 3 * c, BIAS);
    else {
        weights_linear(w, &l->q, "self_attn.q_proj", c, c, BIAS);
        weights_linear(w, &l->k, "self_attn.k_proj", c, c, BIAS);
        weights_linear(w, &l->v, "self_attn.v_proj", c, c, BIAS);
    }
    weights_linear(w, &l->o, n->o, c, c, BIAS);
    l->norm2 = nn_norm_weights(w, n->norm2, c);
    weights_linear(w, &l->up, n->up, c, m->cfg.ffn_dim, BIAS);
    weights_linear(w, &l->down, n->down, m->cfg.ffn_dim, c, BIAS);
}

/* What files carry and the result does not need: the last block, the norm and projection behind it,
 * the text tower, buffers. */
static void ignore_rest(const ClipVision *m, Weights *w, const Names *n, const char *root)
{
    static const char *const BELOW_ROOT[] = { "post_layernorm.", "post_norm.", "head",
                                              "embeddings.position_ids" };
    static const char *const WHOLE[] = { "visual_projection.", "text_model.", "text_projection.",
                                         "textual.",           "logit_scale", "log_scale" };
    char name[96];
    (void)snprintf(name, sizeof name, "%s%s.%d.", root, n->layer, m->cfg.layers - 1);
    weights_ignore_all(w, name);
    for (size_t i = 0; i < sizeof BELOW_ROOT / sizeof BELOW_ROOT[0]; i++) {
        (void)snprintf(name, sizeof name, "%s%s", root, BELOW_ROOT[i]);
        weights_ignore_all(w, name);
    }
    for (size_t i = 0; i < sizeof WHOLE / sizeof WHOLE[0]; i++)
        weights_ignore_all(w, WHOLE[i]);
}

void clip_vision_weights(ClipVision *m, Weights *w)
{
    const ClipVisionConfig *cfg = &m->cfg;
    const char *root = "";
    const Names *n = names_in(w->checkpoint, &root);
    const int64_t c = cfg->dim, p = cfg->patch_px;
    char name[64];
    weights_unit(w, "%.*s", (int)(strlen(root) ? strlen(root) - 1 : 0), root);
    (void)snprintf(name, sizeof name, "%s.weight", n->patch);
    m->patch = (Linear){ .weight = weights_tensor(w, name, SHAPE(c, 3, p, p)) };
    m->class_row = weights_tensor(w, n->class_row, SHAPE(c));
    m->positions = weights_tensor(w, n->positions, SHAPE(clip_vision_tokens(cfg), c));
    m->pre_norm = nn_norm_weights(w, n->pre_norm, c);
    for (int i = 0; i < cfg->layers - 1; i++) {
        weights_unit(w, "%s%s.%d", root, n->layer, i);
        layer_weights(m, &m->layer[i], w, n);
    }
    ignore_rest(m, w, n, root);
}

/* ---- forward -------------------------------------------------------------------------------- */

int64_t clip_vision_tokens(const ClipVisionConfig *cfg)
{
    const int64_t side = cfg->image_px / cfg->patch_px;
    return side * side + 1;
}

int clip_vision_seen_px(const ClipVisionConfig *cfg)
{
    return cfg->image_px / cfg->patch_px * cfg->patch_px;
}

static void fill_zero(void *context, float *to, int64_t count)
{
    (void)context;
    memset(to, 0, (size_t)count * sizeof *to);
}

/* [n T, C]: of each picture the class row, then its patches. */
static Tensor embed(Run *r, const ClipVision *m, int n, const Tensor *pixels)
{
    const int p = m->cfg.patch_px;
    Tensor rows[CLIP_MAX_PICTURES];
    for (int i = 0; i < n; i++) {
        Tensor patches = op_patchify(r, pixels[i], 1, p, p, PATCH_CTHW); /* [T - 1, 3 p p] */
        Tensor zero = run_input(r, SHAPE(1, m->cfg.dim), fill_zero, NULL);
        const Tensor pair[2] = { op_add_weight(r, zero, m->class_row),
                                 nn_linear(r, patches, &m->patch) };
        rows[i] = op_add_weight(r, op_stack(r, 2, pair), m->positions);
    }
    Tensor x = n == 1 ? rows[0] : op_stack(r, n, rows);
    return op_layer_norm(r, x, m->pre_norm.weight, m->pre_norm.bias, m->cfg.eps);
}

/* Every picture looks at itself alone. */
static Tensor attend(Run *r, const ClipVision *m, int n, Heads q, Heads k, Heads v)
{
    const int64_t t = clip_vision_tokens(&m->cfg), d = m->cfg.dim / m->cfg.heads;
    Tensor out[CLIP_MAX_PICTURES];
    for (int i = 0; i < n; i++)
        out[i] = op_attention(r, (Heads){ op_rows(r, q.x, i * t, t), q.col },
                              (Heads){ op_rows(r, k.x, i * t, t), k.col },
                              (Heads){ op_rows(r, v.x, i * t, t), v.col }, m->cfg.heads, d, NULL);
    return n == 1 ? out[0] : op_stack(r, n, out);
}

static Tensor attention(Run *r, const ClipVision *m, const ClipVisionLayer *l, int n, Tensor u)
{
    const int64_t c = m->cfg.dim;
    Tensor a;
    if (l->qkv.weight) {
        Tensor all = nn_linear(r, u, &l->qkv); /* [n T, 3 C] */
        a = attend(r, m, n, (Heads){ all, 0 }, (Heads){ all, c }, (Heads){ all, 2 * c });
    } else {
        const Tensor q = nn_linear(r, u, &l->q), k = nn_linear(r, u, &l->k);
        const Tensor v = nn_linear(r, u, &l->v);
        a = attend(r, m, n, (Heads){ q, 0 }, (Heads){ k, 0 }, (Heads){ v, 0 });
    }
    return nn_linear(r, a, &l->o);
}

static Tensor mlp(Run *r, const ClipVision *m, const ClipVisionLayer *l, Tensor u)
{
    const Activation act = m->cfg.quick_gelu ? ACT_GELU_QUICK : ACT_GELU_ERF;
    return nn_linear(r, nn_linear_act(r, u, &l->up, act), &l->down);
}

Tensor clip_vision_encode(Run *r, const ClipVision *m, int n, const Tensor *pixels)
{
    const float eps = m->cfg.eps;
    Tensor x = embed(r, m, n, pixels);
    run_tap(r, "clip.block", 0, x);
    for (int i = 0; i < m->cfg.layers - 1 && run_ok(r); i++) {
        const ClipVisionLayer *l = &m->layer[i];
        run_block(r);
        Tensor u = op_layer_norm(r, x, l->norm1.weight, l->norm1.bias, eps);
        x = op_add(r, x, attention(r, m, l, n, u));
        u = op_layer_norm(r, x, l->norm2.weight, l->norm2.bias, eps);
        x = op_add(r, x, mlp(r, m, l, u));
        run_tap(r, "clip.block", i + 1, x);
    }
    return x;
}
