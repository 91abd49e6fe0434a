/* cmocka.h  The few names of cmocka that tests/test.h and test.c use, for machines without it. */
#ifndef CROSS_CMOCKA_H
#define CROSS_CMOCKA_H

#include <stddef.h>
#include <string.h>

typedef void CMFixture(void **state);
struct CMUnitTest {
    const char *name;
    CMFixture *test_func;
};

int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t n,
                            void *setup, void *teardown);
void cmocka_set_test_filter(const char *pattern);
__attribute__((noreturn)) void _fail(const char *file, int line);
__attribute__((noreturn)) void skip(void);
__attribute__((format(printf, 1, 2))) void print_message(const char *format, ...);
#define print_error print_message

void cross_check(int ok, const char *what, const char *file, int line);
#define assert_true(c)            cross_check(!!(c), #c, __FILE__, __LINE__)
#define assert_int_equal(a, b)    cross_check((a) == (b), #a " == " #b, __FILE__, __LINE__)
#define assert_string_equal(a, b) cross_check(strcmp(a, b) == 0, #a " == " #b, __FILE__, __LINE__)
#define fail_msg(...)             (print_message(__VA_ARGS__), _fail(__FILE__, __LINE__))

#endif
