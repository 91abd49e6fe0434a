/* widen_avx2.c  Pack panels. Plain types: per 8 rows x 8 terms load, convert, transpose in registers,
 * scale, store 8 half rows of the panel. Block types: widen 8 rows x 256 terms into the first-level
 * cache (widen_body.h as vector code), then the same transposition. */
#include <immintrin.h>
#include <string.h>

#include "compute/cpu/kernels.h"
#include "compute/cpu/widen_body.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    SIDE = 8,
    SECTION = 128, /* terms of a whole panel at once: its two halves share lines */
    AHEAD = 256    /* prefetch: 8 streams defeat the hardware's own */
};

/** Eight stored elements as floats. */
typedef __m256 LoadEight(const char *from);

INLINE __m256 load_f32(const char *from)
{
    return _mm256_loadu_ps((const float *)(const void *)from);
}
INLINE __m256 load_f16(const char *from)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)from));
}
INLINE __m256 load_bf16(const char *from)
{
    const __m128i bits = _mm_loadu_si128((const __m128i *)(const void *)from);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
/** As a binary16, whose exponent is 8 less: exact, and subnormals cost nothing (they would as f32). */
INLINE __m256 load_e4m3(const char *from)
{
    const __m128i codes = _mm_loadl_epi64((const __m128i *)(const void *)from);
    const __m128i wide = _mm_cvtepi8_epi16(codes);
    const __m128i half = _mm_and_si128(_mm_slli_epi16(wide, 7), _mm_set1_epi16((short)0xbf80));
    const __m256 value = _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256.0f));
    /* 0x7f and 0xff are NaN (refused by loaders): here 480 becomes the reference's quiet NaN */
    const __m128i low = _mm_and_si128(wide, _mm_set1_epi16(0x7f));
    const __m256i nan = _mm256_cvtepi16_epi32(_mm_cmpeq_epi16(low, _mm_set1_epi16(0x7f)));
    return _mm256_blendv_ps(value, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)),
                            _mm256_castsi256_ps(nan));
}
INLINE __m256 load_e5m2(const char *from) /* the upper half of a binary16 */
{
    const __m128i codes = _mm_loadl_epi64((const __m128i *)(const void *)from);
    return _mm256_cvtph_ps(_mm_unpacklo_epi8(_mm_setzero_si128(), codes));
}
INLINE __m256 load_i8(const char *from)
{
    const __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)from);
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
}

/** Columns of 8 vectors become rows. */
INLINE void transpose(__m256 v[SIDE])
{
    const __m256 a0 = _mm256_unpacklo_ps(v[0], v[1]), a1 = _mm256_unpackhi_ps(v[0], v[1]);
    const __m256 a2 = _mm256_unpacklo_ps(v[2], v[3]), a3 = _mm256_unpackhi_ps(v[2], v[3]);
    const __m256 a4 = _mm256_unpacklo_ps(v[4], v[5]), a5 = _mm256_unpackhi_ps(v[4], v[5]);
    const __m256 a6 = _mm256_unpacklo_ps(v[6], v[7]), a7 = _mm256_unpackhi_ps(v[6], v[7]);
    const __m256 b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xee);
    const __m256 b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xee);
    const __m256 b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xee);
    const __m256 b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xee);
    v[0] = _mm256_permute2f128_ps(b0, b4, 0x20);
    v[1] = _mm256_permute2f128_ps(b1, b5, 0x20);
    v[2] = _mm256_permute2f128_ps(b2, b6, 0x20);
    v[3] = _mm256_permute2f128_ps(b3, b7, 0x20);
    v[4] = _mm256_permute2f128_ps(b0, b4, 0x31);
    v[5] = _mm256_permute2f128_ps(b1, b5, 0x31);
    v[6] = _mm256_permute2f128_ps(b2, b6, 0x31);
    v[7] = _mm256_permute2f128_ps(b3, b7, 0x31);
}

/** Scales of 8 columns: (q * row_scale) * scale, in this order. */
typedef struct Scales {
    __m256 row, all;
    bool has_row, has_all;
} Scales;

INLINE Scales scales_of(const Stored *w, int64_t n0, int64_t n)
{
    Scales s = { .has_row = w->row_scale != NULL, .has_all = w->scale != 1.0f };
    float rows[SIDE] = { 0 };
    for (int64_t j = 0; s.has_row && j < n; j++)
        rows[j] = w->row_scale[n0 + j];
    s.row = _mm256_loadu_ps(rows);
    s.all = _mm256_set1_ps(w->scale);
    return s;
}

/** Transpose, scale and store n <= 8 terms. */
INLINE void put(float *to, __m256 v[SIDE], int64_t n, const Scales *s)
{
    transpose(v);
#pragma GCC unroll 8
    for (int i = 0; i < SIDE; i++) {
        if (s->has_row) v[i] = _mm256_mul_ps(v[i], s->row);
        if (s->has_all) v[i] = _mm256_mul_ps(v[i], s->all);
    }
    if (n == SIDE) {
#pragma GCC unroll 8
        for (int i = 0; i < SIDE; i++)
            _mm256_store_ps(to + i * PANEL, v[i]);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        _mm256_store_ps(to + i * PANEL, v[i]);
}

/** Half a panel: columns n0 .. n0 + 7, of which n exist (n >= 1). Missing columns repeat the
 *  first row while loading and are zeroed at the end. */
INLINE void pack_half(float *to, const Stored *w, int64_t n0, int64_t n, int64_t k0, int64_t kc,
                      int size, LoadEight *load)
{
    const Scales scales = scales_of(w, n0, n);
    const char *row[SIDE];
    for (int64_t j = 0; j < SIDE; j++)
        row[j] = (const char *)w->data + (n0 + (j < n ? j : 0)) * w->row_bytes + k0 * size;
    __m256 v[SIDE];
    int64_t k = 0;
    for (; k + SIDE <= kc; k += SIDE) {
#pragma GCC unroll 8
        for (int j = 0; j < SIDE; j++) {
            v[j] = load(row[j] + k * size);
            _mm_prefetch(row[j] + (k + AHEAD) * size, _MM_HINT_T0);
        }
        put(to + k * PANEL, v, SIDE, &scales);
    }
    if (k < kc) { /* never read past a row: the last one may end where memory ends */
        char last[SIDE][SIDE * sizeof(float)] = { { 0 } };
        for (int j = 0; j < SIDE; j++) {
            memcpy(last[j], row[j] + k * size, (size_t)((kc - k) * size));
            v[j] = load(last[j]);
        }
        put(to + k * PANEL, v, kc - k, &scales);
    }
    if (n < SIDE)
        for (k = 0; k < kc; k++)
            memset(to + k * PANEL + n, 0, (size_t)(SIDE - n) * sizeof *to);
}

/** Columns n0 .. n0 + 7, of which any number exists. */
INLINE void pack_eight(float *to, const Stored *w, int64_t n0, int64_t k0, int64_t kc, int size,
                       LoadEight *load)
{
    const int64_t left = w->rows - n0;
    if (left > 0)
        pack_half(to, w, n0, left < SIDE ? left : SIDE, k0, kc, size, load);
    else
        for (int64_t k = 0; k < kc; k++)
            _mm256_store_ps(to + k * PANEL, _mm256_setzero_ps());
}

INLINE void pack_plain(float *to, const Stored *w, int64_t n0, int64_t k0, int64_t kc, int size,
                       LoadEight *load)
{
    for (int64_t k = 0; k < kc; k += SECTION) {
        const int64_t n = kc - k < SECTION ? kc - k : SECTION;
        for (int half = 0; half < PANEL; half += SIDE)
            pack_eight(to + k * PANEL + half, w, n0 + half, k0 + k, n, size, load);
    }
}

void pack_f32_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_plain(to, w, n0, k0, kc, 4, load_f32);
}
void pack_f16_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_plain(to, w, n0, k0, kc, 2, load_f16);
}
void pack_bf16_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_plain(to, w, n0, k0, kc, 2, load_bf16);
}
void pack_e4m3_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_plain(to, w, n0, k0, kc, 1, load_e4m3);
}
void pack_e5m2_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_plain(to, w, n0, k0, kc, 1, load_e5m2);
}
void pack_i8_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_plain(to, w, n0, k0, kc, 1, load_i8);
}

/* ---- block types, NF4, FP4 ---- */

/** Values of 8 codes: two halves of the table, chosen by the code's bit 3. */
static inline void nibbles_avx2(float *restrict to, const uint8_t *restrict data,
                                const float *values, int64_t e, int64_t n, float absmax)
{
    const __m256 low = _mm256_loadu_ps(values), high = _mm256_loadu_ps(values + 8);
    const __m256i shifts = _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24);
    int64_t i = e & 1 ? 1 : 0;
    if (n < i) i = n;
    widen_nibbles(to, data, values, e, i, absmax);
    for (; i + SIDE <= n; i += SIDE) {
        int word;
        memcpy(&word, data + (e + i) / 2, sizeof word);
        const __m256i code = _mm256_srlv_epi32(_mm256_set1_epi32(word), shifts);
        const __m256 is_high = _mm256_castsi256_ps(_mm256_slli_epi32(code, 28));
        const __m256 value = _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, code),
                                              _mm256_permutevar8x32_ps(high, code), is_high);
        _mm256_storeu_ps(to + i, _mm256_mul_ps(value, _mm256_set1_ps(absmax)));
    }
    widen_nibbles(to + i, data, values, e + i, n - i, absmax);
}

/** Terms of one row, by whatever its type needs. */
typedef void WidenTerms(float *restrict to, const Stored *w, int64_t row, int64_t k0, int64_t n);

INLINE void four_terms(float *restrict to, const Stored *w, int64_t row, int64_t k0, int64_t n)
{
    widen_four(to, w, row, k0, n, nibbles_avx2);
}

INLINE void pack_terms(float *to, const Stored *w, int64_t n0, int64_t k0, int64_t kc,
                       WidenTerms *widen)
{
    _Alignas(32) float terms[SIDE * WIDEN_MAX_BLOCK];
    Stored part = {
        .type = DT_F32, .data = terms, .row_bytes = sizeof terms / SIDE, .scale = 1.0f
    };
    for (int64_t k = 0; k < kc; k += WIDEN_MAX_BLOCK) {
        const int64_t n = kc - k < WIDEN_MAX_BLOCK ? kc - k : WIDEN_MAX_BLOCK;
        for (int half = 0; half < PANEL; half += SIDE) {
            const int64_t left = w->rows - n0 - half;
            part.rows = left < 0 ? 0 : left < SIDE ? left : SIDE;
            for (int64_t j = 0; j < part.rows; j++)
                widen(terms + j * WIDEN_MAX_BLOCK, w, n0 + half + j, k0 + k, n);
            pack_eight(to + k * PANEL + half, &part, 0, 0, n, 4, load_f32);
        }
    }
}

void pack_blocks_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_terms(to, w, n0, k0, kc, widen_blocks);
}
void pack_four_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    pack_terms(to, w, n0, k0, kc, four_terms);
}
