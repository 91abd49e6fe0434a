/* test_random.c  Bits against torch 2.15 on x86; tools/oracle/golden_random.py. */
#include "test.h"

#include "base/random.h"
#include "base/size.h"
#include "sampling/golden.h"

enum { LARGE = 100003 };

/* Single precision operations in a fixed order, fused where torch's kernel is: no difference. */
static const double EXACT = 0.0;
/* Draws of fewer than 16 use the C library's double log1p, sin and cos: the last bit of an f64 may
 * differ, which can turn the rounding to f32: 1 unit in the last place, |x| < 8. */
static const double ONE_ULP = 4.8e-7;

static Golden golden;

static uint64_t seed_of(int i)
{
    int64_t n;
    const int32_t *words = golden_get(&golden, "seeds", "words", &n);
    uint64_t seed = 0;
    for (int k = 3; k >= 0; k--)
        seed = seed << 16 | (uint32_t)words[i * 4 + k];
    return seed;
}

static int open_golden(void)
{
    int64_t n;
    golden_open(&golden, "golden/random/normal.safetensors");
    (void)golden_get(&golden, "seeds", "words", &n);
    return (int)n / 4;
}

static const void *get(int seed, const char *name)
{
    char group[16];
    int64_t n;
    (void)snprintf(group, sizeof group, "%d", seed);
    return golden_get(&golden, group, name, &n);
}

static void hash(const float *x, int64_t n, int32_t out[2])
{
    const unsigned char *bytes = (const unsigned char *)x;
    uint64_t h = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < n * 4; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    memcpy(out, &h, sizeof h);
}

TEST(random, draws_of_every_small_size_are_torchs)
{
    Random random;
    float x[40];
    for (int s = 0, n_seeds = open_golden(); s < n_seeds; s++) {
        const float *want = get(s, "sizes");
        for (int n = 1; n <= 40; want += n, n++) {
            random_init(&random, seed_of(s));
            random_normal(&random, x, n);
            CHECK_CLOSE(x, want, n, n < RANDOM_BLOCK ? ONE_ULP : EXACT);
        }
    }
    golden_close(&golden);
}

TEST(random, large_draws_are_torchs_to_the_bit)
{
    Random random;
    static float x[LARGE];
    for (int s = 0, n_seeds = open_golden(); s < n_seeds; s++) {
        random_init(&random, seed_of(s));
        random_normal(&random, x, 1000);
        CHECK_CLOSE(x, get(s, "thousand"), 1000, EXACT);

        const float *ends = get(s, "large_ends");
        const int32_t *want = get(s, "large_hash");
        int32_t got[2];
        random_init(&random, seed_of(s));
        random_normal(&random, x, LARGE);
        CHECK_CLOSE(x, ends, 16, EXACT);
        CHECK_CLOSE(x + LARGE - 32, ends + 16, 32, EXACT);
        hash(x, LARGE, got);
        CHECK_INT(got[0], want[0]);
        CHECK_INT(got[1], want[1]);
    }
    golden_close(&golden);
}

TEST(random, mixed_draws_keep_half_a_pair_back)
{
    Random random;
    float x[800];
    for (int s = 0, n_seeds = open_golden(); s < n_seeds; s++) {
        static const int BEFORE[] = { 3, 20, 5 }, AFTER[] = { 1, 16, 17, 15, 2, 700 };
        int at = 0;
        random_init(&random, seed_of(s));
        for (size_t i = 0; i < COUNT(BEFORE); at += BEFORE[i++])
            random_normal(&random, x + at, BEFORE[i]);
        for (int i = 0; i < 4; i++)
            x[at++] = random_uniform(&random);
        for (size_t i = 0; i < COUNT(AFTER); at += AFTER[i++])
            random_normal(&random, x + at, AFTER[i]);
        CHECK_CLOSE(x, get(s, "mixed"), at, ONE_ULP);
    }
    golden_close(&golden);
}

/* One draw in pieces of 1, 2, 3, ... values. */
static void draw_in_pieces(Random *random, float *x, int64_t n, int64_t longest)
{
    RandomNormal draw;
    random_normal_begin(&draw, random, n);
    for (int64_t piece = 0; draw.left > 0;) {
        piece = piece < longest ? piece + 1 : 1;
        int64_t some = piece < draw.left ? piece : draw.left;
        random_normal_next(&draw, x, some);
        x += some;
    }
}

TEST(random, a_draw_in_pieces_is_the_same_draw)
{
    static const int64_t SIZES[] = { 0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 1000, 1008, 1023 };
    static const int64_t LONGEST[] = { 1, 5, 16, 40, 200 };
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        for (size_t k = 0; k < COUNT(LONGEST); k++) {
            float whole[1024 + 8] = { 0 }, pieces[1024 + 8];
            Random a, b;
            random_init(&a, 9);
            random_init(&b, 9);
            test_guard(pieces, COUNT(pieces));
            random_normal(&a, whole, SIZES[i]);
            draw_in_pieces(&b, pieces, SIZES[i], LONGEST[k]);
            CHECK_CLOSE(pieces, whole, SIZES[i], EXACT);
            CHECK(test_guard_intact(pieces + SIZES[i], COUNT(pieces) - (size_t)SIZES[i]));
            CHECK_INT(random_bits(&a), random_bits(&b)); /* and leaves the same generator */
        }
    }
}

TEST(random, normals_have_the_moments_of_normals)
{
    enum { N = 1 << 18 };
    static float x[N];
    Random random;
    double sum[4] = { 0 };
    random_init(&random, 1234);
    random_normal(&random, x, N);
    for (int i = 0; i < N; i++)
        for (int p = 0; p < 4; p++)
            sum[p] += pow((double)x[i], p + 1) / N;
    /* 5 standard errors: variances of the powers are 1, 2, 15, 96 */
    CHECK(fabs(sum[0]) < 5 * sqrt(1.0 / N));
    CHECK(fabs(sum[1] - 1) < 5 * sqrt(2.0 / N));
    CHECK(fabs(sum[2]) < 5 * sqrt(15.0 / N));
    CHECK(fabs(sum[3] - 3) < 5 * sqrt(96.0 / N));
}
