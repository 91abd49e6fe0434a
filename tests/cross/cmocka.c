/* cmocka.c  Run the tests in order; a failure leaves the test by longjmp and the run goes on. */
#include "cmocka.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

enum { RAN = 0, FAILED = 1, SKIPPED_TEST = 2 };
static jmp_buf leave;
static const char *filter;

void print_message(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fflush(stdout);
}

void _fail(const char *file, int line)
{
    print_message("%s:%d: failed\n", file, line);
    longjmp(leave, FAILED);
}

void skip(void)
{
    longjmp(leave, SKIPPED_TEST);
}

void cross_check(int ok, const char *what, const char *file, int line)
{
    if (ok) return;
    print_message("not true: %s\n", what);
    _fail(file, line);
}

void cmocka_set_test_filter(const char *pattern)
{
    filter = pattern;
}

int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t n,
                            void *setup, void *teardown)
{
    volatile int failures = 0;
    (void)group;
    (void)setup;
    (void)teardown;
    for (volatile size_t i = 0; i < n; i++) {
        if (filter && fnmatch(filter, tests[i].name, 0) != 0) continue;
        void *state = NULL;
        const int end = setjmp(leave);
        if (end == RAN) tests[i].test_func(&state);
        print_message("%s %s\n",
                      end == RAN      ? "ok     "
                      : end == FAILED ? "FAILED "
                                      : "skipped",
                      tests[i].name);
        if (end == FAILED) failures++;
    }
    return failures;
}
