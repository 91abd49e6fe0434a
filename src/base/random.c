/* random.c  mt19937, and normals rounded exactly as torch's AVX2 kernel rounds them.
 *
 * That kernel uses the single precision log and sincos of Cephes (S. Moshier); its compiler fused
 * multiply-add pairs. The fused places are written as fmaf here and nothing else is fused, so the
 * bits do not depend on our compiler or machine. fmaf where the product is exact is left unfused.
 */
#include "base/random.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { MT_SHIFT = 397 };

void random_init(Random *random, uint64_t seed)
{
    *random = (Random){ .next = RANDOM_STATE };
    uint32_t *s = random->state;
    s[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < RANDOM_STATE; i++)
        s[i] = 1812433253u * (s[i - 1] ^ (s[i - 1] >> 30)) + i;
}

static uint32_t twist(uint32_t high, uint32_t low)
{
    uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
    return (mixed >> 1) ^ (low & 1 ? 0x9908b0dfu : 0);
}

static void next_state(Random *random)
{
    uint32_t *s = random->state;
    for (int i = 0; i < RANDOM_STATE; i++) {
        int after = i + 1 < RANDOM_STATE ? i + 1 : 0;
        int far = i + MT_SHIFT < RANDOM_STATE ? i + MT_SHIFT : i + MT_SHIFT - RANDOM_STATE;
        s[i] = s[far] ^ twist(s[i], s[after]);
    }
    random->next = 0;
}

uint32_t random_bits(Random *random)
{
    if (random->next == RANDOM_STATE) next_state(random);
    uint32_t y = random->state[random->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

float random_uniform(Random *random)
{
    return (float)(random_bits(random) & 0xffffffu) * 0x1p-24f;
}

static double uniform_double(Random *random)
{
    uint64_t high = random_bits(random);
    uint64_t bits = high << 32 | random_bits(random);
    return (double)(bits & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
}

/* One value of a draw of fewer than 16. */
static float small_normal(Random *random)
{
    if (random->has_spare) {
        random->has_spare = false;
        return (float)random->spare;
    }
    double u1 = uniform_double(random);
    double u2 = uniform_double(random);
    double radius = sqrt(-2.0 * log1p(-u2));
    double angle = 2.0 * 3.14159265358979323846 * u1;
    random->spare = radius * sin(angle);
    random->has_spare = true;
    return (float)(radius * cos(angle));
}

/* Cephes logf for a positive normal x. */
static float log_cephes(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    float e = (float)((int)(bits >> 23) - 126);
    bits = (bits & 0x007fffffu) | 0x3f000000u; /* mantissa in [0.5, 1) */
    float m;
    memcpy(&m, &bits, sizeof m);
    if (m < 0.707106781186547524f) {
        e -= 1.0f;
        m = (m - 1.0f) + m;
    } else {
        m = m - 1.0f;
    }
    static const float P[] = { -1.1514610310e-1f, 1.1676998740e-1f,  -1.2420140846e-1f,
                               1.4249322787e-1f,  -1.6668057665e-1f, 2.0000714765e-1f,
                               -2.4999993993e-1f, 3.3333331174e-1f };
    float y = 7.0376836292e-2f;
    for (int i = 0; i < 8; i++)
        y = fmaf(y, m, P[i]);
    float square = m * m;
    y = fmaf(y * m, square, e * -2.12194440e-4f);
    y = y - square * 0.5f;
    return (m + y) + e * 0.693359375f;
}

/* Cephes sinf and cosf for an angle >= 0 of a few turns. */
static void sin_cos_cephes(float angle, float *sine, float *cosine)
{
    int octant = (int)(angle * 1.27323954473516f);
    octant = (octant + 1) & ~1;
    float n = (float)octant;
    float x = fmaf(n, -0.78515625f, angle); /* pi / 4 in three parts */
    x = fmaf(n, -2.4187564849853515625e-4f, x);
    x = fmaf(n, -3.77489497744594108e-8f, x);
    float z = x * x;
    float c =
        fmaf(fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f);
    c = fmaf(c * z, z, -(z * 0.5f)) + 1.0f;
    float s = fmaf(fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f);
    s = fmaf(s * z, x, x);
    bool swap = octant & 2;
    *sine = swap ? c : s;
    *cosine = swap ? s : c;
    if (octant & 4) *sine = -*sine;
    if ((octant + 2) & 4) *cosine = -*cosine;
}

/* 16 uniforms become 16 normals: u[j] the radius, u[j + 8] the angle. */
static void normal_block(float *x)
{
    for (int j = 0; j < RANDOM_BLOCK / 2; j++) {
        float radius = sqrtf(-2.0f * log_cephes(1.0f - x[j]));
        float sine, cosine;
        sin_cos_cephes(6.28318530717958647692f * x[j + 8], &sine, &cosine);
        x[j] = radius * cosine + 0.0f; /* times 1 plus 0 in torch: no negative zero */
        x[j + 8] = radius * sine + 0.0f;
    }
}

static void draw_block(Random *random, float *x)
{
    for (int j = 0; j < RANDOM_BLOCK; j++)
        x[j] = random_uniform(random);
    normal_block(x);
}

void random_normal_begin(RandomNormal *draw, Random *random, int64_t n)
{
    assert(n >= 0);
    *draw = (RandomNormal){ .random = random, .left = n, .small = n < RANDOM_BLOCK };
    draw->lost = (int)(n % RANDOM_BLOCK);
    draw->whole = draw->lost ? n - RANDOM_BLOCK : n;
}

/* Fill `ready` with the next block; `n_ready` says how many of its last values count. */
static void refill(RandomNormal *draw)
{
    Random *random = draw->random;
    int64_t uncut = draw->whole;
    if (uncut > 0) {
        draw_block(random, draw->ready);
        int used = uncut < RANDOM_BLOCK ? (int)uncut : RANDOM_BLOCK;
        /* a block that reaches into the redrawn tail counts only up to it */
        memmove(draw->ready + RANDOM_BLOCK - used, draw->ready, (size_t)used * sizeof(float));
        draw->n_ready = used;
        draw->whole -= used;
        return;
    }
    for (int i = 0; i < draw->lost; i++)
        (void)random_uniform(random);
    draw_block(random, draw->ready);
    draw->n_ready = RANDOM_BLOCK;
}

void random_normal_next(RandomNormal *draw, float *x, int64_t n)
{
    assert(n >= 0 && n <= draw->left);
    while (n > 0) {
        int64_t some;
        if (draw->small) {
            *x = small_normal(draw->random);
            some = 1;
        } else if (draw->n_ready == 0 && n >= RANDOM_BLOCK && draw->whole >= RANDOM_BLOCK) {
            draw_block(draw->random, x);
            draw->whole -= RANDOM_BLOCK;
            some = RANDOM_BLOCK;
        } else {
            if (draw->n_ready == 0) refill(draw);
            some = n < draw->n_ready ? n : draw->n_ready;
            memcpy(x, draw->ready + RANDOM_BLOCK - draw->n_ready, (size_t)some * sizeof(float));
            draw->n_ready -= (int)some;
        }
        x += some;
        n -= some;
        draw->left -= some;
    }
}

void random_normal(Random *random, float *x, int64_t n)
{
    RandomNormal draw;
    random_normal_begin(&draw, random, n);
    random_normal_next(&draw, x, n);
}
