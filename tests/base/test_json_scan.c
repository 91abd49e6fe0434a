/* test_json_scan.c  The pull parser: values, grammar, depth, places in messages. */
#include "test.h"

#include <stdlib.h>

#include "base/json_scan.h"

typedef struct Fixture {
    Heap *heap;
    Arena arena;
    SnugError err;
    JsonScan scan;
} Fixture;

static JsonScan *begin(Fixture *f, const char *text, size_t n)
{
    *f = (Fixture){ .heap = heap_create() };
    arena_init(&f->arena, f->heap, "test");
    json_scan_init(&f->scan, text, n, "f.json", "json", &f->arena, &f->err);
    return &f->scan;
}

static void finish(Fixture *f)
{
    arena_release(&f->arena);
    CHECK_INT(heap_now_bytes(f->heap), 0);
    heap_free(f->heap);
}

/* Skip the text as a whole, from memory that ends exactly where the text does. */
static SnugStatus skip_all(const char *text, size_t n, char *message)
{
    Fixture f;
    char *exact = malloc(n ? n : 1);
    memcpy(exact, text, n);
    JsonScan *s = begin(&f, exact, n);
    (void)json_scan_skip(s);
    SnugStatus status = json_scan_end(s);
    strcpy(message, f.err.text);
    finish(&f);
    free(exact);
    return status;
}

TEST(json_scan, reads_every_kind_and_skips_what_nobody_reads)
{
    static const char TEXT[] = " {\"a\": -7, \"deep\": {\"x\": [1, {\"y\": []}]}, \"b\": 2.5e-1,\n"
                               "\"t\":true,\"n\":null,\"s\":\"q\\\"\\u00e9\\ud83d\\ude42\\/\","
                               "\"list\":[1,2,3], \"big\": 18446744073709551615 } ";
    Fixture f;
    JsonScan *s = begin(&f, TEXT, sizeof TEXT - 1);
    int64_t a = 0;
    uint64_t big = 0, sum = 0;
    double b = 0;
    bool t = false;
    TextView text = { 0 };
    CHECK(json_scan_object(s));
    for (TextView key; json_scan_key(s, &key);) {
        if (text_is(key, "a")) (void)json_scan_i64(s, &a);
        if (text_is(key, "b")) (void)json_scan_f64(s, &b);
        if (text_is(key, "t")) (void)json_scan_bool(s, &t);
        if (text_is(key, "n")) (void)json_scan_null(s);
        if (text_is(key, "s")) (void)json_scan_text(s, &text);
        if (text_is(key, "big")) (void)json_scan_u64(s, &big);
        if (text_is(key, "list")) {
            (void)json_scan_array(s);
            for (uint64_t v = 0; json_scan_item(s); sum += v)
                (void)json_scan_u64(s, &v);
        }
    }
    CHECK_INT(json_scan_end(s), SNUG_OK);
    CHECK_INT(a, -7);
    CHECK(b == 0.25 && t && big == UINT64_MAX && sum == 6);
    CHECK(text_is(text, "q\"\xc3\xa9\xf0\x9f\x99\x82/"));
    CHECK_TEXT(f.err.text, "");
    finish(&f);
}

TEST(json_scan, a_copied_scan_is_a_bookmark)
{
    static const char TEXT[] = "[[1,2],[3]]";
    Fixture f;
    JsonScan *s = begin(&f, TEXT, sizeof TEXT - 1);
    (void)json_scan_array(s);
    CHECK(json_scan_item(s));
    const JsonScan mark = *s;
    for (int pass = 0; pass < 2; pass++) {
        uint64_t sum = 0, v;
        *s = mark;
        (void)json_scan_array(s);
        while (json_scan_item(s))
            if (json_scan_u64(s, &v)) sum += v;
        CHECK_INT(sum, 3);
    }
    CHECK(json_scan_item(s));
    CHECK(!json_scan_item(s));
    CHECK_INT(json_scan_end(s), SNUG_OK);
    finish(&f);
}

TEST(json_scan, accepts_what_the_grammar_accepts)
{
    static const char *const GOOD[] = {
        "0",
        "-0",
        "[]",
        "{}",
        " [ ] ",
        "\"\"",
        "1e5",
        "1E+05",
        "-0.5e-3",
        "[1,2]",
        "{\"\":{\"\":0}}",
        "[[],[[]],{}]",
        "null",
        "false ",
        "\"\\u0000\"",
        "\"\x7f\xc2\x80\"",
        "{\"a\":1,\"a\":2}",
    };
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        char message[2048];
        if (skip_all(GOOD[i], strlen(GOOD[i]), message) != SNUG_OK)
            fail_msg("%s: %s", GOOD[i], message);
    }
}

TEST(json_scan, refuses_what_the_grammar_refuses)
{
    static const char *const BAD[] = {
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "]",
        "[1}",
        "{\"a\":1]",
        "1 1",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "tru",
        "nul",
        "True",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "'a'",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud83d\\ud83d\"",
        "// x\n1",
        "\xef\xbb\xbf[]",
        "[1]x",
        "[\"a\",\n4\n,1,",
        "{\"\\ud800\":1}",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char message[2048];
        if (skip_all(BAD[i], strlen(BAD[i]), message) != SNUG_ERR_FILE)
            fail_msg("accepted %s", BAD[i]);
        CHECK_HAS(message, "f.json: json: byte ");
        CHECK_HAS(message, "bad JSON");
    }
    char message[2048];
    CHECK_INT(skip_all("[\0]", 3, message), SNUG_ERR_FILE);
    CHECK_INT(skip_all("[1]\0", 4, message), SNUG_ERR_FILE);
}

TEST(json_scan, refuses_invalid_utf8)
{
    static const char *const BAD[] = { "\"\xff\"",         "\"\xc0\xaf\"",
                                       "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
                                       "\"\xe2\x82\"",     "\x80" };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char message[2048];
        CHECK_INT(skip_all(BAD[i], strlen(BAD[i]), message), SNUG_ERR_FILE);
        CHECK_HAS(message, "bad text: invalid UTF-8");
    }
}

TEST(json_scan, bounds_depth_without_recursion)
{
    enum { N = 100000 };
    char *text = malloc(N), message[2048];
    memset(text, '[', N);
    CHECK_INT(skip_all(text, N, message), SNUG_ERR_FILE);
    CHECK_HAS(message, "too deep: nested too deeply (limit 64)");
    memset(text + 64, ']', 64);
    CHECK_INT(skip_all(text, 128, message), SNUG_OK);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    CHECK_INT(skip_all(text, 130, message), SNUG_ERR_FILE);
    free(text);
}

TEST(json_scan, whole_numbers_are_whole_and_in_range)
{
    static const char *const U64_BAD[] = {
        "1.0", "1e3", "-1", "18446744073709551616", "\"0\"", "null", "99999999999999999999999"
    };
    for (size_t i = 0; i < sizeof U64_BAD / sizeof *U64_BAD; i++) {
        Fixture f;
        uint64_t v = 42;
        JsonScan *s = begin(&f, U64_BAD[i], strlen(U64_BAD[i]));
        CHECK(!json_scan_u64(s, &v));
        CHECK_INT(json_scan_end(s), SNUG_ERR_FILE);
        CHECK_HAS(f.err.text, "bad JSON");
        CHECK_INT(v, 42);
        finish(&f);
    }
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } I64[] = { { "-9223372036854775808", true, INT64_MIN },
                { "9223372036854775807", true, INT64_MAX },
                { "9223372036854775808", false, 0 },
                { "-9223372036854775809", false, 0 },
                { "-0", true, 0 } };
    for (size_t i = 0; i < sizeof I64 / sizeof *I64; i++) {
        Fixture f;
        int64_t v = 0;
        JsonScan *s = begin(&f, I64[i].text, strlen(I64[i].text));
        CHECK_INT(json_scan_i64(s, &v), I64[i].good);
        CHECK(v == I64[i].value);
        finish(&f);
    }
}

TEST(json_scan, doubles_are_correctly_rounded_and_finite)
{
    static const struct {
        const char *text;
        double value;
    } F64[] = { { "-13.590115547180176", -13.590115547180176 },
                { "0.1", 0.1 },
                { "2.2250738585072014e-308", 0x1p-1022 },
                { "5e-324", 0x1p-1074 },
                { "9007199254740993", 0x1p53 },
                { "1e-400", 0.0 } };
    for (size_t i = 0; i < sizeof F64 / sizeof *F64; i++) {
        Fixture f;
        double v = 7;
        CHECK(json_scan_f64(begin(&f, F64[i].text, strlen(F64[i].text)), &v));
        CHECK(v == F64[i].value);
        finish(&f);
    }
    Fixture f;
    double v;
    CHECK(!json_scan_f64(begin(&f, "1e400", 5), &v));
    CHECK_HAS(f.err.text, "out of range");
    finish(&f);
    char *digits = malloc(1000000), message[2048];
    memset(digits, '1', 1000000);
    CHECK_INT(skip_all(digits, 1000000, message), SNUG_ERR_FILE);
    CHECK_HAS(message, "bad JSON: number of 1000000 characters (limit 256)");
    free(digits);
}

TEST(json_scan, names_the_place_and_stops_at_the_first_failure)
{
    static const char TEXT[] = "{\"model\":{\"vocab\":[[\"a\",1],[\"b\",\"x\"]]}}";
    Fixture f;
    JsonScan *s = begin(&f, TEXT, sizeof TEXT - 1);
    TextView key;
    double v;
    (void)json_scan_object(s);
    (void)json_scan_key(s, &key);
    (void)json_scan_object(s);
    (void)json_scan_key(s, &key);
    (void)json_scan_array(s);
    while (json_scan_item(s)) {
        (void)json_scan_array(s);
        (void)json_scan_item(s);
        (void)json_scan_text(s, &key);
        (void)json_scan_item(s);
        (void)json_scan_f64(s, &v);
        CHECK(!json_scan_item(s));
    }
    CHECK(!json_scan_skip(s) && !json_scan_key(s, &key) && json_scan_peek(s) == JSON_KIND_NONE);
    CHECK_INT(json_scan_end(s), SNUG_ERR_FILE);
    CHECK_TEXT(f.err.text, "f.json: json: byte 32, model.vocab[1][1]: bad JSON: wrong type "
                           "(got a string, expected a number)");
    finish(&f);
}

TEST(json_scan, misuse_is_an_error_and_not_a_crash)
{
    Fixture f;
    TextView key;
    JsonScan *s = begin(&f, "1", 1);
    CHECK(json_scan_skip(s));
    CHECK(!json_scan_key(s, &key));
    CHECK_INT(json_scan_end(s), SNUG_ERR_FILE);
    finish(&f);
    s = begin(&f, "[1]", 3);
    CHECK(json_scan_array(s));
    CHECK_INT(json_scan_end(s), SNUG_ERR_FILE);
    finish(&f);
    s = begin(&f, "[1]", 3);
    CHECK(json_scan_array(s) && !json_scan_key(s, &key));
    finish(&f);
}

TEST(json_scan, reports_refused_memory)
{
    Fixture f;
    TextView v;
    JsonScan *s = begin(&f, "\"a\\nb\"", 6);
    heap_fail_at(f.heap, 1);
    CHECK(!json_scan_text(s, &v));
    CHECK_INT(json_scan_end(s), SNUG_ERR_MEMORY);
    finish(&f);
}
