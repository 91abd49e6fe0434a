/* test.c  Runner over cmocka: `test_x [substring]` runs the tests whose name has the substring. */
#include "test.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_TESTS = 1024 };
static struct CMUnitTest tests[MAX_TESTS];
static size_t n_tests;
static uint64_t random_state = 1;
static char scratch[256];

void test_register(const char *name, TestFunction *function)
{
    if (n_tests == MAX_TESTS) abort();
    tests[n_tests++] = (struct CMUnitTest){ .name = name, .test_func = function };
}

void test_check_close(const float *got, const float *want, int64_t n, double tolerance,
                      const char *file, int line)
{
    double worst = -1.0;
    int64_t at = -1;
    for (int64_t i = 0; i < n; i++) {
        double error = fabs((double)got[i] - (double)want[i]);
        if (!(error <= tolerance) && (at < 0 || isnan(error) || error > worst)) {
            worst = error;
            at = i;
        }
    }
    if (at < 0) return;
    print_error("[%lld] got %.9g, want %.9g: error %.3g > %.3g\n", (long long)at, (double)got[at],
                (double)want[at], worst, tolerance);
    _fail(file, line);
}

void test_seed(uint64_t seed)
{
    random_state = seed * 0x9e3779b97f4a7c15u + 1;
}

void test_random(float *x, size_t n, float low, float high)
{
    for (size_t i = 0; i < n; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        float unit = (float)(random_state >> 40) * 0x1p-24f;
        x[i] = low + (high - low) * unit;
    }
}

void test_guard(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = -12345.678f;
}

bool test_guard_intact(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != -12345.678f) return false;
    return true;
}

const char *test_path(const char *below_tests)
{
    static char paths[4][1024];
    static int next;
    const char *root = getenv("SNUG_TESTS");
    char *path = paths[next++ & 3];
    if (below_tests[0] == '/')
        (void)snprintf(path, sizeof paths[0], "%s", below_tests);
    else
        (void)snprintf(path, sizeof paths[0], "%s/%s", root ? root : "tests", below_tests);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_scratch(void)
{
    (void)nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_scratch(void)
{
    if (!scratch[0]) {
        const char *root = getenv("TMPDIR");
        (void)snprintf(scratch, sizeof scratch, "%s/snug-test-XXXXXX", root ? root : "/tmp");
        if (!mkdtemp(scratch)) abort();
        (void)atexit(remove_scratch);
    }
    return scratch;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        static char pattern[256];
        (void)snprintf(pattern, sizeof pattern, "*%s*", argv[1]);
        cmocka_set_test_filter(pattern);
    }
    return _cmocka_run_group_tests("snug", tests, n_tests, NULL, NULL) ? 1 : 0;
}
