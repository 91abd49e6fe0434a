/* curve.c  Budget against time: every way of carrying the job out, scheduled in many sizes of room.
 *
 * A way's rehearsal and places do not depend on the room, so each is laid out once and scheduled as
 * often as there are points. Memory is that of the tier which weights stream into: host memory on the
 * CPU, device memory where there is some. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/outfile.h"
#include "base/size.h"
#include "base/text.h"
#include "engine/plan.h"

enum { POINTS = 16 };

typedef struct Point {
    size_t room;    /* slab bytes */
    double seconds; /* of the fastest way; < 0: none fits */
    double stall, moved;
} Point;

typedef struct Curve {
    SnugPlan *plan;
    size_t beside; /* bytes of the budget that are no slab */
    size_t least, ample;
    Point point[POINTS];
} Curve;

static void take_if_faster(Curve *c, Point *p)
{
    const double seconds = layout_seconds(c->plan);
    const Residency *r = &c->plan->schedule.loads;
    const double moved = layout_moved_bytes(c->plan);
    const bool same = p->seconds >= 0 && fabs(p->seconds - seconds) <= 0.005 * seconds;
    if (same ? moved >= p->moved : p->seconds >= 0 && p->seconds <= seconds) return;
    p->seconds = seconds;
    p->moved = moved;
    p->stall = 0;
    const double share = seconds / c->plan->schedule.seconds; /* of a sketch, in full */
    for (int32_t s = 0; s < r->n_stages; s++)
        p->stall += share * r->stages[s].stall_seconds;
}

/* Smallest and ample room over all ways. */
static SnugStatus find_range(Curve *c, const RunKnobs *knobs, int n, SnugError *err)
{
    c->least = SIZE_MAX;
    for (int i = 0; i < n; i++) {
        const LayoutRoom all = { SIZE_MAX, SIZE_MAX }, none = { 0, SIZE_MAX };
        TRY(layout_make(c->plan, &knobs[i], LAYOUT_SKETCH_STEPS, &all, err));
        if (c->plan->schedule.loads.top > c->ample) c->ample = c->plan->schedule.loads.top;
        const SnugStatus status = layout_schedule(c->plan, true, &none, err);
        if (status != SNUG_ERR_BUDGET && status != SNUG_OK) return status;
        if (c->plan->schedule.loads.top < c->least) c->least = c->plan->schedule.loads.top;
    }
    if (c->ample < c->least) c->ample = c->least;
    return SNUG_OK;
}

static SnugStatus fill_points(Curve *c, const RunKnobs *knobs, int n, SnugError *err)
{
    const double ratio = (double)c->ample / (double)(c->least ? c->least : 1);
    for (int k = 0; k < POINTS; k++) {
        const double room = (double)c->least * pow(ratio, (double)k / (POINTS - 1));
        c->point[k] = (Point){ .room = k == POINTS - 1 ? c->ample : (size_t)room, .seconds = -1 };
    }
    for (int i = 0; i < n; i++) {
        const LayoutRoom all = { SIZE_MAX, SIZE_MAX };
        TRY(layout_make(c->plan, &knobs[i], LAYOUT_SKETCH_STEPS, &all, err));
        for (int k = 0; k < POINTS; k++) {
            const LayoutRoom room = { c->point[k].room, SIZE_MAX };
            const SnugStatus status = layout_schedule(c->plan, true, &room, err);
            if (status == SNUG_ERR_BUDGET) continue;
            TRY(status);
            take_if_faster(c, &c->point[k]);
        }
    }
    for (int k = 1; k < POINTS; k++) /* a larger budget can do what a smaller one can */
        if (c->point[k - 1].seconds >= 0 &&
            (c->point[k].seconds < 0 || c->point[k].seconds > 1.01 * c->point[k - 1].seconds)) {
            const size_t room = c->point[k].room;
            c->point[k] = c->point[k - 1];
            c->point[k].room = room;
        }
    return SNUG_OK;
}

/* ---- words and picture ------------------------------------------------------------------------- */

static double mib(double bytes)
{
    return bytes / 1048576.0;
}

static void add_table(TextBuilder *b, const Curve *c)
{
    text_addf(b, "%12s %12s %12s %12s\n", "budget MiB", "seconds", "waiting s", "read MiB");
    for (int k = 0; k < POINTS; k++) {
        const Point *p = &c->point[k];
        text_addf(b, "%12.0f %12.1f %12.1f %12.0f\n", ceil(mib((double)(p->room + c->beside))),
                  p->seconds, p->stall, mib(p->moved));
    }
}

static void add_json(TextBuilder *b, const Curve *c)
{
    text_addf(b, "[");
    for (int k = 0; k < POINTS; k++) {
        const Point *p = &c->point[k];
        text_addf(b,
                  "%s{\"budget_bytes\":%zu,\"seconds\":%.3f,\"stall_seconds\":%.3f,"
                  "\"moved_bytes\":%.0f}",
                  k ? "," : "", p->room + c->beside, p->seconds, p->stall, p->moved);
    }
    text_addf(b, "]\n");
}

enum { WIDTH = 720, HEIGHT = 400, LEFT = 80, RIGHT = 30, TOP = 50, BOTTOM = 60 };

static double x_of(const Curve *c, size_t budget)
{
    const double low = log((double)(c->point[0].room + c->beside)),
                 high = log((double)(c->point[POINTS - 1].room + c->beside));
    const double part = high > low ? (log((double)budget) - low) / (high - low) : 0.5;
    return LEFT + part * (WIDTH - LEFT - RIGHT);
}

static double y_of(double seconds, double most)
{
    return HEIGHT - BOTTOM - seconds / most * (HEIGHT - TOP - BOTTOM);
}

static void add_axes(TextBuilder *b, const Curve *c, double most)
{
    for (int i = 0; i <= 4; i++) {
        const double s = most * i / 4, y = y_of(s, most);
        text_addf(b,
                  "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                  "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g s</text>\n",
                  LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4, s);
    }
    for (int k = 0; k < POINTS; k += 3) {
        const size_t budget = c->point[k].room + c->beside;
        text_addf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.4g GiB</text>\n",
                  x_of(c, budget), HEIGHT - BOTTOM + 20, (double)budget / 1073741824.0);
    }
}

static void add_svg(TextBuilder *b, const Curve *c)
{
    double most = 0;
    for (int k = 0; k < POINTS; k++)
        if (c->point[k].seconds > most) most = c->point[k].seconds;
    most *= 1.1;
    text_addf(b,
              "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n"
              "<style>text{font:12px sans-serif;fill:#333}.t{font-size:16px}.grid{stroke:#ccc}"
              ".line{fill:none;stroke:#0a6;stroke-width:2}.dot{fill:#0a6}"
              "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}}</style>\n"
              "<text class=\"t\" x=\"%d\" y=\"28\">Time of the request under each budget</text>\n",
              WIDTH, HEIGHT, LEFT);
    add_axes(b, c, most > 0 ? most : 1);
    text_addf(b, "<polyline class=\"line\" points=\"");
    for (int k = 0; k < POINTS; k++)
        text_addf(b, "%.1f,%.1f ", x_of(c, c->point[k].room + c->beside),
                  y_of(c->point[k].seconds, most));
    text_addf(b, "\"/>\n");
    for (int k = 0; k < POINTS; k++) {
        const Point *p = &c->point[k];
        text_addf(
            b,
            "<circle class=\"dot\" r=\"4\" cx=\"%.1f\" cy=\"%.1f\"><title>%.0f MiB: %.1f s, of "
            "it %.1f s waiting, %.0f MiB read</title></circle>\n",
            x_of(c, p->room + c->beside), y_of(p->seconds, most),
            ceil(mib((double)(p->room + c->beside))), p->seconds, p->stall, mib(p->moved));
    }
    text_addf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">budget</text>\n</svg>\n",
              (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14);
}

static SnugStatus write_svg(const Curve *c, const char *path, SnugError *err)
{
    Heap *heap = c->plan->heap;
    TextBuilder b;
    OutFile *file = NULL;
    text_init(&b, heap, "plan");
    add_svg(&b, c);
    SnugStatus status = b.failed ? error_set(err, SNUG_ERR_MEMORY, "no memory for the curve")
                                 : outfile_open(&file, heap, path, err);
    if (status == SNUG_OK) status = outfile_write(file, b.at, b.n, err);
    if (status == SNUG_OK) status = outfile_commit(file, err);
    outfile_close(file);
    text_release(&b);
    return status;
}

static SnugStatus make_curve(Curve *c, SnugError *err)
{
    RunKnobs knobs[LAYOUT_MAX_CANDIDATES + LAYOUT_MAX_WAYS], way[LAYOUT_MAX_WAYS];
    int n = layout_candidates(c->plan->job, knobs);
    const RunKnobs smallest = knobs[n - 1];
    const int n_ways = layout_vae_ways(c->plan->job, way);
    for (int i = 1; i < n_ways; i++)
        knobs[n++] = layout_on_way(smallest, &way[i]);
    (void)plan_room(c->plan);
    c->beside = c->plan->job->engine->device.memory ? 0 : c->plan->fixed_bytes;
    TRY(find_range(c, knobs, n, err));
    return fill_points(c, knobs, n, err);
}

SnugStatus snug_plan_curve(const char **out, SnugJob *job, bool json, const char *svg_path,
                           SnugError *err)
{
    Curve c = { 0 };
    *out = NULL;
    TRY(plan_open(&c.plan, job, err));
    SnugStatus status = make_curve(&c, err);
    if (status == SNUG_OK && svg_path) status = write_svg(&c, svg_path, err);
    TextBuilder b;
    text_init(&b, c.plan->heap, "plan");
    if (json)
        add_json(&b, &c);
    else
        add_table(&b, &c);
    heap_give(c.plan->heap, job->curve_text);
    job->curve_text = b.failed ? NULL : heap_take(c.plan->heap, b.n + 1, "plan");
    if (job->curve_text) memcpy(job->curve_text, b.at, b.n);
    if (status == SNUG_OK && !job->curve_text)
        status = error_set(err, SNUG_ERR_MEMORY, "no memory for the curve");
    if (status == SNUG_OK) *out = job->curve_text;
    text_release(&b);
    snug_plan_free(c.plan);
    return status;
}
