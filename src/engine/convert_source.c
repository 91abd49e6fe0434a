/* convert_source.c  The values are those that the kernels compute with: one widening for both. */
#include "engine/convert_source.h"

#include "base/error.h"
#include "compute/cpu/widen.h"

static const float *floats(const ConvertSource *s, size_t at)
{
    return at ? (const float *)(const void *)(s->scales + (at - s->scales_at)) : NULL;
}

static SnugStatus read_scales(ConvertSource *s, Arena *arena, SnugError *err)
{
    const Entry *e = s->entry;
    if (!e->parts || e->n_parts < 2) return SNUG_OK;
    s->scales_at = e->parts[1].at;
    s->scales = arena_take(arena, e->bytes - s->scales_at);
    if (!s->scales)
        return error_set(err, SNUG_ERR_MEMORY, "%s: %s: no memory for its scales",
                         checkpoint_path(s->checkpoint), e->name);
    return checkpoint_read(s->checkpoint, e, s->scales_at, e->bytes - s->scales_at, s->scales, err);
}

SnugStatus convert_source_open(ConvertSource *s, Arena *arena, const Checkpoint *checkpoint,
                               const Entry *e, unsigned char *raw, SnugError *err)
{
    *s = (ConvertSource){ .checkpoint = checkpoint, .entry = e, .raw = raw, .cols = 1 };
    (void)entry_elements(e->dim, e->rank, &s->count); /* checked by its reader */
    if (e->rank > 1 && e->dim[0] > 0) s->cols = s->count / e->dim[0];
    return read_scales(s, arena, err);
}

int64_t convert_source_elements(const ConvertSource *s)
{
    const int64_t left = s->count - s->first;
    return left < CONVERT_CHUNK ? left : CONVERT_CHUNK;
}

SnugStatus convert_source_read(ConvertSource *s, int64_t first, SnugError *err)
{
    const DTypeInfo *info = dtype_info(s->entry->dtype);
    s->first = first;
    const int64_t n = convert_source_elements(s);
    /* an odd number of 4-bit values ends in half a byte */
    const size_t from = (size_t)(first / info->block) * (size_t)info->bytes;
    const size_t bytes = (size_t)((n + info->block - 1) / info->block) * (size_t)info->bytes;
    s->stored = stored_dense(s->entry->dtype, s->raw, 1, n);
    const Scaling *scaling = s->entry->scaling;
    if (scaling && scaling->block) {
        const int64_t b = first / scaling->block;
        StoredAbsmax *four = &s->stored.four;
        *four = (StoredAbsmax){ .block = scaling->block, .offset = scaling->offset };
        if (scaling->absmax_at) {
            four->absmax = floats(s, scaling->absmax_at) + b;
        } else {
            four->codes = s->scales + (scaling->codes_at - s->scales_at) + b;
            four->map = floats(s, scaling->map_at);
            four->nested = floats(s, scaling->nested_at) + b / SCALING_NESTED;
        }
    }
    return checkpoint_read(s->checkpoint, s->entry, from, bytes, s->raw, err);
}

/* (q * row) * whole, as the kernels have it. */
static void scale(const ConvertSource *s, int64_t first, int64_t n, float *to)
{
    const Scaling *scaling = s->entry->scaling;
    const float *row = floats(s, scaling->row_at);
    for (int64_t i = 0; row && i < n; i++)
        to[i] *= row[(first + i) / s->cols];
    for (int64_t i = 0; scaling->whole != 1.0f && i < n; i++)
        to[i] *= scaling->whole;
}

void convert_source_widen(const ConvertSource *s, int64_t at, int64_t n, float *to)
{
    const DTypeInfo *info = dtype_info(s->entry->dtype);
    if (info->block > 1) {
        widen_row(to, &s->stored, 0, at, n);
        return;
    }
    (void)dtype_widen(s->entry->dtype, s->raw + at * info->bytes, to, n);
    if (s->entry->scaling) scale(s, s->first + at, n, to);
}
