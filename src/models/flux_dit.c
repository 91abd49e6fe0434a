/* flux_dit.c  FLUX.1 transformer: double blocks with a stream for text and one for the picture that
 * attend to each other, then single blocks over both.
 *
 * Letters: T text rows, L picture tokens (row by row), S = T + L, D width.
 * Traps (docs/MODELS.md): text rows come first; q and k are normalised per head before they are
 * turned; text stands at position 0, where turning does nothing; the head's modulation is scale,
 * then shift, in files of the original, as in all blocks, shift, then scale; [o | u] before the last
 * product of a single block is never put together; all norms have eps 1e-6.
 * Each block runs in two passes: keys and values of all rows, then everything else, in chunks of rows. */
#include "models/flux_dit.h"

static const float EPS = 1e-6f;

enum { SHIFT_ATTN, SCALE_ATTN, GATE_ATTN, SHIFT_MLP, SCALE_MLP, GATE_MLP, N_DOUBLE_MOD };
enum { SHIFT, SCALE, GATE, N_SINGLE_MOD }; /* shift and scale as in a double block */
enum { N_OUT_MOD = 2 };

static int64_t width(const FluxDit *m)
{
    return m->cfg.heads * m->cfg.head_dim;
}

/* ---- prompt and schedule -------------------------------------------------------------------- */

static Tensor mlp(Run *r, Tensor x, const Linear *first, const Linear *second)
{
    return nn_linear(r, nn_linear_act(r, x, first, ACT_SILU), second);
}

/* The network is told t / 1000 and multiplies it again: in f32 not quite the same. */
static void told_times(const double *t, int n, double *out)
{
    for (int i = 0; i < n; i++)
        out[i] = (double)((float)t[i] / 1000.0f * 1000.0f);
}

/* SiLU of the sum of what timestep, guidance and prompt give: [n, D]. */
static Tensor embed_time(Run *r, const FluxDit *m, Tensor pooled, const double *t, int n,
                         double guidance)
{
    double times[FLUX_MAX_STEPS];
    told_times(t, n, times);
    Tensor e = mlp(r, op_timestep_single(r, times, n, 256), &m->time1, &m->time2); /* [n, D] */
    if (m->cfg.guidance) {
        const double g = (double)((float)guidance * 1000.0f);
        e = op_add(r, e, mlp(r, op_timestep_single(r, &g, 1, 256), &m->guidance1, &m->guidance2));
    }
    e = op_add(r, e, mlp(r, pooled, &m->pooled1, &m->pooled2));
    run_tap(r, "flux.time", 0, e);
    return op_activation(r, e, ACT_SILU);
}

/* [n, D] -> [n, vectors, D] */
static Tensor modulate(Run *r, const FluxDit *m, Tensor time, const Linear *linear, int vectors)
{
    Tensor all = nn_linear(r, time, linear);
    return op_reshape(r, all, SHAPE(tensor_rows(time), vectors, width(m)));
}

static void modulate_all(Run *r, const FluxDit *m, FluxContext *c)
{
    for (int i = 0; i < m->cfg.n_double; i++) {
        run_block(r);
        c->mod.image[i] = modulate(r, m, c->time, &m->dbl[i].image.mod, N_DOUBLE_MOD);
        c->mod.text[i] = modulate(r, m, c->time, &m->dbl[i].text.mod, N_DOUBLE_MOD);
    }
    for (int i = 0; i < m->cfg.n_single; i++) {
        run_block(r);
        c->mod.single[i] = modulate(r, m, c->time, &m->single[i].mod, N_SINGLE_MOD);
    }
    run_block(r);
    c->mod.out = modulate(r, m, c->time, &m->mod_out, N_OUT_MOD);
}

void flux_dit_context(Run *r, const FluxDit *m, Tensor text, Tensor pooled, const double *t, int n,
                      double guidance, FluxContext *out)
{
    if (n > FLUX_MAX_STEPS) {
        (void)run_fail(r, SNUG_ERR_ARG, "%d steps, at most %d", n, FLUX_MAX_STEPS);
        return;
    }
    *out = (FluxContext){ .text = nn_linear(r, text, &m->text_in) }; /* [T, D] */
    out->time = embed_time(r, m, pooled, t, n, guidance);
    run_tap(r, "flux.text", 0, out->text);
    if (!run_ok(r) || !r->knobs.cache_cross) return;
    modulate_all(r, m, out);
    out->has_mod = true;
}

/* Vectors of one step: kept, or computed now. */
static Modulation vectors(Run *r, const FluxDit *m, const FluxContext *c, int step, Tensor kept,
                          const Linear *linear, int n)
{
    Tensor mod = c->has_mod ? op_rows(r, kept, step, 1)
                            : modulate(r, m, op_rows(r, c->time, step, 1), linear, n);
    return (Modulation){ mod, 0 };
}

/* ---- rows ----------------------------------------------------------------------------------- */

/** One pass's constants. */
typedef struct Pass {
    const FluxDit *m;
    TokenGrid grid;
    Tensor rope;
    int64_t text, tokens, chunk; /* T, L, rows handled at once */
    int step;
} Pass;

/** Rows of one kind: the text, or the picture, which is turned. */
typedef struct Span {
    int64_t rows, in_all; /* how many, and where they begin among all S */
    bool turned;
} Span;

/** Projections of attention, of any block. */
typedef struct Qkv {
    const Linear *q, *k, *v;
    const Weight *norm_q, *norm_k;
} Qkv;

typedef struct KeyValue {
    Tensor k, v; /* [S, D] */
} KeyValue;

/* Normalised per head and, for the picture, turned. `first`: row of the span. */
static Tensor headed(Run *r, const Pass *p, Tensor x, const Linear *linear, const Weight *norm,
                     bool turned, int64_t first)
{
    const FluxDitConfig *cfg = &p->m->cfg;
    Tensor q = nn_linear(r, x, linear);
    const Shape shape = q.shape;
    if (!run_ok(r)) return NO_TENSOR;
    q = op_reshape(r, q, SHAPE(shape.dim[0] * cfg->heads, cfg->head_dim));
    q = op_reshape(r, op_rms_norm(r, q, norm, EPS), shape);
    return turned ? op_rope(r, q, p->rope, p->grid, cfg->axes, cfg->heads, first) : q;
}

/* First pass over a span of x: keys and values into their rows of kv. `base`: of the span in x. */
static void keys(Run *r, const Pass *p, const Qkv *a, Tensor x, int64_t base, Span span,
                 Modulation mod, KeyValue *kv)
{
    for (int64_t i = 0; i < span.rows && run_ok(r); i += p->chunk) {
        const int64_t n = span.rows - i < p->chunk ? span.rows - i : p->chunk;
        Tensor u = op_modulated_norm(r, op_rows(r, x, base + i, n), mod, SHIFT, SCALE, EPS);
        Tensor k = headed(r, p, u, a->k, a->norm_k, span.turned, i);
        kv->k = op_write_rows(r, kv->k, span.in_all + i, k);
        kv->v = op_write_rows(r, kv->v, span.in_all + i, nn_linear(r, u, a->v));
    }
}

static KeyValue blank_keys(Run *r, const Pass *p)
{
    const Shape all = SHAPE(p->text + p->tokens, width(p->m));
    return (KeyValue){ op_blank(r, all), op_blank(r, all) };
}

static Tensor attend(Run *r, const Pass *p, const Qkv *a, Tensor u, const KeyValue *kv, bool turned,
                     int64_t first)
{
    Tensor q = headed(r, p, u, a->q, a->norm_q, turned, first);
    return op_attention(r, (Heads){ q, 0 }, (Heads){ kv->k, 0 }, (Heads){ kv->v, 0 },
                        p->m->cfg.heads, p->m->cfg.head_dim, NULL);
}

/* ---- double blocks -------------------------------------------------------------------------- */

static Qkv stream_qkv(const FluxStream *s)
{
    return (Qkv){ &s->q, &s->k, &s->v, s->norm_q, s->norm_k };
}

static Tensor stream_rows(Run *r, const Pass *p, const FluxStream *s, Tensor x, Modulation mod,
                          const KeyValue *kv, bool turned, int64_t first)
{
    const Qkv qkv = stream_qkv(s);
    Tensor u = op_modulated_norm(r, x, mod, SHIFT_ATTN, SCALE_ATTN, EPS);
    u = attend(r, p, &qkv, u, kv, turned, first);
    x = op_gated_add(r, x, nn_linear(r, u, &s->o), mod, GATE_ATTN);
    u = op_modulated_norm(r, x, mod, SHIFT_MLP, SCALE_MLP, EPS);
    u = nn_linear_act(r, u, &s->up, ACT_GELU_TANH); /* [rows, 4 D] */
    return op_gated_add(r, x, nn_linear(r, u, &s->down), mod, GATE_MLP);
}

/* Second pass over one stream. */
static Tensor stream(Run *r, const Pass *p, const FluxStream *s, Tensor x, Modulation mod,
                     const KeyValue *kv, bool turned)
{
    const int64_t rows = turned ? p->tokens : p->text;
    if (p->chunk >= rows) return stream_rows(r, p, s, x, mod, kv, turned, 0);
    for (int64_t i = 0; i < rows && run_ok(r); i += p->chunk) {
        const int64_t n = rows - i < p->chunk ? rows - i : p->chunk;
        Tensor part = stream_rows(r, p, s, op_rows(r, x, i, n), mod, kv, turned, i);
        x = op_write_rows(r, x, i, part);
    }
    return x;
}

static void double_block(Run *r, const Pass *p, int i, const FluxContext *c, Tensor *image,
                         Tensor *text)
{
    const FluxDouble *b = &p->m->dbl[i];
    const Modulation im =
        vectors(r, p->m, c, p->step, c->mod.image[i], &b->image.mod, N_DOUBLE_MOD);
    const Modulation tm = vectors(r, p->m, c, p->step, c->mod.text[i], &b->text.mod, N_DOUBLE_MOD);
    const Qkv image_qkv = stream_qkv(&b->image), text_qkv = stream_qkv(&b->text);
    KeyValue kv = blank_keys(r, p);
    keys(r, p, &text_qkv, *text, 0, (Span){ p->text, 0, false }, tm, &kv);
    keys(r, p, &image_qkv, *image, 0, (Span){ p->tokens, p->text, true }, im, &kv);
    *text = stream(r, p, &b->text, *text, tm, &kv, false);
    *image = stream(r, p, &b->image, *image, im, &kv, true);
}

/* ---- single blocks -------------------------------------------------------------------------- */

/* The last product over [o | u]: without putting them together where the weight's form allows the cut
 * (that of every published size). */
static Tensor project_pair(Run *r, const Pass *p, const FluxSingle *b, Tensor o, Tensor u)
{
    const Weight *w = b->out.weight;
    if (dtype_info(w->dtype)->block == 1 || width(p->m) % 256 == 0)
        return nn_linear_pair(r, o, u, &b->out, ACT_NONE);
    return nn_linear(r, op_concat(r, 2, (Tensor[2]){ o, u }), &b->out);
}

static Tensor single_rows(Run *r, const Pass *p, const FluxSingle *b, Tensor x, Modulation mod,
                          const KeyValue *kv, bool turned, int64_t first)
{
    const Qkv qkv = { &b->q, &b->k, &b->v, b->norm_q, b->norm_k };
    Tensor n = op_modulated_norm(r, x, mod, SHIFT, SCALE, EPS);
    Tensor o = attend(r, p, &qkv, n, kv, turned, first);
    Tensor u = nn_linear_act(r, n, &b->up, ACT_GELU_TANH); /* [rows, 4 D] */
    return op_gated_add(r, x, project_pair(r, p, b, o, u), mod, GATE);
}

static Tensor single_block(Run *r, const Pass *p, int i, const FluxContext *c, Tensor h)
{
    const FluxSingle *b = &p->m->single[i];
    const Modulation mod = vectors(r, p->m, c, p->step, c->mod.single[i], &b->mod, N_SINGLE_MOD);
    const Qkv qkv = { &b->q, &b->k, &b->v, b->norm_q, b->norm_k };
    const Span spans[2] = { { p->text, 0, false }, { p->tokens, p->text, true } };
    KeyValue kv = blank_keys(r, p);
    for (int s = 0; s < 2; s++)
        keys(r, p, &qkv, h, spans[s].in_all, spans[s], mod, &kv);
    for (int s = 0; s < 2; s++)
        for (int64_t k = 0; k < spans[s].rows && run_ok(r); k += p->chunk) {
            const int64_t n = spans[s].rows - k < p->chunk ? spans[s].rows - k : p->chunk;
            const int64_t at = spans[s].in_all + k;
            Tensor part = single_rows(r, p, b, op_rows(r, h, at, n), mod, &kv, spans[s].turned, k);
            h = op_write_rows(r, h, at, part);
        }
    return h;
}

/* ---- forward -------------------------------------------------------------------------------- */

static bool sizes_fit(Run *r, const FluxDit *m, TokenGrid grid, int n_branches, const Tensor *input)
{
    if (!run_ok(r)) return false;
    for (int k = 0; k < n_branches && k < FLUX_MAX_BRANCHES; k++)
        if (input[k].shape.dim[0] != grid.height * grid.width ||
            tensor_cols(input[k]) != m->cfg.in_channels)
            (void)run_fail(r, SNUG_ERR_INTERNAL, "flux: an input of another size");
    if (n_branches > FLUX_MAX_BRANCHES)
        (void)run_fail(r, SNUG_ERR_ARG, "%d pictures and prompts at once, at most %d", n_branches,
                       FLUX_MAX_BRANCHES);
    return run_ok(r);
}

static Tensor project_out(Run *r, const Pass *p, const FluxContext *c, Tensor h)
{
    const Modulation mod = vectors(r, p->m, c, p->step, c->mod.out, &p->m->mod_out, N_OUT_MOD);
    const int shift = p->m->cfg.shift_first ? 0 : 1;
    Tensor x = op_rows(r, h, p->text, p->tokens);
    x = op_modulated_norm(r, x, mod, shift, 1 - shift, EPS);
    return nn_linear(r, x, &p->m->out);
}

void flux_dit_forward(Run *r, const FluxDit *m, int step, TokenGrid grid, int n_branches,
                      const Tensor *input, const FluxContext *const *contexts, Tensor *out)
{
    const FluxDitConfig *cfg = &m->cfg;
    Tensor image[FLUX_MAX_BRANCHES], text[FLUX_MAX_BRANCHES];
    if (!sizes_fit(r, m, grid, n_branches, input)) return;
    Pass p = { .m = m, .grid = grid, .step = step, .tokens = grid.height * grid.width };
    p.text = contexts[0]->text.shape.dim[0];
    p.chunk = r->knobs.chunk_rows > 0 ? r->knobs.chunk_rows : p.tokens + p.text;
    p.rope = op_rope_table(r, grid, cfg->axes);
    for (int k = 0; k < n_branches; k++) {
        image[k] = nn_linear(r, input[k], &m->image_in); /* [L, D] */
        text[k] = op_stack(r, 1, &contexts[k]->text);    /* [T, D]: its own, it changes */
    }
    run_tap(r, "flux.image", 0, image[0]);
    for (int i = 0; i < cfg->n_double; i++) {
        run_block(r);
        for (int k = 0; k < n_branches; k++) {
            double_block(r, &p, i, contexts[k], &image[k], &text[k]);
            run_tap(r, "flux.double.image", (int64_t)k * FLUX_MAX_DOUBLE + i, image[k]);
            run_tap(r, "flux.double.text", (int64_t)k * FLUX_MAX_DOUBLE + i, text[k]);
        }
    }
    run_block(r);
    for (int k = 0; k < n_branches; k++)
        image[k] = op_stack(r, 2, (Tensor[2]){ text[k], image[k] }); /* [S, D] */
    for (int i = 0; i < cfg->n_single; i++) {
        run_block(r);
        for (int k = 0; k < n_branches; k++) {
            image[k] = single_block(r, &p, i, contexts[k], image[k]);
            run_tap(r, "flux.single", (int64_t)k * FLUX_MAX_SINGLE + i, image[k]);
        }
    }
    run_block(r);
    for (int k = 0; k < n_branches; k++)
        out[k] = project_out(r, &p, contexts[k], image[k]);
}
