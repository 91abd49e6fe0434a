/* test_sha256.c  Known digests (FIPS 180-4 examples), and pieces of every size. */
#include "test.h"

#include "base/sha256.h"
#include "base/size.h"

static const char *digest(const void *bytes, size_t n, size_t piece)
{
    static char text[SHA256_TEXT];
    unsigned char out[SHA256_BYTES];
    Sha256 sha;
    sha256_init(&sha);
    for (size_t at = 0; at < n; at += piece)
        sha256_add(&sha, (const char *)bytes + at, n - at < piece ? n - at : piece);
    sha256_end(&sha, out);
    return sha256_text(out, text);
}

TEST(sha256, known_digests)
{
    static const struct {
        const char *text, *want;
    } CASES[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        CHECK_TEXT(digest(CASES[i].text, strlen(CASES[i].text), 100), CASES[i].want);
}

TEST(sha256, a_million_letters_in_pieces_of_any_size)
{
    static char text[1000000];
    static const size_t PIECES[] = { 1, 63, 64, 65, 1000, 1000000 };
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < COUNT(PIECES); i++)
        CHECK_TEXT(digest(text, sizeof text, PIECES[i]),
                   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256, lengths_around_the_end_of_a_block)
{
    char text[130];
    memset(text, 0x5a, sizeof text);
    for (size_t n = 0; n < sizeof text; n++) {
        char whole[SHA256_TEXT];
        (void)strcpy(whole, digest(text, n, sizeof text));
        CHECK_TEXT(digest(text, n, 7), whole);
        CHECK(n == 0 || strcmp(whole, digest(text, n - 1, 64)) != 0);
    }
}
