/* swin.c  Windows at rest and moved in turn; between stages 2x2 tokens become one.
 *
 * Letters: T tokens of a map h x w, C channels of the stage.
 * Traps (docs/MODELS.md): maps are padded behind the norm, so padding has the projection's bias as q, k
 * and v and is attended in maps at rest; tokens are merged column by column; what a stage hands
 * out is normalised, what goes on is not. */
#include "models/swin.h"

#include <stdio.h>

static const float EPS = 1e-5f;

/* ---- configuration -------------------------------------------------------------------------- */

static const Entry *entry_of(const Checkpoint *c, const char *prefix, const char *name)
{
    char full[256];
    (void)snprintf(full, sizeof full, "%s%s", prefix, name);
    const int32_t i = checkpoint_find(c, full);
    return i < 0 ? NULL : checkpoint_entry(c, i);
}

static SnugStatus refuse(const Checkpoint *c, const char *prefix, const char *name, SnugError *err)
{
    return error_set(err, SNUG_ERR_FILE, "%s: %s%s is missing, or not what a Swin transformer has",
                     checkpoint_path(c), prefix, name);
}

static int64_t table_side(int64_t rows)
{
    int64_t side = 1;
    while (side * side < rows)
        side += 2;
    return side * side == rows ? side : 0;
}

static SnugStatus detect_stage(SwinConfig *cfg, const Checkpoint *c, const char *prefix, int i,
                               SnugError *err)
{
    char name[128];
    (void)snprintf(name, sizeof name, "layers.%d.blocks.0.attn.relative_position_bias_table", i);
    const Entry *table = entry_of(c, prefix, name);
    const int64_t side =
        table && table->rank == 2 && table->dim[0] < 1 << 20 ? table_side(table->dim[0]) : 0;
    const int64_t channels = swin_channels(cfg, i);
    if (side < 1 || table->dim[1] < 1 || table->dim[1] > 1024 || channels % table->dim[1] != 0 ||
        (i && (side + 1) / 2 != cfg->window))
        return refuse(c, prefix, name, err);
    cfg->window = (int)(side + 1) / 2;
    cfg->heads[i] = (int)table->dim[1];
    for (cfg->depth[i] = 0;; cfg->depth[i]++) {
        (void)snprintf(name, sizeof name, "layers.%d.blocks.%d.norm1.weight", i, cfg->depth[i]);
        if (!entry_of(c, prefix, name)) break;
        if (cfg->depth[i] == SWIN_MAX_DEPTH)
            return error_set(err, SNUG_ERR_FILE, "%s: more than %d blocks in a stage",
                             checkpoint_path(c), SWIN_MAX_DEPTH);
    }
    return cfg->depth[i] ? SNUG_OK : refuse(c, prefix, name, err);
}

SnugStatus swin_config_detect(SwinConfig *cfg, const Checkpoint *c, const char *prefix,
                              SnugError *err)
{
    static const char PATCH[] = "patch_embed.proj.weight";
    const Entry *patch = entry_of(c, prefix, PATCH);
    *cfg = (SwinConfig){ 0 };
    if (!patch || patch->rank != 4 || patch->dim[0] < 1 || patch->dim[0] > 4096 ||
        patch->dim[1] != 3 || patch->dim[2] != SWIN_PATCH || patch->dim[3] != SWIN_PATCH)
        return refuse(c, prefix, PATCH, err);
    cfg->embed = patch->dim[0];
    for (int i = 0; i < SWIN_STAGES; i++)
        TRY(detect_stage(cfg, c, prefix, i, err));
    return SNUG_OK;
}

/* ---- weights -------------------------------------------------------------------------------- */

static void block_weights(const Swin *m, SwinBlock *b, Weights *w, const char *name, int i, int j)
{
    const int64_t c = swin_channels(&m->cfg, i), side = 2 * (int64_t)m->cfg.window - 1;
    weights_unit(w, "%s.layers.%d.blocks.%d", name, i, j);
    b->norm1 = nn_norm_weights(w, "norm1", c);
    b->table =
        weights_tensor(w, "attn.relative_position_bias_table", SHAPE(side * side, m->cfg.heads[i]));
    weights_ignore(w, "attn.relative_position_index");
    weights_linear(w, &b->qkv, "attn.qkv", c, 3 * c, BIAS);
    weights_linear(w, &b->proj, "attn.proj", c, c, BIAS);
    b->norm2 = nn_norm_weights(w, "norm2", c);
    weights_linear(w, &b->up, "mlp.fc1", c, 4 * c, BIAS);
    weights_linear(w, &b->down, "mlp.fc2", 4 * c, c, BIAS);
}

void swin_weights(Swin *m, Weights *w, const char *name)
{
    const SwinConfig *cfg = &m->cfg;
    char norm[16];
    weights_unit(w, "%s.patch_embed", name);
    m->patch.weight =
        weights_tensor(w, "proj.weight", SHAPE(cfg->embed, 3, SWIN_PATCH, SWIN_PATCH));
    m->patch.bias = weights_tensor(w, "proj.bias", SHAPE(cfg->embed));
    m->patch_norm = nn_norm_weights(w, "norm", cfg->embed);
    for (int i = 0; i < SWIN_STAGES; i++) {
        SwinStage *s = &m->stage[i];
        const int64_t c = swin_channels(cfg, i);
        for (int j = 0; j < cfg->depth[i]; j++)
            block_weights(m, &s->block[j], w, name, i, j);
        weights_unit(w, "%s.layers.%d.downsample", name, i);
        if (i + 1 < SWIN_STAGES) {
            s->merge_norm = nn_norm_weights(w, "norm", 4 * c);
            weights_linear(w, &s->merge, "reduction", 4 * c, 2 * c, NO_BIAS);
        }
        weights_prefix(w, "%s", name);
        (void)snprintf(norm, sizeof norm, "norm%d", i);
        s->norm_out = nn_norm_weights(w, norm, c);
    }
}

/* ---- forward -------------------------------------------------------------------------------- */

/** A picture on its way through. */
typedef struct Map {
    Tensor x; /* [T, C] */
    int64_t h, w;
} Map;

static Tensor normed(Run *r, Tensor x, const NormWeights *n)
{
    return op_layer_norm(r, x, n->weight, n->bias, EPS);
}

static int64_t chunk_of(const Run *r, int64_t tokens)
{
    return r->knobs.chunk_rows > 0 && r->knobs.chunk_rows < tokens ? r->knobs.chunk_rows : tokens;
}

static Tensor project(Run *r, const SwinBlock *b, Tensor x)
{
    return nn_linear(r, normed(r, x, &b->norm1), &b->qkv); /* [rows, 3 C] */
}

static Tensor finish_rows(Run *r, const SwinBlock *b, Tensor x, Tensor attended)
{
    x = op_add(r, x, nn_linear(r, attended, &b->proj));
    Tensor u = nn_linear_act(r, normed(r, x, &b->norm2), &b->up, ACT_GELU_ERF); /* [rows, 4 C] */
    return op_add(r, x, nn_linear(r, u, &b->down));
}

static void block(Run *r, const SwinBlock *b, WindowMap windows, Map *m)
{
    if (!run_ok(r)) return;
    const int64_t tokens = m->h * m->w, chunk = chunk_of(r, tokens);
    Tensor qkv = NO_TENSOR;
    if (chunk < tokens) qkv = op_blank(r, SHAPE(tokens, 3 * tensor_cols(m->x)));
    for (int64_t i = 0; i < tokens && chunk < tokens && run_ok(r); i += chunk) {
        const int64_t n = tokens - i < chunk ? tokens - i : chunk;
        qkv = op_write_rows(r, qkv, i, project(r, b, op_rows(r, m->x, i, n)));
    }
    if (chunk == tokens) qkv = project(r, b, m->x);
    Tensor a = op_window_attention(r, qkv, b->qkv.bias, b->table, windows);
    if (chunk == tokens) {
        m->x = finish_rows(r, b, m->x, a);
        return;
    }
    for (int64_t i = 0; i < tokens && run_ok(r); i += chunk) {
        const int64_t n = tokens - i < chunk ? tokens - i : chunk;
        Tensor rows = finish_rows(r, b, op_rows(r, m->x, i, n), op_rows(r, a, i, n));
        m->x = op_write_rows(r, m->x, i, rows);
    }
}

static void fill_zeros(void *context, float *to, int64_t count)
{
    (void)context;
    for (int64_t i = 0; i < count; i++)
        to[i] = 0.0f;
}

/* [h, w C] with a row and a column of zeros where a side is odd. */
static Tensor make_even(Run *r, const Map *m)
{
    const int64_t c = tensor_cols(m->x), w = m->w + m->w % 2;
    Tensor x = op_reshape(r, m->x, SHAPE(m->h, m->w * c));
    if (m->w % 2) {
        const Tensor both[2] = { x, run_input(r, SHAPE(m->h, c), fill_zeros, NULL) };
        x = op_concat(r, 2, both);
    }
    if (m->h % 2) {
        const Tensor both[2] = { x, run_input(r, SHAPE(1, w * c), fill_zeros, NULL) };
        x = op_stack(r, 2, both);
    }
    return x;
}

/* 2x2 tokens side by side: the upper and lower of the left column, then of the right one. */
static void merge(Run *r, const SwinStage *s, Map *m)
{
    if (!run_ok(r)) return;
    const int64_t c = tensor_cols(m->x), h = (m->h + 1) / 2, w = (m->w + 1) / 2;
    Tensor x = op_reshape(r, make_even(r, m), SHAPE(1, 2 * h, 2 * w, c));
    x = op_patchify(r, x, 1, 2, 1, PATCH_THWC); /* [h 2w, 2 C] */
    x = op_patchify(r, op_reshape(r, x, SHAPE(1, h, 2 * w, 2 * c)), 1, 1, 2, PATCH_THWC);
    m->x = nn_linear(r, normed(r, x, &s->merge_norm), &s->merge); /* [h w, 2 C] */
    m->h = h;
    m->w = w;
}

static Map begin(Run *r, const Swin *m, Tensor picture)
{
    if (!run_ok(r)) return (Map){ NO_TENSOR, 0, 0 };
    const int64_t h = picture.shape.dim[1], w = picture.shape.dim[2];
    if (h % SWIN_PATCH || w % SWIN_PATCH)
        (void)run_fail(r, SNUG_ERR_INTERNAL, "a picture of %lldx%lld for patches of %d",
                       (long long)w, (long long)h, SWIN_PATCH);
    Tensor x = op_patchify(r, picture, 1, SWIN_PATCH, SWIN_PATCH, PATCH_CTHW);
    x = normed(r, nn_linear(r, x, &m->patch), &m->patch_norm);
    return (Map){ x, h / SWIN_PATCH, w / SWIN_PATCH };
}

void swin_forward(Run *r, const Swin *m, int n, const Tensor *pictures, Tensor out[][SWIN_STAGES])
{
    Map maps[SWIN_MAX_PICTURES];
    for (int k = 0; k < n; k++)
        maps[k] = begin(r, m, pictures[k]);
    for (int i = 0; i < SWIN_STAGES && run_ok(r); i++) {
        const SwinStage *s = &m->stage[i];
        for (int j = 0; j < m->cfg.depth[i]; j++) {
            run_block(r);
            for (int k = 0; k < n; k++)
                block(r, &s->block[j],
                      (WindowMap){ maps[k].h, maps[k].w, m->cfg.heads[i], m->cfg.window,
                                   j % 2 ? m->cfg.window / 2 : 0 },
                      &maps[k]);
        }
        run_block(r);
        for (int k = 0; k < n; k++) {
            const Shape shape = SHAPE(1, maps[k].h, maps[k].w, swin_channels(&m->cfg, i));
            out[k][i] = op_reshape(r, normed(r, maps[k].x, &s->norm_out), shape);
            if (i + 1 < SWIN_STAGES) merge(r, s, &maps[k]);
        }
    }
}
