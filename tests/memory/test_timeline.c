/* test_timeline.c  However long a run is: few points, no peak lost, times in order. */
#include "test.h"

#include "memory/timeline.h"

static void check_run(int n, double step)
{
    static Timeline t;
    size_t tensors = 0, rss = 0;
    timeline_init(&t);
    for (int i = 0; i < n; i++) {
        const TimelinePoint p = { .seconds = i * step,
                                  .first_op = i,
                                  .last_op = i,
                                  .tensors = (size_t)((i * 7919LL) % 10007),
                                  .rss = (size_t)((i * 104729LL) % 99991) };
        timeline_add(&t, &p);
        if (p.tensors > tensors) tensors = p.tensors;
        if (p.rss > rss) rss = p.rss;
    }
    size_t most = 0, most_rss = 0;
    CHECK(t.n >= 1 && t.n <= TIMELINE_POINTS);
    CHECK_INT(t.at[0].first_op, 0);
    CHECK_INT(t.at[t.n - 1].last_op, n - 1);
    for (int i = 0; i < t.n; i++) {
        CHECK(i == 0 || t.at[i].seconds > t.at[i - 1].seconds);
        CHECK(i == 0 || t.at[i].first_op == t.at[i - 1].last_op + 1);
        if (t.at[i].tensors > most) most = t.at[i].tensors;
        if (t.at[i].rss > most_rss) most_rss = t.at[i].rss;
    }
    CHECK_INT(most, tensors);
    CHECK_INT(most_rss, rss);
}

TEST(timeline, keeps_peaks_and_order_at_every_length)
{
    check_run(1, 1.0);
    check_run(500, 0.01);
    check_run(TIMELINE_POINTS + 1, 0.5);
    check_run(100000, 1e-5);
    check_run(300000, 0.03);
    check_run(2000, 3600.0);
}
