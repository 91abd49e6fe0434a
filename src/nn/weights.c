/* weights.c  Binding names to file entries, and reading units into the slab. */
#include "nn/weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "nn/lora_bind.h"
#include "nn/weight_delta.h"
#include "tensor/finite.h"

enum { UNIT_ALIGN = 64, MAX_NAME = NAME_MAP_TEXT, MAX_LISTED = 10 };
enum { PIECES = 96, LEAST_PIECE = 512 << 10 };

void weight_table_init(WeightTable *table, Arena *arena)
{
    *table = (WeightTable){ .arena = arena };
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The scales behind a quantised weight; its codes mean something whatever they are. */
static bool scales_finite(const Weight *w, const void *data)
{
    const Scaling *s = w->scaling;
    const unsigned char *at = data;
    if (!s || (!s->row_at && !s->block)) return true;
    const size_t parts[] = { s->row_at, s->absmax_at, s->map_at, s->nested_at };
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (!parts[i]) continue;
        size_t end = w->bytes; /* of this part: where the next one begins */
        for (size_t k = 0; k < COUNT(parts); k++)
            if (parts[k] > parts[i] && parts[k] < end) end = parts[k];
        if (finite_find(DT_F32, at + parts[i], end - parts[i]) >= 0) return false;
    }
    return true;
}

static SnugStatus check_finite(BoundWeight *b, const void *data, SnugError *err)
{
    if (atomic_load_explicit(&b->checked, memory_order_relaxed)) return SNUG_OK;
    const size_t codes = b->entry->parts ? b->entry->parts[0].from->bytes : b->weight.bytes;
    if (finite_find(b->weight.dtype, data, codes) >= 0 || !scales_finite(&b->weight, data))
        return error_set(err, SNUG_ERR_FILE, "%s: %s: the weights hold NaN or infinity",
                         checkpoint_path(b->checkpoint), b->weight.name);
    atomic_store_explicit(&b->checked, true, memory_order_relaxed);
    return SNUG_OK;
}

SnugStatus weight_table_read(const WeightTable *table, int32_t unit, void *to, SnugError *err)
{
    for (BoundWeight *b = table->units[unit].first; b; b = b->next) {
        unsigned char *at = (unsigned char *)to + b->weight.unit_offset;
        if (b->deltas)
            TRY(weight_delta_read(b, (float *)(void *)at, err));
        else
            TRY(checkpoint_read(b->checkpoint, b->entry, 0, b->weight.bytes, at, err));
        if (!table->keep_cached) checkpoint_forget(b->checkpoint, b->entry);
        TRY(check_finite(b, at, err));
    }
    return SNUG_OK;
}

double weight_table_cached(const WeightTable *table)
{
    double cached = 0, all = 0;
    for (int32_t i = 0; i < table->n_units; i++)
        for (const BoundWeight *b = table->units[i].first; b; b = b->next) {
            all += (double)b->weight.bytes;
            if (checkpoint_in_cache(b->checkpoint, b->entry)) cached += (double)b->weight.bytes;
        }
    return all > 0 ? cached / all : 1.0;
}

SnugStatus weight_table_read_row(const WeightTable *table, const Weight *weight, int64_t row,
                                 void *to, SnugError *err)
{
    (void)table;
    const BoundWeight *b = (const BoundWeight *)(const void *)weight;
    const size_t bytes = weight->bytes / (size_t)weight->shape.dim[0];
    TRY(checkpoint_read(b->checkpoint, b->entry, (size_t)row * bytes, bytes, to, err));
    if (finite_find(weight->dtype, to, bytes) < 0) return SNUG_OK;
    return error_set(err, SNUG_ERR_FILE, "%s: %s: row %lld holds NaN or infinity",
                     checkpoint_path(b->checkpoint), weight->name, (long long)row);
}

/* ---- binding -------------------------------------------------------------------------------- */

void weights_problem(Weights *w, const char *format, ...)
{
    if (w->n_problems++ >= MAX_LISTED) return;
    va_list args;
    va_start(args, format);
    const size_t room = sizeof w->problems - w->n_problem_text;
    int n = vsnprintf(w->problems + w->n_problem_text, room, format, args);
    va_end(args);
    if (n > 0) w->n_problem_text += (size_t)n < room ? (size_t)n : room - 1;
}

void weights_begin(Weights *w, WeightTable *table, const Checkpoint *checkpoint, const char *model)
{
    *w = (Weights){ .table = table,
                    .checkpoint = checkpoint,
                    .model = model,
                    .first_unit = table->n_units,
                    .unit = -1 };
    w->used = arena_array(table->arena, (size_t)checkpoint_count(checkpoint) + 1, sizeof *w->used);
    w->no_memory = !w->used;
}

void weights_names(Weights *w, const NameMap *names)
{
    w->names = names;
    if (!w->used || !names->prefix) return;
    for (int32_t i = 0; i < checkpoint_count(w->checkpoint); i++)
        if (!text_starts(checkpoint_entry(w->checkpoint, i)->name, names->prefix))
            w->used[i] = true;
}

void weights_loras(Weights *w, LoraSet *loras, LoraNetwork network, unsigned expert,
                   const NameMap *names)
{
    w->loras = loras;
    w->lora_network = network;
    w->lora_expert = expert;
    w->lora_names = names;
}

static bool grow_units(WeightTable *table)
{
    if (table->n_units < table->max_units) return true;
    const int32_t max = table->max_units ? 2 * table->max_units : 64;
    WeightUnit *units = arena_array(table->arena, (size_t)max, sizeof *units);
    if (!units) return false;
    if (table->n_units) memcpy(units, table->units, (size_t)table->n_units * sizeof *units);
    table->units = units;
    table->max_units = max;
    return true;
}

/* ---- units ----------------------------------------------------------------------------------- */

static void add_to_unit(Weights *w, WeightUnit *unit, int32_t index, BoundWeight *b)
{
    b->weight.unit = index;
    b->weight.unit_offset = unit->bytes;
    b->next = NULL;
    if (unit->last)
        unit->last->next = b;
    else
        unit->first = b;
    unit->last = b;
    if (!size_add(unit->bytes, size_align(b->weight.bytes, UNIT_ALIGN), &unit->bytes))
        w->no_memory = true;
}

static void add_unit(Weights *w, const char *name)
{
    if (w->no_memory || !grow_units(w->table)) {
        w->no_memory = true;
        return;
    }
    w->unit = w->table->n_units++;
    WeightUnit *unit = &w->table->units[w->unit];
    *unit = (WeightUnit){ .bytes = 0 };
    (void)snprintf(unit->name, sizeof unit->name, "%s", name);
}

/* A block of a large network is many weights that are needed one after another. The finer the
 * units, the less space is idle beside them; the coarser, the less there is to plan. A bias or a norm
 * stays with the weight before it. */
static void split_unit(Weights *w, const WeightUnit *whole, size_t most)
{
    add_unit(w, whole->name);
    for (BoundWeight *b = whole->first, *next; b && !w->no_memory; b = next) {
        next = b->next;
        const size_t bytes = w->table->units[w->unit].bytes;
        if (bytes && b->weight.bytes >= most / 8 && bytes + b->weight.bytes > most)
            add_unit(w, whole->name);
        if (!w->no_memory) add_to_unit(w, &w->table->units[w->unit], w->unit, b);
    }
}

static void split_units(Weights *w)
{
    WeightTable *table = w->table;
    const int32_t n = table->n_units - w->first_unit;
    WeightUnit *whole = arena_array(table->arena, (size_t)n + 1, sizeof *whole);
    if (!whole) {
        w->no_memory = true;
        return;
    }
    size_t all = 0;
    for (int32_t i = 0; i < n; i++) {
        whole[i] = table->units[w->first_unit + i];
        if (!size_add(all, whole[i].bytes, &all)) all = SIZE_MAX;
    }
    const size_t most = all / PIECES > LEAST_PIECE ? all / PIECES : LEAST_PIECE;
    table->n_units = w->first_unit;
    for (int32_t i = 0; i < n && !w->no_memory; i++)
        split_unit(w, &whole[i], most);
}

__attribute__((format(printf, 2, 0))) static void set_prefix(Weights *w, const char *format,
                                                             va_list args)
{
    const int n = vsnprintf(w->prefix, sizeof w->prefix - 1, format, args);
    if (n > 0 && (size_t)n < sizeof w->prefix - 1) memcpy(w->prefix + n, ".", 2);
}

void weights_unit(Weights *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_prefix(w, format, args);
    va_end(args);
    char name[sizeof w->table->units->name];
    const int n = (int)strlen(w->prefix) - 1; /* without the last dot */
    (void)snprintf(name, sizeof name, "%.20s%s%.40s", w->model, n > 0 ? "." : "", w->prefix);
    if (n > 0 && strlen(name) < sizeof name - 1) name[strlen(name) - 1] = '\0';
    add_unit(w, name);
}

void weights_prefix(Weights *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_prefix(w, format, args);
    va_end(args);
}

/* The name as the file spells it. */
static bool full_name(const Weights *w, const char *name, char full[MAX_NAME])
{
    char ours[MAX_NAME];
    const int n = snprintf(w->names ? ours : full, MAX_NAME, "%s%s", w->prefix, name);
    if (n <= 0 || n >= MAX_NAME) return false;
    if (w->names) (void)name_map_to_theirs(w->names, ours, full);
    return true;
}

static int32_t find(const Weights *w, const char *name)
{
    char full[MAX_NAME];
    return full_name(w, name, full) ? checkpoint_find(w->checkpoint, full) : -1;
}

bool weights_has(const Weights *w, const char *name)
{
    return find(w, name) >= 0;
}

void weights_ignore(Weights *w, const char *name)
{
    const int32_t i = find(w, name);
    if (i >= 0 && w->used) w->used[i] = true;
}

void weights_ignore_all(Weights *w, const char *beginning)
{
    const char *prefix = w->names && w->names->prefix ? w->names->prefix : "";
    for (int32_t i = 0; w->used && i < checkpoint_count(w->checkpoint); i++) {
        const char *name = checkpoint_entry(w->checkpoint, i)->name;
        if (text_starts(name, prefix)) name += strlen(prefix);
        if (text_starts(name, beginning)) w->used[i] = true;
    }
}

/* Dimensions that are not one. */
static int squeeze(const int64_t *dim, int rank, int64_t *out)
{
    int n = 0;
    for (int i = 0; i < rank; i++)
        if (dim[i] != 1) out[n++] = dim[i];
    return n;
}

/* Equal but for dimensions of one; or the first two of a convolution in time multiplied, as files
 * that know four dimensions at most keep it: the bytes are the same. */
static bool same_shape(const Entry *entry, Shape want)
{
    int64_t have[ENTRY_MAX_RANK], need[ENTRY_MAX_RANK], merged;
    const int n = squeeze(entry->dim, entry->rank, have);
    const int m = squeeze(want.dim, want.rank, need);
    if (n == m) return memcmp(have, need, (size_t)n * sizeof *have) == 0;
    return want.rank == 5 && entry->rank == 4 && dim_mul(want.dim[0], want.dim[1], &merged) &&
           merged == entry->dim[0] && memcmp(entry->dim + 1, want.dim + 2, 3 * sizeof *have) == 0;
}

/* NF4 and FP4 always come with scales; int8 without means integers, not weights. */
static bool computable(const Entry *entry)
{
    return dtype_is_weight(entry->dtype) && (entry->dtype != DT_I8 || entry->scaling);
}

static BoundWeight *make(Weights *w, const Checkpoint *checkpoint, const Entry *entry, Shape shape,
                         const Scaling *scaling)
{
    BoundWeight *b = arena_take(w->table->arena, sizeof *b);
    if (!b) {
        w->no_memory = true;
        return NULL;
    }
    b->weight = (Weight){ .name = entry->name,
                          .dtype = entry->dtype,
                          .shape = shape,
                          .bytes = entry->bytes,
                          .unit = -1,
                          .scaling = scaling };
    b->checkpoint = checkpoint;
    b->entry = entry;
    return b;
}

static BoundWeight *place(Weights *w, BoundWeight *b)
{
    if (!b || w->unit < 0) return NULL;
    add_to_unit(w, &w->table->units[w->unit], w->unit, b);
    return b;
}

/* The stored matrix of a part, which its other parts may have brought into the unit already. */
static BoundWeight *whole_of(Weights *w, const Checkpoint *checkpoint, const Entry *entry,
                             Shape shape, const Scaling *scaling)
{
    if (w->unit < 0) return NULL;
    for (BoundWeight *b = w->table->units[w->unit].first; b; b = b->next)
        if (b->entry == entry && !b->deltas) return b;
    return place(w, make(w, checkpoint, entry, shape, scaling));
}

BoundWeight *weights_add_part(Weights *w, const Checkpoint *checkpoint, const Entry *entry,
                              Shape shape, const Scaling *scaling, NamePart part)
{
    Shape all = shape;
    all.dim[0] = shape.dim[0] / part.count * part.of;
    const BoundWeight *whole = whole_of(w, checkpoint, entry, all, scaling);
    BoundWeight *b = whole ? make(w, checkpoint, entry, shape, whole->weight.scaling) : NULL;
    if (!b) return NULL;
    b->whole = whole;
    b->weight.first_row = shape.dim[0] / part.count * part.first;
    b->next = w->parts;
    w->parts = b;
    return b;
}

/* Units are cut at the end: only then it is known where the whole lies. */
static void place_parts(Weights *w)
{
    for (BoundWeight *b = w->parts; b; b = b->next) {
        b->weight.unit = b->whole->weight.unit;
        b->weight.unit_offset = b->whole->weight.unit_offset;
    }
}

static NamePart part_of(const Weights *w, const char *name)
{
    char ours[MAX_NAME];
    const int n = snprintf(ours, MAX_NAME, "%s%s", w->prefix, name);
    if (!w->names || n <= 0 || n >= MAX_NAME) return (NamePart){ 0 };
    return name_map_part(w->names, ours);
}

static BoundWeight *bind(Weights *w, const char *name, Shape shape)
{
    char full[MAX_NAME], got[SHAPE_TEXT], need[SHAPE_TEXT];
    const int32_t index = find(w, name);
    if (w->no_memory || !full_name(w, name, full)) return NULL;
    if (index < 0) {
        weights_problem(w, "\n  missing %s %s", full, shape_text(shape, need, sizeof need));
        return NULL;
    }
    const Entry *entry = checkpoint_entry(w->checkpoint, index);
    const NamePart part = part_of(w, name);
    Shape all = shape;
    if (part.of) all.dim[0] = shape.dim[0] / part.count * part.of;
    w->used[index] = true;
    if (!same_shape(entry, all)) {
        weights_problem(w, "\n  %s: the file has %s, the network needs %s", full,
                        entry_shape_text(entry, got, sizeof got),
                        shape_text(all, need, sizeof need));
        return NULL;
    }
    if (!computable(entry)) {
        weights_problem(w, "\n  %s: stored as %s, which snug cannot compute with", full,
                        entry->type_name);
        return NULL;
    }
    if (part.of) return weights_add_part(w, w->checkpoint, entry, shape, entry->scaling, part);
    return make(w, w->checkpoint, entry, shape, entry->scaling);
}

BoundWeight *weights_add(Weights *w, const Checkpoint *checkpoint, const Entry *entry, Shape shape,
                         const Scaling *scaling)
{
    return place(w, make(w, checkpoint, entry, shape, scaling));
}

const Weight *weights_tensor(Weights *w, const char *name, Shape shape)
{
    BoundWeight *b = bind(w, name, shape);
    if (b && b->whole) return &b->weight;
    if (b && w->loras) lora_bind_delta(w, b, name);
    b = place(w, b);
    return b ? &b->weight : NULL;
}

const Weight *weights_table(Weights *w, const char *name, int64_t rows, int64_t cols)
{
    BoundWeight *b = bind(w, name, SHAPE(rows, cols));
    if (!b) return NULL;
    const Scaling *s = b->weight.scaling;
    if ((s && (s->row_at || s->block)) || cols % dtype_info(b->weight.dtype)->block) {
        weights_problem(w, "\n  %s: a table stored as %s cannot be read by rows", b->weight.name,
                        b->entry->type_name);
        return NULL;
    }
    b->weight.by_row = true;
    return &b->weight;
}

static const Weight *part(Weights *w, const char *name, const char *suffix, Shape shape)
{
    char full[MAX_NAME];
    (void)snprintf(full, sizeof full, "%s.%s", name, suffix);
    return weights_tensor(w, full, shape);
}

void weights_linear(Weights *w, Linear *linear, const char *name, int64_t in, int64_t out,
                    Bias bias)
{
    linear->weight = part(w, name, "weight", SHAPE(out, in));
    linear->bias = bias == BIAS ? part(w, name, "bias", SHAPE(out)) : NULL;
    weights_adapt(w, linear, name, in, out);
}

void weights_adapt(Weights *w, Linear *linear, const char *name, int64_t in, int64_t out)
{
    linear->lora = w->loras ? lora_bind_layer(w, name, in, out, 0, 0) : NULL;
}

void weights_conv(Weights *w, Conv *conv, const char *name, int64_t in, int64_t out, int kt, int kh,
                  int kw, Bias bias)
{
    conv->kt = kt;
    conv->kh = kh;
    conv->kw = kw;
    conv->weight = part(w, name, "weight", SHAPE(out, in, kt, kh, kw));
    conv->bias = bias == BIAS ? part(w, name, "bias", SHAPE(out)) : NULL;
    conv->lora = w->loras && kt == 1 ? lora_bind_layer(w, name, in, out, kh, kw) : NULL;
}

SnugStatus weights_end(Weights *w, SnugError *err)
{
    if (!w->no_memory && !w->n_problems) split_units(w);
    place_parts(w);
    if (w->no_memory) return error_set(err, SNUG_ERR_MEMORY, "no memory for the weight table");
    if (w->n_problems)
        return error_set(
            err, SNUG_ERR_FILE, "%s: %s does not fit its configuration (%d problem%s):%s%s",
            checkpoint_path(w->checkpoint), w->model, w->n_problems, w->n_problems == 1 ? "" : "s",
            w->problems, w->n_problems > MAX_LISTED ? "\n  ..." : "");
    char names[512];
    const int32_t unused = checkpoint_unused(w->checkpoint, w->used, names, sizeof names);
    char *warnings = w->table->warnings;
    const size_t used = strlen(warnings);
    if (unused)
        (void)snprintf(warnings + used, sizeof w->table->warnings - used,
                       "%s: %d unexpected tensor%s ignored: %s\n", checkpoint_path(w->checkpoint),
                       unused, unused == 1 ? "" : "s", names);
    return SNUG_OK;
}
