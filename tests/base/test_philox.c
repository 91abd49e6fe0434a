/* test_philox.c  The words of the paper's own vectors, and torch's noise on a card. */
#include "test.h"

#include <math.h>

#include "base/philox.h"
#include "base/size.h"

/* kat_vectors of the authors' Random123: counter and key, then the words. */
TEST(philox, words_are_those_of_random123)
{
    uint32_t got[4];
    static const uint32_t ZEROS[4] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 };
    static const uint32_t ONES[4] = { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd };
    static const uint32_t PI[4] = { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 };
    philox_words(0, 0, 0, got);
    for (int i = 0; i < 4; i++)
        CHECK_INT(got[i], ZEROS[i]);
    philox_words(UINT64_MAX, UINT64_MAX, UINT64_MAX, got);
    for (int i = 0; i < 4; i++)
        CHECK_INT(got[i], ONES[i]);
    philox_words(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e, got);
    for (int i = 0; i < 4; i++)
        CHECK_INT(got[i], PI[i]);
}

/* torch.manual_seed(42); torch.randn(4, device="cuda"). The card computes logarithm, root and sine in
 * f32: the last bit may differ, 2.4e-7 for values from 2 to 4, and the digits known end there. */
TEST(philox, noise_is_torchs_on_a_card)
{
    static const float WANT[4] = { 0.1940189f, 2.1613741f, -0.1720506f, 0.8490601f };
    float got[4], piece[2], later[4];
    philox_normal((Philox){ 42, 0 }, 0, got, 4);
    CHECK_CLOSE(got, WANT, 4, 3e-7);
    philox_normal((Philox){ 42, 0 }, 2, piece, 2);
    CHECK(piece[0] == got[2] && piece[1] == got[3]);
    philox_normal((Philox){ 42, 1 }, 0, later, 4);
    for (int i = 0; i < 4; i++)
        CHECK(later[i] != got[i]);
}

TEST(philox, noise_is_normal)
{
    enum { N = 65536 };
    static float x[N];
    double mean = 0, square = 0;
    philox_normal((Philox){ 7, 0 }, 0, x, N);
    for (int i = 0; i < N; i++) {
        CHECK(isfinite(x[i]));
        mean += (double)x[i] / N;
        square += (double)x[i] * (double)x[i] / N;
    }
    CHECK(fabs(mean) < 5.0 / sqrt(N)); /* five deviations of the mean */
    CHECK(fabs(square - 1) < 5.0 * sqrt(2.0 / N));
}
