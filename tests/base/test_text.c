/* test_text.c  UTF-8, escaping, the builder, the shape of fault messages. */
#include "test.h"

#include "base/fault.h"
#include "base/text.h"

TEST(text, compares_bytes_and_ends)
{
    CHECK(text_is((TextView){ "ab", 2 }, "ab") && !text_is((TextView){ "ab", 1 }, "ab"));
    CHECK(text_is((TextView){ NULL, 0 }, ""));
    CHECK(text_compare((TextView){ "a", 1 }, (TextView){ "ab", 2 }) < 0);
    CHECK(text_compare((TextView){ "\xff", 1 }, (TextView){ "a", 1 }) > 0);
    CHECK(text_starts("abc", "ab") && !text_starts("a", "ab"));
    CHECK(text_ends("x.json", ".json") && !text_ends("json", ".json"));
}

TEST(text, utf8_round_trips_every_code_point)
{
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char out[4];
        int n = text_utf8_put(out, code);
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        size_t at = 0;
        CHECK((text_utf8_check(out, (size_t)n) == (size_t)n) == !surrogate);
        if (surrogate) continue;
        CHECK(text_utf8_next(out, (size_t)n, &at) == code && at == (size_t)n);
        CHECK(n == 1 || text_utf8_check(out, (size_t)n - 1) == 0);
    }
}

TEST(text, utf8_check_finds_the_first_bad_byte)
{
    static const struct {
        const char *text;
        size_t bad;
    } CASES[] = { { "abcdefgh\xff", 8 },      { "abcdefghijk\xc1\x81", 11 }, { "\xe0\x9f\xbf", 0 },
                  { "a\xf0\x8f\xbf\xbf", 1 }, { "a\xf5\x80\x80\x80", 1 },    { "\xe2\x28\xa1", 0 },
                  { "\xc3\xa9\xc3", 2 } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        CHECK_INT(text_utf8_check(CASES[i].text, strlen(CASES[i].text)), CASES[i].bad);
}

TEST(text, escape_hides_nothing_and_is_bounded)
{
    char out[TEXT_ESCAPED], many[1000];
    CHECK_TEXT(text_escape(out, "a\n\x1b[0m\xc3\xa9\xff", 9), "a\\x0a\\x1b[0m\xc3\xa9\\xff");
    CHECK_TEXT(text_escape(out, "\xe2\x80\xae", 3), "\\xe2\\x80\\xae"); /* right-to-left override */
    CHECK_TEXT(text_escape(out, "", 0), "");
    memset(many, 'x', sizeof many);
    CHECK_INT(strlen(text_escape(out, many, sizeof many)), TEXT_SHOWN + 3);
    memset(many, 1, sizeof many);
    CHECK_INT(strlen(text_escape(out, many, sizeof many)), TEXT_SHOWN + 3);
}

TEST(text, builder_grows_and_escapes_json)
{
    Heap *heap = heap_create();
    TextBuilder b;
    text_init(&b, heap, "text");
    for (int i = 0; i < 500; i++)
        text_addf(&b, "%d,", i);
    CHECK(!b.failed && b.n == 1890 && strlen(b.at) == b.n);
    text_release(&b);
    text_add_json(&b, "a\"\\\n\x1f\0\xc3\xa9", 8);
    CHECK_TEXT(b.at, "\"a\\\"\\\\\\n\\u001f\\u0000\xc3\xa9\"");
    text_release(&b);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_fail_at(heap, 1);
    text_add(&b, "x", 1);
    text_addf(&b, "%d", 7);
    CHECK(b.failed && b.n == 0);
    text_release(&b);
    heap_free(heap);
}

TEST(fault, has_one_shape_and_escapes_the_place)
{
    SnugError err;
    CHECK_INT(fault_set(&err, FAULT_MISMATCH, "f.bin", "npy", "a\nb", "got %d", 5), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "f.bin: npy: a\\x0ab: mismatch: got 5");
    CHECK_INT(fault_set(&err, FAULT_HOLE, "f.bin", "npy", NULL, "x"), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "f.bin: npy: hole: x");
    CHECK_INT(fault_set(NULL, FAULT_HOLE, "f.bin", "npy", NULL, "x"), SNUG_ERR_FILE);
    for (int i = 0; i < FAULT_COUNT; i++)
        CHECK(fault_word((Fault)i));
}
