/* test_unicode.c  Normal forms, clusters and classes; and that no text makes them slow. */
#include "test.h"

#include "text/unicode.h"

static void check_form(const char *text, UnicodeForm form, const char *want)
{
    Heap *heap = heap_create();
    TextBuilder out;
    text_init(&out, heap, "test");
    unicode_normalize(&out, (TextView){ text, strlen(text) }, form);
    CHECK(!out.failed);
    CHECK_TEXT(out.at, want);
    text_release(&out);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(unicode, normal_forms)
{
    check_form("plain", UNICODE_NFKD, "plain");
    check_form("e\u0301", UNICODE_NFC, "\u00e9");
    check_form("\u00e9", UNICODE_NFD, "e\u0301");
    check_form("\u212b", UNICODE_NFC, "\u00c5");
    check_form("\u0958", UNICODE_NFC, "\u0915\u093c");        /* excluded from composition */
    check_form("a\u0301\u0323", UNICODE_NFC, "\u1ea1\u0301"); /* reordered, then composed */
    check_form("\u1112\u1161\u11ab", UNICODE_NFC, "\ud55c");  /* Hangul */
    check_form("\ud55c", UNICODE_NFD, "\u1112\u1161\u11ab");
    check_form("\ufb01\u00bd", UNICODE_NFKC, "fi1\u20442");
    check_form("\ufb01", UNICODE_NFC, "\ufb01");
    check_form("\U0001d160", UNICODE_NFC, "\U0001d158\U0001d165\U0001d16e"); /* grows threefold */
}

TEST(unicode, a_million_marks_in_the_wrong_order_take_linear_time)
{
    enum { PAIRS = 1 << 18 };
    Heap *heap = heap_create();
    char *text = heap_take(heap, 4 * PAIRS + 1, "test");
    TextBuilder out;
    text_init(&out, heap, "test");
    for (int i = 0; i < PAIRS; i++)
        memcpy(text + 4 * i, "\u0301\u0323", 4); /* classes 230 and 220 */
    unicode_normalize(&out, (TextView){ text, 4 * PAIRS }, UNICODE_NFD);
    CHECK_INT(out.n, 4 * PAIRS);
    CHECK(memcmp(out.at, "\u0323\u0323", 4) == 0); /* an exchange sort would take hours */
    CHECK(memcmp(out.at + out.n - 4, "\u0301\u0301", 4) == 0);
    text_release(&out);
    heap_give(heap, text);
    heap_free(heap);
}

TEST(unicode, full_lower_case)
{
    Heap *heap = heap_create();
    TextBuilder out;
    static const char TEXT[] = "A\u0130\u03a3\u00df\u1e9e\u01c5\u0416";
    text_init(&out, heap, "test");
    unicode_lowercase(&out, (TextView){ TEXT, sizeof TEXT - 1 });
    CHECK_TEXT(out.at, "ai\u0307\u03c3\u00df\u00df\u01c6\u0436");
    text_release(&out);
    heap_free(heap);
}

static size_t cluster(const char *text)
{
    return unicode_cluster_end((TextView){ text, strlen(text) }, 0);
}

TEST(unicode, clusters_are_what_a_reader_sees_as_one)
{
    CHECK_INT(cluster("ab"), 1);
    CHECK_INT(cluster("e\u0301\u0300x"), 5);
    CHECK_INT(cluster("\r\nx"), 2);
    CHECK_INT(cluster("\n\u0301"), 1);
    CHECK_INT(cluster("\u1112\u1161\u11abx"), 9);
    CHECK_INT(cluster("\U0001f469\u200d\U0001f467x"), 11);
    CHECK_INT(cluster("\U0001f1fa\U0001f1f8\U0001f1eb\U0001f1f7"), 8);
    CHECK_INT(cluster("1\ufe0f\u20e3x"), 7);
}

TEST(unicode, classes)
{
    CHECK(unicode_is_space(' ') && unicode_is_space(0x85) && unicode_is_space(0x3000));
    CHECK(!unicode_is_space(0x1c) && !unicode_is_space(0x200b) && !unicode_is_space(0x2581));
    CHECK(unicode_is_word('_') && unicode_is_word(0x301) && unicode_is_word(0x24b6));
    CHECK(unicode_is_word(0x4e2d) && unicode_is_word(0x200d) && unicode_is_word(0x2160));
    CHECK(!unicode_is_word('-') && !unicode_is_word(0xbd) && !unicode_is_word(0x1f642));
    CHECK(unicode_is_digit('7') && unicode_is_digit(0x663) && !unicode_is_digit(0xb2));
}
