/* now.c  The system's monotonic clock and that of a thread's work. */
#include "base/now.h"

#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double now_thread_seconds(void)
{
    return 1e-9 * (double)read_clock(CLOCK_THREAD_CPUTIME_ID);
}

double now_seconds(void)
{
    return 1e-9 * (double)now_ns();
}
