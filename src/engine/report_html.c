/* report_html.c  One self-contained page: charts, tables, and the JSON report inside. */
#include <string.h>

#include "engine/report.h"
#include "engine/report_page.h"
#include "engine/verdict.h"

static double mib(double bytes)
{
    return bytes / 1048576.0;
}

/* ---- figures --------------------------------------------------------------------------------- */

static void add_size(TextBuilder *b, double bytes)
{
    const bool large = bytes >= 1024.0 * 1048576.0;
    text_addf(b, "%.*f %s", large ? 2 : 1, large ? mib(bytes) / 1024.0 : mib(bytes),
              large ? "GiB" : "MiB");
}

static void open_tile(TextBuilder *b, const char *name)
{
    text_addf(b, "<div class=\"tile\"><span>%s</span><b>", name);
}

/* A share of a limit, as a bar. */
static void add_share(TextBuilder *b, const char *name, size_t bytes, size_t limit)
{
    const double share = limit ? (double)bytes / (double)limit : 0;
    open_tile(b, name);
    add_size(b, (double)bytes);
    text_addf(b, "</b><i style=\"--part:%.1f%%\"></i><span>at most, of ",
              share > 1 ? 100.0 : 100.0 * share);
    add_size(b, (double)limit);
    text_addf(b, "</span></div>\n");
}

static void add_slab(TextBuilder *b, const char *name, size_t planned, size_t peak)
{
    open_tile(b, name);
    text_addf(b, "%zu</b><span>bytes at its peak; planned %s", peak,
              peak == planned ? "the same</span></div>\n" : "");
    if (peak != planned) text_addf(b, "%zu</span></div>\n", planned);
}

static void add_tiles(TextBuilder *b, const RunRecord *r)
{
    const SnugFigures *f = &r->job->figures, *p = &r->plan->figures;
    const bool two = r->plan->schedule.two_tiers;
    text_addf(b, "<div class=\"tiles\">\n");
    open_tile(b, "time");
    text_addf(b, "%.1f s</b><span>forecast %.1f s, %.1f to %.1f</span></div>\n", f->seconds,
              p->seconds, p->seconds / (1 + p->error), p->seconds * (1 + p->error));
    if (two) add_share(b, "device memory", f->slab_peak_bytes, f->device_budget_bytes);
    add_share(b, two ? "host memory" : "memory", f->process_peak_bytes, f->budget_bytes);
    add_slab(b, two ? "device slab" : "slab", f->slab_bytes, f->slab_peak_bytes);
    if (two) add_slab(b, "host slab", f->host_slab_bytes, f->host_slab_peak_bytes);
    open_tile(b, "weights moved");
    add_size(b, f->moved_bytes);
    text_addf(b, "</b><span>%.2f of the lower bound, ",
              f->bound_bytes > 0 ? f->moved_bytes / f->bound_bytes : 1.0);
    add_size(b, f->bound_bytes);
    text_addf(b, "</span></div>\n");
    open_tile(b, "waited for weights");
    text_addf(b, "%.2f s</b><span>planned %.2f s</span></div>\n</div>\n", f->stall_seconds,
              p->stall_seconds);
}

static void add_head(TextBuilder *b, const RunRecord *r)
{
    const char *name = r->job->pipeline->name;
    const int threads = snug_engine_threads(r->job->engine);
    text_addf(b,
              "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
              "name=\"viewport\" content=\"width=device-width\"><title>snug: %s</title>"
              "<style>%s</style></head><body>\n",
              name, PAGE_STYLE);
    text_addf(b, "<h1>%s: %.1f s inside ", name, r->job->figures.seconds);
    add_size(b, (double)r->job->figures.budget_bytes);
    text_addf(b, "</h1>\n<p>snug %s, device %s, %s kernels, %d thread%s</p>\n", snug_version(),
              r->job->engine->device.name, snug_engine_isa(r->job->engine), threads,
              threads == 1 ? "" : "s");
    add_tiles(b, r);
}

static void add_legend(TextBuilder *b, bool host, bool two)
{
    static const char *const ROWS[][2] = { { "process", "process and output, upper bound" },
                                           { "tensors", "activations" },
                                           { "weights", "weights" },
                                           { "staged", "weights and frames on their way" } };
    text_addf(b, "<p class=\"legend\">");
    for (int i = 0; i < 4; i++) {
        const bool shown = i == 0 ? host || !two : host ? i == 3 : i < 3;
        if (shown)
            text_addf(b, "<span><i style=\"background:var(--%s)\"></i>%s</span>", ROWS[i][0],
                      ROWS[i][1]);
    }
    if (!host)
        text_addf(b, "<span><i class=\"dash\" style=\"border-color:var(--planned)\"></i>planned at "
                     "the same operations</span>");
    if (host || !two)
        text_addf(b,
                  "<span><i class=\"dash\" style=\"border-color:var(--resident);border-top-style:"
                  "solid\"></i>resident</span>");
    text_addf(b, "<span><i class=\"dash\" style=\"border-color:var(--budget)\"></i>budget</span>"
                 "<span>bars below: transfers of weights by network</span></p>\n");
}

static void add_stage(TextBuilder *b, const RunRecord *r, int32_t i)
{
    char where[VERDICT_WHERE];
    const SnugPlan *p = r->plan;
    const TraceStage *s = &p->trace.stages[i];
    const StageWeights *w = &p->schedule.loads.stages[i];
    const StageVerdict *v = &p->verdict[i];
    text_addf(b,
              "<tr><td>%s</td><td>%d</td><td>%.2f</td><td>%.2f</td><td title=\"most is held in "
              "%s\">%.1f</td><td>%.1f</td><td>%.1f</td><td>%d of %d</td><td>%.1f</td><td>%.1f</td>"
              "<td>%.2f</td><td>%.1f</td></tr>\n",
              s->name, s->steps, w->seconds, r->stages[i].seconds,
              verdict_where(p, v->peak_op, where), mib((double)v->slab_bytes),
              mib((double)p->placement.stage_top[i]), mib((double)w->unit_bytes), w->n_resident,
              w->n_units, mib(w->moved_bytes), mib(w->bound_bytes), w->stall_seconds,
              mib((double)r->stages[i].rss_bytes));
}

static void add_stages(TextBuilder *b, const RunRecord *r)
{
    text_addf(b,
              "<h2>Stages</h2><p>Sizes in MiB, times in seconds. Slab: what the stage takes of it; "
              "stay: units of weights that are read once and stay for the stage; waits: "
              "planned.</p><div class=\"wide\"><table><tr><th>stage</th><th>steps</th>"
              "<th>planned</th><th>took</th><th>slab</th><th>tensors</th><th>weights</th>"
              "<th>stay</th><th>moved</th><th>bound</th><th>waits</th><th>resident</th></tr>\n");
    for (int32_t i = 0; i < r->plan->trace.n_stages; i++)
        add_stage(b, r, i);
    text_addf(b, "</table></div>\n");
}

static void add_row(TextBuilder *b, const char *label, const char *tier, size_t now, size_t peak)
{
    text_addf(b, "<tr><td>%s</td><td>%s</td><td>%.3f</td><td>%.3f</td></tr>\n", label, tier,
              mib((double)now), mib((double)peak));
}

static void add_work(TextBuilder *b, const RunRecord *r)
{
    text_addf(b, "<h2>Work</h2><p>Operations by class, waiting left out: what the machine profile "
                 "foresaw, and what they took.</p><div class=\"wide\"><table><tr><th>class</th>"
                 "<th>operations</th><th>GFLOP</th><th>GiB touched</th><th>planned s</th>"
                 "<th>took s</th><th>GFLOP/s</th></tr>\n");
    for (int i = 0; i < RECORDER_WORK; i++) {
        const OpTotals *t = &r->recorder->work[i];
        if (!t->n) continue;
        text_addf(b,
                  "<tr><td>%s</td><td>%lld</td><td>%.1f</td><td>%.2f</td><td>%.3f</td>"
                  "<td>%.3f</td><td>%.1f</td></tr>\n",
                  recorder_work_name(i), (long long)t->n, t->flops / 1e9, mib(t->bytes) / 1024.0,
                  t->planned_seconds, t->seconds,
                  t->seconds > 0 ? t->flops / 1e9 / t->seconds : 0.0);
    }
    text_addf(b, "</table></div>\n");
}

static void open_book(TextBuilder *b)
{
    text_addf(b, "<div class=\"wide\"><table><tr><th>label</th><th>tier</th><th>at the end</th>"
                 "<th>peak</th></tr>\n");
}

static void add_ledger(TextBuilder *b, const RunRecord *r)
{
    LedgerRow rows[LEDGER_ROWS];
    HeapLabel labels[96];
    text_addf(b,
              "<h2>Ledger</h2><p>Who held how much, in MiB: tensors and weights in the slabs.</p>");
    open_book(b);
    const int n = ledger_rows(&r->job->engine->ledger, rows, LEDGER_ROWS);
    for (int i = 0; i < n; i++)
        add_row(b, rows[i].label, ledger_tier_name(rows[i].tier), rows[i].now_bytes,
                rows[i].peak_bytes);
    text_addf(b, "</table></div>\n<details><summary>The process: blocks by label</summary>");
    open_book(b);
    const int m = heap_labels(r->job->engine->heap, labels, 96);
    for (int i = 0; i < m && i < 96; i++)
        add_row(b, labels[i].label, "process", labels[i].now_bytes, labels[i].peak_bytes);
    text_addf(b, "</table></div></details>\n");
}

/* JSON inside a script element: "</" must not appear, and "<\/" means the same in a string. */
static void add_data(TextBuilder *b, const RunRecord *r)
{
    TextBuilder json;
    text_init(&json, b->heap, "report");
    report_add_json(&json, r);
    text_addf(b, "<script type=\"application/json\" id=\"data\">");
    size_t from = 0;
    for (size_t i = 0; i + 1 < json.n; i++) {
        if (json.at[i] != '<' || json.at[i + 1] != '/') continue;
        text_add(b, json.at + from, i + 1 - from);
        text_add(b, "\\", 1);
        from = i + 1;
    }
    if (json.at) text_add(b, json.at + from, json.n - from);
    if (json.failed) b->failed = true;
    text_release(&json);
    text_addf(b, "</script>\n");
}

void report_add_html(TextBuilder *b, const RunRecord *r)
{
    const bool two = r->plan->schedule.two_tiers;
    add_head(b, r);
    text_addf(b, "<h2>%s over time</h2>\n", two ? "Device memory" : "Memory");
    add_legend(b, false, two);
    report_add_chart(b, r, false);
    if (two) {
        text_addf(b, "<h2>Host memory over time</h2>\n");
        add_legend(b, true, two);
        report_add_chart(b, r, true);
    }
    add_stages(b, r);
    add_work(b, r);
    add_ledger(b, r);
    text_addf(b, "<div id=\"tip\"></div>\n");
    add_data(b, r);
    text_addf(b, "<script>%s</script></body></html>\n", PAGE_SCRIPT);
}
