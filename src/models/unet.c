/* unet.c  Residual blocks and transformers of a UNet, down to the middle.
 *
 * Letters: H W of a level, C its channels, T = H * W tokens, E width of the embedded time.
 * Traps (docs/MODELS.md): the time is added between the two convolutions, before the second norm;
 * group norms have eps 1e-5 in residual blocks, 1e-6 in transformers; going down, stride 2 has
 * zeros all round; of the gated feed-forward the values come first, then the gates (erf GELU);
 * to_q, to_k and to_v have no bias, to_out has one. */
#include "models/unet.h"

static const float TRANSFORMER_EPS = 1e-6f, LAYER_EPS = 1e-5f;

/* ---- prompt and schedule -------------------------------------------------------------------- */

static Tensor mlp(Run *r, Tensor x, const Linear *first, const Linear *second)
{
    return nn_linear(r, nn_linear_act(r, x, first, ACT_SILU), second);
}

void unet_context(Run *r, const UnetTrunk *t, Tensor text, Tensor pooled,
                  const double time_ids[UNET_TIME_IDS], const double *steps, int n,
                  UnetContext *out)
{
    const UnetConfig *cfg = &t->cfg;
    *out = (UnetContext){ .text = text };
    Tensor e = mlp(r, op_timestep_single(r, steps, n, cfg->channels[0]), &t->time1,
                   &t->time2); /* [n, E] */
    if (cfg->add_dim && run_ok(r)) {
        Tensor ids = op_timestep_single(r, time_ids, UNET_TIME_IDS, cfg->add_dim);
        Tensor both[2] = { pooled, op_reshape(r, ids, SHAPE(1, UNET_TIME_IDS * cfg->add_dim)) };
        e = op_add(r, e, mlp(r, op_concat(r, 2, both), &t->add1, &t->add2));
    }
    run_tap(r, "unet.time", 0, e);
    out->time = op_activation(r, e, ACT_SILU);
    if (!r->knobs.cache_cross) return;
    for (int i = 0; i < t->n_cross && run_ok(r); i++) {
        run_block(r);
        out->k[i] = nn_linear(r, text, &t->cross[i]->cross.k);
        out->v[i] = nn_linear(r, text, &t->cross[i]->cross.v);
    }
    run_block(r);
    out->cached = true;
}

void unet_branches(Run *r, int step, int n, const UnetContext *const *contexts,
                   UnetBranch *branches)
{
    for (int k = 0; k < n; k++)
        branches[k] = (UnetBranch){ .h = NO_TENSOR,
                                    .time = op_rows(r, contexts[k]->time, step, 1),
                                    .context = contexts[k] };
}

/* ---- residual block ------------------------------------------------------------------------- */

static Tensor res_block(Run *r, const UnetTrunk *t, const UnetRes *b, Tensor x, Tensor time)
{
    const int64_t groups = t->cfg.groups;
    const PictureLayer first = { .x = x,
                                 .norm = &b->norm1,
                                 .moments = nn_picture_moments(r, x, groups),
                                 .eps = t->cfg.eps,
                                 .conv = &b->conv1,
                                 .has_shift = true,
                                 .shift = nn_linear(r, time, &b->time), /* [1, C] */
                                 .skip = NO_TENSOR };
    Tensor y = nn_picture_layer(r, &first);
    const PictureLayer second = { .x = y,
                                  .norm = &b->norm2,
                                  .moments = nn_picture_moments(r, y, groups),
                                  .eps = t->cfg.eps,
                                  .conv = &b->conv2,
                                  .skip = x,
                                  .keeps_skip = true, /* it waits for the way up */
                                  .shortcut = b->has_shortcut ? &b->shortcut : NULL };
    return nn_picture_layer(r, &second);
}

void unet_res(Run *r, const UnetTrunk *t, const UnetRes *b, int n, UnetBranch *branches)
{
    run_block(r);
    for (int k = 0; k < n; k++)
        branches[k].h = res_block(r, t, b, branches[k].h, branches[k].time);
}

/* ---- transformer ---------------------------------------------------------------------------- */

/** One transformer block at work on one branch. */
typedef struct BlockPass {
    const UnetBlock *b;
    int heads;
    int64_t head_dim;
    Tensor self_k, self_v, cross_k, cross_v;
} BlockPass;

static Tensor attend(Run *r, const BlockPass *p, Tensor q, Tensor k, Tensor v)
{
    return op_attention(r, (Heads){ q, 0 }, (Heads){ k, 0 }, (Heads){ v, 0 }, p->heads, p->head_dim,
                        NULL);
}

static Tensor normed(Run *r, Tensor x, const NormWeights *norm)
{
    return op_layer_norm(r, x, norm->weight, norm->bias, LAYER_EPS);
}

/* `u`: x behind the first norm. */
static Tensor block_rows(Run *r, const BlockPass *p, Tensor x, Tensor u)
{
    const UnetBlock *b = p->b;
    Tensor a = attend(r, p, nn_linear(r, u, &b->self.q), p->self_k, p->self_v);
    x = op_add(r, x, nn_linear(r, a, &b->self.o));
    a = nn_linear(r, normed(r, x, &b->norm[1]), &b->cross.q);
    a = attend(r, p, a, p->cross_k, p->cross_v);
    x = op_add(r, x, nn_linear(r, a, &b->cross.o));
    a = nn_linear(r, normed(r, x, &b->norm[2]), &b->up); /* [rows, 8 C] */
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t inner = tensor_cols(a) / 2;
    const Tensor value = op_columns(r, a, 0, inner), gate = op_columns(r, a, inner, inner);
    a = op_gated_activation(r, gate, value, ACT_GELU_ERF);
    return op_add(r, x, nn_linear(r, a, &b->down));
}

/* Keys and values of all tokens, then everything else, in chunks of rows. */
static Tensor block(Run *r, BlockPass *p, Tensor x)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t tokens = tensor_rows(x);
    const int64_t chunk = r->knobs.chunk_rows > 0 ? r->knobs.chunk_rows : tokens;
    if (chunk >= tokens) {
        Tensor u = normed(r, x, &p->b->norm[0]);
        p->self_k = nn_linear(r, u, &p->b->self.k);
        p->self_v = nn_linear(r, u, &p->b->self.v);
        return block_rows(r, p, x, u);
    }
    p->self_k = op_blank(r, x.shape);
    p->self_v = op_blank(r, x.shape);
    for (int64_t i = 0; i < tokens && run_ok(r); i += chunk) {
        const int64_t n = tokens - i < chunk ? tokens - i : chunk;
        Tensor u = normed(r, op_rows(r, x, i, n), &p->b->norm[0]);
        p->self_k = op_write_rows(r, p->self_k, i, nn_linear(r, u, &p->b->self.k));
        p->self_v = op_write_rows(r, p->self_v, i, nn_linear(r, u, &p->b->self.v));
    }
    for (int64_t i = 0; i < tokens && run_ok(r); i += chunk) {
        const int64_t n = tokens - i < chunk ? tokens - i : chunk;
        Tensor rows = op_rows(r, x, i, n);
        x = op_write_rows(r, x, i, block_rows(r, p, rows, normed(r, rows, &p->b->norm[0])));
    }
    return x;
}

static Tensor block_of(Run *r, const UnetTransformer *a, int i, const UnetContext *c, Tensor x)
{
    if (!run_ok(r)) return NO_TENSOR;
    BlockPass p = { .b = &a->block[i],
                    .heads = a->heads,
                    .head_dim = tensor_cols(x) / a->heads,
                    .self_k = NO_TENSOR,
                    .self_v = NO_TENSOR };
    p.cross_k = c->cached ? c->k[a->first + i] : nn_linear(r, c->text, &p.b->cross.k);
    p.cross_v = c->cached ? c->v[a->first + i] : nn_linear(r, c->text, &p.b->cross.v);
    return block(r, &p, x);
}

void unet_transformer(Run *r, const UnetTrunk *t, const UnetTransformer *a, int n,
                      UnetBranch *branches)
{
    Tensor x[UNET_MAX_BRANCHES];
    if (!run_ok(r)) return;
    run_block(r);
    for (int k = 0; k < n; k++) {
        const Tensor h = branches[k].h;
        x[k] = op_group_norm(r, h, nn_picture_moments(r, h, t->cfg.groups), a->norm.weight,
                             a->norm.bias, TRANSFORMER_EPS, ACT_NONE);
        x[k] = op_reshape(r, x[k], SHAPE(h.shape.dim[1] * h.shape.dim[2], h.shape.dim[3]));
        x[k] = nn_linear(r, x[k], &a->in); /* [T, C] */
    }
    for (int i = 0; i < a->depth; i++) {
        run_block(r);
        for (int k = 0; k < n; k++)
            x[k] = block_of(r, a, i, branches[k].context, x[k]);
    }
    run_block(r);
    for (int k = 0; k < n; k++) {
        Tensor y = nn_linear(r, x[k], &a->out);
        branches[k].h = op_add(r, op_reshape(r, y, branches[k].h.shape), branches[k].h);
    }
}

/* ---- the way down --------------------------------------------------------------------------- */

static void push(UnetBranch *branches, int n)
{
    for (int k = 0; k < n; k++)
        branches[k].skip[branches[k].n_skips++] = branches[k].h;
}

void unet_trunk(Run *r, const UnetTrunk *t, int n, UnetBranch *branches)
{
    push(branches, n);
    for (int i = 0; i < t->cfg.levels && run_ok(r); i++) {
        const UnetLevel *l = &t->down[i];
        for (int j = 0; j < l->n_res; j++) {
            unet_res(r, t, &l->res[j], n, branches);
            if (l->depth) unet_transformer(r, t, &l->transformer[j], n, branches);
            push(branches, n);
        }
        if (l->resamples) {
            run_block(r);
            for (int k = 0; k < n; k++)
                branches[k].h = nn_picture_conv(r, &l->resample, branches[k].h, PICTURE_HALVE);
            push(branches, n);
        }
        run_tap(r, "unet.down", i, branches[0].h);
    }
    unet_res(r, t, &t->mid[0], n, branches);
    unet_transformer(r, t, &t->mid_transformer, n, branches);
    unet_res(r, t, &t->mid[1], n, branches);
    run_tap(r, "unet.mid", 0, branches[0].h);
}
