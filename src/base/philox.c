/* philox.c  Ten rounds of two multiplications; then Box and Muller in double, rounded once. */
#include "base/philox.h"

#include <math.h>

static const uint32_t MULTIPLIER[2] = { 0xD2511F53, 0xCD9E8D57 };
static const uint32_t WEYL[2] = { 0x9E3779B9, 0xBB67AE85 };
enum { ROUNDS = 10 };

void philox_words(uint64_t seed, uint64_t c0, uint64_t place, uint32_t out[4])
{
    uint32_t c[4] = { (uint32_t)c0, (uint32_t)(c0 >> 32), (uint32_t)place,
                      (uint32_t)(place >> 32) };
    uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t a = (uint64_t)MULTIPLIER[0] * c[0], b = (uint64_t)MULTIPLIER[1] * c[2];
        const uint32_t next[4] = { (uint32_t)(b >> 32) ^ c[1] ^ key[0], (uint32_t)b,
                                   (uint32_t)(a >> 32) ^ c[3] ^ key[1], (uint32_t)a };
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        key[0] += WEYL[0];
        key[1] += WEYL[1];
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

/* The first of curand's pair: the radius times the sine. Uniforms are rounded to f32 as there. */
static float normal_of(const uint32_t words[4])
{
    const float inverse = 0x1p-32f, turn = (float)(0x1p-32 * 6.283185307179586);
    const float u = (float)words[0] * inverse + inverse / 2;
    const float v = (float)words[1] * turn + turn / 2;
    return (float)(sqrt(-2.0 * log((double)u)) * sin((double)v));
}

void philox_normal(Philox draw, uint64_t first, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t words[4];
        philox_words(draw.seed, draw.draw, first + (uint64_t)i, words);
        x[i] = normal_of(words);
    }
}
