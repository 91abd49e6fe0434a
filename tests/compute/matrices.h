/* matrices.h  Seeded weight matrices of every stored type, without infinities and NaN. */
#ifndef TESTS_COMPUTE_MATRICES_H
#define TESTS_COMPUTE_MATRICES_H

#include "test.h"

#include <stdlib.h>

#include "compute/cpu/stored.h"

/** Where a type keeps binary16 fields (offsets in its block), or how its exponent is bounded. */
static const struct FiniteRule {
    DType type;
    int n_fields, field[2];
} FINITE_RULES[] = {
    { DT_F16, 1, { 0 } },       { DT_Q4_0, 1, { 0 } },    { DT_Q4_1, 2, { 0, 2 } },
    { DT_Q5_0, 1, { 0 } },      { DT_Q5_1, 2, { 0, 2 } }, { DT_Q8_0, 1, { 0 } },
    { DT_Q2_K, 2, { 80, 82 } }, { DT_Q3_K, 1, { 108 } },  { DT_Q4_K, 2, { 0, 2 } },
    { DT_Q5_K, 2, { 0, 2 } },   { DT_Q6_K, 1, { 208 } },  { DT_IQ4_NL, 1, { 0 } },
    { DT_IQ4_XS, 1, { 0 } },
};

/** Bytes of a fixed generator (block_hashes.py has the same), then exponents lowered to finite. */
static inline void matrix_fill(DType type, unsigned char *data, size_t bytes, uint32_t seed)
{
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (unsigned char)(seed >> 24);
    }
    const size_t block = (size_t)dtype_info(type)->bytes;
    for (size_t rule = 0; rule < sizeof FINITE_RULES / sizeof *FINITE_RULES; rule++)
        for (int f = 0; FINITE_RULES[rule].type == type && f < FINITE_RULES[rule].n_fields; f++)
            for (size_t at = (size_t)FINITE_RULES[rule].field[f]; at + 1 < bytes; at += block)
                data[at + 1] &= 0xbf; /* binary16 below 2 */
    for (size_t i = 1; type == DT_BF16 && i < bytes; i += 2)
        data[i] &= 0xbf;
    for (size_t i = 3; type == DT_F32 && i < bytes; i += 4)
        data[i] &= 0xbf;
    for (size_t i = 0; type == DT_F8_E5M2 && i < bytes; i++)
        data[i] &= 0xbf;
}

/** A matrix and what it points to. */
typedef struct TestMatrix {
    Stored w;
    unsigned char *data;
    float *absmax, *map, *nested;
    uint8_t *codes;
} TestMatrix;

static inline void matrix_scales(TestMatrix *m, int64_t elements, int64_t block, bool nested)
{
    const int64_t blocks = (elements + block - 1) / block;
    m->w.four.block = block;
    m->absmax = malloc((size_t)blocks * sizeof *m->absmax);
    m->codes = malloc((size_t)blocks);
    m->nested = malloc((size_t)(blocks / 256 + 1) * sizeof *m->nested);
    m->map = malloc(256 * sizeof *m->map);
    CHECK(m->absmax && m->codes && m->nested && m->map);
    test_random(m->absmax, (size_t)blocks, 0.1f, 2.0f);
    test_random(m->nested, (size_t)(blocks / 256 + 1), 0.1f, 2.0f);
    test_random(m->map, 256, -1.0f, 1.0f);
    matrix_fill(DT_U8, m->codes, (size_t)blocks, 7);
    m->w.four.absmax = nested ? NULL : m->absmax;
    m->w.four.codes = m->codes;
    m->w.four.nested = m->nested;
    m->w.four.map = m->map;
    m->w.four.offset = 0.25f;
}

/** The data end where an allocation ends, at an odd address: ASan sees reads beyond the last row. */
static inline TestMatrix matrix_create(DType type, int64_t rows, int64_t cols)
{
    TestMatrix m = { .w = { 0 } };
    const bool four = type == DT_NF4 || type == DT_FP4;
    size_t bytes = (size_t)((rows * cols + 1) / 2);
    if (!four) CHECK(dtype_bytes(type, rows * cols, &bytes));
    m.data = malloc(bytes + 1);
    CHECK(m.data);
    matrix_fill(type, m.data + 1, bytes, 1);
    m.w = stored_dense(type, m.data + 1, rows, cols);
    if (four) matrix_scales(&m, rows * cols, 64, false);
    return m;
}

static inline void matrix_free(TestMatrix *m)
{
    free(m->data);
    free(m->absmax);
    free(m->map);
    free(m->nested);
    free(m->codes);
}

#endif
