/* test_base64.c  RFC 4648's own vectors, and what is refused. */
#include "test.h"

#include "base/base64.h"
#include "base/size.h"

static bool decodes(const char *text, const char *want, size_t n_want)
{
    Heap *heap = heap_create();
    unsigned char *bytes;
    size_t n;
    SnugError err;
    const SnugStatus status = base64_decode(&bytes, &n, heap, text, strlen(text), &err);
    const bool equal = status == SNUG_OK && n == n_want && memcmp(bytes, want, n) == 0;
    CHECK(status == SNUG_OK || bytes == NULL);
    heap_give(heap, bytes);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
    return equal;
}

TEST(base64, the_vectors_of_the_standard)
{
    static const char *const CASES[][2] = { { "Zg==", "f" },         { "Zm8=", "fo" },
                                            { "Zm9v", "foo" },       { "Zm9vYg==", "foob" },
                                            { "Zm9vYmE=", "fooba" }, { "Zm9vYmFy", "foobar" } };
    for (size_t i = 0; i < COUNT(CASES); i++)
        CHECK(decodes(CASES[i][0], CASES[i][1], strlen(CASES[i][1])));
    CHECK(decodes("+/+/", "\xfb\xff\xbf", 3));
    CHECK(decodes("Zm9v\r\n YmFy\n", "foobar", 6));
}

TEST(base64, refuses_what_is_not_whole)
{
    static const char *const BAD[] = { "",     "Z",     "Zg",   "Zg=",   "Zg===", "=Zg=",
                                       "Zm9!", "Zm9v=", "Zh==", "Zm8=Z", "====",  "Zm9v-A==" };
    for (size_t i = 0; i < COUNT(BAD); i++)
        CHECK(!decodes(BAD[i], "", 0));
    CHECK(base64_looks("Zm9vYmFy", 8) && !base64_looks("a.png", 5) && !base64_looks("", 0));
}
