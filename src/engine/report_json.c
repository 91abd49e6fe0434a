/* report_json.c  Plan, measurements, timeline, transfers and books as one JSON object. */
#include <string.h>

#include "engine/report.h"
#include "engine/verdict.h"

/* Transfers written in full; of more, neighbours of one network become one row. */
enum { MOST_TRANSFERS = 4000 };

static void add_measured(TextBuilder *b, const RunRecord *r)
{
    const SnugFigures *f = &r->job->figures;
    text_addf(b,
              "\"measured\":{\"seconds\":%.3f,\"slab_peak_bytes\":%zu,\"host_slab_peak_bytes\":%zu,"
              "\"process_peak_bytes\":%zu,\"moved_bytes\":%.0f,\"stall_seconds\":%.3f,\"stages\":[",
              f->seconds, f->slab_peak_bytes, f->host_slab_peak_bytes, f->process_peak_bytes,
              f->moved_bytes, f->stall_seconds);
    for (int32_t i = 0; i < r->plan->trace.n_stages; i++)
        text_addf(b,
                  "%s{\"name\":\"%s\",\"begin\":%.3f,\"seconds\":%.3f,\"planned_begin\":%.3f,"
                  "\"planned_seconds\":%.3f,\"last_step_seconds\":%.3f,\"rss_bytes\":%zu}",
                  i ? "," : "", r->plan->trace.stages[i].name, r->stages[i].begin_seconds,
                  r->stages[i].seconds, r->plan->verdict[i].begin_seconds,
                  r->plan->schedule.loads.stages[i].seconds, r->stages[i].last_step_seconds,
                  r->stages[i].rss_bytes);
    text_addf(b, "]}");
}

static void add_timeline(TextBuilder *b, const RunRecord *r)
{
    const Timeline *t = &r->recorder->timeline;
    text_addf(b, ",\n\"timeline\":{\"columns\":[\"seconds\",\"first_op\",\"last_op\",\"tensors\","
                 "\"weights\",\"staged\",\"resident\",\"planned_tensors\",\"planned_weights\"],"
                 "\"points\":[");
    for (int i = 0; i < t->n; i++) {
        const TimelinePoint *p = &t->at[i];
        text_addf(b, "%s[%.4f,%d,%d,%zu,%zu,%zu,%zu,%zu,%zu]", i ? ",\n" : "\n", p->seconds,
                  p->first_op, p->last_op, p->tensors, p->weights, p->staged, p->rss,
                  r->planned[i].tensors, r->planned[i].weights);
    }
    text_addf(b, "]}");
}

/* ---- transfers ------------------------------------------------------------------------------ */

typedef struct Row {
    int32_t part, n;
    double begin, end;
    size_t bytes;
} Row;

static void add_row(TextBuilder *b, const Row *row, const char *tier, bool *first)
{
    text_addf(b, "%s[\"%s\",%d,%.4f,%.4f,%zu,%d]", *first ? "\n" : ",\n", tier, row->part,
              row->begin, row->end, row->bytes, row->n);
    *first = false;
}

static void add_tier(TextBuilder *b, const RunRecord *r, const Residency *loads,
                     const LoadTime *times, const char *tier, bool *first)
{
    const int32_t join = loads->n_loads / MOST_TRANSFERS + 1;
    Row row = { .n = 0 };
    for (int32_t i = 0; i < loads->n_loads; i++) {
        const int32_t unit = loads->loads[i].unit, part = r->recorder->part_of[unit];
        if (times[i].end <= 0) continue; /* never begun: the run ended early */
        if (row.n && (row.part != part || row.n == join)) {
            add_row(b, &row, tier, first);
            row.n = 0;
        }
        if (!row.n) row = (Row){ .part = part, .begin = times[i].begin };
        row.end = times[i].end > row.end ? times[i].end : row.end;
        row.bytes += loads->loads[i].bytes;
        row.n++;
    }
    if (row.n) add_row(b, &row, tier, first);
}

static void add_transfers(TextBuilder *b, const RunRecord *r)
{
    const Schedule *s = &r->plan->schedule;
    bool first = true;
    text_addf(b, ",\n\"parts\":[");
    for (int i = 0; i < r->recorder->n_parts; i++) {
        text_addf(b, "%s", i ? "," : "");
        text_add_json(b, r->recorder->parts[i], strlen(r->recorder->parts[i]));
    }
    text_addf(b, "],\n\"transfers\":{\"columns\":[\"to\",\"part\",\"begin\",\"end\",\"bytes\","
                 "\"units\"],\"rows\":[");
    add_tier(b, r, &s->loads, r->recorder->times[LEDGER_DEVICE], "device", &first);
    if (s->two_tiers) add_tier(b, r, &s->host, r->recorder->times[LEDGER_HOST], "host", &first);
    text_addf(b, "]}");
}

/* ---- work ------------------------------------------------------------------------------------ */

static void add_work(TextBuilder *b, const RunRecord *r)
{
    bool first = true;
    text_addf(b, ",\n\"work\":[");
    for (int i = 0; i < RECORDER_WORK; i++) {
        const OpTotals *t = &r->recorder->work[i];
        if (!t->n) continue;
        text_addf(b,
                  "%s{\"name\":\"%s\",\"n\":%lld,\"gflop\":%.4f,\"bytes\":%.0f,"
                  "\"planned_seconds\":%.5f,\"seconds\":%.5f}",
                  first ? "\n" : ",\n", recorder_work_name(i), (long long)t->n, t->flops / 1e9,
                  t->bytes, t->planned_seconds, t->seconds);
        first = false;
    }
    text_addf(b, "]");
}

/* ---- books ---------------------------------------------------------------------------------- */

static void add_entry(TextBuilder *b, const char *label, const char *tier, size_t now, size_t peak,
                      bool *first)
{
    text_addf(b, "%s{\"label\":", *first ? "\n" : ",\n");
    text_add_json(b, label, strlen(label));
    text_addf(b, ",\"tier\":\"%s\",\"now_bytes\":%zu,\"peak_bytes\":%zu}", tier, now, peak);
    *first = false;
}

static void add_ledger(TextBuilder *b, const RunRecord *r)
{
    LedgerRow rows[LEDGER_ROWS];
    HeapLabel labels[96];
    bool first = true;
    text_addf(b, ",\n\"ledger\":[");
    const int n = ledger_rows(&r->job->engine->ledger, rows, LEDGER_ROWS);
    for (int i = 0; i < n; i++)
        add_entry(b, rows[i].label, ledger_tier_name(rows[i].tier), rows[i].now_bytes,
                  rows[i].peak_bytes, &first);
    const int m = heap_labels(r->job->engine->heap, labels, 96);
    for (int i = 0; i < m && i < 96; i++)
        add_entry(b, labels[i].label, "process", labels[i].now_bytes, labels[i].peak_bytes, &first);
    text_addf(b, "]");
}

void report_add_json(TextBuilder *b, const RunRecord *r)
{
    text_addf(b, "{\"snug\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"device\":\"%s\",\"plan\":%s,\n",
              snug_version(), snug_engine_isa(r->job->engine), snug_engine_threads(r->job->engine),
              r->job->engine->device.name, r->plan->json);
    add_measured(b, r);
    add_timeline(b, r);
    add_transfers(b, r);
    add_work(b, r);
    add_ledger(b, r);
    text_addf(b, "}\n");
}
