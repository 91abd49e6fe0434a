/* test.h  A test registers itself: TEST(module, what_holds_in_words) { ... CHECK(...); } */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef void TestFunction(void **state);

/** Called by TEST's constructor; order of registration is order of running. */
void test_register(const char *name, TestFunction *function);

#define TEST(module, name)                                                                         \
    static void test_##module##_##name(void **state);                                              \
    __attribute__((constructor)) static void test_register_##module##_##name(void)                 \
    {                                                                                              \
        test_register(#module "." #name, test_##module##_##name);                                  \
    }                                                                                              \
    static void test_##module##_##name(__attribute__((unused)) void **state)

/** Skip the running test, saying why. */
#define SKIP(reason)                                                                               \
    do {                                                                                           \
        print_message("SKIPPED: %s\n", reason);                                                    \
        skip();                                                                                    \
    } while (0)

#define CHECK(condition)      assert_true(condition)
#define CHECK_INT(got, want)  assert_int_equal((long long)(got), (long long)(want))
#define CHECK_TEXT(got, want) assert_string_equal(got, want)
#define CHECK_HAS(text, part)                                                                      \
    do {                                                                                           \
        if (!strstr(text, part)) fail_msg("'%s' does not mention '%s'", text, part);               \
    } while (0)

/** Every |got - want| <= tolerance; NaN never passes. Prints the worst place. */
#define CHECK_CLOSE(got, want, n, tolerance)                                                       \
    test_check_close(got, want, (int64_t)(n), (double)(tolerance), __FILE__, __LINE__)
void test_check_close(const float *got, const float *want, int64_t n, double tolerance,
                      const char *file, int line);

/** Seeded values, uniform in [low, high); the same on every machine. */
void test_random(float *x, size_t n, float low, float high);
/** Restart the generator of test_random. */
void test_seed(uint64_t seed);

/** Fill a guard area, and see that nobody wrote there. */
void test_guard(float *x, size_t n);
bool test_guard_intact(const float *x, size_t n);

/** Path of a file below tests/ ("golden/vae/x.safetensors"): static buffer, one of four in turn. */
const char *test_path(const char *below_tests);
/** Fresh scratch directory of this test process, removed at exit. */
const char *test_scratch(void);

#endif
