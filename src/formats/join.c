/* join.c  A walk over all names: a suffix decides which kind looks at the piece. */
#include "formats/join.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "formats/join_kinds.h"

static const struct {
    const char *suffix;
    JoinKind *kind;
} KINDS[] = {
    { ".quant_state.bitsandbytes__nf4", join_four_bit },
    { ".quant_state.bitsandbytes__fp4", join_four_bit },
    { ".absmax", join_absmax },
    { ".SCB", join_int8 },
    { ".scale_weight", join_scale },
    { ".weight_scale", join_scale },
    { ".comfy_quant", join_comfy },
    { "scaled_fp8", join_marker },
};

enum { MAX_STEM = ENTRY_MAX_NAME + 64 };

SnugStatus join_fail(const Join *j, Fault fault, const Entry *piece, const char *what, ...)
{
    char text[512];
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof text, what, args);
    va_end(args);
    return fault_set(j->err, fault, file_path(checkpoint_file(j->checkpoint, piece->file)),
                     "quantised weight", piece->name, "%s", text);
}

SnugStatus join_no_memory(const Join *j)
{
    return error_set(j->err, SNUG_ERR_MEMORY, "%s: no memory for its quantised weights",
                     checkpoint_path(j->checkpoint));
}

const Entry *join_find(const Join *j, const char *stem, const char *suffix)
{
    char name[MAX_STEM];
    const int n = snprintf(name, sizeof name, "%s%s", stem, suffix);
    return n < (int)sizeof name ? checkpoint_find_piece(j->checkpoint, name) : NULL;
}

/* Its place among the pieces: they are sorted, and so is our copy. */
static const Entry **place_of(const Join *j, const Entry *piece)
{
    int32_t low = 0, high = checkpoint_n_pieces(j->checkpoint);
    while (low + 1 < high) {
        const int32_t middle = low + (high - low) / 2;
        if (strcmp(checkpoint_piece(j->checkpoint, middle)->name, piece->name) <= 0)
            low = middle;
        else
            high = middle;
    }
    return &j->entries[low];
}

void join_hide(Join *j, const Entry *piece)
{
    if (piece) *place_of(j, piece) = NULL;
}

void join_replace(Join *j, const Entry *weight, const Entry *joined)
{
    *place_of(j, weight) = joined;
}

Entry *join_begin(const Join *j, const Entry *weight, int32_t max_parts)
{
    Entry *joined = arena_take(j->arena, sizeof *joined);
    EntryPart *parts = arena_array(j->arena, (size_t)max_parts, sizeof *parts);
    if (!joined || !parts) return NULL;
    *joined = *weight;
    joined->read = NULL;
    joined->layout = NULL;
    joined->bytes = 0;
    joined->parts = parts;
    return joined;
}

size_t join_add(Entry *joined, const Entry *part)
{
    /* each part lies inside a file, and there are few: no overflow */
    const size_t at = size_align(joined->bytes, SCALING_ALIGN);
    EntryPart *parts = (EntryPart *)(uintptr_t)joined->parts;
    parts[joined->n_parts++] = (EntryPart){ part, at };
    joined->bytes = at + part->bytes;
    return at;
}

SnugStatus join_read_blob(const Join *j, const Entry *piece, TextView *out)
{
    if (piece->bytes > JOIN_MAX_BLOB)
        return join_fail(j, FAULT_TOO_LARGE, piece, "a description of %zu bytes, limit %d",
                         piece->bytes, JOIN_MAX_BLOB);
    if (piece->dtype != DT_U8)
        return join_fail(j, FAULT_MISMATCH, piece, "it is stored as %s, expected U8",
                         piece->type_name);
    char *text = arena_take(j->arena, piece->bytes + 1);
    if (!text) return join_no_memory(j);
    *out = (TextView){ text, piece->bytes };
    return checkpoint_read(j->checkpoint, piece, 0, piece->bytes, text, j->err);
}

SnugStatus join_read_scale(const Join *j, const Entry *piece, float *out)
{
    unsigned char raw[8];
    if (piece->dtype != DT_F32 && piece->dtype != DT_F16 && piece->dtype != DT_BF16)
        return join_fail(j, FAULT_UNSUPPORTED, piece, "a scale stored as %s", piece->type_name);
    TRY(checkpoint_read(j->checkpoint, piece, 0, piece->bytes, raw, j->err));
    (void)dtype_widen(piece->dtype, raw, out, 1);
    if (isfinite(*out) && *out > 0.0f) return SNUG_OK;
    return join_fail(j, FAULT_BAD, piece, "a scale of %g", (double)*out);
}

SnugStatus join_quantised(const Checkpoint *c, Arena *arena, const Entry **entries,
                          const char **warning, SnugError *err)
{
    Join j = { .checkpoint = c, .arena = arena, .entries = entries, .err = err };
    char stem[MAX_STEM];
    TRY(join_metadata(&j)); /* hides scales that must not be looked at below */
    for (int32_t i = 0; i < checkpoint_n_pieces(c); i++) {
        const Entry *piece = checkpoint_piece(c, i);
        for (size_t k = 0; entries[i] && k < COUNT(KINDS); k++) {
            if (!text_ends(piece->name, KINDS[k].suffix)) continue;
            const size_t n = strlen(piece->name) - strlen(KINDS[k].suffix);
            memcpy(stem, piece->name, n); /* names are at most ENTRY_MAX_NAME long */
            stem[n] = '\0';
            TRY(KINDS[k].kind(&j, piece, stem));
        }
    }
    if (!j.scaled_marker || j.any_scale) return SNUG_OK;
    *warning = arena_printf(arena, "%s: it is marked as scaled fp8 (%s), but has no scales",
                            checkpoint_path(c), j.marker);
    return *warning ? SNUG_OK : join_no_memory(&j);
}
