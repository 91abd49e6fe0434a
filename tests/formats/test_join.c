/* test_join.c  Quantised weights in parts: what is joined, and the malformed kinds BN1 to BN7. */
#include "files.h"

#include "formats/checkpoint.h"

static SnugError err;

/** A file of tensors, put together piece by piece. */
typedef struct Maker {
    char header[8192];
    unsigned char data[8192];
    size_t n_header, n_data;
} Maker;

static Maker maker;

static void start(void)
{
    maker = (Maker){ .header = "{", .n_header = 1 };
}

/* `shape` as JSON; `bytes` NULL: zeros. */
static void add(const char *name, const char *dtype, const char *shape, const void *bytes, size_t n)
{
    Maker *m = &maker;
    CHECK(m->n_data + n <= sizeof m->data);
    m->n_header +=
        (size_t)snprintf(m->header + m->n_header, sizeof m->header - m->n_header,
                         "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,"
                         "%zu]}",
                         m->n_header > 1 ? "," : "", name, dtype, shape, m->n_data, m->n_data + n);
    CHECK(m->n_header < sizeof m->header - 2);
    if (bytes)
        memcpy(m->data + m->n_data, bytes, n);
    else
        memset(m->data + m->n_data, 0, n);
    m->n_data += n;
}

static void add_text(const char *name, const char *text)
{
    char shape[32];
    (void)snprintf(shape, sizeof shape, "[%zu]", strlen(text));
    add(name, "U8", shape, text, strlen(text));
}

static const char *finish(void)
{
    static unsigned char file[8 + sizeof maker.header + sizeof maker.data];
    strcat(maker.header, "}");
    maker.n_header++;
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)(maker.n_header >> 8 * i & 255);
    memcpy(file + 8, maker.header, maker.n_header);
    memcpy(file + 8 + maker.n_header, maker.data, maker.n_data);
    return files_put("q.safetensors", file, 8 + maker.n_header + maker.n_data);
}

static void refuse(const char *part)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    CHECK_INT(checkpoint_open(&c, heap, finish(), NULL, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, part);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

#define STATE "w.quant_state.bitsandbytes__nf4"
#define GOOD  "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"bfloat16\",\"shape\":[2,80]"
#define PLAIN GOOD "}"
#define DEEP  GOOD ",\"nested_blocksize\":256,\"nested_dtype\":\"float32\",\"nested_offset\":0.5}"

/* [2, 80]: 80 bytes of codes, 3 scales */
static void start_plain(const char *state)
{
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "F32", "[3]", NULL, 12);
    add("w.quant_map", "F32", "[16]", NULL, 64);
    if (state) add_text(STATE, state);
}

static void start_nested(const char *state)
{
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "U8", "[3]", NULL, 3);
    add("w.nested_absmax", "F32", "[1]", NULL, 4);
    add("w.nested_quant_map", "F32", "[256]", NULL, 1024);
    add_text(STATE, state);
}

static void check_one(const char *type, size_t bytes)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    unsigned char got[4096];
    if (checkpoint_open(&c, heap, finish(), NULL, &err) != SNUG_OK) fail_msg("%s", err.text);
    CHECK_INT(checkpoint_count(c), 1);
    const Entry *e = checkpoint_entry(c, 0);
    CHECK_TEXT(e->type_name, type);
    CHECK_INT(e->bytes, bytes);
    CHECK_INT(checkpoint_bytes(c), maker.n_data);
    memset(got, 0xee, sizeof got);
    CHECK_INT(checkpoint_read(c, e, 0, bytes, got, &err), SNUG_OK);
    CHECK_INT(got[bytes - 1], 0);
    CHECK_INT(got[bytes], 0xee);
    checkpoint_forget(c, e);
    CHECK(checkpoint_find_piece(c, e->name) != e);
    checkpoint_close(c);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(join, four_bit_weights_become_one_entry)
{
    start_plain(PLAIN);
    check_one("NF4", 128 + 12);
    start_nested(DEEP);
    check_one("NF4", 128 + 64 + 1024 + 4);
}

TEST(join, reads_any_range_of_a_joined_entry)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    unsigned char whole[140], part[140], codes[80], scales[12];
    for (int i = 0; i < 80; i++)
        codes[i] = (unsigned char)(i + 1);
    memset(scales, 0x77, sizeof scales);
    start();
    add("w", "U8", "[80,1]", codes, 80);
    add("w.absmax", "F32", "[3]", scales, 12);
    add_text(STATE, PLAIN);
    CHECK_INT(checkpoint_open(&c, heap, finish(), NULL, &err), SNUG_OK);
    const Entry *e = checkpoint_entry(c, 0);
    CHECK_INT(e->dim[0], 2);
    CHECK_INT(e->dim[1], 80);
    CHECK_INT(e->scaling->absmax_at, 128);
    CHECK_INT(checkpoint_read(c, e, 0, 140, whole, &err), SNUG_OK);
    assert_memory_equal(whole, codes, 80);
    CHECK(whole[80] == 0 && whole[127] == 0 && whole[128] == 0x77 && whole[139] == 0x77);
    for (size_t from = 0; from <= 140; from += 7)
        for (size_t n = 0; n <= 140 - from; n += 11) {
            CHECK_INT(checkpoint_read(c, e, from, n, part, &err), SNUG_OK);
            assert_memory_equal(part, whole + from, n);
        }
    CHECK_INT(checkpoint_read(c, e, 140, 1, part, &err), SNUG_ERR_INTERNAL);
    checkpoint_close(c);
    heap_free(heap);
}

TEST(join, bn1_descriptions_absent_or_twice)
{
    start_plain(NULL);
    refuse("w: missing: its quant_state");
    start_plain(PLAIN);
    add_text("w.quant_state.bitsandbytes__fp4", PLAIN);
    refuse("duplicate: two descriptions");
    start();
    add_text(STATE, PLAIN);
    refuse("missing: the weight it describes");
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add_text(STATE, PLAIN);
    refuse("w: missing: its absmax");
}

TEST(join, bn2_descriptions_that_are_nonsense)
{
    static const struct {
        const char *state, *part;
    } CASES[] = {
        { "", "bad JSON" },
        { "[]", "bad JSON" },
        { PLAIN "x", "bad JSON" },
        { "{\"quant_type\":\"int4\"}", "expected nf4 or fp4" },
        { "{\"quant_type\":4}", "bad JSON" },
        { "{\"quant_type\":\"fp4\",\"blocksize\":64,\"dtype\":\"bfloat16\",\"shape\":[2,80]}",
          "mismatch: it says fp4" },
        { "{\"quant_type\":\"nf4\",\"blocksize\":63,\"dtype\":\"bfloat16\",\"shape\":[2,80]}",
          "blocks of 63 elements" },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"int8\",\"shape\":[2,80]}",
          "not supported: 'int8'" },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"float16\"}", "missing: shape" },
        { "{\"blocksize\":64,\"dtype\":\"float16\",\"shape\":[2,80]}", "missing: quant_type" },
        { "{\"quant_type\":\"nf4\",\"dtype\":\"float16\",\"shape\":[2,80]}", "missing: blocksize" },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[2,80]}", "missing: dtype" },
        { "{\"quant_type\":\"\xff\"}", "bad text" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        start_plain(CASES[i].state);
        refuse(CASES[i].part);
    }
    static char big[4000] = "{\"x\":\"";
    memset(big + 6, 'x', sizeof big - 7);
    start_plain(big);
    refuse("bad JSON");
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "F32", "[3]", NULL, 12);
    add(STATE, "F32", "[1]", NULL, 4);
    refuse("stored as F32, expected U8");
}

TEST(join, bn2_descriptions_have_a_limit)
{
    static char header[512];
    static unsigned char file[70000 + 8 + 512];
    const int n = snprintf(header, sizeof header,
                           "{\"w\":{\"dtype\":\"U8\",\"shape\":[1,1],\"data_offsets\":[0,1]},"
                           "\"w.absmax\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]},"
                           "\"" STATE "\":{\"dtype\":\"U8\",\"shape\":[65537],\"data_offsets\":[5,"
                           "65542]}}");
    memset(file, 0, sizeof file);
    file[0] = (unsigned char)(n & 255);
    file[1] = (unsigned char)(n >> 8);
    memcpy(file + 8, header, (size_t)n);
    Heap *heap = heap_create();
    Checkpoint *c;
    const char *path = files_put("big.safetensors", file, 8 + (size_t)n + 65542);
    CHECK_INT(checkpoint_open(&c, heap, path, NULL, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "65537 bytes, limit 65536");
    heap_free(heap);
}

TEST(join, bn3_lengths_that_do_not_fit)
{
    start();
    add("w", "U8", "[81,1]", NULL, 81);
    add("w.absmax", "F32", "[3]", NULL, 12);
    add_text(STATE, PLAIN);
    refuse("w: mismatch: got 81 bytes");
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "F32", "[4]", NULL, 16);
    add_text(STATE, PLAIN);
    refuse("w.absmax: mismatch: got 16 bytes, expected 3 elements");
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "F16", "[3]", NULL, 6);
    add_text(STATE, PLAIN);
    refuse("w.absmax: mismatch: it is stored as F16");
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "F32", "[3]", NULL, 12);
    add("w.quant_map", "F32", "[15]", NULL, 60);
    add_text(STATE, PLAIN);
    refuse("w.quant_map: mismatch");
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "U8", "[3]", NULL, 3);
    add("w.nested_absmax", "F32", "[2]", NULL, 8);
    add("w.nested_quant_map", "F32", "[256]", NULL, 1024);
    add_text(STATE, DEEP);
    refuse("w.nested_absmax: mismatch");
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "U8", "[3]", NULL, 3);
    add("w.nested_absmax", "F32", "[1]", NULL, 4);
    add("w.nested_quant_map", "F32", "[255]", NULL, 1020);
    add_text(STATE, DEEP);
    refuse("w.nested_quant_map: mismatch");
}

#define SHAPED(shape)                                                                              \
    "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"float32\",\"shape\":" shape "}"

TEST(join, bn4_shapes_that_do_not_fit)
{
    start_plain(SHAPED("[2,-80]"));
    refuse("a negative dimension");
    start_plain(SHAPED("[4611686018427387904,4611686018427387904]"));
    refuse("overflow");
    start_plain(SHAPED("[2,81]"));
    refuse("w: mismatch");
    start_plain(SHAPED("[1,1,1,1,1,1,1,1,160]"));
    refuse("too many dimensions");
    start_plain(SHAPED("[2.0,80]"));
    refuse("bad JSON");
}

TEST(join, bn5_nested_parts_must_all_be_there)
{
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "U8", "[3]", NULL, 3);
    add("w.nested_absmax", "F32", "[1]", NULL, 4);
    add_text(STATE, DEEP);
    refuse("w: missing: its nested_quant_map");
    start();
    add("w", "U8", "[80,1]", NULL, 80);
    add("w.absmax", "U8", "[3]", NULL, 3);
    add("w.nested_quant_map", "F32", "[256]", NULL, 1024);
    add_text(STATE, DEEP);
    refuse("w: missing: its nested_absmax");
    start_nested(PLAIN);
    refuse("missing: nested_offset");
    start_nested(GOOD ",\"nested_blocksize\":128,\"nested_offset\":0}");
    refuse("nested blocks of 128");
    start_nested(GOOD ",\"nested_offset\":1e39}");
    refuse("a nested_offset of");
}

TEST(join, bn7_eight_bit_weights_need_their_rows)
{
    start();
    add("x.weight", "I8", "[2,3]", NULL, 6);
    add("x.SCB", "F32", "[3]", NULL, 12);
    refuse("x.SCB: mismatch");
    start();
    add("x.SCB", "F32", "[3]", NULL, 12);
    refuse("x.SCB: missing: the weight it belongs to");
    start();
    add("x.weight", "I8", "[6]", NULL, 6);
    add("x.SCB", "F32", "[6]", NULL, 24);
    refuse("1 dimensions, expected 2");
    start();
    add("x.weight", "I8", "[2,3]", NULL, 6);
    add("x.SCB", "F32", "[2]", NULL, 8);
    add("x.weight_format", "U8", "[]", "\2", 1);
    refuse("not supported: an order for tensor cores (2)");
    start();
    add("x.weight", "I8", "[2,3]", NULL, 6);
    add("x.SCB", "F32", "[2]", NULL, 8);
    check_one("I8", 64 + 8);
}

TEST(join, scales_of_fp8_are_checked)
{
    static const float ONE = 1.0f, ZERO = 0.0f, LESS = -1.0f;
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add("x.scale_weight", "F32", "[]", &ZERO, 4);
    refuse("x.scale_weight: bad value: a scale of 0");
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add("x.weight_scale", "F32", "[1]", &LESS, 4);
    refuse("bad value");
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add("x.weight_scale", "F32", "[1]", "\0\0\xc0\x7f", 4);
    refuse("bad value");
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add("x.weight_scale", "F32", "[3]", NULL, 12);
    refuse("3 scales for a weight of 2 rows");
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add("x.weight_scale", "F8_E4M3", "[1]", NULL, 1);
    refuse("a scale stored as F8_E4M3");
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add("x.weight_scale", "F16", "[2,1]", NULL, 4);
    refuse("scales of rows stored as F16");
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add("x.weight_scale", "F32", "[]", &ONE, 4);
    add("x.scale_weight", "F32", "[]", &ONE, 4);
    refuse("two kinds of scales");
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add_text("x.comfy_quant", "{\"format\":\"float8_e4m3fn\"}");
    refuse("x.weight: missing: its weight_scale");
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add_text("x.comfy_quant", "{\"format\":");
    refuse("bad JSON");
}

static void check_listed(const char *type)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    if (checkpoint_open(&c, heap, finish(), NULL, &err) != SNUG_OK) fail_msg("%s", err.text);
    const int32_t i = checkpoint_find(c, "x.weight");
    CHECK(i >= 0);
    CHECK_TEXT(checkpoint_entry(c, i)->type_name, type);
    CHECK_INT(checkpoint_entry(c, i)->dtype, DT_COUNT);
    CHECK_INT(checkpoint_count(c), 1);
    checkpoint_close(c);
    heap_free(heap);
}

TEST(join, kinds_that_cannot_be_computed_are_listed_by_name)
{
    start();
    add("x.weight", "U8", "[2,3]", NULL, 6);
    add("x.weight_scale", "F8_E4M3", "[1]", NULL, 1);
    add("x.weight_scale_2", "F32", "[1]", NULL, 4);
    add_text("x.comfy_quant", "{\"format\":\"nvfp4\",\"a\":[1]}");
    check_listed("nvfp4");
    start();
    add("x.weight", "I8", "[2,3]", NULL, 6);
    add("x.weight_scale", "F32", "[2,1]", NULL, 8);
    add_text("x.comfy_quant", "{\"format\":\"int8_tensorwise\",\"convrot\":true}");
    check_listed("int8_tensorwise (rotated)");
    start();
    maker.n_header += (size_t)sprintf(
        maker.header + 1, "\"__metadata__\":{\"_quantization_metadata\":"
                          "\"{\\\"layers\\\":{\\\"x\\\":{\\\"format\\\":\\\"mxfp8\\\"}}}\"}");
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add("x.weight_scale", "F8_E8M0", "[1]", NULL, 1);
    check_listed("mxfp8");
}

TEST(join, warns_of_a_marker_without_scales)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    start();
    add("x.weight", "F8_E4M3", "[2,3]", NULL, 6);
    add("model.scaled_fp8", "F8_E4M3", "[0]", NULL, 0);
    CHECK_INT(checkpoint_open(&c, heap, finish(), NULL, &err), SNUG_OK);
    CHECK_HAS(checkpoint_warnings(c), "marked as scaled fp8 (model.scaled_fp8), but has no scales");
    CHECK_INT(checkpoint_count(c), 1);
    checkpoint_close(c);
    heap_free(heap);
}

TEST(join, every_refused_block_ends_cleanly)
{
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int n = 1; status != SNUG_OK; n++) {
        Heap *heap = heap_create();
        Checkpoint *c;
        heap_fail_at(heap, n);
        status = checkpoint_open(&c, heap, test_path("golden/formats_quant/weights.safetensors"),
                                 NULL, &err);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        CHECK(n < 100);
        checkpoint_close(c);
        CHECK_INT(heap_now_bytes(heap), 0);
        heap_free(heap);
    }
}
