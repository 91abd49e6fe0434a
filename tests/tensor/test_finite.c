/* test_finite.c  NaN and infinity in every stored type. */
#include "test.h"

#include "tensor/finite.h"

static void check(DType type, size_t at, const char *bad, size_t n_bad)
{
    unsigned char bytes[3 * 256 + 3];
    const size_t size = (size_t)dtype_info(type)->bytes;
    memset(bytes, 0x11, sizeof bytes);
    CHECK_INT(finite_find(type, bytes, 3 * size + size / 2), -1);
    memcpy(bytes + size + at, bad, n_bad);
    CHECK_INT(finite_find(type, bytes, 3 * size), 1);
    CHECK_INT(finite_find(type, bytes, size), -1);
    CHECK_INT(finite_find(type, bytes, 2 * size - 1), -1);
}

TEST(finite, plain_types)
{
    check(DT_F32, 0, "\0\0\x80\x7f", 4);
    check(DT_F32, 0, "\1\0\x80\xff", 4);
    check(DT_F64, 0, "\0\0\0\0\0\0\xf0\x7f", 8);
    check(DT_F16, 0, "\0\xfc", 2);
    check(DT_BF16, 0, "\xc0\x7f", 2);
    check(DT_F8_E4M3, 0, "\xff", 1);
    check(DT_F8_E5M2, 0, "\x7c", 1);
    CHECK_INT(finite_find(DT_I8, "\xff\x7f\x7c", 3), -1);
    CHECK_INT(finite_find(DT_I32, "\0\0\x80\x7f", 4), -1);
    CHECK_INT(finite_find(DT_NF4, "\xff\xff", 2), -1);
    CHECK_INT(finite_find(DT_F8_E4M3, "\x7e\xfe", 2), -1);
}

/* GG14 */
TEST(finite, scales_of_blocks)
{
    static const struct {
        DType type;
        size_t at[2];
        int n;
    } CASES[] = { { DT_Q4_0, { 0 }, 1 },    { DT_Q4_1, { 0, 2 }, 2 }, { DT_Q5_0, { 0 }, 1 },
                  { DT_Q5_1, { 0, 2 }, 2 }, { DT_Q8_0, { 0 }, 1 },    { DT_Q2_K, { 80, 82 }, 2 },
                  { DT_Q3_K, { 108 }, 1 },  { DT_Q4_K, { 0, 2 }, 2 }, { DT_Q5_K, { 0, 2 }, 2 },
                  { DT_Q6_K, { 208 }, 1 },  { DT_IQ4_NL, { 0 }, 1 },  { DT_IQ4_XS, { 0 }, 1 } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        for (int k = 0; k < CASES[i].n; k++)
            check(CASES[i].type, CASES[i].at[k], k ? "\0\x7c" : "\1\xfe", 2);
}
