/* test_weights.c  Binding by name, reading units, and the value of every stored form. */
#include "test.h"

#include <stdlib.h>

#include "../formats/files.h"
#include "base/size.h"
#include "compute/cpu/widen.h"
#include "nn/weights.h"

static SnugError err;

typedef struct Bench {
    Heap *heap;
    Arena arena;
    Checkpoint *c;
    WeightTable table;
    Weights w;
} Bench;

static void begin(Bench *b, const char *path)
{
    *b = (Bench){ .heap = heap_create() };
    arena_init(&b->arena, b->heap, "test");
    if (checkpoint_open(&b->c, b->heap, path, NULL, &err) != SNUG_OK) fail_msg("%s", err.text);
    weight_table_init(&b->table, &b->arena);
    weights_begin(&b->w, &b->table, b->c, "model");
}

static void end(Bench *b)
{
    checkpoint_close(b->c);
    arena_release(&b->arena);
    CHECK_INT(heap_now_bytes(b->heap), 0);
    heap_free(b->heap);
}

static Shape shape_of(const Entry *e)
{
    Shape shape;
    CHECK(entry_shape(e, &shape));
    return shape;
}

/* f32 values of a weight that was read to `unit`, the block of its unit. */
static void widen_all(float *to, const Weight *w, const unsigned char *unit)
{
    const int64_t rows = w->shape.rank > 1 ? w->shape.dim[0] : 1;
    const int64_t cols = shape_count(w->shape) / rows;
    const Stored stored = stored_weight(w, unit + w->unit_offset, rows, cols);
    for (int64_t i = 0; i < rows; i++)
        widen_row(to + i * cols, &stored, i, 0, cols);
}

/* Every weight of `values`, bound from `file` and widened: bit-equal but for the sign of zero. */
static void check_values(const char *file, const char *values_file)
{
    Bench b;
    Checkpoint *want;
    begin(&b, test_path(file));
    CHECK_TEXT(checkpoint_warnings(b.c), "");
    CHECK_INT(checkpoint_open(&want, b.heap, test_path(values_file), NULL, &err), SNUG_OK);
    CHECK_INT(checkpoint_count(b.c), checkpoint_count(want));
    const Weight *bound[64];
    weights_unit(&b.w, "%s", "");
    for (int32_t i = 0; i < checkpoint_count(want); i++) {
        const Entry *e = checkpoint_entry(want, i);
        bound[i] = NULL;
        if (strcmp(e->name, "i32") == 0) continue;
        bound[i] = weights_tensor(&b.w, e->name, shape_of(e));
        CHECK(bound[i]);
    }
    if (weights_end(&b.w, &err) != SNUG_OK) fail_msg("%s", err.text);
    unsigned char *unit = aligned_alloc(64, b.table.units[0].bytes);
    if (weight_table_read(&b.table, 0, unit, &err) != SNUG_OK) fail_msg("%s", err.text);
    for (int32_t i = 0; i < checkpoint_count(want); i++) {
        const Entry *e = checkpoint_entry(want, i);
        if (!bound[i]) continue;
        float *values = malloc(e->bytes), *got = malloc(e->bytes);
        CHECK_INT(checkpoint_read(want, e, 0, e->bytes, values, &err), SNUG_OK);
        widen_all(got, bound[i], unit);
        CHECK_CLOSE(got, values, e->bytes / sizeof *got, 0.0);
        free(values);
        free(got);
    }
    free(unit);
    checkpoint_close(want);
    end(&b);
}

TEST(weights, every_quantised_form_has_the_value_of_its_reference)
{
    check_values("golden/formats_quant/weights.safetensors",
                 "golden/formats_quant/values.safetensors");
}

TEST(weights, every_gguf_type_has_the_value_of_gguf_py)
{
    check_values("golden/formats_gguf/all.gguf", "golden/formats_gguf/values.safetensors");
}

/* The second half of a stored matrix, bound as a part of it and widened as operations do. */
static void check_half(const char *file, const Checkpoint *want, const Entry *e)
{
    Bench b;
    char theirs[NAME_MAP_TEXT];
    const NameRow rows[] = { { "half", theirs } };
    const NameMap map = { .rows = rows, .n_rows = 1 };
    const int64_t half = e->dim[0] / 2, cols = e->dim[1];
    (void)snprintf(theirs, sizeof theirs, "%s@1/2", e->name);
    begin(&b, test_path(file));
    weights_names(&b.w, &map);
    weights_unit(&b.w, "%s", "");
    const Weight *w = weights_tensor(&b.w, "half", SHAPE(half, cols));
    CHECK(w && weights_tensor(&b.w, "half", SHAPE(half, cols))); /* stored once all the same */
    if (weights_end(&b.w, &err) != SNUG_OK) fail_msg("%s", err.text);
    CHECK_INT(b.table.n_units, 1);
    CHECK_INT(w->first_row, half);
    CHECK(b.table.units[0].first == b.table.units[0].last);
    unsigned char *unit = aligned_alloc(64, b.table.units[0].bytes);
    float *values = malloc(e->bytes), *got = malloc(e->bytes);
    if (weight_table_read(&b.table, 0, unit, &err) != SNUG_OK) fail_msg("%s", err.text);
    CHECK_INT(checkpoint_read(want, e, 0, e->bytes, values, &err), SNUG_OK);
    const Stored whole = stored_weight(w, unit + w->unit_offset, half, cols);
    const Stored part = stored_rows(&whole, w->first_row, half);
    for (int64_t i = 0; i < half; i++)
        widen_row(got + i * cols, &part, i, 0, cols);
    CHECK_CLOSE(got, values + half * cols, half * cols, 0.0);
    free(values);
    free(got);
    free(unit);
    end(&b);
}

static void check_halves(const char *file, const char *values_file)
{
    Heap *heap = heap_create();
    Checkpoint *want;
    int n = 0;
    CHECK_INT(checkpoint_open(&want, heap, test_path(values_file), NULL, &err), SNUG_OK);
    for (int32_t i = 0; i < checkpoint_count(want); i++) {
        const Entry *e = checkpoint_entry(want, i);
        if (e->rank != 2 || e->dim[0] % 2 || strcmp(e->name, "i32") == 0) continue;
        check_half(file, want, e);
        n++;
    }
    CHECK(n > 3);
    checkpoint_close(want);
    heap_free(heap);
}

TEST(weights, parts_of_every_stored_form_are_its_rows)
{
    check_halves("golden/formats_quant/weights.safetensors",
                 "golden/formats_quant/values.safetensors");
    check_halves("golden/formats_gguf/all.gguf", "golden/formats_gguf/values.safetensors");
}

/* ---- small files by hand ---- */

static const char PLAIN[] =
    "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
    "\"a.bias\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[24,28]},"
    "\"b.c.weight\":{\"dtype\":\"F16\",\"shape\":[4,1,1,2,2],\"data_offsets\":[28,60]},"
    "\"ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[60,68]},"
    "\"codes\":{\"dtype\":\"I8\",\"shape\":[2,2],\"data_offsets\":[68,72]}}";

/* Two dense layers of 3 MiB in a block: pieces of 512 KiB and more are not joined. */
static const char LARGE[] =
    "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[768,1024],\"data_offsets\":[0,3145728]},"
    "\"a.bias\":{\"dtype\":\"F32\",\"shape\":[768],\"data_offsets\":[3145728,3148800]},"
    "\"b.weight\":{\"dtype\":\"F32\",\"shape\":[768,1024],\"data_offsets\":[3148800,6294528]},"
    "\"b.bias\":{\"dtype\":\"F32\",\"shape\":[768],\"data_offsets\":[6294528,6297600]}}";

TEST(weights, large_units_are_cut_between_layers)
{
    Bench b;
    Linear first, second;
    begin(&b, files_safetensors("large.safetensors", LARGE, 6297600));
    weights_unit(&b.w, "%s", "block");
    weights_prefix(&b.w, "%s", "");
    weights_linear(&b.w, &first, "a", 1024, 768, BIAS);
    weights_linear(&b.w, &second, "b", 1024, 768, BIAS);
    CHECK_INT(weights_end(&b.w, &err), SNUG_OK);
    CHECK_INT(b.table.n_units, 2);
    CHECK_TEXT(b.table.units[0].name, "model.block");
    CHECK_TEXT(b.table.units[1].name, "model.block");
    CHECK_INT(b.table.units[0].bytes, 3148800);
    CHECK_INT(first.bias->unit, 0);
    CHECK_INT(second.weight->unit, 1);
    CHECK_INT(second.weight->unit_offset, 0);
    CHECK_INT(second.bias->unit, 1);
    CHECK_INT(second.bias->unit_offset, 3145728);
    end(&b);
}

TEST(weights, binds_by_name_and_groups_into_units)
{
    Bench b;
    Linear linear;
    Conv conv;
    begin(&b, files_safetensors("plain.safetensors", PLAIN, 72));
    weights_unit(&b.w, "%s", "a");
    weights_prefix(&b.w, "%s", "");
    weights_linear(&b.w, &linear, "a", 3, 2, BIAS);
    weights_unit(&b.w, "%s", "b");
    weights_conv(&b.w, &conv, "c", 1, 4, 1, 2, 2, NO_BIAS);
    weights_prefix(&b.w, "%s", "");
    CHECK(weights_has(&b.w, "ids") && !weights_has(&b.w, "id"));
    weights_ignore(&b.w, "ids");
    weights_ignore(&b.w, "codes");
    CHECK_INT(weights_end(&b.w, &err), SNUG_OK);
    CHECK_TEXT(b.table.warnings, "");
    CHECK_INT(b.table.n_units, 2);
    CHECK_TEXT(b.table.units[0].name, "model.a");
    CHECK_INT(b.table.units[0].bytes, 128);
    CHECK_INT(linear.bias->unit_offset, 64);
    CHECK_INT(conv.weight->unit, 1);
    _Alignas(64) unsigned char unit[128];
    CHECK_INT(weight_table_read(&b.table, 1, unit, &err), SNUG_OK);
    CHECK_INT(unit[0], 28);
    CHECK_INT(unit[31], 59);
    end(&b);
}

TEST(weights, lists_everything_that_does_not_fit)
{
    Bench b;
    begin(&b, files_safetensors("plain.safetensors", PLAIN, 72));
    weights_unit(&b.w, "%s", "");
    CHECK(!weights_tensor(&b.w, "a.weight", SHAPE(3, 2)));
    CHECK(!weights_tensor(&b.w, "absent", SHAPE(1)));
    CHECK(!weights_tensor(&b.w, "ids", SHAPE(1)));
    CHECK(!weights_tensor(&b.w, "codes", SHAPE(2, 2))); /* int8 without a scale: not a weight */
    CHECK_INT(weights_end(&b.w, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "(4 problems)");
    CHECK_HAS(err.text, "a.weight: the file has [2, 3], the network needs [3, 2]");
    CHECK_HAS(err.text, "missing absent [1]");
    CHECK_HAS(err.text, "ids: stored as I64, which snug cannot compute with");
    CHECK_HAS(err.text, "codes: stored as I8");
    end(&b);
}

TEST(weights, dimensions_of_one_and_merged_ones_do_not_count)
{
    static const char HEADER[] =
        "{\"p\":{\"dtype\":\"U8\",\"shape\":[6,1,2,2],\"data_offsets\":[0,24]},"
        "\"q\":{\"dtype\":\"F16\",\"shape\":[1,4,1],\"data_offsets\":[24,32]}}";
    Bench b;
    begin(&b, files_safetensors("shapes.safetensors", HEADER, 32));
    weights_unit(&b.w, "%s", "");
    CHECK(weights_tensor(&b.w, "q", SHAPE(4)));
    CHECK(weights_tensor(&b.w, "q", SHAPE(4, 1, 1)));
    CHECK(!weights_tensor(&b.w, "q", SHAPE(2, 2)));
    CHECK(!weights_tensor(&b.w, "p", SHAPE(3, 2, 1, 2, 2))); /* fits, but U8 is no weight */
    CHECK(!weights_tensor(&b.w, "p", SHAPE(2, 2, 1, 2, 3)));
    CHECK_INT(weights_end(&b.w, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "p: stored as U8");
    CHECK_HAS(err.text, "p: the file has [6, 1, 2, 2], the network needs [2, 2, 1, 2, 3]");
    CHECK_HAS(err.text, "q: the file has [1, 4, 1], the network needs [2, 2]");
    end(&b);
}

TEST(weights, tells_of_tensors_nobody_asked_for)
{
    Bench b;
    begin(&b, files_safetensors("plain.safetensors", PLAIN, 72));
    CHECK_INT(weights_end(&b.w, &err), SNUG_OK);
    CHECK_HAS(b.table.warnings, "5 unexpected tensors ignored: a.bias, a.weight, b.c.weight");
    end(&b);
}

TEST(weights, rows_of_tables_are_read_singly)
{
    Bench b;
    float row[3];
    begin(&b, files_safetensors("plain.safetensors", PLAIN, 72));
    const Weight *table = weights_table(&b.w, "a.weight", 2, 3);
    CHECK(table && table->by_row && table->unit == -1);
    CHECK_INT(weight_table_read_row(&b.table, table, 1, row, &err), SNUG_OK);
    CHECK_INT(((unsigned char *)row)[0], 12);
    end(&b);

    begin(&b, test_path("golden/formats_quant/weights.safetensors"));
    CHECK(weights_table(&b.w, "old_e4m3.weight", 6, 40)); /* one scale for all */
    CHECK(!weights_table(&b.w, "nf4.weight", 48, 80));
    CHECK(!weights_table(&b.w, "int8.weight", 5, 24));
    CHECK_INT(weights_end(&b.w, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "nf4.weight: a table stored as NF4 cannot be read by rows");
    end(&b);
}

TEST(weights, nan_in_weights_or_scales_is_refused)
{
    static const char *const HEADERS[] = {
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}",
        "{\"w\":{\"dtype\":\"F8_E5M2\",\"shape\":[8],\"data_offsets\":[0,8]}}",
        "{\"x.SCB\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"x.weight\":{\"dtype\":\"I8\",\"shape\":[2,2],\"data_offsets\":[8,12]}}",
    };
    for (size_t i = 0; i < COUNT(HEADERS); i++) {
        Bench b;
        const size_t n = strlen(HEADERS[i]), data = i == 2 ? 12 : 8;
        const char *path = files_safetensors("nan.safetensors", HEADERS[i], data);
        FILE *f = fopen(path, "r+b");
        CHECK(f && fseek(f, (long)(8 + n + 4), SEEK_SET) == 0);
        CHECK_INT(fwrite("\0\0\xc0\x7f", 1, 4, f), 4);
        CHECK_INT(fclose(f), 0);
        begin(&b, path);
        weights_unit(&b.w, "%s", "");
        const Entry *e = checkpoint_entry(b.c, 0);
        CHECK(weights_tensor(&b.w, e->name, shape_of(e)));
        CHECK_INT(weights_end(&b.w, &err), SNUG_OK);
        _Alignas(64) unsigned char unit[256];
        CHECK(b.table.units[0].bytes <= sizeof unit);
        CHECK_INT(weight_table_read(&b.table, 0, unit, &err), SNUG_ERR_FILE);
        CHECK_HAS(err.text, "NaN or infinity");
        end(&b);
    }
}
