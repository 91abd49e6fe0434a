/* now.c  The system's monotonic clock. */
#include "base/now.h"

#include <time.h>

int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double now_seconds(void)
{
    return 1e-9 * (double)now_ns();
}
