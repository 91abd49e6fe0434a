/* report_chart.c  Memory over time as SVG: process, tensors and weights stacked, what was planned at
 * the same operations, the resident size, the budget; stages behind, transfers below. */
#include "engine/report.h"
#include "engine/verdict.h"

enum {
    LEFT = 96,
    RIGHT = 1080,
    TOP = 34,
    BOTTOM = 304,
    LANE = 16,
    LANES_TOP = 334,
    MOST_BARS = 1500
};

typedef struct Chart {
    TextBuilder *b;
    const RunRecord *r;
    bool host, two;
    double seconds, bytes; /* ends of the axes */
    double base;           /* of the stack: the process itself */
} Chart;

static double x_of(const Chart *c, double seconds)
{
    return LEFT + (RIGHT - LEFT) * seconds / c->seconds;
}

static double y_of(const Chart *c, double bytes)
{
    return BOTTOM - (BOTTOM - TOP) * bytes / c->bytes;
}

/* ---- what is drawn --------------------------------------------------------------------------- */

typedef enum Series { TENSORS, HELD, STAGED, RESIDENT, PLANNED } Series;

static double value_at(const Chart *c, Series series, int i)
{
    const TimelinePoint *p = &c->r->recorder->timeline.at[i];
    switch (series) {
    case TENSORS:
        return c->base + (double)p->tensors;
    case HELD:
        return c->base + (double)p->tensors + (double)p->weights;
    case STAGED:
        return c->base + (double)p->staged;
    case PLANNED:
        return c->base + (double)c->r->planned[i].tensors + (double)c->r->planned[i].weights;
    case RESIDENT:
    default:
        return (double)p->rss;
    }
}

static double end_of_point(const Chart *c, int i)
{
    const Timeline *t = &c->r->recorder->timeline;
    return i + 1 < t->n ? t->at[i + 1].seconds : c->r->job->figures.seconds;
}

/* A step line; an area when `floor` is a height in px. */
static void add_path(const Chart *c, Series series, const char *class, double floor)
{
    const Timeline *t = &c->r->recorder->timeline;
    if (!t->n) return;
    text_addf(c->b, "<path class=\"%s\" d=\"M%.1f %.1f", class, x_of(c, t->at[0].seconds),
              floor > 0 ? floor : y_of(c, value_at(c, series, 0)));
    for (int i = 0; i < t->n; i++)
        text_addf(c->b, "V%.1fH%.1f", y_of(c, value_at(c, series, i)), x_of(c, end_of_point(c, i)));
    text_addf(c->b, floor > 0 ? "V%.1fZ\"/>\n" : "\"/>\n", floor);
}

static void add_line(const Chart *c, const char *class, double bytes, const char *name)
{
    text_addf(c->b,
              "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"><title>%s: %.1f MiB"
              "</title></line>\n",
              class, LEFT, RIGHT, y_of(c, bytes), y_of(c, bytes), name, bytes / 1048576.0);
}

static void add_stages(const Chart *c)
{
    const Trace *t = &c->r->plan->trace;
    for (int32_t i = 0; i < t->n_stages; i++) {
        const StageMemory *s = &c->r->stages[i];
        const double x = x_of(c, s->begin_seconds), w = x_of(c, s->begin_seconds + s->seconds) - x;
        text_addf(
            c->b,
            "<g><title>%s: %.2f s, planned %.2f s</title><rect class=\"stage s%d\" x=\"%.1f\" "
            "y=\"%d\" width=\"%.1f\" height=\"%d\"/>",
            t->stages[i].name, s->seconds, c->r->plan->schedule.loads.stages[i].seconds, i % 2, x,
            TOP, w, BOTTOM - TOP);
        if (w > 40)
            text_addf(c->b, "<text class=\"small\" x=\"%.1f\" y=\"%d\">%.*s</text>", x + 3, TOP - 6,
                      (int)(w / 6.5), t->stages[i].name);
        text_addf(c->b, "</g>\n");
    }
}

/* ---- axes ------------------------------------------------------------------------------------ */

/* 1, 2 or 5 times a power of ten (or two) so that there are four to ten ticks. */
static double tick(double end, double unit)
{
    double step = unit;
    static const double UP[] = { 2.0, 2.5, 2.0 };
    for (int i = 0; end / step > 8; i++)
        step *= UP[i % 3];
    return step;
}

static void add_axes(const Chart *c)
{
    const double gib = 1073741824.0, bytes = tick(c->bytes, gib / 1024.0),
                 seconds = tick(c->seconds, 1e-3);
    for (double at = 0; at <= c->bytes; at += bytes)
        text_addf(c->b,
                  "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text "
                  "class=\"small end\" x=\"%d\" y=\"%.1f\">%.4g %s</text>\n",
                  LEFT, RIGHT, y_of(c, at), y_of(c, at), LEFT - 6, y_of(c, at) + 4,
                  bytes >= gib / 2 ? at / gib : at / 1048576.0, bytes >= gib / 2 ? "GiB" : "MiB");
    for (double at = 0; at <= c->seconds; at += seconds)
        text_addf(c->b, "<text class=\"small middle\" x=\"%.1f\" y=\"%d\">%.4g s</text>\n",
                  x_of(c, at), BOTTOM + 16, at);
}

/* ---- transfers ------------------------------------------------------------------------------- */

static void add_bar(const Chart *c, const LoadTime *span, int32_t part, size_t bytes, int32_t n)
{
    const double x = x_of(c, span->begin), w = x_of(c, span->end) - x;
    text_addf(
        c->b,
        "<rect class=\"load p%d\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"><title>%s: "
        "%.1f MiB in %.3f s, %d unit%s, from %.3f s</title></rect>\n",
        part % 6, x, LANES_TOP + part * LANE, w > 0.6 ? w : 0.6, LANE - 4,
        c->r->recorder->parts[part], (double)bytes / 1048576.0, span->end - span->begin, n,
        n == 1 ? "" : "s", span->begin);
}

/* Bars closer than half a pixel become one. */
static void add_transfers(const Chart *c)
{
    const Schedule *s = &c->r->plan->schedule;
    const Residency *loads = c->host ? &s->host : &s->loads;
    const LoadTime *times = c->r->recorder->times[c->host ? LEDGER_HOST : LEDGER_DEVICE];
    const double near = c->seconds / (2.0 * MOST_BARS);
    for (int32_t part = 0; part < c->r->recorder->n_parts; part++) {
        LoadTime span = { 0 };
        size_t bytes = 0;
        int32_t n = 0;
        text_addf(c->b, "<text class=\"small end\" x=\"%d\" y=\"%d\">%.12s</text>\n", LEFT - 6,
                  LANES_TOP + part * LANE + 10, c->r->recorder->parts[part]);
        for (int32_t i = 0; i < loads->n_loads; i++) {
            const int32_t unit = loads->loads[i].unit;
            if (c->r->recorder->part_of[unit] != part || times[i].end <= 0) continue;
            if (n && times[i].begin - span.end > near) {
                add_bar(c, &span, part, bytes, n);
                n = 0;
            }
            if (!n) {
                span = times[i];
                bytes = 0;
            }
            if (times[i].end > span.end) span.end = times[i].end;
            bytes += loads->loads[i].bytes;
            n++;
        }
        if (n) add_bar(c, &span, part, bytes, n);
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The highest of what was held, and the operation that was running. */
static void add_peak(const Chart *c, Series series)
{
    const Timeline *t = &c->r->recorder->timeline;
    int at = 0;
    for (int i = 1; i < t->n; i++)
        if (value_at(c, series, i) > value_at(c, series, at)) at = i;
    if (!t->n) return;
    char where[VERDICT_WHERE];
    const double x = x_of(c, t->at[at].seconds), bytes = value_at(c, series, at);
    const int32_t stage = trace_stage_of(&c->r->plan->trace, t->at[at].first_op);
    const char *name = c->r->plan->trace.stages[stage].name;
    text_addf(
        c->b,
        "<circle class=\"peak\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/><text class=\"small halo %s\" "
        "x=\"%.1f\" y=\"%.1f\">peak %.1f MiB: %s, %s</text>\n",
        x, y_of(c, bytes), x > RIGHT - 360 ? "end" : "", x + (x > RIGHT - 360 ? -8 : 8),
        y_of(c, bytes) - 6, bytes / 1048576.0, name,
        verdict_where(c->r->plan, t->at[at].first_op, where));
}

static double limit_of(const Chart *c)
{
    const SnugFigures *f = &c->r->job->figures;
    return (double)(c->two && !c->host ? f->device_budget_bytes : f->budget_bytes);
}

static void find_ends(Chart *c)
{
    const Timeline *t = &c->r->recorder->timeline;
    const Series shown[] = { c->host ? STAGED : HELD, c->host ? STAGED : PLANNED,
                             c->two && !c->host ? HELD : RESIDENT };
    c->seconds = c->r->job->figures.seconds > 1e-3 ? c->r->job->figures.seconds : 1e-3;
    c->bytes = limit_of(c) > 1 ? limit_of(c) : 1;
    double most = 0;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < t->n; i++)
            if (value_at(c, shown[k], i) > most) most = value_at(c, shown[k], i);
    /* A budget far above everything would press the picture flat. */
    if (c->bytes > 2 * most) c->bytes = 1.2 * most;
    if (most > c->bytes) c->bytes = most;
    c->bytes *= 1.06;
}

static void add_budget(const Chart *c)
{
    if (limit_of(c) <= c->bytes)
        add_line(c, "line budget", limit_of(c), "budget");
    else
        text_addf(
            c->b,
            "<text class=\"small halo end over\" x=\"%d\" y=\"%d\">the budget, %.1f MiB, lies "
            "above</text>\n",
            RIGHT - 6, TOP + 14, limit_of(c) / 1048576.0);
}

void report_add_chart(TextBuilder *b, const RunRecord *r, bool host)
{
    Chart c = { .b = b, .r = r, .host = host, .two = r->plan->schedule.two_tiers };
    if (host || !c.two) c.base = (double)r->plan->figures.fixed_bytes;
    find_ends(&c);
    text_addf(b,
              "<svg class=\"chart\" viewBox=\"0 0 1100 %d\" data-left=\"%d\" data-right=\"%d\" "
              "data-seconds=\"%.6f\" data-top=\"%d\" data-bottom=\"%d\" role=\"img\">\n",
              LANES_TOP + r->recorder->n_parts * LANE + 8, LEFT, RIGHT, c.seconds, TOP, BOTTOM);
    add_stages(&c);
    add_axes(&c);
    add_path(&c, host ? STAGED : HELD, host ? "area staged" : "area weights", BOTTOM);
    if (!host) add_path(&c, TENSORS, "area tensors", BOTTOM);
    if (c.base > 0)
        text_addf(b,
                  "<rect class=\"area process\" x=\"%d\" width=\"%d\" y=\"%.1f\" height=\"%.1f\">"
                  "<title>process and output: %.1f MiB</title></rect>\n",
                  LEFT, RIGHT - LEFT, y_of(&c, c.base), BOTTOM - y_of(&c, c.base),
                  c.base / 1048576.0);
    if (!host) add_path(&c, PLANNED, "line planned", 0);
    if (host || !c.two) add_path(&c, RESIDENT, "line resident", 0);
    add_budget(&c);
    add_peak(&c, host ? STAGED : HELD);
    add_transfers(&c);
    text_addf(b, "<line class=\"cursor\" y1=\"%d\" y2=\"%d\" x1=\"-9\" x2=\"-9\"/></svg>\n", TOP,
              LANES_TOP + r->recorder->n_parts * LANE);
}
