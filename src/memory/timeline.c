/* timeline.c  Joining points. */
#include "memory/timeline.h"

static const double FIRST_STRETCH = 1e-3;

void timeline_init(Timeline *t)
{
    t->n = 0;
    t->stretch = FIRST_STRETCH;
}

static size_t more(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void join(TimelinePoint *to, const TimelinePoint *from)
{
    to->last_op = from->last_op;
    to->tensors = more(to->tensors, from->tensors);
    to->weights = more(to->weights, from->weights);
    to->staged = more(to->staged, from->staged);
    to->rss = more(to->rss, from->rss);
}

static void halve(Timeline *t)
{
    int n = 0;
    t->stretch *= 2;
    for (int i = 0; i < t->n; i++) {
        if (n && t->at[i].seconds - t->at[n - 1].seconds < t->stretch)
            join(&t->at[n - 1], &t->at[i]);
        else
            t->at[n++] = t->at[i];
    }
    t->n = n;
}

void timeline_add(Timeline *t, const TimelinePoint *point)
{
    if (t->n && point->seconds - t->at[t->n - 1].seconds < t->stretch) {
        join(&t->at[t->n - 1], point);
        return;
    }
    while (t->n == TIMELINE_POINTS)
        halve(t);
    t->at[t->n++] = *point;
}
