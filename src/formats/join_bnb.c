/* join_bnb.c  Weights as bitsandbytes keeps them: NF4 and FP4, plain or double-quantised; int8. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "formats/join_kinds.h"

enum { FOUR_BIT_PARTS = 4, MAP_ENTRIES = 256, CODES = 16 };

/** What the blob quant_state says. */
typedef struct QuantState {
    char type[8];
    int64_t block, nested_block;
    int32_t rank;
    int64_t dim[ENTRY_MAX_RANK];
    double nested_offset;
    bool has_type, has_block, has_dtype, has_shape, has_nested;
} QuantState;

/* ---- the blob ---- */

static bool read_type(JsonScan *s, QuantState *out)
{
    TextView text;
    if (!json_scan_text(s, &text)) return false;
    if (!text_is(text, "nf4") && !text_is(text, "fp4"))
        return json_scan_fail(s, FAULT_UNSUPPORTED, "expected nf4 or fp4");
    memcpy(out->type, text.at, 3);
    out->has_type = true;
    return true;
}

static bool read_word(JsonScan *s, const char *const *words, size_t n)
{
    TextView text;
    char shown[TEXT_ESCAPED];
    if (!json_scan_text(s, &text)) return false;
    for (size_t i = 0; i < n; i++)
        if (text_is(text, words[i])) return true;
    return json_scan_fail(s, FAULT_UNSUPPORTED, "'%s'", text_escape(shown, text.at, text.n));
}

static bool read_block(JsonScan *s, int64_t *out)
{
    static const int64_t SIZES[] = { 32, 64, 128, 256, 512, 1024, 2048, 4096 };
    if (!json_scan_i64(s, out)) return false;
    for (size_t i = 0; i < COUNT(SIZES); i++)
        if (*out == SIZES[i]) return true;
    return json_scan_fail(s, FAULT_UNSUPPORTED, "blocks of %lld elements", (long long)*out);
}

static bool read_shape(JsonScan *s, QuantState *out)
{
    if (!json_scan_array(s)) return false;
    while (json_scan_item(s)) {
        if (out->rank == ENTRY_MAX_RANK)
            return json_scan_fail(s, FAULT_TOO_LARGE, "too many dimensions (limit %d)",
                                  ENTRY_MAX_RANK);
        int64_t dim;
        if (!json_scan_i64(s, &dim)) return false;
        if (dim < 0) return json_scan_fail(s, FAULT_MISMATCH, "a negative dimension");
        out->dim[out->rank++] = dim;
    }
    out->has_shape = true;
    return s->status == SNUG_OK;
}

static bool read_member(JsonScan *s, TextView key, QuantState *out)
{
    static const char *const DTYPES[] = { "bfloat16", "float16", "float32" };
    if (text_is(key, "quant_type")) return read_type(s, out);
    if (text_is(key, "blocksize")) {
        out->has_block = true;
        return read_block(s, &out->block);
    }
    if (text_is(key, "dtype")) {
        out->has_dtype = true;
        return read_word(s, DTYPES, COUNT(DTYPES));
    }
    if (text_is(key, "shape")) return out->has_shape ? json_scan_skip(s) : read_shape(s, out);
    if (text_is(key, "nested_blocksize")) return json_scan_i64(s, &out->nested_block);
    if (text_is(key, "nested_dtype")) return read_word(s, DTYPES + 2, 1);
    if (text_is(key, "nested_offset")) {
        out->has_nested = true;
        return json_scan_f64(s, &out->nested_offset);
    }
    return json_scan_skip(s);
}

static SnugStatus read_state(const Join *j, const Entry *piece, QuantState *out)
{
    TextView text;
    JsonScan s;
    *out = (QuantState){ .nested_block = SCALING_NESTED };
    TRY(join_read_blob(j, piece, &text));
    json_scan_init(&s, text.at, text.n, checkpoint_path(j->checkpoint), piece->name, j->arena,
                   j->err);
    if (json_scan_object(&s)) {
        for (TextView key; json_scan_key(&s, &key);)
            if (!read_member(&s, key, out)) break;
    }
    TRY(json_scan_end(&s));
    if (!out->has_type || !out->has_block || !out->has_shape || !out->has_dtype)
        return join_fail(j, FAULT_MISSING, piece, "%s",
                         !out->has_type    ? "quant_type"
                         : !out->has_block ? "blocksize"
                         : !out->has_shape ? "shape"
                                           : "dtype");
    if (!text_ends(piece->name, out->type))
        return join_fail(j, FAULT_MISMATCH, piece, "it says %s", out->type);
    return SNUG_OK;
}

/* ---- four bits ---- */

/** Parts of one weight; all but weight, state and absmax may be absent. */
typedef struct FourBit {
    const Entry *weight, *state, *absmax, *map, *nested, *nested_map;
    int64_t count, blocks; /* of elements, of absmax */
} FourBit;

static SnugStatus expect(const Join *j, const Entry *piece, DType type, int64_t n)
{
    size_t bytes;
    if (piece->dtype != type)
        return join_fail(j, FAULT_MISMATCH, piece, "it is stored as %s, expected %s",
                         piece->type_name, dtype_name(type));
    if (dtype_bytes(type, n, &bytes) && bytes == piece->bytes) return SNUG_OK;
    return join_fail(j, FAULT_MISMATCH, piece, "got %zu bytes, expected %lld elements of %s",
                     piece->bytes, (long long)n, dtype_name(type));
}

static SnugStatus find_parts(const Join *j, const Entry *state, const char *stem, FourBit *out)
{
    const bool nf4 = text_ends(state->name, "nf4");
    const Entry *other = join_find(
        j, stem, nf4 ? ".quant_state.bitsandbytes__fp4" : ".quant_state.bitsandbytes__nf4");
    *out = (FourBit){ .weight = checkpoint_find_piece(j->checkpoint, stem),
                      .state = state,
                      .absmax = join_find(j, stem, ".absmax"),
                      .map = join_find(j, stem, ".quant_map"),
                      .nested = join_find(j, stem, ".nested_absmax"),
                      .nested_map = join_find(j, stem, ".nested_quant_map") };
    if (other) return join_fail(j, FAULT_DUPLICATE, other, "two descriptions of one weight");
    if (!out->weight) return join_fail(j, FAULT_MISSING, state, "the weight it describes");
    if (!out->absmax) return join_fail(j, FAULT_MISSING, out->weight, "its absmax");
    if (!out->nested != !out->nested_map)
        return join_fail(j, FAULT_MISSING, out->weight, "its %s",
                         out->nested ? "nested_quant_map" : "nested_absmax");
    return SNUG_OK;
}

static SnugStatus check_parts(const Join *j, const QuantState *q, FourBit *f)
{
    if (!entry_elements(q->dim, q->rank, &f->count))
        return join_fail(j, FAULT_OVERFLOW, f->state, "the product of its shape");
    if ((uint64_t)f->weight->bytes != (uint64_t)f->count / 2 + (uint64_t)(f->count % 2))
        return join_fail(j, FAULT_MISMATCH, f->weight,
                         "got %zu bytes, its shape of %lld elements needs half as many",
                         f->weight->bytes, (long long)f->count);
    f->blocks = f->count / q->block + (f->count % q->block != 0);
    TRY(expect(j, f->absmax, f->nested ? DT_U8 : DT_F32, f->blocks));
    if (f->map) TRY(expect(j, f->map, DT_F32, CODES));
    if (!f->nested) return SNUG_OK;
    if (!q->has_nested) return join_fail(j, FAULT_MISSING, f->state, "nested_offset");
    if (q->nested_block != SCALING_NESTED)
        return join_fail(j, FAULT_UNSUPPORTED, f->state, "nested blocks of %lld",
                         (long long)q->nested_block);
    if (!isfinite((float)q->nested_offset))
        return join_fail(j, FAULT_BAD, f->state, "a nested_offset of %g", q->nested_offset);
    TRY(expect(j, f->nested_map, DT_F32, MAP_ENTRIES));
    return expect(j, f->nested, DT_F32,
                  f->blocks / SCALING_NESTED + (f->blocks % SCALING_NESTED != 0));
}

SnugStatus join_four_bit(Join *j, const Entry *state, const char *stem)
{
    QuantState q;
    FourBit f;
    TRY(find_parts(j, state, stem, &f));
    TRY(read_state(j, state, &q));
    TRY(check_parts(j, &q, &f));
    Entry *joined = join_begin(j, f.weight, FOUR_BIT_PARTS);
    Scaling *scaling = arena_take(j->arena, sizeof *scaling);
    if (!joined || !scaling) return join_no_memory(j);
    joined->dtype = q.type[0] == 'n' ? DT_NF4 : DT_FP4;
    joined->type_name = dtype_name(joined->dtype);
    joined->rank = q.rank;
    memcpy(joined->dim, q.dim, sizeof joined->dim);
    *scaling = (Scaling){ .whole = 1.0f, .block = q.block };
    (void)join_add(joined, f.weight);
    if (f.nested) {
        scaling->codes_at = join_add(joined, f.absmax);
        scaling->map_at = join_add(joined, f.nested_map);
        scaling->nested_at = join_add(joined, f.nested);
        scaling->offset = (float)q.nested_offset;
    } else {
        scaling->absmax_at = join_add(joined, f.absmax);
    }
    joined->scaling = scaling;
    join_replace(j, f.weight, joined);
    const Entry *const gone[] = { f.state, f.absmax, f.map, f.nested, f.nested_map };
    for (size_t i = 0; i < COUNT(gone); i++)
        join_hide(j, gone[i]);
    return SNUG_OK;
}

/* An absmax nobody describes: the weight beside it cannot be understood. */
SnugStatus join_absmax(Join *j, const Entry *absmax, const char *stem)
{
    const Entry *weight = checkpoint_find_piece(j->checkpoint, stem);
    if (!weight || join_find(j, stem, ".quant_state.bitsandbytes__nf4") ||
        join_find(j, stem, ".quant_state.bitsandbytes__fp4"))
        return SNUG_OK;
    return join_fail(j, FAULT_MISSING, weight, "its quant_state, although it has %.200s",
                     absmax->name);
}

/* ---- eight bits ---- */

SnugStatus join_int8(Join *j, const Entry *scb, const char *stem)
{
    const Entry *weight = join_find(j, stem, ".weight");
    const Entry *format = join_find(j, stem, ".weight_format");
    unsigned char order = 0;
    if (!weight) return join_fail(j, FAULT_MISSING, scb, "the weight it belongs to");
    if (weight->dtype != DT_I8) return SNUG_OK; /* a float weight that kept its statistics */
    if (weight->rank != 2)
        return join_fail(j, FAULT_MISMATCH, weight, "%d dimensions, expected 2", (int)weight->rank);
    TRY(expect(j, scb, DT_F32, weight->dim[0]));
    if (format) {
        TRY(expect(j, format, DT_U8, 1));
        TRY(checkpoint_read(j->checkpoint, format, 0, 1, &order, j->err));
    }
    if (order != 0)
        return join_fail(j, FAULT_UNSUPPORTED, format, "an order for tensor cores (%d)", order);
    Entry *joined = join_begin(j, weight, 2);
    Scaling *scaling = arena_take(j->arena, sizeof *scaling);
    if (!joined || !scaling) return join_no_memory(j);
    (void)join_add(joined, weight);
    *scaling = (Scaling){ .whole = 7.874015718698502e-3f }; /* 1 / 127 */
    scaling->row_at = join_add(joined, scb);
    joined->scaling = scaling;
    join_replace(j, weight, joined);
    join_hide(j, scb);
    join_hide(j, format);
    return SNUG_OK;
}
