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

static int64_t model_dim(const WanDit *m)
{
    return m->cfg.heads * m->cfg.head_dim;
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

void wan_dit_context(Run *r, const WanDit *m, Tensor text, WanContext *out)
{
    *out = (WanContext){ .cached = false, .residual = NO_TENSOR };
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
}

static Tensor embed_image(Run *r, const WanDit *m, Tensor image)
{
    const float eps = 1e-5f; /* torch's LayerNorm default, unlike the blocks' eps */
    if (m->image_positions) image = op_add_weight(r, image, m->image_positions);
    Tensor h = op_layer_norm(r, image, m->image_norm1[0], m->image_norm1[1], eps);
    h = nn_linear(r, nn_linear_act(r, h, &m->image1, ACT_GELU_ERF), &m->image2);
    return op_layer_norm(r, h, m->image_norm2[0], m->image_norm2[1], eps);
}

void wan_dit_scene(Run *r, const WanDit *m, Tensor image, WanCameraRows *rows, void *context,
                   WanScene *out)
{
    *out = (WanScene){ .image = NO_TENSOR, .camera = NO_TENSOR };
    if (m->camera != WAN_CAMERA_NONE) {
        out->camera_rows = rows;
        out->camera_context = context;
    }
    if (!tensor_exists(image) || !m->cfg.image_dim || !run_ok(r)) return;
    out->image = embed_image(r, m, image); /* [tokens, C] */
    out->has_image = true;
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* One pass's constants. */
typedef struct Pass {
    const WanDit *m;
    WanScene *scene;
    TokenGrid grid;
    int64_t tokens, chunk;
    int heads; /* whose keys and values live at once */
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
    return op_rope(r, q, p->rope, p->grid, rope_axes_sixths(p->m->cfg.head_dim), p->m->cfg.heads,
                   first);
}

enum { SHIFT_SELF, SCALE_SELF, GATE_SELF, SHIFT_FFN, SCALE_FFN, GATE_FFN };

static Tensor self_norm(Run *r, const Pass *p, Tensor rows, Tensor mod, int64_t first)
{
    return op_modulated_norm(r, rows, modulation_at(p, mod, first), SHIFT_SELF, SCALE_SELF,
                             p->m->cfg.eps);
}

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
        Tensor a = self_norm(r, p, chunk_of(r, p, x, first), mod, first);
        Tensor kc = rotated(r, p, a, &b->self.k, b->self.norm_k, first);
        Tensor vc = nn_linear(r, a, &b->self.v);
        *k = whole ? kc : op_write_rows(r, *k, first, kc);
        *v = whole ? vc : op_write_rows(r, *v, first, vc);
    }
}

/* ---- self-attention by groups of heads -------------------------------------------------------
 *
 * Instead of keys and values of all heads, [T, C] each, the attention's result [T, C] lies in memory,
 * and keys and values of one group. q and k are norm-ed over all heads, so the factors of the norm
 * are made first, by one more product each; the products of a group are columns of the whole. */

/* Columns of q, k and v that belong to some heads. */
typedef struct HeadGroup {
    int64_t col, width;
    int heads;
} HeadGroup;

typedef struct Factors {
    Tensor q, k; /* [T] */
} Factors;

static Factors self_factors(Run *r, const Pass *p, const WanBlock *b, Tensor x, Tensor mod)
{
    const float eps = p->m->cfg.eps;
    Factors f = { op_blank(r, SHAPE(p->tokens)), op_blank(r, SHAPE(p->tokens)) };
    for (int64_t first = 0; first < p->tokens && run_ok(r); first += p->chunk) {
        const Tensor a = self_norm(r, p, chunk_of(r, p, x, first), mod, first);
        f.q = op_write_rows(r, f.q, first, op_rms_factors(r, nn_linear(r, a, &b->self.q), eps));
        f.k = op_write_rows(r, f.k, first, op_rms_factors(r, nn_linear(r, a, &b->self.k), eps));
    }
    return f;
}

static Tensor rotated_part(Run *r, const Pass *p, Tensor a, const Linear *l, const Weight *norm,
                           Tensor factors, const HeadGroup *h, int64_t first)
{
    Tensor q = nn_linear_part(r, a, l, h->col, h->width);
    q = op_rms_norm_part(r, q, chunk_of(r, p, factors, first), norm, h->col);
    return op_rope(r, q, p->rope, p->grid, rope_axes_sixths(p->m->cfg.head_dim), h->heads, first);
}

/* Fills the group's columns of `out`. */
static void attend_group(Run *r, const Pass *p, const WanBlock *b, Tensor x, Tensor mod,
                         const Factors *f, const HeadGroup *h, Tensor out)
{
    const WanAttention *at = &b->self;
    Tensor k = op_blank(r, SHAPE(p->tokens, h->width)), v = op_blank(r, k.shape);
    for (int64_t first = 0; first < p->tokens && run_ok(r); first += p->chunk) {
        const Tensor a = self_norm(r, p, chunk_of(r, p, x, first), mod, first);
        k = op_write_rows(r, k, first, rotated_part(r, p, a, &at->k, at->norm_k, f->k, h, first));
        v = op_write_rows(r, v, first, nn_linear_part(r, a, &at->v, h->col, h->width));
    }
    for (int64_t first = 0; first < p->tokens && run_ok(r); first += p->chunk) {
        const Tensor a = self_norm(r, p, chunk_of(r, p, x, first), mod, first);
        const Tensor q = rotated_part(r, p, a, &at->q, at->norm_q, f->q, h, first);
        const Tensor y = op_attention(r, (Heads){ q, 0 }, (Heads){ k, 0 }, (Heads){ v, 0 },
                                      h->heads, p->m->cfg.head_dim, NULL);
        (void)op_write_columns(r, chunk_of(r, p, out, first), h->col, y, 0, h->width);
    }
}

static Tensor attend_by_heads(Run *r, const Pass *p, const WanBlock *b, Tensor x, Tensor mod)
{
    const Factors f = self_factors(r, p, b, x, mod);
    const Tensor out = op_blank(r, x.shape);
    for (int head = 0; head < p->m->cfg.heads && run_ok(r); head += p->heads) {
        const int left = p->m->cfg.heads - head, n = left < p->heads ? left : p->heads;
        const HeadGroup h = { head * p->m->cfg.head_dim, n * p->m->cfg.head_dim, n };
        attend_group(r, p, b, x, mod, &f, &h, out);
    }
    return out;
}

/* ---- prompt and picture ---------------------------------------------------------------------- */

typedef struct KeyValue {
    Tensor k, v;
} KeyValue;

/* Keys and values of the prompt: computed once and kept where the plan says so. */
static KeyValue text_keys(Run *r, const WanDit *m, int i, WanContext *c)
{
    const WanAttention *a = &m->block[i].cross;
    if (c->cached) return (KeyValue){ c->k[i], c->v[i] };
    const Tensor k = op_rms_norm(r, nn_linear(r, c->text, &a->k), a->norm_k, m->cfg.eps);
    const Tensor v = nn_linear(r, c->text, &a->v);
    if (r->knobs.cache_cross) {
        c->k[i] = k;
        c->v[i] = v;
    }
    return (KeyValue){ k, v };
}

/* The same of the picture, one for all prompts. */
static KeyValue image_keys(Run *r, const WanDit *m, int i, WanScene *s)
{
    const WanAttention *a = &m->block[i].cross;
    if (!s->has_image) return (KeyValue){ NO_TENSOR, NO_TENSOR };
    if (s->cached && r->knobs.cache_cross) return (KeyValue){ s->image_k[i], s->image_v[i] };
    const Tensor k =
        op_rms_norm(r, nn_linear(r, s->image, &a->image_k), a->norm_image_k, m->cfg.eps);
    const Tensor v = nn_linear(r, s->image, &a->image_v);
    if (r->knobs.cache_cross) {
        s->image_k[i] = k;
        s->image_v[i] = v;
    }
    return (KeyValue){ k, v };
}

/* What the rows of one branch look at in one block. */
typedef struct View {
    KeyValue self, text, image;
    Tensor attended; /* [T, C] instead of `self`, where heads go in groups */
    Tensor key_bias;
} View;

static Tensor cross_attention(Run *r, const WanDit *m, const WanBlock *b, Tensor x,
                              const View *view)
{
    const WanDitConfig *cfg = &m->cfg;
    Tensor u = x;
    if (cfg->cross_norm)
        u = op_layer_norm(r, x, b->cross_norm_weight, b->cross_norm_bias, cfg->eps);
    const Tensor q = op_rms_norm(r, nn_linear(r, u, &b->cross.q), b->cross.norm_q, cfg->eps);
    const AttentionOptions options = { .key_bias = view->key_bias, .has_key_bias = true };
    Tensor a = op_attention(r, (Heads){ q, 0 }, (Heads){ view->text.k, 0 },
                            (Heads){ view->text.v, 0 }, cfg->heads, cfg->head_dim, &options);
    if (tensor_exists(view->image.k))
        a = op_add(r, a,
                   op_attention(r, (Heads){ q, 0 }, (Heads){ view->image.k, 0 },
                                (Heads){ view->image.v, 0 }, cfg->heads, cfg->head_dim, NULL));
    return op_add(r, x, nn_linear(r, a, &b->cross.o));
}

/* Pass B for a chunk of rows, first half: self-attention. */
static Tensor self_rows(Run *r, const Pass *p, const WanBlock *b, Tensor x, Tensor mod,
                        int64_t first, const View *view)
{
    const WanDitConfig *cfg = &p->m->cfg;
    Tensor a;
    if (tensor_exists(view->attended))
        a = chunk_of(r, p, view->attended, first);
    else {
        a = rotated(r, p, self_norm(r, p, x, mod, first), &b->self.q, b->self.norm_q, first);
        a = op_attention(r, (Heads){ a, 0 }, (Heads){ view->self.k, 0 }, (Heads){ view->self.v, 0 },
                         cfg->heads, cfg->head_dim, NULL);
    }
    return op_gated_add(r, x, nn_linear(r, a, &b->self.o), modulation_at(p, mod, first), GATE_SELF);
}

/* Second half: prompt, picture and feed-forward. */
static Tensor cross_rows(Run *r, const Pass *p, const WanBlock *b, Tensor x, Modulation mod,
                         const View *view)
{
    x = cross_attention(r, p->m, b, x, view);
    Tensor u = op_modulated_norm(r, x, mod, SHIFT_FFN, SCALE_FFN, p->m->cfg.eps);
    u = nn_linear_act(r, u, &b->up, ACT_GELU_TANH); /* [rows, F] */
    return op_gated_add(r, x, nn_linear(r, u, &b->down), mod, GATE_FFN);
}

/* Branches that go through a block together. Before the first block they are `one` tensor: up to
 * the prompt nothing differs, so that its self-attention is computed once. */
typedef struct Group {
    int n;
    bool one;
    Tensor *x; /* [n], each [T, C] */
    WanContext *const *contexts;
} Group;

static void look(Run *r, const Pass *p, int i, const Group *g, Tensor mod, const KeyValue *image,
                 View *views)
{
    for (int k = 0; k < g->n; k++) {
        View *v = &views[k];
        *v = (View){ .image = *image, .attended = NO_TENSOR, .key_bias = g->contexts[k]->key_bias };
        if (k > 0 && g->one) {
            v->self = views[0].self;
            v->attended = views[0].attended;
        } else if (p->heads < p->m->cfg.heads)
            v->attended = attend_by_heads(r, p, &p->m->block[i], g->x[k], mod);
        else
            self_keys(r, p, &p->m->block[i], g->x[k], mod, &v->self.k, &v->self.v);
        v->text = text_keys(r, p->m, i, g->contexts[k]);
    }
}

/* Pass B, chunk by chunk; what the camera says of a chunk serves all branches of the group. */
static void pass_rows(Run *r, const Pass *p, const WanBlock *b, const Group *g, Tensor mod,
                      const View *views)
{
    const bool whole = p->chunk >= p->tokens,
               moving = p->m->camera == WAN_CAMERA_INJECT && p->scene->camera_rows;
    for (int k = 1; k < g->n && g->one && !whole; k++)
        g->x[k] = op_blank(r, g->x[0].shape);
    for (int64_t first = 0; first < p->tokens && run_ok(r); first += p->chunk) {
        const Modulation m = modulation_at(p, mod, first);
        const int64_t n = p->tokens - first < p->chunk ? p->tokens - first : p->chunk;
        WanCameraMotion motion = { NO_TENSOR, NO_TENSOR };
        if (moving)
            motion = wan_dit_camera_motion(r, b, wan_dit_camera_rows(r, p->m, p->scene, first, n));
        Tensor half = NO_TENSOR, rows[WAN_MAX_BRANCHES];
        for (int k = 0; k < g->n; k++) {
            if (k == 0 || !g->one) {
                half = self_rows(r, p, b, op_rows(r, g->x[k], first, n), mod, first, &views[k]);
                if (moving) half = wan_dit_camera_move(r, half, &motion);
            }
            rows[k] = cross_rows(r, p, b, half, m, &views[k]);
            if (!whole) g->x[k] = op_write_rows(r, g->x[k], first, rows[k]);
        }
        for (int k = 0; k < g->n && whole; k++)
            g->x[k] = rows[k];
    }
}

/* One block for all branches: together where they share work, else one after the other, so that
 * the keys of one branch alone are in memory. */
static void block(Run *r, const Pass *p, int i, Tensor time, const Group *all)
{
    const WanBlock *b = &p->m->block[i];
    const Tensor mod = op_add_weight(r, time, b->modulation); /* [G, 6, C] */
    const KeyValue image = image_keys(r, p->m, i, p->scene);
    const int step = all->one || r->knobs.join_branches ? all->n : 1;
    for (int k = 0; k < all->n; k += step) {
        const Group g = { step, all->one && step > 1, all->x + k, all->contexts + k };
        View views[WAN_MAX_BRANCHES];
        look(r, p, i, &g, mod, &image, views);
        pass_rows(r, p, b, &g, mod, views);
    }
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

static Tensor embed_patches(Run *r, const Pass *p, Tensor latent)
{
    const WanDit *m = p->m;
    Tensor x = op_patchify(r, latent, m->cfg.pt, m->cfg.ph, m->cfg.pw, PATCH_CTHW);
    x = nn_linear(r, x, &m->patch); /* [T, C] */
    if (m->camera == WAN_CAMERA_ADAPTER && p->scene->camera_rows)
        x = wan_dit_camera_patches(r, m, p->scene, p->grid, x);
    return x;
}

static Tensor project_out(Run *r, const Pass *p, Tensor x, Tensor head)
{
    const WanDitConfig *cfg = &p->m->cfg;
    Tensor y = op_modulated_norm(r, x, modulation_at(p, head, 0), 0, 1, cfg->eps);
    y = nn_linear(r, y, &p->m->head);
    return op_unpatchify(r, y, p->grid, cfg->pt, cfg->ph, cfg->pw, PATCH_THWC);
}

static Pass pass_of(Run *r, const WanDit *m, Tensor latent, WanTime time, WanScene *scene)
{
    const WanDitConfig *cfg = &m->cfg;
    Pass p = { .m = m, .scene = scene };
    p.grid = (TokenGrid){ latent.shape.dim[0] / cfg->pt, latent.shape.dim[1] / cfg->ph,
                          latent.shape.dim[2] / cfg->pw };
    p.tokens = p.grid.frames * p.grid.height * p.grid.width;
    p.chunk = r->knobs.chunk_rows > 0 ? r->knobs.chunk_rows : p.tokens;
    const int groups = r->knobs.head_groups > 1 ? r->knobs.head_groups : 1;
    p.heads = (cfg->heads + groups - 1) / groups;
    p.split = time.split_frames / cfg->pt * p.grid.height * p.grid.width;
    p.rope = op_rope_table(r, p.grid, rope_axes_sixths(cfg->head_dim));
    return p;
}

/* All blocks, for all branches together. */
static void run_blocks(Run *r, const Pass *p, Tensor time, int n_branches, Tensor *x,
                       WanContext *const *contexts)
{
    for (int i = 0; i < p->m->cfg.layers; i++) {
        const Group all = { n_branches, i == 0, x, contexts };
        run_block(r);
        block(r, p, i, time, &all);
        for (int k = 0; k < n_branches; k++)
            run_tap(r, "dit.block", (int64_t)k * WAN_MAX_LAYERS + i, x[k]);
    }
    run_block(r);
    p->scene->cached = true;
    for (int k = 0; k < n_branches; k++)
        if (r->knobs.cache_cross) contexts[k]->cached = true;
}

/* What went into the blocks is made anew rather than held while they run: it costs one product of
 * the patches. */
static void keep_residuals(Run *r, const Pass *p, Tensor latent, int n_branches, const Tensor *x,
                           WanContext *const *contexts)
{
    static const float LESS[2] = { 1.0f, -1.0f };
    if (!contexts[0]->keep) return;
    const Tensor in = embed_patches(r, p, latent);
    for (int k = 0; k < n_branches; k++) {
        const Tensor both[2] = { x[k], in };
        contexts[k]->residual = op_combine(r, 2, LESS, both);
    }
}

void wan_dit_forward(Run *r, const WanDit *m, Tensor latent, WanTime time, WanScene *scene,
                     int n_branches, WanContext *const *contexts, Tensor *out)
{
    if (!run_ok(r)) return;
    const Pass p = pass_of(r, m, latent, time, scene);
    const bool skip = contexts[0]->skip;
    Tensor blocks = NO_TENSOR, head = NO_TENSOR, x[WAN_MAX_BRANCHES];
    embed_time(r, m, time, &blocks, &head);
    if (m->camera == WAN_CAMERA_INJECT && scene->camera_rows && !skip)
        wan_dit_camera_keep(r, m, scene, p.tokens, p.chunk);
    for (int k = 0; k < n_branches; k++)
        x[k] = k == 0 ? embed_patches(r, &p, latent) : x[0];
    run_tap(r, "dit.patch", 0, x[0]);
    run_tap(r, "dit.time", 0, blocks);
    if (skip) {
        for (int k = 0; k < n_branches; k++)
            x[k] = op_add(r, x[k], contexts[k]->residual);
    } else {
        run_blocks(r, &p, blocks, n_branches, x, contexts);
        keep_residuals(r, &p, latent, n_branches, x, contexts);
    }
    for (int k = 0; k < n_branches; k++)
        out[k] = project_out(r, &p, x[k], head);
}
