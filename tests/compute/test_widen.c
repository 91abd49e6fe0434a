/* test_widen.c  Dequantisers against published ones, packers against the dequantisers. */
#include "compute/equal_bits.h"
#include "compute/matrices.h"
#include "compute/variants.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "compute/cpu/widen.h"

enum { GUARD = 32 };

/* ---- meaning ---- */

/** FNV-1a of the bits, -0 counted as 0 (they differ between implementations of q - 32 = 0). */
static uint64_t hash_floats(const float *x, int64_t n)
{
    uint64_t hash = 14695981039346656037u;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        if (bits == 0x80000000u) bits = 0;
        for (int byte = 0; byte < 4; byte++)
            hash = (hash ^ (bits >> 8 * byte & 255)) * 1099511628211u;
    }
    return hash;
}

/** Values of gguf.quants.dequantize (gguf-py) for 64 blocks of matrix_fill's bytes, seed 1:
 *  printed by block_hashes.py beside this file. */
TEST(widen, ggml_blocks_equal_gguf_py_bit_for_bit)
{
    static const struct {
        DType type;
        uint64_t hash;
    } KNOWN[] = {
        { DT_Q4_0, 0x7503679d4e0a11dcu },   { DT_Q4_1, 0x8e2225ec8f8532a4u },
        { DT_Q5_0, 0x6d6f438498f06aeau },   { DT_Q5_1, 0x78d10149198699a2u },
        { DT_Q8_0, 0x235d31a9a967ff03u },   { DT_Q2_K, 0xadd79c415e0c31c7u },
        { DT_Q3_K, 0x67f788676efd6abfu },   { DT_Q4_K, 0xf2e2a75428fc7ab6u },
        { DT_Q5_K, 0x6cdda87262d56e10u },   { DT_Q6_K, 0x0980acab06e2f80eu },
        { DT_IQ4_NL, 0xcf31e6ad2bc037fau }, { DT_IQ4_XS, 0x295af2726b395f8fu },
    };
    static float row[64 * 256];
    for (size_t i = 0; i < COUNT(KNOWN); i++) {
        const int64_t n = 64 * dtype_info(KNOWN[i].type)->block;
        TestMatrix m = matrix_create(KNOWN[i].type, 1, n);
        widen_row(row, &m.w, 0, 0, n);
        if (hash_floats(row, n) != KNOWN[i].hash) print_message("%s\n", dtype_name(KNOWN[i].type));
        CHECK(hash_floats(row, n) == KNOWN[i].hash);
        matrix_free(&m);
    }
}

static const DType PLAIN[] = { DT_F32, DT_F16, DT_BF16, DT_F8_E4M3, DT_F8_E5M2, DT_I8 };
static const DType BLOCKS[] = { DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_Q8_0,   DT_Q2_K,
                                DT_Q3_K, DT_Q4_K, DT_Q5_K, DT_Q6_K, DT_IQ4_NL, DT_IQ4_XS };
static const DType FOUR[] = { DT_NF4, DT_FP4 };

TEST(widen, knows_every_weight_type_and_no_other)
{
    int n = 0;
    for (int type = 0; type < DT_COUNT; type++)
        n += widen_has((DType)type);
    CHECK_INT(n, COUNT(PLAIN) + COUNT(BLOCKS) + COUNT(FOUR));
    CHECK(!widen_has(DT_I64) && !widen_has(DT_F64) && !widen_has(DT_COUNT));
    Kernels kernels;
    kernels_fill(&kernels, ISA_REF);
    for (int type = 0; type < DT_COUNT; type++)
        CHECK_INT(kernels.pack[type] != NULL, widen_has((DType)type));
}

/* A convolution of 9 terms an output, quantised as one long row of blocks. */
TEST(widen, blocks_run_on_across_short_rows)
{
    enum { ROWS = 256, COLS = 9, N = ROWS * COLS };
    static float flat[N], rows[N];
    for (size_t t = 0; t < COUNT(BLOCKS); t++) {
        TestMatrix m = matrix_create(BLOCKS[t], 1, N);
        widen_row(flat, &m.w, 0, 0, N);
        const Stored short_rows = stored_dense(BLOCKS[t], m.w.data, ROWS, COLS);
        for (int64_t i = 0; i < ROWS; i++)
            widen_row(rows + i * COLS, &short_rows, i, 0, COLS);
        CHECK(memcmp(rows, flat, sizeof flat) == 0);
        const Stored tail = stored_rows(&short_rows, 100, ROWS - 100);
        widen_row(rows, &tail, 7, 2, 5);
        CHECK(memcmp(rows, flat + 107 * COLS + 2, 5 * sizeof *rows) == 0);
        matrix_free(&m);
    }
}

TEST(widen, any_part_of_a_row_equals_that_part_of_the_whole)
{
    for (size_t t = 0; t < COUNT(BLOCKS) + COUNT(FOUR); t++) {
        TestMatrix m =
            matrix_create(t < COUNT(BLOCKS) ? BLOCKS[t] : FOUR[t - COUNT(BLOCKS)], 2, 768);
        float whole[768], part[768];
        widen_row(whole, &m.w, 1, 0, 768);
        for (int64_t k0 = 0; k0 < 700; k0 += 37)
            for (int64_t n = 0; k0 + n <= 768; n += 61) {
                widen_row(part, &m.w, 1, k0, n);
                CHECK(equal_bits(part, whole + k0, n));
            }
        matrix_free(&m);
    }
}

TEST(widen, four_bit_values_follow_the_flattened_blocks)
{
    static const uint8_t data[3] = { 0xf0, 0x7e, 0x18 }; /* codes f 0 7 e 1 8 */
    static const float absmax[3] = { 2.0f, 10.0f, 3.0f };
    static const float map[256] = { [5] = 0.5f, [9] = -0.25f }, nested[1] = { 4.0f };
    static const uint8_t codes[3] = { 5, 9, 5 };
    Stored w = stored_dense(DT_NF4, data, 2, 3); /* rows f 0 7 | e 1 8, blocks of two */
    w.four = (StoredAbsmax){ .block = 2, .absmax = absmax };
    float got[3];
    widen_row(got, &w, 1, 0, 3);
    const float plain[3] = { 0.7229568362236023f * 10.0f, -0.6961928009986877f * 3.0f,
                             0.07958029955625534f * 3.0f };
    CHECK(equal_bits(got, plain, 3));
    w.four = (StoredAbsmax){
        .block = 2, .codes = codes, .map = map, .nested = nested, .offset = 0.125f
    };
    w.type = DT_FP4;
    widen_row(got, &w, 0, 1, 2); /* codes 0 and 7: 0 * 2.125, 0.25 * (-0.25 * 4 + 0.125) */
    const float twice[2] = { 0.0f, 0.25f * -0.875f };
    CHECK(equal_bits(got, twice, 2));
    const Stored second = stored_rows(&w, 1, 1);
    float view[3];
    widen_row(got, &w, 1, 0, 3);
    widen_row(view, &second, 0, 0, 3);
    CHECK(equal_bits(view, got, 3));
}

/* ---- packers ---- */

static void check_pack(PackPanel *fn, const Stored *w)
{
    static _Alignas(64) float want[GEMM_KB * PANEL], got[GEMM_KB * PANEL + GUARD];
    for (int64_t n0 = 0; n0 < w->rows; n0 += PANEL)
        for (int64_t k0 = 0; k0 < w->cols; k0 += GEMM_KB) {
            const int64_t kc = w->cols - k0 < GEMM_KB ? w->cols - k0 : GEMM_KB;
            test_guard(got + kc * PANEL, GUARD);
            pack_ref(want, w, n0, k0, kc);
            fn(got, w, n0, k0, kc);
            CHECK(equal_bits(got, want, kc * PANEL));
            CHECK(test_guard_intact(got + kc * PANEL, GUARD));
        }
}

static void check_packs(DType type, const int64_t *cols, size_t n_cols,
                        void (*check)(PackPanel *fn, TestMatrix *m))
{
    static const int64_t ROWS[] = { 1, 7, 8, 9, 16, 21, 32 };
    char slot[32];
    snprintf(slot, sizeof slot, "pack[DT_%s]", dtype_name(type));
    for (EACH_VARIANT(v, slot))
        for (size_t r = 0; r < COUNT(ROWS); r++)
            for (size_t c = 0; c < n_cols; c++) {
                TestMatrix m = matrix_create(type, ROWS[r], cols[c]);
                check((PackPanel *)v->fn, &m);
                matrix_free(&m);
            }
}

static void check_scaled(PackPanel *fn, TestMatrix *m)
{
    static float row_scale[32];
    test_random(row_scale, COUNT(row_scale), 0.1f, 2.0f);
    check_pack(fn, &m->w);
    m->w.scale = 0.37f;
    check_pack(fn, &m->w);
    m->w.row_scale = row_scale;
    check_pack(fn, &m->w);
    m->w.scale = 1.0f;
    check_pack(fn, &m->w);
}

TEST(pack, plain_types_equal_the_dequantiser)
{
    static const int64_t COLS[] = { 1, 3, 8, 9, 16, 31, 64, 511, 512, 519 };
    for (size_t i = 0; i < COUNT(PLAIN); i++)
        check_packs(PLAIN[i], COLS, COUNT(COLS), check_scaled);
}

static void check_plain(PackPanel *fn, TestMatrix *m)
{
    check_pack(fn, &m->w);
}

TEST(pack, block_types_equal_the_dequantiser)
{
    static const int64_t COLS[] = { 256, 512, 1280 }, SHORT[] = { 32, 96, 288, 544 };
    for (size_t i = 0; i < COUNT(BLOCKS); i++) {
        check_packs(BLOCKS[i], COLS, COUNT(COLS), check_plain);
        if (dtype_info(BLOCKS[i])->block == 32)
            check_packs(BLOCKS[i], SHORT, COUNT(SHORT), check_plain);
    }
}

static void check_four(PackPanel *fn, TestMatrix *m)
{
    check_pack(fn, &m->w);
    m->w.four.absmax = NULL; /* nested scales */
    check_pack(fn, &m->w);
    const Stored tail = stored_rows(&m->w, m->w.rows / 2, (m->w.rows + 1) / 2);
    check_pack(fn, &tail);
}

TEST(pack, four_bit_types_equal_the_dequantiser_also_at_odd_rows)
{
    static const int64_t COLS[] = { 1, 5, 64, 67, 200, 512, 517, 1088 };
    for (size_t i = 0; i < COUNT(FOUR); i++)
        check_packs(FOUR[i], COLS, COUNT(COLS), check_four);
}
