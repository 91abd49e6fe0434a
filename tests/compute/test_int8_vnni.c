/* test_int8_vnni.c  The VNNI kernels by emulated instructions, so that they are held to the reference on
 * machines without AVX-512, too. Where there is one, test_int8.c runs them as they are. */
#include "test.h"

#include "compute/emulated_avx512.h"

#include "compute/cpu/int8_vnni.c" /* the file itself, with other instructions */

enum { ROWS = 30, TERMS = 701, FOURS = (TERMS + 3) / 4, COLS = 70, PANELS = 5 };

typedef struct Product {
    _Alignas(64) int8_t w[PANELS * FOURS * 4 * PANEL];
    int8_t x_ref[ROWS * FOURS * 4], x_vnni[ROWS * FOURS * 4];
    float x_scale[ROWS], w_scale[PANELS * PANEL], bias[COLS];
    int32_t w_sum[PANELS * PANEL];
} Product;

static void make(Product *p)
{
    static float x[ROWS * TERMS], panel[TERMS * PANEL];
    test_random(x, ROWS * TERMS, -3.0f, 3.0f);
    test_random(p->bias, COLS, -1.0f, 1.0f);
    memset(p->w_sum, 0, sizeof p->w_sum);
    for (int q = 0; q < PANELS; q++) {
        uint32_t peak[PANEL] = { 0 };
        float factor[PANEL];
        test_random(panel, TERMS * PANEL, -2.0f, 1.0f);
        int8_peak_vnni(peak, panel, TERMS);
        for (int j = 0; j < PANEL; j++)
            p->w_scale[q * PANEL + j] = int8_scale(peak[j], &factor[j]);
        int8_panel_vnni(p->w + q * FOURS * 4 * PANEL, p->w_sum + q * PANEL, panel, factor, TERMS);
    }
    for (int r = 0; r < ROWS; r++) {
        const int64_t at = (int64_t)r * FOURS * 4;
        p->x_scale[r] = int8_row_ref(p->x_ref + at, x + r * TERMS, TERMS);
        const float scale = int8_row_vnni(p->x_vnni + at, x + r * TERMS, TERMS);
        CHECK(memcmp(&scale, &p->x_scale[r], sizeof scale) == 0);
    }
}

static void check(const Product *p, int rows, int cols, bool bias)
{
    static float want[ROWS * COLS], got[ROWS * COLS];
    Int8Tile t = { .x = p->x_ref,
                   .x_scale = p->x_scale,
                   .c = want,
                   .ldc = COLS,
                   .rows = rows,
                   .cols = cols,
                   .w = p->w,
                   .w_scale = p->w_scale,
                   .w_sum = p->w_sum,
                   .k4 = FOURS,
                   .bias = bias ? p->bias : NULL };
    memset(want, 0, sizeof want);
    memset(got, 0, sizeof got);
    int8_block_ref(&t);
    t.x = p->x_vnni;
    t.c = got;
    int8_block_vnni(&t);
    CHECK(memcmp(got, want, sizeof got) == 0); /* also that nothing else was written */
}

TEST(int8_vnni, its_bytes_are_the_reference_s_with_128_added)
{
    static Product p;
    make(&p);
    for (size_t i = 0; i < sizeof p.x_ref; i++)
        CHECK_INT((uint8_t)p.x_vnni[i], p.x_ref[i] + 128);
}

TEST(int8_vnni, its_products_are_the_reference_s_bit_by_bit)
{
    static Product p;
    make(&p);
    for (int cols = 1; cols <= COLS; cols++)
        for (int rows = 1; rows <= ROWS; rows += cols % 16 == 1 ? 1 : 11)
            check(&p, rows, cols, cols % 2 == 0);
}
