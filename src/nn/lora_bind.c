/* lora_bind.c  Look a layer up in every file, check shapes, chain what was found. */
#include "nn/lora_bind.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "nn/lora_names.h"

enum { MAX_NAME = NAME_MAP_TEXT };

/* The module of one file, or NULL; a name too long for us is in no file. `part`: which rows of the
 * module's are the layer's, where the file keeps several layers in one. */
static LoraModule *find(Weights *w, int file, const char *name, NamePart *part)
{
    char ours[MAX_NAME], theirs[MAX_NAME];
    SnugError err = { { 0 } };
    LoraModule *m = NULL;
    const int n = snprintf(ours, sizeof ours, "%s%s", w->prefix, name);
    if (n <= 0 || n >= MAX_NAME) return NULL;
    const bool two = w->lora_names && name_map_to_theirs(w->lora_names, ours, theirs);
    if (lora_find(w->loras, file, w->lora_network, w->lora_expert, ours, two ? theirs : NULL, &m,
                  &err) != SNUG_OK)
        weights_problem(w, "\n  %.400s", err.text);
    *part = (NamePart){ 0 };
    if (!m || !two) return m;
    char key[MAX_NAME + 3];
    lora_names_key_of(key, sizeof key, ours);
    if (strcmp(key, m->key) != 0) *part = name_map_part(w->lora_names, ours);
    return m;
}

/* Dimensions after the first, multiplied: convolutions and dense layers are interchangeable. */
static bool is_matrix(const Entry *e, int64_t rows, int64_t cols)
{
    int64_t n;
    return e->rank >= 2 && e->dim[0] == rows && entry_elements(e->dim + 1, e->rank - 1, &n) &&
           n == cols;
}

static void mismatch(Weights *w, int file, const Entry *e, int64_t rows, int64_t cols)
{
    char shape[SHAPE_TEXT];
    weights_problem(w, "\n  LoRA %s: %s is %s, the layer needs %lld x %lld",
                    checkpoint_path(lora_file(w->loras, file)), e->name,
                    entry_shape_text(e, shape, sizeof shape), (long long)rows, (long long)cols);
}

static const Weight *add(Weights *w, int file, const Entry *e, Shape shape, float scale,
                         NamePart part)
{
    Scaling *scaling = NULL;
    if (scale != 1.0f) {
        scaling = arena_take(w->table->arena, sizeof *scaling);
        if (!scaling) {
            w->no_memory = true;
            return NULL;
        }
        scaling->whole = scale;
    }
    const Checkpoint *from = lora_file(w->loras, file);
    const BoundWeight *b = part.of ? weights_add_part(w, from, e, shape, scaling, part)
                                   : weights_add(w, from, e, shape, scaling);
    return b ? &b->weight : NULL;
}

/** A layer as its changes see it. */
typedef struct Layer {
    int64_t in, out; /* in: with the kernel */
    bool conv;
    Shape down, up; /* up: of a change of full size */
    NamePart part;  /* of the module's rows */
} Layer;

static const NamePart ALL = { 0 };

/* Rows of the module that holds the layer. */
static int64_t rows_of(const Layer *l)
{
    return l->part.of ? l->out / l->part.count * l->part.of : l->out;
}

/* One link; false when it does not fit. */
static bool low_rank(Weights *w, int file, LoraModule *m, const Layer *l, LowRank *to)
{
    const Entry *down = m->part[LORA_DOWN], *up = m->part[LORA_UP], *bias = m->part[LORA_UP_BIAS];
    const bool fits = is_matrix(down, m->rank, l->in) && is_matrix(up, rows_of(l), m->rank);
    if (!fits) {
        if (is_matrix(down, m->rank, l->in))
            mismatch(w, file, up, rows_of(l), m->rank);
        else
            mismatch(w, file, down, m->rank, l->in);
        return false;
    }
    Shape shape = l->down;
    shape.dim[0] = m->rank;
    to->down = add(w, file, down, shape, 1.0f, ALL);
    to->up = add(w, file, up, l->conv ? SHAPE(l->out, m->rank, 1, 1, 1) : SHAPE(l->out, m->rank),
                 m->scale, l->part);
    if (bias && bias->rank == 1 && bias->dim[0] == rows_of(l))
        to->bias = add(w, file, bias, SHAPE(l->out), m->scale, l->part);
    else if (bias)
        mismatch(w, file, bias, rows_of(l), 1);
    m->used[LORA_DOWN] = m->used[LORA_UP] = true;
    m->used[LORA_UP_BIAS] = bias != NULL;
    return true;
}

static bool full_size(Weights *w, int file, LoraModule *m, const Layer *l, LowRank *to)
{
    const Entry *diff = m->part[LORA_DIFF];
    if (!is_matrix(diff, rows_of(l), l->in)) {
        mismatch(w, file, diff, rows_of(l), l->in);
        return false;
    }
    to->up = add(w, file, diff, l->up, m->scale, l->part);
    m->used[LORA_DIFF] = true;
    return true;
}

typedef bool Link(Weights *w, int file, LoraModule *m, const Layer *l, LowRank *to);

/* Append a link at the chain's end. */
static const LowRank **append(Weights *w, const LowRank **end, int file, LoraModule *m,
                              const Layer *l, Link *link)
{
    LowRank *to = arena_take(w->table->arena, sizeof *to);
    if (!to) w->no_memory = true;
    if (!to || !link(w, file, m, l, to)) return end;
    *end = to;
    return &to->next;
}

const LowRank *lora_bind_layer(Weights *w, const char *name, int64_t in, int64_t out, int kh,
                               int kw)
{
    const bool conv = kh > 0;
    Layer l = { .in = conv ? in * kh * kw : in,
                .out = out,
                .conv = conv,
                .down = conv ? SHAPE(1, in, 1, kh, kw) : SHAPE(1, in),
                .up = conv ? SHAPE(out, in, 1, kh, kw) : SHAPE(out, in) };
    const LowRank *first = NULL, **end = &first;
    for (int i = 0; i < lora_n_files(w->loras); i++) {
        LoraModule *m = find(w, i, name, &l.part);
        if (m && m->part[LORA_DOWN]) end = append(w, end, i, m, &l, low_rank);
        if (m && m->part[LORA_DIFF]) end = append(w, end, i, m, &l, full_size);
    }
    return first;
}

/* ---- small tensors -------------------------------------------------------------------------- */

/* What the file adds to one tensor, as a link of the chain at `end`. */
static const WeightDelta **add_delta(Weights *w, BoundWeight *b, const WeightDelta **end, int file,
                                     LoraModule *m, LoraPart part)
{
    const Entry *e = m->part[part];
    int64_t n;
    if (!entry_elements(e->dim, e->rank, &n) || n != shape_count(b->weight.shape)) {
        mismatch(w, file, e, shape_count(b->weight.shape), 1);
        return end;
    }
    WeightDelta *d = arena_take(w->table->arena, sizeof *d);
    if (!d) {
        w->no_memory = true;
        return end;
    }
    *d = (WeightDelta){ .checkpoint = lora_file(w->loras, file), .entry = e, .scale = m->scale };
    m->used[part] = true;
    *end = d;
    return &d->next;
}

/* Matrices take their changes beside them; what remains is small. */
static bool is_small(const BoundWeight *b, const char *name)
{
    int n = 0;
    for (int i = 0; i < b->weight.shape.rank; i++)
        n += b->weight.shape.dim[i] != 1;
    return (n < 2 || !text_ends(name, ".weight")) && !b->weight.scaling &&
           dtype_info(b->weight.dtype)->block == 1;
}

void lora_bind_delta(Weights *w, BoundWeight *b, const char *name)
{
    char module[MAX_NAME];
    size_t n = strlen(name);
    if (!is_small(b, name) || n >= sizeof module) return;
    const LoraPart part = text_ends(name, ".bias") ? LORA_DIFF_BIAS : LORA_DIFF;
    if (part == LORA_DIFF_BIAS)
        n -= strlen(".bias");
    else if (text_ends(name, ".weight"))
        n -= strlen(".weight");
    memcpy(module, name, n);
    module[n] = '\0';
    const WeightDelta *first = NULL, **end = &first;
    for (int i = 0; i < lora_n_files(w->loras); i++) {
        NamePart rows;
        LoraModule *m = find(w, i, module, &rows);
        if (m && !rows.of && m->part[part]) end = add_delta(w, b, end, i, m, part);
    }
    if (!first) return;
    b->deltas = first;
    b->weight.dtype = DT_F32;
    b->weight.bytes = (size_t)shape_count(b->weight.shape) * sizeof(float);
}
