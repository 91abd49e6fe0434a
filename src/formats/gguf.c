/* gguf.c  Pairs, then infos, then the checks that need them all. */
#include "formats/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "base/sort.h"
#include "formats/gguf_cursor.h"

enum {
    MIN_PAIR = 14,       /* bytes: key of one letter, type, a value of one byte */
    MIN_INFO = 25,       /* name of one letter, no dimension */
    MAX_NOTE = 64 * 1024 /* longer strings are no notes */
};

static const char ALIGNMENT[] = "general.alignment", ORIG_SHAPE[] = "comfy.gguf.orig_shape.";

/* Element types; those without a DType are known by name only. */
static const struct {
    int number;
    DType dtype;
    const char *name;
} TYPES[] = {
    { 0, DT_F32, "F32" },        { 1, DT_F16, "F16" },        { 2, DT_Q4_0, "Q4_0" },
    { 3, DT_Q4_1, "Q4_1" },      { 6, DT_Q5_0, "Q5_0" },      { 7, DT_Q5_1, "Q5_1" },
    { 8, DT_Q8_0, "Q8_0" },      { 9, DT_COUNT, "Q8_1" },     { 10, DT_Q2_K, "Q2_K" },
    { 11, DT_Q3_K, "Q3_K" },     { 12, DT_Q4_K, "Q4_K" },     { 13, DT_Q5_K, "Q5_K" },
    { 14, DT_Q6_K, "Q6_K" },     { 15, DT_COUNT, "Q8_K" },    { 16, DT_COUNT, "IQ2_XXS" },
    { 17, DT_COUNT, "IQ2_XS" },  { 18, DT_COUNT, "IQ3_XXS" }, { 19, DT_COUNT, "IQ1_S" },
    { 20, DT_IQ4_NL, "IQ4_NL" }, { 21, DT_COUNT, "IQ3_S" },   { 22, DT_COUNT, "IQ2_S" },
    { 23, DT_IQ4_XS, "IQ4_XS" }, { 24, DT_I8, "I8" },         { 25, DT_I16, "I16" },
    { 26, DT_I32, "I32" },       { 27, DT_I64, "I64" },       { 28, DT_F64, "F64" },
    { 29, DT_COUNT, "IQ1_M" },   { 30, DT_BF16, "BF16" },     { 34, DT_COUNT, "TQ1_0" },
    { 35, DT_COUNT, "TQ2_0" },   { 39, DT_COUNT, "MXFP4" },   { 40, DT_COUNT, "NVFP4" },
    { 41, DT_COUNT, "Q1_0" },    { 42, DT_COUNT, "Q2_0" },
};

/* Types of values by their number; 8 is a string, 9 an array. */
enum {
    VALUE_U32 = 4,
    VALUE_I32 = 5,
    VALUE_F32 = 6,
    VALUE_BOOL = 7,
    VALUE_STRING = 8,
    VALUE_ARRAY = 9,
    VALUE_F64 = 12,
    VALUE_TYPES = 13
};
static const int WIDTH[VALUE_TYPES] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

/** A key, and what we keep of its value. */
typedef struct Pair {
    const char *key, *text; /* text: NULL for arrays and long strings */
} Pair;

/** The shape of a tensor before it was cut into rows. */
typedef struct OrigShape {
    const char *name;
    int32_t rank;
    int64_t dim[ENTRY_MAX_RANK];
} OrigShape;

typedef struct Reader {
    GgufCursor cursor;
    Arena *arena, *scratch;
    EntryList *out;
    uint64_t n_tensors, n_pairs;
    Pair *pairs;
    OrigShape *shapes;
    int32_t n_shapes, max_shapes;
    size_t alignment, data_at;
} Reader;

int gguf_type_of(DType dtype)
{
    for (size_t i = 0; i < COUNT(TYPES); i++)
        if (TYPES[i].dtype == dtype && dtype != DT_COUNT) return TYPES[i].number;
    return -1;
}

static bool no_memory(Reader *r)
{
    if (r->cursor.status == SNUG_OK)
        r->cursor.status = error_set(r->cursor.err, SNUG_ERR_MEMORY, "%s: no memory for its header",
                                     file_path(r->cursor.file));
    return false;
}

/* ---- start ---------------------------------------------------------------------------------- */

static bool read_start(Reader *r)
{
    GgufCursor *c = &r->cursor;
    unsigned char magic[4];
    if (!gguf_cursor_bytes(c, magic, sizeof magic)) return false;
    if (memcmp(magic, "GGUF", 4) != 0)
        return gguf_cursor_fail(c, FAULT_BAD_MAGIC, NULL, "not a GGUF file");
    const uint32_t version = (uint32_t)gguf_cursor_number(c, 4);
    if (c->status == SNUG_OK && (version & 0xffff) == 0 && version)
        return gguf_cursor_fail(c, FAULT_UNSUPPORTED, NULL, "a big-endian GGUF file");
    if (c->status == SNUG_OK && version != 2 && version != 3)
        return gguf_cursor_fail(c, FAULT_BAD_VERSION, NULL, "got %u, expected 2 or 3", version);
    r->n_tensors = gguf_cursor_number(c, 8);
    r->n_pairs = gguf_cursor_number(c, 8);
    if (c->status != SNUG_OK) return false;
    if (r->n_tensors > ENTRY_MAX_COUNT || r->n_tensors > gguf_cursor_left(c) / MIN_INFO)
        return gguf_cursor_fail(
            c, FAULT_TOO_LARGE, NULL, "got %llu tensors, limit %d; %zu bytes are left for them",
            (unsigned long long)r->n_tensors, ENTRY_MAX_COUNT, gguf_cursor_left(c));
    if (r->n_pairs > GGUF_MAX_PAIRS || r->n_pairs > gguf_cursor_left(c) / MIN_PAIR)
        return gguf_cursor_fail(
            c, FAULT_TOO_LARGE, NULL, "got %llu pairs, limit %d; %zu bytes are left for them",
            (unsigned long long)r->n_pairs, GGUF_MAX_PAIRS, gguf_cursor_left(c));
    return true;
}

/* ---- pairs ---------------------------------------------------------------------------------- */

/* A single number as text. */
static bool read_number(Reader *r, Pair *pair, uint32_t type)
{
    GgufCursor *c = &r->cursor;
    const uint64_t bits = gguf_cursor_number(c, WIDTH[type]);
    const int shift = 64 - 8 * WIDTH[type];
    char text[64];
    if (c->status != SNUG_OK) return false;
    if (type == VALUE_BOOL && bits > 1)
        return gguf_cursor_fail(c, FAULT_BAD, pair->key, "a truth value of %u", (unsigned)bits);
    if (type == VALUE_F32) {
        float value;
        const uint32_t word = (uint32_t)bits;
        memcpy(&value, &word, sizeof value);
        (void)snprintf(text, sizeof text, "%.9g", (double)value);
    } else if (type == VALUE_F64) {
        double value;
        memcpy(&value, &bits, sizeof value);
        (void)snprintf(text, sizeof text, "%.17g", value);
    } else if (type == 1 || type == 3 || type == VALUE_I32 || type == 11) { /* signed */
        (void)snprintf(text, sizeof text, "%" PRId64, (int64_t)(bits << shift) >> shift);
    } else {
        (void)snprintf(text, sizeof text, "%" PRIu64, bits);
    }
    if (strcmp(pair->key, ALIGNMENT) == 0) {
        if (type != VALUE_U32)
            return gguf_cursor_fail(c, FAULT_BAD, pair->key, "value type %u, expected u32", type);
        r->alignment = (size_t)bits;
    }
    pair->text = arena_text(r->arena, text, strlen(text));
    return pair->text || no_memory(r);
}

static bool read_string(Reader *r, Pair *pair)
{
    TextView text;
    if (!gguf_cursor_text(&r->cursor, r->scratch, GGUF_MAX_STRING, pair->key, &text)) return false;
    if (text.n > MAX_NOTE || memchr(text.at, 0, text.n) ||
        text_utf8_check(text.at, text.n) < text.n)
        return true; /* nothing to show */
    pair->text = arena_text(r->arena, text.at, text.n);
    return pair->text || no_memory(r);
}

static bool read_orig_shape(Reader *r, const char *key, uint32_t type, uint64_t n)
{
    GgufCursor *c = &r->cursor;
    if (type != VALUE_I32)
        return gguf_cursor_fail(c, FAULT_BAD, key, "elements of type %u, expected i32", type);
    if (n > ENTRY_MAX_RANK)
        return gguf_cursor_fail(c, FAULT_TOO_LARGE, key, "%llu dimensions, limit %d",
                                (unsigned long long)n, ENTRY_MAX_RANK);
    if (r->n_shapes == r->max_shapes) {
        const int32_t more = r->max_shapes ? 2 * r->max_shapes : 64;
        OrigShape *shapes = arena_array(r->scratch, (size_t)more, sizeof *shapes);
        if (!shapes) return no_memory(r);
        if (r->n_shapes) memcpy(shapes, r->shapes, (size_t)r->n_shapes * sizeof *shapes);
        r->shapes = shapes;
        r->max_shapes = more;
    }
    OrigShape *shape = &r->shapes[r->n_shapes++];
    shape->name = key + strlen(ORIG_SHAPE);
    shape->rank = (int32_t)n;
    for (uint64_t i = 0; i < n; i++) {
        shape->dim[i] = (int32_t)(uint32_t)gguf_cursor_number(c, 4);
        if (shape->dim[i] < 0) return gguf_cursor_fail(c, FAULT_BAD, key, "a negative dimension");
    }
    return c->status == SNUG_OK;
}

static bool skip_strings(Reader *r, const char *key, uint64_t n)
{
    GgufCursor *c = &r->cursor;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t bytes = gguf_cursor_number(c, 8);
        if (c->status == SNUG_OK && bytes > gguf_cursor_left(c))
            return gguf_cursor_fail(c, FAULT_TRUNCATED, key, "a string of %llu bytes",
                                    (unsigned long long)bytes);
        if (c->status == SNUG_OK && bytes > GGUF_MAX_STRING)
            return gguf_cursor_fail(c, FAULT_TOO_LARGE, key, "a string of %llu bytes, limit %d",
                                    (unsigned long long)bytes, GGUF_MAX_STRING);
        if (!gguf_cursor_skip(c, bytes)) return false;
    }
    return true;
}

static bool check_bools(Reader *r, const char *key, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (gguf_cursor_number(&r->cursor, 1) > 1)
            return gguf_cursor_fail(&r->cursor, FAULT_BAD, key, "a truth value over 1");
    return r->cursor.status == SNUG_OK;
}

static bool read_array(Reader *r, const char *key)
{
    GgufCursor *c = &r->cursor;
    const uint32_t type = (uint32_t)gguf_cursor_number(c, 4);
    const uint64_t n = gguf_cursor_number(c, 8);
    if (c->status != SNUG_OK) return false;
    if (type >= VALUE_TYPES || type == VALUE_ARRAY)
        return gguf_cursor_fail(c, FAULT_UNSUPPORTED, key, "an array of type %u", type);
    if (n > GGUF_MAX_ARRAY)
        return gguf_cursor_fail(c, FAULT_TOO_LARGE, key, "an array of %llu elements, limit %d",
                                (unsigned long long)n, GGUF_MAX_ARRAY);
    if (text_starts(key, ORIG_SHAPE)) return read_orig_shape(r, key, type, n);
    EntryList *out = r->out;
    if (text_starts(key, "tokenizer.") && out->n_arrays < ENTRY_MAX_ARRAYS)
        out->array[out->n_arrays++] = (EntryArray){ key, type, n, c->at };
    if (type == VALUE_STRING) return skip_strings(r, key, n);
    if (type == VALUE_BOOL) return check_bools(r, key, n);
    return gguf_cursor_skip(c, n * (uint64_t)WIDTH[type]);
}

static bool read_key(Reader *r, Pair *pair)
{
    TextView key;
    GgufCursor *c = &r->cursor;
    if (!gguf_cursor_text(c, r->arena, GGUF_MAX_KEY, "key", &key)) return false;
    if (key.n == 0) return gguf_cursor_fail(c, FAULT_BAD, "key", "an empty key");
    if (memchr(key.at, 0, key.n) || text_utf8_check(key.at, key.n) < key.n)
        return gguf_cursor_fail(c, FAULT_BAD_TEXT, "key", "a key that is no text");
    pair->key = key.at;
    return true;
}

static bool read_pair(Reader *r, Pair *pair)
{
    GgufCursor *c = &r->cursor;
    if (!read_key(r, pair)) return false;
    const uint32_t type = (uint32_t)gguf_cursor_number(c, 4);
    if (c->status != SNUG_OK) return false;
    if (type >= VALUE_TYPES)
        return gguf_cursor_fail(c, FAULT_UNSUPPORTED, pair->key, "value type %u", type);
    const bool plain = type != VALUE_ARRAY && type != VALUE_STRING;
    if (text_starts(pair->key, ORIG_SHAPE) && type != VALUE_ARRAY)
        return gguf_cursor_fail(c, FAULT_BAD, pair->key, "value type %u, expected an array", type);
    if (strcmp(pair->key, ALIGNMENT) == 0 && !plain)
        return gguf_cursor_fail(c, FAULT_BAD, pair->key, "value type %u, expected u32", type);
    return plain                  ? read_number(r, pair, type)
           : type == VALUE_STRING ? read_string(r, pair)
                                  : read_array(r, pair->key);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const Pair *)a)->key, ((const Pair *)b)->key);
}

/* Pairs in order of keys, none twice; those with a text become notes. */
static bool keep_notes(Reader *r)
{
    const size_t n = (size_t)r->n_pairs;
    const Pair **order = arena_array(r->scratch, n + 1, sizeof *order);
    const void **spare = arena_array(r->scratch, n + 1, sizeof *spare);
    r->out->notes = arena_array(r->arena, n + 1, sizeof *r->out->notes);
    if (!order || !spare || !r->out->notes) return no_memory(r);
    for (size_t i = 0; i < n; i++)
        order[i] = &r->pairs[i];
    sort_pointers((const void **)order, spare, n, by_key);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && strcmp(order[i - 1]->key, order[i]->key) == 0)
            return gguf_cursor_fail(&r->cursor, FAULT_DUPLICATE, order[i]->key, "the key is twice");
        if (order[i]->text && r->out->n_notes < ENTRY_MAX_NOTES)
            r->out->notes[r->out->n_notes++] = (EntryNote){ order[i]->key, order[i]->text };
    }
    return true;
}

static bool read_pairs(Reader *r)
{
    r->alignment = GGUF_DEFAULT_ALIGNMENT;
    r->pairs = arena_array(r->scratch, (size_t)r->n_pairs + 1, sizeof *r->pairs);
    if (!r->pairs) return no_memory(r);
    for (uint64_t i = 0; i < r->n_pairs; i++)
        if (!read_pair(r, &r->pairs[i])) return false;
    if (r->alignment == 0 || r->alignment > GGUF_MAX_ALIGNMENT ||
        (r->alignment & (r->alignment - 1)) != 0)
        return gguf_cursor_fail(&r->cursor, FAULT_BAD, ALIGNMENT,
                                "got %zu, expected a power of two up to %d", r->alignment,
                                GGUF_MAX_ALIGNMENT);
    return keep_notes(r);
}

/* ---- infos ---------------------------------------------------------------------------------- */

static bool read_name(Reader *r, Entry *e)
{
    TextView name;
    GgufCursor *c = &r->cursor;
    char shown[TEXT_ESCAPED];
    if (!gguf_cursor_text(c, r->arena, ENTRY_MAX_NAME, "name of a tensor", &name)) return false;
    if (name.n == 0 || memchr(name.at, 0, name.n) || text_utf8_check(name.at, name.n) < name.n)
        return gguf_cursor_fail(c, FAULT_BAD_TEXT, text_escape(shown, name.at, name.n),
                                "this is no name for a tensor");
    e->name = name.at;
    return true;
}

static bool read_dims(Reader *r, Entry *e)
{
    GgufCursor *c = &r->cursor;
    const uint32_t rank = (uint32_t)gguf_cursor_number(c, 4);
    if (c->status == SNUG_OK && rank > ENTRY_MAX_RANK)
        return gguf_cursor_fail(c, FAULT_TOO_LARGE, e->name, "%u dimensions, limit %d", rank,
                                ENTRY_MAX_RANK);
    e->rank = (int32_t)rank;
    for (uint32_t i = 0; c->status == SNUG_OK && i < rank; i++) {
        const uint64_t dim = gguf_cursor_number(c, 8);
        if (dim > INT64_MAX)
            return gguf_cursor_fail(c, FAULT_OVERFLOW, e->name, "a dimension past 63 bits");
        e->dim[rank - 1 - i] = (int64_t)dim; /* the file has the fastest first */
    }
    return c->status == SNUG_OK;
}

static bool read_type(Reader *r, Entry *e)
{
    GgufCursor *c = &r->cursor;
    const uint32_t number = (uint32_t)gguf_cursor_number(c, 4);
    if (c->status != SNUG_OK) return false;
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        if ((uint32_t)TYPES[i].number != number) continue;
        if (TYPES[i].dtype == DT_COUNT)
            return gguf_cursor_fail(c, FAULT_UNSUPPORTED, e->name, "stored as %s", TYPES[i].name);
        e->dtype = TYPES[i].dtype;
        e->type_name = TYPES[i].name;
        return true;
    }
    return gguf_cursor_fail(c, FAULT_UNSUPPORTED, e->name, "stored as type %u", number);
}

static bool read_info(Reader *r, Entry *e)
{
    GgufCursor *c = &r->cursor;
    int64_t count;
    if (!read_name(r, e) || !read_dims(r, e) || !read_type(r, e)) return false;
    const uint64_t offset = gguf_cursor_number(c, 8);
    if (c->status != SNUG_OK) return false;
    const int block = dtype_info(e->dtype)->block;
    if (!entry_elements(e->dim, e->rank, &count))
        return gguf_cursor_fail(c, FAULT_OVERFLOW, e->name, "the product of its dimensions");
    if (block > 1 && (e->rank == 0 || e->dim[e->rank - 1] % block != 0))
        return gguf_cursor_fail(c, FAULT_MISMATCH, e->name, "rows of %lld in blocks of %d",
                                e->rank ? (long long)e->dim[e->rank - 1] : 1, block);
    if (!dtype_bytes(e->dtype, count, &e->bytes))
        return gguf_cursor_fail(c, FAULT_OVERFLOW, e->name, "its size in bytes");
    if (offset % r->alignment)
        return gguf_cursor_fail(c, FAULT_BAD, e->name, "offset %llu is no multiple of %zu",
                                (unsigned long long)offset, r->alignment);
    e->offset = (size_t)offset;
    return true;
}

/* ---- all together --------------------------------------------------------------------------- */

static bool place_data(Reader *r)
{
    GgufCursor *c = &r->cursor;
    r->data_at = size_align(c->at, r->alignment);
    const size_t end = file_bytes(c->file), room = end > r->data_at ? end - r->data_at : 0;
    for (int32_t i = 0; i < r->out->n; i++) {
        Entry *e = &r->out->entries[i];
        if (e->bytes == 0) {
            e->offset = end; /* nothing to read, wherever it claims to lie */
            continue;
        }
        if (e->offset > room || e->bytes > room - e->offset)
            return gguf_cursor_fail(c, FAULT_TRUNCATED, e->name,
                                    "%zu bytes at %zu, the file has %zu bytes of data", e->bytes,
                                    e->offset, room);
        e->offset += r->data_at;
    }
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const size_t x = ((const Entry *)a)->offset, y = ((const Entry *)b)->offset;
    return (x > y) - (x < y);
}

static bool check_order(Reader *r)
{
    const size_t n = (size_t)r->out->n;
    const Entry **order = arena_array(r->scratch, n + 1, sizeof *order);
    const Entry **spare = arena_array(r->scratch, n + 1, sizeof *spare);
    if (!order || !spare) return no_memory(r);
    for (size_t i = 0; i < n; i++)
        order[i] = &r->out->entries[i];
    const Entry *twice = entry_sort(order, spare, n);
    if (twice)
        return gguf_cursor_fail(&r->cursor, FAULT_DUPLICATE, twice->name,
                                "two tensors of that name");
    sort_pointers((const void **)order, (const void **)spare, n, by_offset);
    for (size_t i = 1; i < n; i++)
        if (order[i]->offset < order[i - 1]->offset + order[i - 1]->bytes)
            return gguf_cursor_fail(&r->cursor, FAULT_OVERLAP, order[i]->name,
                                    "it shares data with %.200s", order[i - 1]->name);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const OrigShape *)a)->name, ((const OrigShape *)b)->name);
}

static bool apply_shape(Reader *r, const OrigShape *shape, Entry *e)
{
    int64_t have, want;
    if (!entry_elements(shape->dim, shape->rank, &want) ||
        !entry_elements(e->dim, e->rank, &have) || have != want) {
        char text[256];
        return gguf_cursor_fail(&r->cursor, FAULT_MISMATCH, e->name,
                                "its orig_shape has not as many elements as %s",
                                entry_shape_text(e, text, sizeof text));
    }
    e->rank = shape->rank;
    memcpy(e->dim, shape->dim, sizeof e->dim);
    return true;
}

/* Shapes and entries are few or many alike: sort the shapes, look each entry up. */
static bool apply_shapes(Reader *r)
{
    const size_t n = (size_t)r->n_shapes;
    if (n == 0) return true;
    const OrigShape **order = arena_array(r->scratch, n, sizeof *order);
    const void **spare = arena_array(r->scratch, n, sizeof *spare);
    if (!order || !spare) return no_memory(r);
    for (size_t i = 0; i < n; i++)
        order[i] = &r->shapes[i];
    sort_pointers((const void **)order, spare, n, by_name);
    for (int32_t i = 0; i < r->out->n; i++) {
        Entry *e = &r->out->entries[i];
        size_t low = 0, high = n;
        while (low < high) {
            const size_t middle = low + (high - low) / 2;
            if (strcmp(order[middle]->name, e->name) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < n && strcmp(order[low]->name, e->name) == 0 && !apply_shape(r, order[low], e))
            return false;
    }
    return true;
}

static bool read_infos(Reader *r)
{
    r->out->entries = arena_array(r->arena, (size_t)r->n_tensors + 1, sizeof *r->out->entries);
    if (!r->out->entries) return no_memory(r);
    for (uint64_t i = 0; i < r->n_tensors; i++) {
        if (!read_info(r, &r->out->entries[i])) return false;
        r->out->n++;
    }
    return true;
}

SnugStatus gguf_read(const File *file, Arena *arena, EntryList *out, SnugError *err)
{
    Arena scratch;
    arena_init(&scratch, arena->heap, "checkpoint headers");
    *out = (EntryList){ 0 };
    Reader *r = arena_take(&scratch, sizeof *r);
    SnugStatus status;
    if (r) {
        r->cursor.file = file;
        r->cursor.err = err;
        r->arena = arena;
        r->scratch = &scratch;
        r->out = out;
        if (read_start(r) && read_pairs(r) && read_infos(r) && place_data(r) && check_order(r))
            (void)apply_shapes(r);
        status = r->cursor.status;
    } else {
        status = error_set(err, SNUG_ERR_MEMORY, "%s: no memory for its header", file_path(file));
    }
    arena_release(&scratch);
    if (status != SNUG_OK) *out = (EntryList){ 0 };
    return status;
}
