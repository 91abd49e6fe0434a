/* wan_step_cache.c  Which steps the step cache skips, decided before anything is planned.
 *
 * What a step is judged by, its timestep's modulation, depends on the schedule and on the three layers
 * that embed a timestep, on nothing else. So they are read once while the request is opened, in
 * pieces, and the plan knows every step that is skipped: time, memory and transfers are those of the
 * steps that are computed. Each expert is judged by its own layers, and begins with a computed step.
 *
 * Letters: S steps of an expert, C model dim. */
#include "pipelines/wan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sampling/teacache.h"

/* ---- coefficients --------------------------------------------------------------------------- */

/* Published models, by structure; the polynomials belong to the modulation of the blocks (6 C), and
 * thresholds are the most cautious ones their authors name. Sources: docs/MODELS.md. */
typedef struct Published {
    const char *name;
    int64_t dim;
    WanImageMode image;
    bool clip, two_experts;
    bool small; /* up to the area of 832x480 */
    TeaCache cache;
} Published;

#define FIT_13B                                                                                    \
    {                                                                                              \
        { -5.21862437e+04, 9.23041404e+03, -5.28275948e+02, 1.36987616e+01, -4.99875664e-02 },     \
            0.05                                                                                   \
    }
#define FIT_T2V_14B                                                                                \
    {                                                                                              \
        { -3.03318725e+05, 4.90537029e+04, -2.65530556e+03, 5.87365115e+01, -3.15583525e-01 },     \
            0.14                                                                                   \
    }
#define FIT_I2V_480P                                                                               \
    {                                                                                              \
        { 2.57151496e+05, -3.54229917e+04, 1.40286849e+03, -1.35890334e+01, 1.32517977e-01 }, 0.13 \
    }
#define FIT_I2V_720P                                                                               \
    {                                                                                              \
        { 8.10705460e+03, 2.13393892e+03, -3.72934672e+02, 1.66203073e+01, -4.17769401e-02 }, 0.18 \
    }

enum { DIM_1_3B = 1536, DIM_14B = 5120 };
static const Published PUBLISHED[] = {
    { "Wan2.1 T2V-1.3B", DIM_1_3B, WAN_NO_IMAGE, false, false, false, FIT_13B },
    { "Wan2.1 Fun-1.3B", DIM_1_3B, WAN_IMAGE_CHANNELS, true, false, false, FIT_13B },
    { "Wan2.1 T2V-14B", DIM_14B, WAN_NO_IMAGE, false, false, false, FIT_T2V_14B },
    { "Wan2.1 I2V-14B-480P", DIM_14B, WAN_IMAGE_CHANNELS, true, false, true, FIT_I2V_480P },
    { "Wan2.1 I2V-14B-720P", DIM_14B, WAN_IMAGE_CHANNELS, true, false, false, FIT_I2V_720P },
    { "Wan2.2 T2V-A14B", DIM_14B, WAN_NO_IMAGE, false, true, false, FIT_I2V_720P },
    { "Wan2.2 I2V-A14B", DIM_14B, WAN_IMAGE_CHANNELS, false, true, false, FIT_I2V_720P },
};

static const Published *find_published(const WanJob *j)
{
    const WanDitConfig *cfg = &j->expert[0].dit.cfg;
    const bool small = (int64_t)j->width * j->height <= 832 * 480, clip = cfg->image_dim > 0;
    const WanBuild *build = &j->variant->build;
    if (build->camera || build->two_pictures || build->image == WAN_IMAGE_FIRST_FRAME) return NULL;
    for (size_t i = 0; i < sizeof PUBLISHED / sizeof PUBLISHED[0]; i++) {
        const Published *p = &PUBLISHED[i];
        if (p->dim == cfg->heads * cfg->head_dim && p->image == build->image && p->clip == clip &&
            p->two_experts == (j->n_experts == 2) && (!p->small || small))
            return p;
    }
    return NULL;
}

static SnugStatus read_own(TeaCache *out, bool *found, Json root, SnugError *err)
{
    int n = 0;
    *found = json_has(root, "teacache");
    if (!*found) return SNUG_OK;
    TRY(json_f64s(root, "teacache", -1e12, 1e12, out->coefficient, TEACACHE_COEFFICIENTS, &n, err));
    if (n != TEACACHE_COEFFICIENTS)
        return json_fault(json_get(root, "teacache"), err, FAULT_BAD, "got %d numbers, expected %d",
                          n, TEACACHE_COEFFICIENTS);
    return json_f64(root, "teacache_threshold", 0.1, 0.0, 1e6, &out->threshold, err);
}

/* A folder's own fit: "teacache", and perhaps "teacache_threshold", in its snug.json. */
static SnugStatus read_folder(const WanJob *j, TeaCache *out, bool *found, SnugError *err)
{
    JsonDoc *doc;
    *found = false;
    TRY(wan_settings_open(j, &doc, err));
    if (!doc) return SNUG_OK;
    const SnugStatus status = read_own(out, found, json_root(doc), err);
    json_close(doc);
    return status;
}

static SnugStatus find_fit(const WanJob *j, TeaCache *out, const char **name, SnugError *err)
{
    bool own;
    TRY(read_folder(j, out, &own, err));
    *name = "the model's snug.json";
    if (own) return SNUG_OK;
    const Published *p = find_published(j);
    if (!p)
        return error_set(err, SNUG_ERR_ARG,
                         "--step-cache: no coefficients are published for this model (%s, width "
                         "%lld); its folder may bring its own, five numbers as \"teacache\" in "
                         "snug.json (tools/fit_teacache.py)",
                         j->variant->name,
                         (long long)(j->expert[0].dit.cfg.heads * j->expert[0].dit.cfg.head_dim));
    *out = p->cache;
    *name = p->name;
    return SNUG_OK;
}

/* ---- layers, for all steps at once ---------------------------------------------------------- */

/* One output of a layer, of every step. */
typedef void RowDone(void *context, int64_t row, const float *values);

/* y = w x + b, with w handed over piece by piece and taken a few rows at a time, so that x is read
 * once for all of them. Values of steps are neighbours: sums run over the inputs in order, lanes are
 * steps. */
enum { ROWS_AT_ONCE = 8, TERMS_AT_ONCE = 4 };
typedef struct Layer {
    int64_t inputs, outputs, row; /* row: first of those that are being gathered */
    int64_t gathered;             /* values of them */
    int steps;
    const float *x;    /* [inputs, S] */
    const float *bias; /* [outputs] or NULL */
    float *w;          /* [ROWS_AT_ONCE, inputs] */
    float *sum;        /* [S] */
    RowDone *done;
    void *context;
} Layer;

static SnugStatus take_bias(void *context, int64_t first, int64_t n, const float *values,
                            SnugError *err)
{
    (void)err;
    memcpy((float *)context + first, values, (size_t)n * sizeof *values);
    return SNUG_OK;
}

/* sum[s] += w[0] x[0][s], then w[1] x[1][s], .. */
static void add_terms(float *restrict sum, const float *restrict x, const float *restrict w, int n)
{
    for (int s = 0; s < n; s++) {
        float t = sum[s];
        for (int k = 0; k < TERMS_AT_ONCE; k++)
            t += w[k] * x[k * n + s];
        sum[s] = t;
    }
}

static void end_rows(Layer *l, int64_t rows)
{
    const int n = l->steps;
    memset(l->sum, 0, (size_t)(rows * n) * sizeof *l->sum);
    int64_t k = 0;
    for (; k + TERMS_AT_ONCE <= l->inputs; k += TERMS_AT_ONCE)
        for (int64_t r = 0; r < rows; r++)
            add_terms(l->sum + r * n, l->x + k * n, l->w + r * l->inputs + k, n);
    for (; k < l->inputs; k++)
        for (int64_t r = 0; r < rows; r++)
            for (int s = 0; s < n; s++)
                l->sum[r * n + s] += l->w[r * l->inputs + k] * l->x[k * n + s];
    for (int64_t r = 0; r < rows; r++) {
        for (int s = 0; l->bias && s < n; s++)
            l->sum[r * n + s] += l->bias[l->row + r];
        l->done(l->context, l->row + r, l->sum + r * n);
    }
    l->row += rows;
    l->gathered = 0;
}

static SnugStatus take_weight(void *context, int64_t first, int64_t n, const float *values,
                              SnugError *err)
{
    Layer *l = context;
    (void)first; /* in order */
    (void)err;
    while (n > 0) {
        const int64_t left = l->outputs - l->row, rows = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE,
                      missing = rows * l->inputs - l->gathered, taken = n < missing ? n : missing;
        memcpy(l->w + l->gathered, values, (size_t)taken * sizeof *values);
        l->gathered += taken;
        values += taken;
        n -= taken;
        if (taken == missing) end_rows(l, rows);
    }
    return SNUG_OK;
}

/* Layers of one expert. */
typedef struct Judge {
    PipelineContext *context;
    Arena *scratch;
    int steps;
} Judge;

static float *floats(const Judge *g, int64_t rows, int64_t cols)
{
    return arena_array(g->scratch, (size_t)(rows * cols), sizeof(float));
}

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory for the step cache");
}

static SnugStatus apply(const Judge *g, const Linear *l, const float *x, RowDone *done,
                        void *context, SnugError *err)
{
    const int64_t outputs = l->weight->shape.dim[0],
                  inputs = shape_count(l->weight->shape) / outputs;
    float *bias = l->bias ? floats(g, outputs, 1) : NULL, *w = floats(g, ROWS_AT_ONCE, inputs),
          *sum = floats(g, ROWS_AT_ONCE, g->steps);
    if (!w || !sum || (l->bias && !bias)) return no_memory(err);
    if (l->bias) TRY(g->context->values(g->context->heap, l->bias, take_bias, bias, err));
    Layer layer = { .inputs = inputs,
                    .outputs = outputs,
                    .steps = g->steps,
                    .x = x,
                    .bias = bias,
                    .w = w,
                    .sum = sum,
                    .done = done,
                    .context = context };
    return g->context->values(g->context->heap, l->weight, take_weight, &layer, err);
}

/* A row into a matrix [outputs, S], through SiLU: what stands behind both of the first layers. */
typedef struct Kept {
    float *to;
    int steps;
} Kept;

static void keep_silu(void *context, int64_t row, const float *values)
{
    const Kept *k = context;
    for (int s = 0; s < k->steps; s++)
        k->to[row * k->steps + s] = values[s] / (1.0f + expf(-values[s]));
}

/* Sums of |e - e before| and of |e before| over the outputs. */
typedef struct Moves {
    double *moved, *size; /* [S]; [0] unused */
    int steps;
} Moves;

static void add_moves(void *context, int64_t row, const float *e)
{
    Moves *m = context;
    (void)row;
    for (int s = 1; s < m->steps; s++) {
        m->moved[s] += fabs((double)e[s] - (double)e[s - 1]);
        m->size[s] += fabs((double)e[s - 1]);
    }
}

/* Cosines, then sines, as op_timestep has them: [dim, S]. */
static void embed(float *to, const WanJob *j, const WanExpert *e, int steps)
{
    const int64_t dim = e->dit.cfg.freq_dim, half = dim / 2;
    for (int64_t i = 0; i < half; i++)
        for (int s = 0; s < steps; s++) {
            const double t = (double)j->scheduler.timesteps[e->first + s],
                         a = t * pow(10000.0, -(double)i / (double)half);
            to[i * steps + s] = (float)cos(a);
            to[(half + i) * steps + s] = (float)sin(a);
        }
}

/* moved[s]: how far the modulation of the expert's step s lies from that of the step before. */
static SnugStatus find_moves(const WanJob *j, const WanExpert *e, Arena *scratch, double *moved,
                             SnugError *err)
{
    const WanDit *m = &e->dit;
    const int64_t c = m->cfg.heads * m->cfg.head_dim;
    const Judge g = { j->context, scratch, e->end - e->first };
    float *x = floats(&g, m->cfg.freq_dim, g.steps), *h = floats(&g, c, g.steps);
    float *emb = floats(&g, c, g.steps);
    double *size = arena_array(scratch, (size_t)g.steps, sizeof *size);
    if (!x || !h || !emb || !size) return no_memory(err);
    embed(x, j, e, g.steps);
    TRY(apply(&g, &m->time1, x, keep_silu, &(Kept){ h, g.steps }, err));
    TRY(apply(&g, &m->time2, h, keep_silu, &(Kept){ emb, g.steps }, err));
    TRY(apply(&g, &m->time_proj, emb, add_moves, &(Moves){ moved, size, g.steps }, err));
    for (int s = 1; s < g.steps; s++)
        moved[s] /= size[s];
    return SNUG_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static SnugStatus parse(const char *text, bool *on, double *threshold, SnugError *err)
{
    static const char NAME[] = "teacache";
    const size_t n = sizeof NAME - 1;
    *on = strcmp(text, "off") != 0;
    *threshold = -1.0;
    if (!*on || strcmp(text, NAME) == 0) return SNUG_OK;
    char *end = NULL;
    if (strncmp(text, NAME, n) == 0 && text[n] == ':' && text[n + 1])
        *threshold = strtod(text + n + 1, &end);
    if (end && !*end && *threshold >= 0 && *threshold <= 1e6) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG,
                     "--step-cache: \"%.50s\" is none of off, teacache, teacache:THRESHOLD (a "
                     "number from 0 on)",
                     text);
}

static SnugStatus check_layers(const WanDit *m, SnugError *err)
{
    const Linear *layers[] = { &m->time1, &m->time2, &m->time_proj };
    for (int i = 0; i < 3; i++)
        if (layers[i]->lora)
            return error_set(err, SNUG_ERR_ARG,
                             "--step-cache: a LoRA file changes %s, which the cache judges steps "
                             "by and whose coefficients hold for the model alone",
                             layers[i]->weight->name);
    return SNUG_OK;
}

static void describe(const WanJob *j, const TeaCache *cache, const char *name, int n_skipped,
                     const double *moved, TextBuilder *words, TextBuilder *json)
{
    const int n = j->scheduler.n;
    text_addf(words, "step cache: teacache:%g (coefficients of %s), %d of %d steps skipped",
              cache->threshold, name, n_skipped, n);
    text_addf(json, "\"step_cache\":{\"kind\":\"teacache\",\"threshold\":%g,\"coefficients\":[",
              cache->threshold);
    for (int i = 0; i < TEACACHE_COEFFICIENTS; i++)
        text_addf(json, "%s%.9g", i ? "," : "", cache->coefficient[i]);
    text_addf(json, "],\"of\":");
    text_add_json(json, name, strlen(name));
    text_addf(json, ",\"moved\":[");
    for (int i = 0; i < n; i++)
        text_addf(json, "%s%.6g", i ? "," : "", moved[i]);
    text_addf(json, "],\"skipped\":[");
    for (int i = 0, k = 0; i < n; i++) {
        if (!j->cache.skip[i]) continue;
        text_addf(words, "%s%d", k ? " " : ": ", i + 1);
        text_addf(json, "%s%d", k++ ? "," : "", i + 1);
    }
    text_addf(json, "]}");
}

static SnugStatus tell(WanJob *j, const TeaCache *cache, const char *name, int n_skipped,
                       const double *moved, SnugError *err)
{
    TextBuilder words, json;
    text_init(&words, j->context->heap, "step cache");
    text_init(&json, j->context->heap, "step cache");
    describe(j, cache, name, n_skipped, moved, &words, &json);
    if (!words.failed && !json.failed) {
        j->cache.words = arena_text(j->context->arena, words.at, words.n);
        j->cache.words_json = arena_text(j->context->arena, json.at, json.n);
    }
    text_release(&words);
    text_release(&json);
    return j->cache.words && j->cache.words_json ? SNUG_OK : no_memory(err);
}

static SnugStatus decide(WanJob *j, const TeaCache *cache, const char *name, Arena *scratch,
                         SnugError *err)
{
    int skipped = 0;
    double *moved = arena_array(scratch, (size_t)j->scheduler.n + 1, sizeof *moved);
    j->cache.skip = arena_array(j->context->arena, (size_t)j->scheduler.n + 1, sizeof(bool));
    if (!moved || !j->cache.skip) return no_memory(err);
    for (int k = 0; k < j->n_experts; k++) {
        const WanExpert *e = &j->expert[k];
        const int done = e->first - j->scheduler.first, n = e->end - e->first,
                  n_first = done < TEACACHE_FIRST ? TEACACHE_FIRST - done : 1;
        TRY(check_layers(&e->dit, err));
        if (n <= 0) continue;
        TRY(find_moves(j, e, scratch, moved + e->first, err));
        skipped += teacache_decide(cache, moved + e->first, n, n_first, j->cache.skip + e->first);
    }
    return tell(j, cache, name, skipped, moved, err);
}

SnugStatus wan_step_cache_open(WanJob *j, SnugError *err)
{
    TeaCache cache;
    const char *name;
    bool on;
    double threshold;
    Arena scratch;
    TRY(parse(j->request->step_cache, &on, &threshold, err));
    if (!on) return SNUG_OK;
    TRY(find_fit(j, &cache, &name, err));
    if (threshold >= 0) cache.threshold = threshold;
    arena_init(&scratch, j->context->heap, "step cache");
    const SnugStatus status = decide(j, &cache, name, &scratch, err);
    arena_release(&scratch);
    return status;
}

bool wan_step_skipped(const WanJob *j, int i)
{
    return j->cache.skip && i < j->scheduler.n && j->cache.skip[i];
}
