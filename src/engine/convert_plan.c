/* convert_plan.c  Names and shapes as the tools that read them expect (formats.md 5.1, 5.4, 6). */
#include "engine/convert_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "base/text.h"
#include "tensor/narrow_four.h"

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory to plan a conversion");
}

static const Entry *entry_at(const Checkpoint *c, bool pieces, int32_t i)
{
    return pieces ? checkpoint_piece(c, i) : checkpoint_entry(c, i);
}

SnugStatus convert_plan_init(ConvertPlan *plan, Arena *arena, const Checkpoint *c,
                             const ConvertForm *form, const ConvertChoice *choice, bool gguf,
                             SnugError *err)
{
    const bool pieces = form->kind == CONVERT_COPY && !gguf; /* quantised weights stay in parts */
    *plan = (ConvertPlan){ .n = pieces ? checkpoint_n_pieces(c) : checkpoint_count(c) };
    plan->tensors = arena_array(arena, (size_t)plan->n + 1, sizeof *plan->tensors);
    if (!plan->tensors) return no_memory(err);
    for (int32_t i = 0; i < plan->n; i++) {
        const Entry *e = entry_at(c, pieces, i);
        ConvertTensor *t = &plan->tensors[i];
        if (e->dtype >= DT_COUNT)
            return fault_set(err, FAULT_UNSUPPORTED, file_path(checkpoint_file(c, e->file)),
                             "convert", e->name, "it is stored as %s", e->type_name);
        t->entry = e;
        (void)entry_elements(e->dim, e->rank, &t->count);
        t->target = convert_form_target(form, choice, e, gguf);
        if (pieces) t->target = (ConvertTarget){ CONVERT_COPY, e->dtype };
    }
    return SNUG_OK;
}

/* ---- descriptions --------------------------------------------------------------------------- */

/* The shortest digits that give the number back, as Python writes it. */
static const char *number(char *text, size_t size, double value)
{
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    const size_t n = strlen(text);
    if (!text[strcspn(text, ".en")]) (void)snprintf(text + n, size - n, ".0");
    return text;
}

static const char *state_dtype(const Entry *e)
{
    return e->dtype == DT_F16 ? "float16" : e->dtype == DT_F32 ? "float32" : "bfloat16";
}

static SnugStatus write_state(ConvertTensor *t, Arena *arena, SnugError *err)
{
    char shape[SHAPE_TEXT], offset[40], nested[160] = "";
    if (t->target.kind == CONVERT_NESTED)
        (void)snprintf(nested, sizeof nested,
                       ", \"nested_blocksize\": %d, \"nested_dtype\": \"float32\", "
                       "\"nested_offset\": %s",
                       SCALING_NESTED, number(offset, sizeof offset, (double)t->offset));
    t->state = arena_printf(
        arena, "{\"quant_type\": \"%s\", \"blocksize\": %d, \"dtype\": \"%s\", \"shape\": %s%s}",
        t->target.dtype == DT_NF4 ? "nf4" : "fp4", NARROW_FOUR_BLOCK, state_dtype(t->entry),
        entry_shape_text(t->entry, shape, sizeof shape), nested);
    return t->state ? SNUG_OK : no_memory(err);
}

/* ---- items ---------------------------------------------------------------------------------- */

typedef struct Builder {
    ConvertPlan *plan;
    Arena *arena;
    int32_t tensor;
    bool failed;
} Builder;

/* The next item: named as the tensor without `cut` characters, and `suffix`. */
static SafetensorsItem *add_named(Builder *b, size_t cut, const char *suffix, DType dtype)
{
    ConvertPlan *p = b->plan;
    ConvertTensor *t = &p->tensors[b->tensor];
    SafetensorsItem *item = &p->items[p->n_items++];
    const int n = (int)(strlen(t->entry->name) - cut);
    t->n_items++;
    *item = (SafetensorsItem){ .dtype = dtype, .user = b->tensor };
    item->name = arena_printf(b->arena, "%.*s%s", n, t->entry->name, suffix);
    if (!item->name) b->failed = true;
    return item;
}

static void add(Builder *b, size_t cut, const char *suffix, DType dtype, int32_t rank, int64_t d0,
                int64_t d1)
{
    SafetensorsItem *item = add_named(b, cut, suffix, dtype);
    item->rank = rank;
    item->dim[0] = d0;
    item->dim[1] = d1;
}

/* The tensor itself, in its shape. */
static void add_plain(Builder *b)
{
    const ConvertTensor *t = &b->plan->tensors[b->tensor];
    SafetensorsItem *item = add_named(b, 0, "", t->target.dtype);
    item->rank = t->entry->rank;
    memcpy(item->dim, t->entry->dim, sizeof item->dim);
}

static void add_four(Builder *b)
{
    const ConvertTensor *t = &b->plan->tensors[b->tensor];
    const int64_t blocks = (t->count + NARROW_FOUR_BLOCK - 1) / NARROW_FOUR_BLOCK;
    const bool nested = t->target.kind == CONVERT_NESTED;
    add(b, 0, "", DT_U8, 2, (t->count + 1) / 2, 1);
    add(b, 0, ".absmax", nested ? DT_U8 : DT_F32, 1, blocks, 0);
    add(b, 0, ".quant_map", DT_F32, 1, 16, 0);
    if (nested) {
        add(b, 0, ".nested_absmax", DT_F32, 1, (blocks + SCALING_NESTED - 1) / SCALING_NESTED, 0);
        add(b, 0, ".nested_quant_map", DT_F32, 1, NARROW_FOUR_MAP, 0);
    }
    add(b, 0,
        t->target.dtype == DT_NF4 ? ".quant_state.bitsandbytes__nf4"
                                  : ".quant_state.bitsandbytes__fp4",
        DT_U8, 1, (int64_t)strlen(t->state), 0);
}

static void add_items(Builder *b)
{
    static const size_t WEIGHT = sizeof ".weight" - 1;
    ConvertTensor *t = &b->plan->tensors[b->tensor];
    t->first_item = b->plan->n_items;
    switch (t->target.kind) {
    case CONVERT_SCALED:
        add_plain(b);
        add(b, WEIGHT, ".scale_weight", DT_F32, 0, 0, 0);
        break;
    case CONVERT_INT8:
        add_plain(b);
        add(b, WEIGHT, ".SCB", DT_F32, 1, t->entry->dim[0], 0);
        add(b, WEIGHT, ".weight_format", DT_U8, 0, 0, 0);
        break;
    case CONVERT_FOUR:
    case CONVERT_NESTED:
        add_four(b);
        break;
    case CONVERT_COPY:
    case CONVERT_CAST:
    default:
        add_plain(b);
        break;
    }
}

/* The marker of scaled fp8 files, behind the prefix that the scaled tensors have. */
static void add_marker(Builder *b)
{
    static const char *const PREFIXES[] = { "model.diffusion_model.", "diffusion_model.", "" };
    for (int32_t i = 0; i < b->plan->n; i++) {
        const ConvertTensor *t = &b->plan->tensors[i];
        if (t->target.kind != CONVERT_SCALED) continue;
        size_t k = 0;
        while (!text_starts(t->entry->name, PREFIXES[k]))
            k++;
        b->tensor = i; /* no data: any tensor may own it */
        SafetensorsItem *item = &b->plan->items[b->plan->n_items++];
        *item = (SafetensorsItem){ .dtype = DT_F8_E4M3, .rank = 1, .user = -1 };
        item->name = arena_printf(b->arena, "%sscaled_fp8", PREFIXES[k]);
        if (!item->name) b->failed = true;
        return;
    }
}

static size_t bytes_of(const ConvertPlan *p, const ConvertTensor *t)
{
    size_t sum = 0;
    for (int32_t i = t->first_item; i < t->first_item + t->n_items; i++) {
        int64_t n = 0;
        size_t bytes = 0;
        if (entry_elements(p->items[i].dim, p->items[i].rank, &n) &&
            dtype_bytes(p->items[i].dtype, n, &bytes))
            sum += bytes;
    }
    return sum;
}

/* In order of names; a tensor larger than a shard has one of its own. */
static void share_out(ConvertPlan *p, size_t shard_bytes)
{
    size_t used = 0;
    p->n_shards = 1;
    for (int32_t i = 0; i < p->n; i++) {
        const size_t bytes = bytes_of(p, &p->tensors[i]);
        if (shard_bytes && used && (bytes > shard_bytes || used > shard_bytes - bytes)) {
            p->n_shards++;
            used = 0;
        }
        used += bytes;
        p->bytes += bytes;
        p->tensors[i].shard = p->n_shards - 1;
    }
}

SnugStatus convert_plan_items(ConvertPlan *p, Arena *arena, size_t shard_bytes, const char *path,
                              SnugError *err)
{
    Builder b = { .plan = p, .arena = arena };
    p->items = arena_array(arena, (size_t)p->n * CONVERT_MAX_ITEMS + 1, sizeof *p->items);
    if (!p->items) return no_memory(err);
    for (b.tensor = 0; b.tensor < p->n; b.tensor++) {
        ConvertTensor *t = &p->tensors[b.tensor];
        if (t->target.kind == CONVERT_FOUR || t->target.kind == CONVERT_NESTED)
            TRY(write_state(t, arena, err));
        add_items(&b);
    }
    add_marker(&b);
    if (b.failed) return no_memory(err);
    share_out(p, shard_bytes);
    if (p->n_shards <= CHECKPOINT_MAX_SHARDS) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG, "%s: %d shards of %zu bytes, at most %d can be read again",
                     path, (int)p->n_shards, shard_bytes, CHECKPOINT_MAX_SHARDS);
}
