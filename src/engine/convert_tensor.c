/* convert_tensor.c  One tensor: chunks are read, widened and narrowed in stretches by all threads. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "engine/convert.h"
#include "tensor/finite.h"
#include "tensor/narrow.h"
#include "tensor/narrow_four.h"

enum { STRETCHES = CONVERT_CHUNK / CONVERT_STRETCH, COPY_BYTES = 8 << 20 };

typedef enum Pass {
    PASS_WRITE,  /* narrow into work->out */
    PASS_ABSMAX, /* of blocks of NARROW_FOUR_BLOCK */
    PASS_MOST    /* of every stretch */
} Pass;

/** A tensor under way. */
typedef struct Task {
    ConvertWork *work;
    const ConvertTensor *tensor;
    ConvertSource source;
    Arena arena; /* of scales */
    Pass pass;
    float *absmax; /* FOUR, NESTED: [blocks] of the whole tensor */
    float *rows;   /* INT8: largest value of every row */
    float most[STRETCHES];
    float scale; /* SCALED */
    atomic_bool bad, too_large;
} Task;

/* ---- a stretch ------------------------------------------------------------------------------ */

static float most_of(const float *x, int64_t n)
{
    float most = 0.0f;
    for (int64_t i = 0; i < n; i++)
        if (fabsf(x[i]) > most) most = fabsf(x[i]);
    return most;
}

/* bitsandbytes takes weights through f16 first. */
static float by_half(float x)
{
    return dtype_f16_to_f32(dtype_f32_to_f16(x));
}

static void narrow_int8(const Task *t, int64_t first, const float *x, int64_t n, int8_t *to)
{
    for (int64_t i = 0; i < n; i++) {
        const float most = t->rows[(first + i) / t->source.cols];
        const float by = 1.0f / most * 127.0f; /* so torch divides a number by a tensor */
        to[i] = most > 0.0f ? (int8_t)rintf(by_half(x[i]) * by) : 0;
    }
}

static void narrow_scaled(const Task *t, float *x, int64_t n, unsigned char *to)
{
    const float by = 1.0f / t->scale;
    for (int64_t i = 0; i < n; i++)
        x[i] *= by;
    narrow_row(t->tensor->target.dtype, to, x, n);
}

static void narrow_stretch(Task *t, int64_t at, int64_t n, float *x)
{
    const DType type = t->tensor->target.dtype;
    const DTypeInfo *info = dtype_info(type);
    unsigned char *to = t->work->out + at / info->block * info->bytes;
    const int64_t first = t->source.first + at;
    switch (t->tensor->target.kind) {
    case CONVERT_SCALED:
        narrow_scaled(t, x, n, to);
        break;
    case CONVERT_INT8:
        narrow_int8(t, first, x, n, (int8_t *)to);
        break;
    case CONVERT_FOUR:
    case CONVERT_NESTED:
        narrow_four(type, to, t->absmax + first / NARROW_FOUR_BLOCK, x, n, NARROW_FOUR_BLOCK);
        break;
    case CONVERT_COPY:
    case CONVERT_CAST:
    default:
        narrow_row(type, to, x, n);
        if (type != DT_F32 &&
            finite_find(type, to, (size_t)(n / info->block) * (size_t)info->bytes) >= 0)
            atomic_store_explicit(&t->too_large, true, memory_order_relaxed);
        break;
    }
}

static void run_stretch(void *context, int64_t unit, int worker)
{
    Task *t = context;
    const int64_t at = unit * CONVERT_STRETCH, all = convert_source_elements(&t->source);
    const int64_t n = all - at < CONVERT_STRETCH ? all - at : CONVERT_STRETCH;
    float *x = t->work->wide + at;
    (void)worker;
    convert_source_widen(&t->source, at, n, x);
    if (finite_find(DT_F32, x, (size_t)n * sizeof *x) >= 0) {
        atomic_store_explicit(&t->bad, true, memory_order_relaxed);
        return;
    }
    if (t->pass == PASS_MOST)
        t->most[unit] = most_of(x, n);
    else if (t->pass == PASS_ABSMAX)
        for (int64_t i = 0; i < n; i += NARROW_FOUR_BLOCK)
            t->absmax[(t->source.first + at + i) / NARROW_FOUR_BLOCK] =
                most_of(x + i, n - i < NARROW_FOUR_BLOCK ? n - i : NARROW_FOUR_BLOCK);
    else
        narrow_stretch(t, at, n, x);
}

/* ---- a chunk -------------------------------------------------------------------------------- */

static SnugStatus check_cancel(const ConvertWork *work, SnugError *err)
{
    const volatile int *cancel = work->progress.cancel;
    return cancel && *cancel ? error_set(err, SNUG_ERR_CANCELLED, "cancelled") : SNUG_OK;
}

static SnugStatus check(const Task *t, SnugError *err)
{
    TRY(check_cancel(t->work, err));
    const char *path = checkpoint_path(t->work->checkpoint), *name = t->tensor->entry->name;
    if (atomic_load_explicit(&t->bad, memory_order_relaxed))
        return error_set(err, SNUG_ERR_FILE, "%s: %s: it holds NaN or infinity", path, name);
    if (atomic_load_explicit(&t->too_large, memory_order_relaxed))
        return error_set(err, SNUG_ERR_FILE,
                         "%s: %s: it holds values that are too large for %s: keep it "
                         "(--keep) or choose bf16",
                         path, name, dtype_name(t->tensor->target.dtype));
    return SNUG_OK;
}

static SnugStatus run_chunk(Task *t, int64_t first, SnugError *err)
{
    TRY(convert_source_read(&t->source, first, err));
    const int64_t n = convert_source_elements(&t->source);
    const DTypeInfo *info = dtype_info(t->tensor->entry->dtype);
    pool_run(t->work->pool, (n + CONVERT_STRETCH - 1) / CONVERT_STRETCH, run_stretch, t);
    convert_progress(&t->work->progress, (double)n / info->block * info->bytes);
    return check(t, err);
}

static SnugStatus put_chunk(const Task *t, SnugError *err)
{
    const ConvertTarget *to = &t->tensor->target;
    const DTypeInfo *info = dtype_info(to->dtype);
    const int64_t n = convert_source_elements(&t->source);
    const size_t from = (size_t)(t->source.first / info->block) * (size_t)info->bytes;
    const size_t bytes = (size_t)((n + info->block - 1) / info->block) * (size_t)info->bytes;
    return convert_sink_put(&t->work->sink, t->tensor->first_item + CONVERT_DATA, from,
                            t->work->out, bytes, err);
}

static SnugStatus run_pass(Task *t, Pass pass, SnugError *err)
{
    t->pass = pass;
    for (int64_t first = 0; first < t->source.count; first += CONVERT_CHUNK) {
        TRY(run_chunk(t, first, err));
        if (pass == PASS_WRITE) TRY(put_chunk(t, err));
        if (pass != PASS_MOST) continue;
        const int64_t n = convert_source_elements(&t->source);
        for (int64_t u = 0; u * CONVERT_STRETCH < n; u++)
            if (t->most[u] > t->scale) t->scale = t->most[u];
        for (int64_t i = 0; t->rows && i < n; i++) {
            float *row = &t->rows[(first + i) / t->source.cols];
            const float size = fabsf(by_half(t->work->wide[i]));
            if (size > *row) *row = size;
        }
    }
    return SNUG_OK;
}

/* ---- what belongs to the data --------------------------------------------------------------- */

static SnugStatus put(const Task *t, int32_t place, const void *bytes, size_t n, SnugError *err)
{
    return convert_sink_put(&t->work->sink, t->tensor->first_item + place, 0, bytes, n, err);
}

static SnugStatus write_scaled(Task *t, SnugError *err)
{
    TRY(run_pass(t, PASS_MOST, err));
    /* all zeros: any scale will do */
    t->scale = t->scale > 0.0f ? t->scale / 448.0f : 1.0f;
    TRY(run_pass(t, PASS_WRITE, err));
    return put(t, CONVERT_SCALE, &t->scale, sizeof t->scale, err);
}

static SnugStatus no_memory(const Task *t, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for its scales", t->tensor->entry->name);
}

static SnugStatus write_int8(Task *t, SnugError *err)
{
    const unsigned char row_major = 0;
    const int64_t n = t->tensor->entry->dim[0];
    t->rows = arena_array(&t->arena, (size_t)n, sizeof *t->rows);
    if (!t->rows) return no_memory(t, err);
    TRY(run_pass(t, PASS_MOST, err));
    if (finite_find(DT_F32, t->rows, (size_t)n * sizeof *t->rows) >= 0) {
        atomic_store(&t->too_large, true); /* for f16, on the way */
        return check(t, err);
    }
    TRY(run_pass(t, PASS_WRITE, err));
    TRY(put(t, CONVERT_SCALE, t->rows, (size_t)n * sizeof *t->rows, err));
    return put(t, CONVERT_SCALE + 1, &row_major, 1, err);
}

static int64_t blocks_of(const Task *t)
{
    return (t->source.count + NARROW_FOUR_BLOCK - 1) / NARROW_FOUR_BLOCK;
}

static SnugStatus write_nested(Task *t, SnugError *err)
{
    const size_t blocks = (size_t)blocks_of(t),
                 outer = (blocks + SCALING_NESTED - 1) / SCALING_NESTED;
    float map[NARROW_FOUR_MAP];
    float *nested = arena_array(&t->arena, outer, sizeof *nested);
    uint8_t *codes = arena_take(&t->arena, blocks);
    if (!nested || !codes) return no_memory(t, err);
    narrow_four_map(map);
    narrow_four_nest(map, t->tensor->offset, t->absmax, (int64_t)blocks, codes, nested);
    TRY(put(t, CONVERT_ABSMAX, codes, blocks, err));
    TRY(put(t, CONVERT_NESTED_ABSMAX, nested, outer * sizeof *nested, err));
    return put(t, CONVERT_NESTED_MAP, map, sizeof map, err);
}

static SnugStatus take_absmax(Task *t, SnugError *err)
{
    t->absmax = arena_array(&t->arena, (size_t)blocks_of(t) + 1, sizeof *t->absmax);
    return t->absmax ? SNUG_OK : no_memory(t, err);
}

static SnugStatus write_four(Task *t, SnugError *err)
{
    const ConvertTarget *to = &t->tensor->target;
    const bool nested = to->kind == CONVERT_NESTED;
    TRY(take_absmax(t, err));
    TRY(run_pass(t, PASS_WRITE, err));
    if (nested)
        TRY(write_nested(t, err));
    else
        TRY(put(t, CONVERT_ABSMAX, t->absmax, (size_t)blocks_of(t) * sizeof *t->absmax, err));
    TRY(put(t, CONVERT_MAP, narrow_four_values(to->dtype), 16 * sizeof(float), err));
    return put(t, nested ? CONVERT_NESTED_STATE : CONVERT_STATE, t->tensor->state,
               strlen(t->tensor->state), err);
}

static SnugStatus copy(Task *t, SnugError *err)
{
    const Entry *e = t->tensor->entry;
    for (size_t at = 0; at < e->bytes; at += COPY_BYTES) {
        const size_t n = e->bytes - at < COPY_BYTES ? e->bytes - at : COPY_BYTES;
        TRY(checkpoint_read(t->work->checkpoint, e, at, n, t->work->out, err));
        TRY(convert_sink_put(&t->work->sink, t->tensor->first_item, at, t->work->out, n, err));
        convert_progress(&t->work->progress, (double)n);
        TRY(check_cancel(t->work, err));
    }
    return SNUG_OK;
}

static SnugStatus write_task(Task *t, SnugError *err)
{
    switch (t->tensor->target.kind) {
    case CONVERT_COPY:
        return copy(t, err);
    case CONVERT_SCALED:
        return write_scaled(t, err);
    case CONVERT_INT8:
        return write_int8(t, err);
    case CONVERT_FOUR:
    case CONVERT_NESTED:
        return write_four(t, err);
    case CONVERT_CAST:
    default:
        return run_pass(t, PASS_WRITE, err);
    }
}

static SnugStatus begin(Task *t, ConvertWork *work, const ConvertTensor *tensor, SnugError *err)
{
    *t = (Task){ .work = work, .tensor = tensor };
    arena_init(&t->arena, work->heap, "convert");
    return convert_source_open(&t->source, &t->arena, work->checkpoint, tensor->entry, work->raw,
                               err);
}

SnugStatus convert_tensor(ConvertWork *work, const ConvertTensor *tensor, SnugError *err)
{
    Task t;
    SnugStatus status = begin(&t, work, tensor, err);
    if (status == SNUG_OK) status = write_task(&t, err);
    checkpoint_forget(work->checkpoint, tensor->entry);
    arena_release(&t.arena);
    return status;
}

SnugStatus convert_tensor_scan(ConvertWork *work, ConvertTensor *tensor, SnugError *err)
{
    Task t;
    SnugStatus status = begin(&t, work, tensor, err);
    if (status == SNUG_OK) status = take_absmax(&t, err);
    if (status == SNUG_OK) status = run_pass(&t, PASS_ABSMAX, err);
    if (status == SNUG_OK) tensor->offset = narrow_four_offset(t.absmax, blocks_of(&t));
    checkpoint_forget(work->checkpoint, tensor->entry);
    arena_release(&t.arena);
    return status;
}
