/* test_teacache.c  Decisions against values computed by hand from the published polynomial. */
#include "test.h"

#include "sampling/teacache.h"

/* Wan2.1 1.3B, on the blocks' modulation. */
static const TeaCache SMALL = {
    { -5.21862437e+04, 9.23041404e+03, -5.28275948e+02, 1.36987616e+01, -4.99875664e-02 }, 0.1
};

TEST(teacache, the_polynomial_has_its_highest_power_first)
{
    /* Horner by hand, six digits kept: 1e-6 */
    static const double AT[][2] = { { 0.0, -0.049988 },  { 0.01, 0.042881 }, { 0.02, 0.078171 },
                                    { 0.03, 0.092477 },  { 0.05, 0.141898 }, { 0.08, 0.253371 },
                                    { 0.12, -0.884494 }, { 0.2, -28.095951 } };
    for (size_t i = 0; i < sizeof AT / sizeof AT[0]; i++) {
        const double d = teacache_estimate(&SMALL, AT[i][0]) - AT[i][1];
        CHECK(d < 1e-6 && d > -1e-6);
    }
}

TEST(teacache, foretold_moves_add_up_until_the_threshold)
{
    const TeaCache plain = { { 0, 0, 0, 1, 0 }, 0.25 };
    static const double MOVED[8] = { 9, 9, 0.125, 0.0625, 0.0625, 0.125, 0.125, 0.0625 };
    /* 0.125, 0.1875, 0.25: computed; 0.125, 0.25: computed; 0.0625 */
    static const bool WANT[8] = { false, false, true, true, false, true, false, true };
    bool skip[8];
    CHECK_INT(teacache_decide(&plain, MOVED, 8, 2, skip), 4);
    for (int i = 0; i < 8; i++)
        CHECK_INT(skip[i], WANT[i]);
}

TEST(teacache, the_first_steps_are_always_computed)
{
    static const double STILL[4] = { 0, 0, 0, 0 };
    bool skip[4];
    CHECK_INT(teacache_decide(&SMALL, STILL, 4, 4, skip), 0);
    CHECK_INT(teacache_decide(&SMALL, STILL, 4, 0, skip), 3);
    CHECK(!skip[0] && skip[1]);
}

TEST(teacache, threshold_zero_skips_only_what_is_foretold_to_go_back)
{
    const TeaCache none = { { 0, 0, 0, 1, 0 }, 0 };
    static const double MOVED[3] = { 0, 0.5, 0 };
    bool skip[3];
    CHECK_INT(teacache_decide(&none, MOVED, 3, 1, skip), 0);
}

/* With few steps the modulation moves farther than the polynomial was fitted for. */
TEST(teacache, a_move_beyond_the_fit_is_computed_however_the_polynomial_falls)
{
    static const double MOVED[4] = { 0, 0.01, 0.2, 0.15 };
    bool skip[4];
    CHECK(teacache_estimate(&SMALL, 0.2) < 0);
    CHECK_INT(teacache_decide(&SMALL, MOVED, 4, 1, skip), 1);
    CHECK(skip[1] && !skip[2] && !skip[3]);
}

TEST(teacache, what_is_no_number_is_computed)
{
    static const double MOVED[4] = { 0, 0.0 / 0.0, 1.0 / 0.0, 0.01 };
    bool skip[4];
    CHECK_INT(teacache_decide(&SMALL, MOVED, 4, 1, skip), 1);
    CHECK(skip[3]);
}
