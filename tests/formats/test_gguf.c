/* test_gguf.c  GGUF files: gguf-py's golden, versions, shapes, and the malformed kinds GG1 to GG15. */
#include "files.h"

#include "base/size.h"
#include "formats/checkpoint.h"

static SnugError err;

/** A header put together byte by byte. */
static struct {
    unsigned char bytes[1 << 17];
    size_t n;
} made;

static void number(uint64_t value, int width)
{
    for (int i = 0; i < width; i++)
        made.bytes[made.n++] = (unsigned char)(value >> 8 * i & 255);
}

static void string(const char *text)
{
    number(strlen(text), 8);
    memcpy(made.bytes + made.n, text, strlen(text));
    made.n += strlen(text);
}

static void start(uint32_t version, uint64_t tensors, uint64_t pairs)
{
    made.n = 0;
    memcpy(made.bytes, "GGUF", 4);
    made.n = 4;
    number(version, 4);
    number(tensors, 8);
    number(pairs, 8);
}

static void info(const char *name, uint32_t rank, uint64_t d0, uint64_t d1, uint32_t type,
                 uint64_t offset)
{
    string(name);
    number(rank, 4);
    if (rank > 0) number(d0, 8);
    for (uint32_t i = 1; i < rank; i++)
        number(d1, 8);
    number(type, 4);
    number(offset, 8);
}

static void data(size_t alignment, size_t n)
{
    made.n = size_align(made.n, alignment);
    memset(made.bytes + made.n, 1, n);
    made.n += n;
}

static const char *finish(void)
{
    const char *path = files_put("t.gguf", made.bytes, made.n);
    memset(made.bytes, 0, sizeof made.bytes);
    return path;
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

static Checkpoint *open_good(Heap *heap, const char *path)
{
    Checkpoint *c;
    if (checkpoint_open(&c, heap, path, NULL, &err) != SNUG_OK) fail_msg("%s", err.text);
    return c;
}

static void accept(void)
{
    Heap *heap = heap_create();
    checkpoint_close(open_good(heap, finish()));
    heap_free(heap);
}

/* ---- what is read ---- */

TEST(gguf, shapes_types_and_notes_of_the_golden)
{
    Heap *heap = heap_create();
    Checkpoint *c = open_good(heap, test_path("golden/formats_gguf/all.gguf"));
    Checkpoint *want = open_good(heap, test_path("golden/formats_gguf/values.safetensors"));
    CHECK_INT(checkpoint_count(c), checkpoint_count(want));
    for (int32_t i = 0; i < checkpoint_count(c); i++) {
        const Entry *e = checkpoint_entry(c, i), *w = checkpoint_entry(want, i);
        CHECK_TEXT(e->name, w->name);
        CHECK_INT(e->rank, w->rank);
        for (int k = 0; k < e->rank; k++)
            CHECK_INT(e->dim[k], w->dim[k]);
        if (strstr(e->name, ".weight") && e->dtype >= DT_Q4_0 && strcmp(e->name, "cut.weight") != 0)
            CHECK(strncmp(e->name, e->type_name, strlen(e->type_name)) == 0);
    }
    static const char *const NOTES[][2] = { { "general.architecture", "wan" },
                                            { "general.alignment", "64" },
                                            { "t.u8", "200" },
                                            { "t.i8", "-5" },
                                            { "t.u16", "65535" },
                                            { "t.i16", "-300" },
                                            { "t.u32", "4000000000" },
                                            { "t.i32", "-2000000000" },
                                            { "t.f32", "0.5" },
                                            { "t.bool", "1" },
                                            { "t.string", "ein Text, 文" },
                                            { "t.u64", "9223372036854775808" },
                                            { "t.i64", "-4611686018427387904" },
                                            { "t.f64", "1.0000000000000001e+300" } };
    for (size_t i = 0; i < COUNT(NOTES); i++)
        CHECK_TEXT(checkpoint_metadata(c, NOTES[i][0]), NOTES[i][1]);
    CHECK(!checkpoint_metadata(c, "tokenizer.ggml.tokens"));
    checkpoint_close(want);
    checkpoint_close(c);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(gguf, version_2_any_order_gaps_and_a_cut_padding)
{
    Heap *heap = heap_create();
    unsigned char got[8];
    start(2, 3, 0);
    info("b", 1, 2, 0, 0, 64); /* a gap before it, and its padding is missing */
    info("a", 2, 2, 1, 0, 0);
    info("none", 2, 0, 7, 0, 32);
    data(32, 64 + 8);
    Checkpoint *c = open_good(heap, finish());
    CHECK_INT(checkpoint_count(c), 3);
    CHECK_INT(checkpoint_entry(c, 0)->dim[0], 1);
    CHECK_INT(checkpoint_entry(c, 0)->dim[1], 2);
    CHECK_INT(checkpoint_entry(c, 2)->bytes, 0);
    CHECK_INT(checkpoint_read(c, checkpoint_entry(c, 1), 0, 8, got, &err), SNUG_OK);
    CHECK_INT(checkpoint_read(c, checkpoint_entry(c, 2), 0, 0, got, &err), SNUG_OK);
    checkpoint_close(c);
    heap_free(heap);
    start(3, 0, 0);
    accept();
}

/* ---- what is refused ---- */

TEST(gguf, gg1_magic_and_version)
{
    start(3, 0, 0);
    made.bytes[0] = 'X';
    refuse("not a weight file");
    static const uint32_t VERSIONS[] = { 0, 1, 4 };
    for (size_t i = 0; i < COUNT(VERSIONS); i++) {
        start(VERSIONS[i], 0, 0);
        refuse("bad version");
    }
    start(0x03000000, 0, 0);
    refuse("big-endian");
}

TEST(gguf, gg2_counts)
{
    start(3, UINT64_C(1) << 63, 0);
    refuse("too large");
    start(3, 0, UINT64_C(1) << 63);
    refuse("too large");
    start(3, 3, 0);
    info("a", 1, 2, 0, 0, 0);
    refuse("got 3 tensors");
    start(3, 0, 2);
    string("a");
    number(0, 4);
    refuse("got 2 pairs");
}

TEST(gguf, gg3_strings)
{
    start(3, 0, 1);
    string("");
    data(1, 32);
    refuse("an empty key");
    start(3, 0, 1);
    number(65536, 8);
    data(1, 70000);
    refuse("a string of 65536 bytes, limit 65535");
    start(3, 0, 1);
    number(1000, 8);
    data(1, 32);
    refuse("truncated: a string of 1000 bytes");
    start(3, 0, 1);
    number(UINT64_MAX, 8);
    data(1, 32);
    refuse("truncated: a string of 18446744073709551615 bytes");
    start(3, 0, 1);
    string("k");
    number(8, 4);
    number(UINT64_MAX, 8);
    refuse("k: truncated");
}

static void start_pair(const char *key, uint32_t type)
{
    start(3, 0, 1);
    string(key);
    number(type, 4);
}

TEST(gguf, gg4_types_of_values)
{
    start_pair("k", 13);
    data(1, 32);
    refuse("k: not supported: value type 13");
    start_pair("k", 9);
    number(9, 4);
    number(1, 8);
    data(1, 32);
    refuse("an array of type 9");
    start_pair("k", 9);
    number(13, 4);
    number(1, 8);
    data(1, 32);
    refuse("an array of type 13");
    start_pair("k", 9);
    number(10, 4);
    number(UINT64_MAX / 4, 8);
    data(1, 32);
    refuse("limit 16777216");
    start_pair("k", 9);
    number(10, 4);
    number(100, 8);
    data(1, 32);
    refuse("truncated: 800 bytes expected");
    start_pair("k", 9);
    number(8, 4);
    number(2, 8);
    string("x");
    number(100, 8);
    refuse("k: truncated: a string of 100 bytes");
}

TEST(gguf, gg5_names_twice)
{
    start(3, 0, 2);
    for (int i = 0; i < 2; i++) {
        string("key");
        number(4, 4);
        number(1, 4);
    }
    refuse("key: duplicate");
    start(3, 2, 0);
    info("a", 1, 2, 0, 0, 0);
    info("a", 1, 2, 0, 0, 32);
    data(32, 64);
    refuse("a: duplicate");
}

TEST(gguf, gg6_alignment)
{
    static const uint32_t VALUES[] = { 0, 13, 1u << 31, 3u << 20 };
    for (size_t i = 0; i < COUNT(VALUES); i++) {
        start_pair("general.alignment", 4);
        number(VALUES[i], 4);
        refuse("expected a power of two up to 1048576");
    }
    start_pair("general.alignment", 10);
    number(32, 8);
    refuse("value type 10, expected u32");
    start_pair("general.alignment", 8);
    string("32");
    refuse("value type 8, expected u32");
    start(3, 1, 1);
    string("general.alignment");
    number(4, 4);
    number(8, 4);
    info("a", 1, 2, 0, 0, 8);
    data(8, 16);
    accept();
}

TEST(gguf, gg7_dimensions)
{
    start(3, 1, 0);
    info("a", 9, 1, 1, 0, 0);
    refuse("a: too large: 9 dimensions, limit 8");
    start(3, 1, 0);
    info("a", 2, 1, UINT64_C(1) << 63, 0, 0);
    refuse("overflow");
    start(3, 1, 0);
    info("a", 2, UINT64_C(1) << 32, UINT64_C(1) << 31, 0, 0);
    refuse("overflow");
    start(3, 1, 0);
    info("a", 1, UINT64_C(1) << 62, 0, 0, 0);
    refuse("overflow");
    start(3, 1, 0);
    info("a", 0, 0, 0, 0, 0); /* a single number */
    data(32, 4);
    accept();
}

TEST(gguf, gg8_types_of_tensors)
{
    static const uint32_t TYPES[] = { 4, 5, 31, 43, 1u << 31 };
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        start(3, 1, 0);
        info("a", 1, 256, 0, TYPES[i], 0);
        data(32, 1024);
        refuse("not supported: stored as type");
    }
    start(3, 1, 0);
    info("a", 1, 256, 0, 16, 0);
    data(32, 1024);
    refuse("a: not supported: stored as IQ2_XXS");
}

TEST(gguf, gg9_rows_in_blocks)
{
    start(3, 1, 0);
    info("a", 2, 48, 2, 2, 0);
    data(32, 1024);
    refuse("a: mismatch: rows of 48 in blocks of 32");
    start(3, 1, 0);
    info("a", 0, 0, 0, 12, 0);
    data(32, 1024);
    refuse("a: mismatch: rows of 1 in blocks of 256");
}

TEST(gguf, gg10_places)
{
    start(3, 1, 0);
    info("a", 1, 2, 0, 0, 16);
    data(32, 64);
    refuse("offset 16 is no multiple of 32");
    start(3, 1, 0);
    info("a", 1, 2, 0, 0, 64);
    data(32, 64);
    refuse("truncated: 8 bytes at 64");
    start(3, 1, 0);
    info("a", 1, 2, 0, 0, UINT64_MAX - 31);
    data(32, 64);
    refuse("truncated");
    start(3, 2, 0);
    info("a", 1, 16, 0, 0, 0);
    info("b", 1, 2, 0, 0, 32);
    data(32, 64);
    refuse("b: overlap: it shares data with a");
}

TEST(gguf, gg11_data_cut_off)
{
    start(3, 1, 0);
    info("a", 1, 2, 0, 0, 0);
    refuse("truncated: 8 bytes at 0, the file has 0 bytes of data");
    start(3, 1, 0);
    info("a", 1, 2, 0, 0, 0);
    data(32, 7);
    refuse("truncated");
    start(3, 0, 1);
    string("key of a pair");
    refuse("truncated: 4 bytes expected, 0 are left");
    start(3, 1, 0);
    string("abcdefghijklmnopqrstuvwxyz");
    number(1, 4);
    refuse("truncated");
}

TEST(gguf, gg12_truth_values)
{
    start_pair("k", 7);
    number(2, 1);
    data(1, 32);
    refuse("k: bad value: a truth value of 2");
    start_pair("k", 9);
    number(7, 4);
    number(2, 8);
    number(1, 1);
    number(3, 1);
    refuse("k: bad value: a truth value over 1");
}

static void start_cut(uint32_t type, uint64_t n, int64_t first)
{
    start(3, 1, 1);
    string("comfy.gguf.orig_shape.w");
    number(9, 4);
    number(type, 4);
    number(n, 8);
    for (uint64_t i = 0; i < n; i++)
        number(i == 0 ? (uint64_t)first : 2, 4);
    info("w", 2, 32, 1, 0, 0);
    data(32, 128);
}

TEST(gguf, gg13_original_shapes)
{
    start_cut(5, 2, 16);
    accept();
    start_cut(5, 2, 17);
    refuse("w: mismatch: its orig_shape has not as many elements as [1, 32]");
    start_cut(5, 2, -16);
    refuse("a negative dimension");
    start_cut(4, 2, 16);
    refuse("elements of type 4, expected i32");
    start_cut(5, 9, 1);
    refuse("9 dimensions, limit 8");
    start_pair("comfy.gguf.orig_shape.w", 4);
    number(1, 4);
    refuse("value type 4, expected an array");
}

TEST(gguf, gg15_names)
{
    start(3, 1, 0);
    info("\xff", 1, 2, 0, 0, 0);
    data(32, 8);
    refuse("bad text");
    start(3, 1, 0);
    number(3, 8);
    number('a', 3); /* a, NUL, NUL */
    number(1, 4);
    number(2, 8);
    number(0, 4);
    number(0, 8);
    data(32, 8);
    refuse("bad text");
    start(3, 1, 0);
    info("", 1, 2, 0, 0, 0);
    data(32, 8);
    refuse("no name for a tensor");
}

TEST(gguf, every_refused_block_ends_cleanly)
{
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int n = 1; status != SNUG_OK; n++) {
        Heap *heap = heap_create();
        Checkpoint *c;
        heap_fail_at(heap, n);
        status = checkpoint_open(&c, heap, test_path("golden/formats_gguf/all.gguf"), NULL, &err);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        CHECK(n < 100);
        checkpoint_close(c);
        CHECK_INT(heap_now_bytes(heap), 0);
        heap_free(heap);
    }
}
