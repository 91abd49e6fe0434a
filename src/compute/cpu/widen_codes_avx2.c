/* widen_codes_avx2.c  Pack panels of block types while their values are still bytes.
 *
 * Transposing 16 x 16 bytes takes an eighth of the shuffles that 16 x 16 floats take. So, for each 256
 * terms of 16 rows:
 *   every row's codes as signed bytes [16][256], its scales by runs of 16 terms [16 runs][16 rows]
 *   for each run: transpose 16 x 16 bytes, widen 8 at a time, multiply by the scales of 8 rows
 * The products and differences are those of widen_body.h, value for value, hence the same bits.
 * Rows must begin at a block; where they do not, the general way is taken (widen_avx2.c). */
#include <immintrin.h>
#include <string.h>

#include "compute/cpu/kernels.h"
#include "compute/cpu/widen_body.h"

#define INLINE static inline __attribute__((always_inline))

enum { SPAN = 256, RUN = 16, RUNS = SPAN / RUN, SMALL_BLOCK = 32, LINE = 64 };

/** 256 terms of the rows of a panel. */
typedef struct Codes {
    _Alignas(32) int8_t code[PANEL][SPAN];
    _Alignas(32) float scale[RUNS][PANEL];
    _Alignas(32) float less[RUNS][PANEL]; /* taken off afterwards, where the type has it */
} Codes;

/* ---- rows ---- */

/** Codes and scales of one block (32 or 256 terms) of row j, from run `run` on. */
typedef void RowCodes(Codes *c, int64_t j, int64_t run, const uint8_t *b);

INLINE void set_scale(Codes *c, int64_t j, int64_t run, int runs, float scale)
{
    for (int i = 0; i < runs; i++)
        c->scale[run + i][j] = scale;
}

/** The low and the high halves of 16 bytes, less `less`. */
INLINE void nibbles(int8_t *low, int8_t *high, const uint8_t *from, int less)
{
    const __m128i word = _mm_loadu_si128((const __m128i *)(const void *)from);
    const __m128i mask = _mm_set1_epi8(15), by = _mm_set1_epi8((char)less);
    const __m128i upper = _mm_and_si128(_mm_srli_epi16(word, 4), mask);
    _mm_store_si128((__m128i *)(void *)low, _mm_sub_epi8(_mm_and_si128(word, mask), by));
    _mm_store_si128((__m128i *)(void *)high, _mm_sub_epi8(upper, by));
}

INLINE void codes_q8_0(Codes *c, int64_t j, int64_t run, const uint8_t *b)
{
    set_scale(c, j, run, 2, half_at(b));
    memcpy(c->code[j] + run * RUN, b + 2, SMALL_BLOCK);
}

INLINE void codes_q4_0(Codes *c, int64_t j, int64_t run, const uint8_t *b)
{
    set_scale(c, j, run, 2, half_at(b));
    nibbles(c->code[j] + run * RUN, c->code[j] + (run + 1) * RUN, b + 2, 8);
}

/** 16 codes of 4 bits to the values of IQ4, which are bytes. */
INLINE void iq4_values(int8_t *to, const uint8_t *from)
{
    const __m128i values =
        _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
    const __m128i word = _mm_loadu_si128((const __m128i *)(const void *)from);
    const __m128i mask = _mm_set1_epi8(15), high = _mm_and_si128(_mm_srli_epi16(word, 4), mask);
    _mm_storeu_si128((__m128i *)(void *)to, _mm_shuffle_epi8(values, _mm_and_si128(word, mask)));
    _mm_storeu_si128((__m128i *)(void *)(to + 16), _mm_shuffle_epi8(values, high));
}

INLINE void codes_iq4_nl(Codes *c, int64_t j, int64_t run, const uint8_t *b)
{
    set_scale(c, j, run, 2, half_at(b));
    iq4_values(c->code[j] + run * RUN, b + 2);
}

INLINE void codes_iq4_xs(Codes *c, int64_t j, int64_t run, const uint8_t *b)
{
    const float d = half_at(b);
    const int high = b[2] | b[3] << 8;
    (void)run;
    for (int i = 0; i < 8; i++) {
        const int scale = (b[4 + i / 2] >> 4 * (i & 1) & 15) | (high >> 2 * i & 3) << 4;
        set_scale(c, j, 2 * i, 2, d * (float)(scale - 32));
        iq4_values(c->code[j] + 32 * i, b + 8 + 16 * i);
    }
}

/** Scales and minima of Q4_K and Q5_K. */
INLINE void k_scales(Codes *c, int64_t j, const uint8_t *b)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    for (int i = 0; i < 8; i++) {
        int scale, min;
        k_scale(b + 4, i, &scale, &min);
        set_scale(c, j, 2 * i, 2, d * (float)scale);
        c->less[2 * i][j] = c->less[2 * i + 1][j] = dmin * (float)min;
    }
}

INLINE void codes_q4_k(Codes *c, int64_t j, int64_t run, const uint8_t *b)
{
    (void)run;
    k_scales(c, j, b);
    for (int i = 0; i < 8; i++) {
        int8_t *to = c->code[j] + i / 2 * 64 + i % 2 * RUN;
        nibbles(to, to + 32, b + 16 + RUN * i, 0);
    }
}

INLINE void codes_q5_k(Codes *c, int64_t j, int64_t run, const uint8_t *b)
{
    (void)run;
    k_scales(c, j, b);
    for (int i = 0; i < 4; i++)
        for (int half = 0; half < 2; half++) {
            int8_t *restrict to = c->code[j] + 64 * i + 32 * half;
            const uint8_t *restrict qs = b + 48 + 32 * i, *restrict high = b + 16;
            for (int k = 0; k < 32; k++)
                to[k] = (int8_t)((half ? qs[k] >> 4 : qs[k] & 15) | (high[k] >> (2 * i + half) & 1)
                                                                        << 4);
        }
}

INLINE void codes_q6_k(Codes *c, int64_t j, int64_t run, const uint8_t *b)
{
    const float d = half_at(b + 208);
    (void)run;
    for (int i = 0; i < RUNS; i++)
        c->scale[i][j] = d * (float)(int8_t)b[192 + i];
    for (int h = 0; h < 2; h++)
        for (int k = 0; k < 4; k++) {
            int8_t *restrict to = c->code[j] + 128 * h + 32 * k;
            const uint8_t *restrict low = b + 64 * h + 32 * (k & 1);
            const uint8_t *restrict high = b + 128 + 32 * h;
            for (int i = 0; i < 32; i++)
                to[i] =
                    (int8_t)(((low[i] >> 4 * (k >> 1) & 15) | (high[i] >> 2 * k & 3) << 4) - 32);
        }
}

/* ---- panels ---- */

/** 16 rows x 16 bytes to 16 terms x 16 rows: two terms of 8 rows in each 16 bytes. */
INLINE void transpose_run(int8_t to[RUN * PANEL], const Codes *c, int64_t run)
{
    __m256i r[8], s[8];
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++)
        r[j] = _mm256_inserti128_si256(
            _mm256_castsi128_si256(
                _mm_load_si128((const __m128i *)(const void *)(c->code[j] + run * RUN))),
            _mm_load_si128((const __m128i *)(const void *)(c->code[j + 8] + run * RUN)), 1);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) { /* pairs of rows j and j + 4, then of those */
        s[2 * j] = _mm256_unpacklo_epi8(r[j], r[j + 4]);
        s[2 * j + 1] = _mm256_unpackhi_epi8(r[j], r[j + 4]);
    }
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            r[4 * j + 2 * h] = _mm256_unpacklo_epi8(s[2 * j + h], s[2 * j + 4 + h]);
            r[4 * j + 2 * h + 1] = _mm256_unpackhi_epi8(s[2 * j + h], s[2 * j + 4 + h]);
        }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m256i low = _mm256_unpacklo_epi8(r[i], r[i + 4]),
                      high = _mm256_unpackhi_epi8(r[i], r[i + 4]);
        _mm256_store_si256((__m256i *)(void *)(to + 64 * i), low);
        _mm256_store_si256((__m256i *)(void *)(to + 64 * i + 32), high);
    }
}

/** What a code stands for. */
typedef __m256 CodeValue(__m256i code, const float *table, __m256 scale, __m256 less);

INLINE __m256 value_scaled(__m256i code, const float *table, __m256 scale, __m256 less)
{
    (void)table, (void)less;
    return _mm256_mul_ps(_mm256_cvtepi32_ps(code), scale);
}
INLINE __m256 value_less(__m256i code, const float *table, __m256 scale, __m256 less)
{
    (void)table;
    return _mm256_sub_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(code), scale), less);
}
/** Two halves of the table, chosen by the code's bit 3. */
INLINE __m256 value_of_table(__m256i code, const float *table, __m256 scale, __m256 less)
{
    (void)less;
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), code);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), code);
    const __m256 is_high = _mm256_castsi256_ps(_mm256_slli_epi32(code, 28));
    return _mm256_mul_ps(_mm256_blendv_ps(low, high, is_high), scale);
}

/** The first n <= 256 terms of the rows, as panel lines. */
INLINE void put_span(float *to, const Codes *c, int64_t n, const float *table, CodeValue *value)
{
    _Alignas(32) int8_t turned[RUN * PANEL];
    for (int64_t run = 0; run * RUN < n; run++) {
        const int64_t terms = n - run * RUN < RUN ? n - run * RUN : RUN;
        transpose_run(turned, c, run);
        for (int half = 0; half < PANEL; half += 8) {
            const __m256 scale = _mm256_load_ps(c->scale[run] + half);
            const __m256 less = _mm256_load_ps(c->less[run] + half);
            for (int64_t i = 0; i < terms; i++) {
                const int8_t *at = turned + i / 2 * 32 + i % 2 * 8 + half * 2;
                const __m256i code =
                    _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at));
                _mm256_store_ps(to + (run * RUN + i) * PANEL + half,
                                value(code, table, scale, less));
            }
        }
    }
}

INLINE int64_t rows_here(const Stored *w, int64_t n0)
{
    return w->rows - n0 < PANEL ? w->rows - n0 : PANEL;
}

/** A row further on will be wanted soon; 16 rows at once are more than the hardware follows. */
INLINE void fetch(const uint8_t *from, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += LINE)
        _mm_prefetch((const char *)from + i, _MM_HINT_T0);
}

INLINE void pack_codes(float *to, const Stored *w, int64_t n0, int64_t k0, int64_t kc,
                       RowCodes *codes, CodeValue *value)
{
    const DTypeInfo *info = dtype_info(w->type);
    const int64_t rows = rows_here(w, n0), block = info->block, bytes = info->bytes;
    const int64_t row_bytes = w->cols / block * bytes, span_bytes = SPAN / block * bytes;
    const uint8_t *first =
        (const uint8_t *)w->data + (w->first + n0 * w->cols + k0) / block * bytes;
    Codes c;
    memset(&c, 0, sizeof c); /* rows that do not exist stay zero */
    for (int64_t k = 0; k < kc; k += SPAN, first += span_bytes) {
        const int64_t n = kc - k < SPAN ? kc - k : SPAN;
        const int64_t blocks = (n + block - 1) / block;
        for (int64_t j = 0; j < rows; j++) {
            const uint8_t *from = first + j * row_bytes;
            if (n0 + j + PANEL < w->rows) fetch(from + PANEL * row_bytes, blocks * bytes);
            for (int64_t i = 0; i < blocks; i++)
                codes(&c, j, i * block / RUN, from + i * bytes);
        }
        put_span(to + k * PANEL, &c, n, NULL, value);
    }
}

/** Does every row begin at a block? */
static bool rows_at_blocks(const Stored *w, int64_t block)
{
    return w->first % block == 0 && w->cols % block == 0;
}

void pack_codes_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    if (!rows_at_blocks(w, dtype_info(w->type)->block)) {
        pack_blocks_avx2(to, w, n0, k0, kc);
        return;
    }
    switch (w->type) {
    case DT_Q8_0:
        pack_codes(to, w, n0, k0, kc, codes_q8_0, value_scaled);
        break;
    case DT_Q4_0:
        pack_codes(to, w, n0, k0, kc, codes_q4_0, value_scaled);
        break;
    case DT_Q4_K:
        pack_codes(to, w, n0, k0, kc, codes_q4_k, value_less);
        break;
    case DT_Q5_K:
        pack_codes(to, w, n0, k0, kc, codes_q5_k, value_less);
        break;
    case DT_Q6_K:
        pack_codes(to, w, n0, k0, kc, codes_q6_k, value_scaled);
        break;
    case DT_IQ4_NL:
        pack_codes(to, w, n0, k0, kc, codes_iq4_nl, value_scaled);
        break;
    case DT_IQ4_XS:
        pack_codes(to, w, n0, k0, kc, codes_iq4_xs, value_scaled);
        break;
    default:
        pack_blocks_avx2(to, w, n0, k0, kc);
        break;
    }
}

/* ---- NF4, FP4 ---- */

/** n terms (whole runs) of row j from element e, which begins a run, on. */
INLINE void codes_four(Codes *c, int64_t j, const Stored *w, int64_t e, int64_t n)
{
    const uint8_t *from = (const uint8_t *)w->data + e / 2;
    const __m128i mask = _mm_set1_epi8(15);
    for (int64_t run = 0; run * RUN < n; run++) { /* high nibble first */
        const __m128i word = _mm_loadl_epi64((const __m128i *)(const void *)(from + run * RUN / 2));
        const __m128i high = _mm_and_si128(_mm_srli_epi16(word, 4), mask);
        _mm_store_si128((__m128i *)(void *)(c->code[j] + run * RUN),
                        _mm_unpacklo_epi8(high, _mm_and_si128(word, mask)));
    }
    const int64_t size = w->four.block;
    int64_t block = e / size, end = (block + 1) * size - e; /* of the block, from here */
    float absmax = absmax_of(&w->four, block);
    for (int64_t run = 0; run * RUN < n; run++) {
        if (run * RUN == end) {
            absmax = absmax_of(&w->four, ++block);
            end += size;
        }
        c->scale[run][j] = absmax;
    }
}

void pack_codes_four_avx2(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc)
{
    if (!rows_at_blocks(w, RUN) || w->four.block % RUN) {
        pack_four_avx2(to, w, n0, k0, kc);
        return;
    }
    const int64_t rows = rows_here(w, n0);
    const float *table = four_bit_values(w->type);
    Codes c;
    memset(&c, 0, sizeof c);
    for (int64_t k = 0; k < kc; k += SPAN) {
        const int64_t n = kc - k < SPAN ? kc - k : SPAN, whole = (n + RUN - 1) / RUN * RUN;
        for (int64_t j = 0; j < rows; j++) {
            const int64_t e = w->first + (n0 + j) * w->cols + k0 + k;
            if (n0 + j + PANEL < w->rows)
                fetch((const uint8_t *)w->data + (e + PANEL * w->cols) / 2, whole / 2);
            codes_four(&c, j, w, e, whole);
        }
        put_span(to + k * PANEL, &c, n, table, value_of_table);
        for (int64_t i = 0; rows < PANEL && i < n; i++) /* code 0 is -1 times a scale of 0 */
            memset(to + (k + i) * PANEL + rows, 0, (size_t)(PANEL - rows) * sizeof *to);
    }
}
