/* test_gemm_wide.c  The 14 x 32 tiles of AVX-512 on any machine: the same body over 16 emulated lanes.
 *
 * Many machines have no AVX-512; what then stays untested of gemm_avx512.c are six one-line
 * functions of vec.h, which the row kernels share. */
#include "compute/equal_bits.h"

#include "compute/emulated_avx512.h"

#include "base/size.h"

#define TILE_ROWS     14
#define VLEN_IS_PANEL 1
#include "compute/cpu/gemm_body.h"

enum { MAX_ROWS = 30, MAX_COLS = 70, DEPTH = 21, PANELS = 5 };

static void check(int64_t rows, int64_t cols, bool add, bool with_bias)
{
    static float x[MAX_ROWS][DEPTH + 9], want[MAX_ROWS][MAX_COLS], got[MAX_ROWS][MAX_COLS];
    static _Alignas(64) float b[PANELS * 2 * DEPTH * PANEL];
    static const int64_t TAP[] = { 9, 0 };
    const float *a[MAX_ROWS];
    float *c_want[MAX_ROWS], *c_got[MAX_ROWS], bias[MAX_COLS];
    test_random(x[0], COUNT(x) * COUNT(x[0]), -1.0f, 1.0f);
    test_random(b, COUNT(b), -1.0f, 1.0f);
    test_random(bias, COUNT(bias), -1.0f, 1.0f);
    test_random(want[0], COUNT(want) * COUNT(want[0]), -1.0f, 1.0f);
    memcpy(got, want, sizeof got);
    for (int r = 0; r < MAX_ROWS; r++) {
        a[r] = x[r];
        c_want[r] = want[r];
        c_got[r] = got[r];
    }
    GemmTile tile = { .a = a,
                      .c = c_want,
                      .rows = rows,
                      .cols = cols,
                      .b = b,
                      .kc = DEPTH,
                      .tap = TAP,
                      .n_taps = 2,
                      .bias = with_bias ? bias : NULL,
                      .add = add };
    gemm_block_ref(&tile);
    tile.c = c_got;
    gemm_block_body(&tile);
    CHECK(equal_bits(got[0], want[0], (int64_t)(COUNT(got) * COUNT(got[0]))));
}

TEST(gemm_wide, two_panels_at_a_time_equal_the_reference)
{
    for (int64_t rows = 1; rows <= MAX_ROWS; rows++)
        for (int64_t cols = 1; cols <= MAX_COLS; cols += cols < 34 ? 1 : 9)
            check(rows, cols, (rows + cols) & 1, cols & 2);
}
