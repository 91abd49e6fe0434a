/* test_narrow.c  Quantised bytes against ggml, bitsandbytes and torch; what must hold of any type.
 * Lies with the formats because the goldens are read by them. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "formats/checkpoint.h"
#include "tensor/narrow.h"
#include "tensor/narrow_four.h"

static SnugError err;

typedef struct Golden {
    Heap *heap;
    Arena arena;
    Checkpoint *c;
    const float *values; /* [n] */
    int64_t n;
} Golden;

static const void *load(Golden *g, const char *name, size_t *bytes)
{
    const int32_t i = checkpoint_find(g->c, name);
    CHECK(i >= 0);
    const Entry *e = checkpoint_entry(g->c, i);
    void *to = arena_take(&g->arena, e->bytes);
    CHECK_INT(checkpoint_read(g->c, e, 0, e->bytes, to, &err), SNUG_OK);
    *bytes = e->bytes;
    return to;
}

static void open_golden(Golden *g)
{
    size_t bytes;
    *g = (Golden){ .heap = heap_create() };
    arena_init(&g->arena, g->heap, "test");
    CHECK_INT(
        checkpoint_open(&g->c, g->heap, test_path("golden/narrow/narrow.safetensors"), NULL, &err),
        SNUG_OK);
    g->values = load(g, "values", &bytes);
    g->n = (int64_t)(bytes / sizeof(float));
}

static void close_golden(Golden *g)
{
    checkpoint_close(g->c);
    arena_release(&g->arena);
    heap_free(g->heap);
}

static void check_same(const void *got, const void *want, size_t bytes, const char *what)
{
    const uint8_t *a = got, *b = want;
    size_t differ = 0, first = 0;
    for (size_t i = 0; i < bytes; i++)
        if (a[i] != b[i] && !differ++) first = i;
    if (differ)
        fail_msg("%s: %zu of %zu bytes differ, the first at %zu: %02x, not %02x", what, differ,
                 bytes, first, a[first], b[first]);
}

static void check_type(Golden *g, DType type, const float *from, int64_t n)
{
    size_t bytes;
    const void *want = load(g, dtype_name(type), &bytes);
    void *got = malloc(bytes);
    CHECK(narrow_has(type));
    CHECK_INT(bytes, (size_t)n / (size_t)dtype_info(type)->block * (size_t)dtype_info(type)->bytes);
    memset(got, 0xa5, bytes);
    narrow_row(type, got, from, n);
    check_same(got, want, bytes, dtype_name(type));
    free(got);
}

TEST(narrow, blocks_are_those_of_ggml)
{
    static const DType TYPES[] = { DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_Q8_0,
                                   DT_Q2_K, DT_Q4_K, DT_Q5_K, DT_Q6_K };
    Golden g;
    open_golden(&g);
    for (size_t i = 0; i < COUNT(TYPES); i++)
        check_type(&g, TYPES[i], g.values, g.n);
    close_golden(&g);
}

TEST(narrow, plain_types_are_those_of_torch)
{
    static const DType TYPES[] = { DT_F16, DT_BF16, DT_F8_E4M3, DT_F8_E5M2 };
    Golden g;
    size_t bytes;
    open_golden(&g);
    const float *wide = load(&g, "wide", &bytes);
    for (size_t i = 0; i < COUNT(TYPES); i++)
        check_type(&g, TYPES[i], wide, (int64_t)(bytes / sizeof *wide));
    close_golden(&g);
}

TEST(narrow, every_fp8_value_comes_back)
{
    for (int bits = 0; bits < 256; bits++) {
        uint8_t got;
        const float e4 = dtype_e4m3_to_f32((uint8_t)bits), e5 = dtype_e5m2_to_f32((uint8_t)bits);
        narrow_row(DT_F8_E4M3, &got, &e4, 1);
        CHECK(isnan(e4) ? got == 0x7f : got == bits);
        narrow_row(DT_F8_E5M2, &got, &e5, 1);
        if (isfinite(e5)) CHECK_INT(got, bits);
    }
}

/* FP4 has a code for -0, which the reference used here gives to small positive values. */
static void plus_zeros(uint8_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (codes[i] >> 4 == 8) codes[i] &= 15;
        if ((codes[i] & 15) == 8) codes[i] &= 0xf0;
    }
}

static void check_four(Golden *g, DType type, const char *name)
{
    const int64_t blocks = g->n / NARROW_FOUR_BLOCK;
    char scales[32];
    size_t bytes;
    uint8_t *codes = malloc((size_t)g->n / 2);
    float *absmax = malloc((size_t)blocks * sizeof *absmax);
    (void)snprintf(scales, sizeof scales, "%s_scales", name);
    narrow_four(type, codes, absmax, g->values, g->n, NARROW_FOUR_BLOCK);
    uint8_t *want_codes = (uint8_t *)(uintptr_t)load(g, name, &bytes);
    CHECK_INT(bytes, g->n / 2);
    if (type == DT_FP4) {
        plus_zeros(codes, bytes);
        plus_zeros(want_codes, bytes);
    }
    const void *want = want_codes;
    check_same(codes, want, bytes, name);
    want = load(g, scales, &bytes);
    CHECK_INT(bytes, (size_t)blocks * sizeof *absmax);
    check_same(absmax, want, bytes, scales);
    free(codes);
    free(absmax);
}

TEST(narrow_four, codes_and_scales_are_those_of_bitsandbytes)
{
    Golden g;
    open_golden(&g);
    check_four(&g, DT_NF4, "nf4");
    check_four(&g, DT_FP4, "fp4");
    close_golden(&g);
}

TEST(narrow_four, nested_scales_are_those_of_bitsandbytes)
{
    Golden g;
    size_t bytes;
    float map[NARROW_FOUR_MAP], nested[16];
    uint8_t codes[4096];
    open_golden(&g);
    const float *absmax = load(&g, "nf4_scales", &bytes);
    const int64_t n = (int64_t)(bytes / sizeof *absmax);
    CHECK(n <= (int64_t)COUNT(codes));
    narrow_four_map(map);
    check_same(map, load(&g, "map", &bytes), sizeof map, "map");
    const float offset = narrow_four_offset(absmax, n);
    check_same(&offset, load(&g, "offset", &bytes), sizeof offset, "offset");
    narrow_four_nest(map, offset, absmax, n, codes, nested);
    const void *want = load(&g, "codes", &bytes);
    CHECK_INT(bytes, n);
    check_same(codes, want, bytes, "codes");
    want = load(&g, "nested", &bytes);
    check_same(nested, want, bytes, "nested");
    close_golden(&g);
}

TEST(narrow_four, odd_and_ragged_rests_are_whole_blocks_to_the_reader)
{
    float from[77], absmax[2];
    uint8_t codes[39];
    test_random(from, COUNT(from), -2.0f, 2.0f);
    memset(codes, 0xff, sizeof codes);
    narrow_four(DT_NF4, codes, absmax, from, 77, NARROW_FOUR_BLOCK);
    CHECK_INT(codes[38] & 15, 7); /* zero */
    for (int i = 0; i < 77; i++) {
        const int code = i % 2 ? codes[i / 2] & 15 : codes[i / 2] >> 4;
        /* NF4's widest gap lies between -1 and -0.696: half of it */
        CHECK(fabsf(narrow_four_values(DT_NF4)[code] * absmax[i / 64] - from[i]) <=
              0.152f * absmax[i / 64]);
    }
    narrow_four(DT_FP4, codes, absmax, from, 77, NARROW_FOUR_BLOCK);
    CHECK_INT(codes[38] & 15, 0);
}
