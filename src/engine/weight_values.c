/* weight_values.c  Read in the chunks that conversion uses, widened as the kernels do. */
#include "engine/weight_values.h"

#include "base/size.h"
#include "engine/convert_source.h"

static SnugStatus hand_over(ConvertSource *s, float *piece, WeightTake *take, void *context,
                            SnugError *err)
{
    for (int64_t first = 0; first < s->count; first += CONVERT_CHUNK) {
        TRY(convert_source_read(s, first, err));
        const int64_t in_chunk = convert_source_elements(s);
        for (int64_t at = 0; at < in_chunk; at += CONVERT_STRETCH) {
            const int64_t left = in_chunk - at, n = left < CONVERT_STRETCH ? left : CONVERT_STRETCH;
            convert_source_widen(s, at, n, piece);
            TRY(take(context, first + at, n, piece, err));
        }
    }
    return SNUG_OK;
}

SnugStatus weight_values(Heap *heap, const Weight *weight, WeightTake *take, void *context,
                         SnugError *err)
{
    const BoundWeight *b = (const BoundWeight *)(const void *)weight;
    const int64_t count = shape_count(weight->shape);
    const size_t most = (size_t)(count < CONVERT_CHUNK ? count : CONVERT_CHUNK);
    ConvertSource source;
    Arena arena;
    if (weight->first_row)
        return error_set(err, SNUG_ERR_INTERNAL, "%s: a part of a stored matrix", weight->name);
    arena_init(&arena, heap, "weight");
    unsigned char *raw = arena_array(&arena, most + 1, sizeof(double));
    float *piece = arena_array(&arena, CONVERT_STRETCH, sizeof *piece);
    SnugStatus status =
        raw && piece ? convert_source_open(&source, &arena, b->checkpoint, b->entry, raw, err)
                     : error_set(err, SNUG_ERR_MEMORY, "no memory to read a weight");
    if (status == SNUG_OK) status = hand_over(&source, piece, take, context, err);
    arena_release(&arena);
    return status;
}
