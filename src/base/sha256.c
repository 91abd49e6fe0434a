/* sha256.c  Blocks of 64 bytes, 64 rounds each. Constants: the first 32 bits of the fractions of the
 * square roots (state) and cube roots (rounds) of the first primes. */
#include "base/sha256.h"

#include <stdio.h>
#include <string.h>

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turn(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The 64 words that the rounds take, from the block's 16. */
static void spread(uint32_t w[64], const unsigned char *block)
{
    for (int i = 0; i < 16; i++)
        w[i] = big_endian(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] +
               (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
}

static void take_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4],
                    f = state[5], g = state[6], h = state[7];
    spread(w, block);
    for (int i = 0; i < 64; i++) { /* eight variables, not an array: they stay in registers */
        const uint32_t choice = (e & f) ^ (~e & g), most = (a & b) ^ (a & c) ^ (b & c);
        const uint32_t t = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + choice + ROUND[i] + w[i];
        const uint32_t u = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + most;
        h = g;
        g = f;
        f = e;
        e = d + t;
        d = c;
        c = b;
        b = a;
        a = t + u;
    }
    const uint32_t sums[8] = { a, b, c, d, e, f, g, h };
    for (int i = 0; i < 8; i++)
        state[i] += sums[i];
}

void sha256_init(Sha256 *sha)
{
    *sha = (Sha256){ .state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } };
}

void sha256_add(Sha256 *sha, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    size_t held = (size_t)(sha->n % sizeof sha->block);
    sha->n += n;
    while (n) {
        if (held == 0 && n >= sizeof sha->block) {
            take_block(sha->state, at);
            at += sizeof sha->block;
            n -= sizeof sha->block;
            continue;
        }
        const size_t room = sizeof sha->block - held, take = n < room ? n : room;
        memcpy(sha->block + held, at, take);
        at += take;
        n -= take;
        held += take;
        if (held < sizeof sha->block) return;
        take_block(sha->state, sha->block);
        held = 0;
    }
}

void sha256_end(Sha256 *sha, unsigned char out[SHA256_BYTES])
{
    static const unsigned char END[64] = { 0x80 };
    unsigned char length[8];
    const uint64_t bits = sha->n * 8;
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> (56 - 8 * i));
    const size_t held = (size_t)(sha->n % 64);
    sha256_add(sha, END, (held < 56 ? 56 : 120) - held);
    sha256_add(sha, length, sizeof length);
    for (int i = 0; i < SHA256_BYTES; i++)
        out[i] = (unsigned char)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
}

const char *sha256_text(const unsigned char digest[SHA256_BYTES], char out[SHA256_TEXT])
{
    for (int i = 0; i < SHA256_BYTES; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return out;
}
