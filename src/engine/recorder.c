/* recorder.c  Booking. */
#include "engine/recorder.h"

#include <stdio.h>
#include <string.h>

#include "base/now.h"
#include "memory/process.h"

/* The resident size is asked for this often; the kernel takes some microseconds to tell. */
static const double RSS_EVERY_SECONDS = 0.02;

/* ---- the process ----------------------------------------------------------------------------- */

void recorder_slabs(Recorder *r)
{
    const DeviceMemory *memory = r->job->engine->device.memory;
    r->device_in_process = memory && memory->in_process ? r->plan->schedule.loads.top : 0;
}

static size_t without(size_t bytes, size_t part)
{
    return bytes > part ? bytes - part : 0;
}

size_t recorder_rss(const Recorder *r)
{
    return without(process_rss_bytes(), r->device_in_process);
}

size_t recorder_peak_rss(const Recorder *r)
{
    return without(process_peak_rss_bytes(), r->device_in_process);
}

/* ---- news ----------------------------------------------------------------------------------- */

int recorder_tiers(const Recorder *r, SnugTierUse out[RECORDER_TIERS])
{
    SnugEngine *e = r->job->engine;
    const bool two = r->plan->schedule.two_tiers;
    const LedgerRow device = ledger_total(&e->ledger, LEDGER_DEVICE),
                    host = ledger_total(&e->ledger, LEDGER_HOST);
    const size_t rss = recorder_rss(r);
    out[0] =
        (SnugTierUse){ .tier = ledger_tier_name(LEDGER_DEVICE),
                       .used_bytes = device.now_bytes,
                       .peak_bytes = device.peak_bytes,
                       .reserved_bytes = two ? r->plan->schedule.loads.top : rss,
                       .limit_bytes = two ? r->plan->figures.device_budget_bytes : e->ram_bytes };
    if (!two) return 1;
    out[1] = (SnugTierUse){ .tier = ledger_tier_name(LEDGER_HOST),
                            .used_bytes = host.now_bytes,
                            .peak_bytes = host.peak_bytes,
                            .reserved_bytes = rss,
                            .limit_bytes = e->ram_bytes };
    return 2;
}

const char *snug_memory_line(char *to, size_t room, const char *label, const SnugTierUse *t)
{
    const double gb = 1073741824.0;
    const int digits = (double)t->reserved_bytes < gb ? 4 : 2; /* small models have small figures */
    if (!t->limit_bytes) { /* what monitors of older services look for */
        (void)snprintf(to, room, "[%s] %s: allocated=%.2fGB, reserved=%.2fGB", label, t->tier,
                       (double)t->used_bytes / gb, (double)t->reserved_bytes / gb);
        return to;
    }
    (void)snprintf(to, room, "[%s] %s: allocated=%.*fGB, reserved=%.*fGB, limit=%.*fGB", label,
                   t->tier, digits, (double)t->used_bytes / gb, digits,
                   (double)t->reserved_bytes / gb, digits, (double)t->limit_bytes / gb);
    return to;
}

/* Under the lock. A full queue loses the newest: nobody listens then. `name` may be NULL. */
static void tell(Recorder *r, const char *verb, const char *name)
{
    if (r->n_news == RECORDER_QUEUE) return;
    RecorderNews *n = &r->queue[r->n_news++];
    (void)snprintf(n->label, sizeof n->label, "%s%s%s", verb, name ? " " : "", name ? name : "");
    n->seconds = now_seconds() - r->opened;
    n->n_tiers = recorder_tiers(r, n->tiers);
    n->phase = !name;
}

void recorder_tell(Recorder *r, const char *verb, const char *name)
{
    pthread_mutex_lock(&r->lock);
    tell(r, verb, name);
    pthread_mutex_unlock(&r->lock);
}

bool recorder_next(Recorder *r, RecorderNews *out)
{
    pthread_mutex_lock(&r->lock);
    const bool any = r->n_news > 0;
    if (any) {
        *out = r->queue[0];
        memmove(r->queue, r->queue + 1, (size_t)--r->n_news * sizeof r->queue[0]);
    }
    pthread_mutex_unlock(&r->lock);
    return any;
}

/* ---- loads ---------------------------------------------------------------------------------- */

static const Load *load_at(const Recorder *r, bool host, int32_t i)
{
    const Schedule *s = &r->plan->schedule;
    return host ? &s->host.loads[i] : &s->loads.loads[i];
}

static void book_load(Recorder *r, bool host, int32_t i, bool in)
{
    const Load *load = load_at(r, host, i);
    const int row = r->row[r->part_of[load->unit]][host ? LEDGER_HOST : LEDGER_DEVICE];
    const int64_t bytes = (int64_t)load->bytes;
    ledger_book(&r->job->engine->ledger, row, in ? bytes : -bytes);
}

static const char *part_name(const Recorder *r, const HeldSpan *s)
{
    return r->parts[s->part];
}

/* A span is loaded when all of it is there, or when the first of it has to go for the rest. */
static void tell_loaded(Recorder *r, int32_t span)
{
    if (r->spans[span].told) return;
    r->spans[span].told = true;
    tell(r, "after load", part_name(r, &r->held.spans[span]));
}

static void device_moving(Recorder *r, int32_t i, bool ended)
{
    const int32_t span = r->held.span_of[i];
    SpanState *s = &r->spans[span];
    if (!ended) {
        if (s->n_begun++ == 0) tell(r, "before load", part_name(r, &r->held.spans[span]));
        book_load(r, false, i, true);
        return;
    }
    if (++s->n_ended == r->held.spans[span].n_loads) tell_loaded(r, span);
    while (r->n_host_released < r->held.n_host_loads &&
           r->held.host_last[r->held.by_host_last[r->n_host_released]] <= i)
        book_load(r, true, r->held.by_host_last[r->n_host_released++], false);
}

static void host_moving(Recorder *r, int32_t i, bool ended)
{
    if (!ended) book_load(r, true, i, true);
}

void recorder_moving(Recorder *r, bool host, int32_t load, bool ended)
{
    pthread_mutex_lock(&r->lock);
    LoadTime *t = &r->times[host ? LEDGER_HOST : LEDGER_DEVICE][load];
    *(ended ? &t->end : &t->begin) = now_seconds() - r->opened;
    if (host)
        host_moving(r, load, ended);
    else
        device_moving(r, load, ended);
    pthread_mutex_unlock(&r->lock);
}

/* Spans that end with operation `op`, each once. */
typedef struct Ending {
    int32_t span[RECORDER_PARTS];
    int n;
} Ending;

static void add_ending(Ending *e, int32_t span)
{
    for (int i = 0; i < e->n; i++)
        if (e->span[i] == span) return;
    if (e->n < RECORDER_PARTS) e->span[e->n++] = span;
}

/* Under the lock: operation `op` is done, and with it the loads that it was the last to need. */
static void release(Recorder *r, int32_t op)
{
    const Held *h = &r->held;
    Ending ending = { .n = 0 };
    int32_t at = r->n_released;
    for (; at < h->n_loads && h->last_op[h->by_last_op[at]] <= op; at++) {
        const int32_t span = h->span_of[h->by_last_op[at]];
        if (h->spans[span].last_op <= op)
            add_ending(&ending, span);
        else
            tell_loaded(r, span);
    }
    for (int i = 0; i < ending.n; i++)
        tell(r, "before unload", part_name(r, &h->spans[ending.span[i]]));
    for (; r->n_released < at; r->n_released++)
        book_load(r, false, h->by_last_op[r->n_released], false);
    for (int i = 0; i < ending.n; i++)
        tell(r, "after unload", part_name(r, &h->spans[ending.span[i]]));
}

/* ---- operations ------------------------------------------------------------------------------ */

static void sample(Recorder *r, size_t tensors)
{
    Ledger *l = &r->job->engine->ledger;
    const double now = now_seconds() - r->opened;
    if (now - r->rss_at >= RSS_EVERY_SECONDS || r->op == 0) {
        r->rss = recorder_rss(r);
        r->rss_at = now;
    }
    const size_t all = ledger_total(l, LEDGER_DEVICE).now_bytes;
    const TimelinePoint point = { .seconds = now,
                                  .first_op = r->op,
                                  .last_op = r->op,
                                  .tensors = tensors,
                                  .weights = all > tensors ? all - tensors : 0,
                                  .staged = ledger_total(l, LEDGER_HOST).now_bytes,
                                  .rss = r->rss };
    timeline_add(&r->timeline, &point);
}

const char *recorder_work_name(int index)
{
    if (index < 0 || index >= RECORDER_WORK) return NULL;
    return index < WORK_COUNT ? work_name((WorkClass)index)
                              : op_kind_name((OpKind)(index - WORK_COUNT));
}

/* Operation `op` has taken so long. */
static void note_work(Recorder *r, double seconds)
{
    const TraceOp *op = trace_op(&r->plan->trace, r->op);
    OpTotals *t =
        &r->work[op->work.class == WORK_MOVE ? WORK_COUNT + op->kind : (int)op->work.class];
    t->n++;
    t->flops += op->flops;
    t->bytes += op->bytes;
    t->planned_seconds += profile_op_seconds(&r->job->engine->profile, op);
    t->seconds += seconds;
}

static SnugStatus on_op(void *self, const Op *op, OpPlaces *places, SnugError *err)
{
    Recorder *r = self;
    const SnugStatus status = r->inner.op(r->inner.self, op, places, err);
    if (status != SNUG_OK) return status;
    const size_t tensors = held_tensors(&r->held, &r->cursor, r->op);
    ledger_set(&r->job->engine->ledger, r->tensor_row, tensors);
    sample(r, tensors);
    r->op_began = now_seconds();
    return SNUG_OK;
}

static void on_done(void *self, const Op *op)
{
    Recorder *r = self;
    note_work(r, now_seconds() - r->op_began);
    pthread_mutex_lock(&r->lock);
    const char *line = phase_lines_before(&r->lines, r->op);
    if (line) tell(r, line, NULL);
    release(r, r->op);
    for (int i = 0; (line = phase_lines_after(&r->lines, r->op, i)); i++)
        tell(r, line, NULL);
    pthread_mutex_unlock(&r->lock);
    r->op++;
    r->inner.op_done(r->inner.self, op);
}

static SnugStatus on_note(void *self, RunNote note, const char *text, int index, int count,
                          SnugError *err)
{
    Recorder *r = self;
    return r->inner.note(r->inner.self, note, text, index, count, err);
}

static SnugStatus on_output(void *self, const Op *op, const void *data, SnugError *err)
{
    Recorder *r = self;
    return r->inner.output(r->inner.self, op, data, err);
}

RunHooks recorder_hooks(Recorder *recorder, RunHooks inner)
{
    recorder->inner = inner;
    return (RunHooks){
        .self = recorder, .op = on_op, .op_done = on_done, .note = on_note, .output = on_output
    };
}

/* ---- opening -------------------------------------------------------------------------------- */

/* "transformer.blocks.3" belongs to "transformer"; what exceeds the table goes into its last row.
 * -1 without memory. */
static int32_t find_part(Recorder *r, const char *unit)
{
    const size_t n = strcspn(unit, ".");
    for (int i = 0; i < r->n_parts; i++)
        if (strlen(r->parts[i]) == n && strncmp(r->parts[i], unit, n) == 0) return i;
    if (r->n_parts == RECORDER_PARTS) return RECORDER_PARTS - 1;
    r->parts[r->n_parts] = arena_text(&r->arena, unit, n);
    return r->parts[r->n_parts] ? r->n_parts++ : -1;
}

static SnugStatus list_parts(Recorder *r, SnugError *err)
{
    const WeightTable *w = &r->job->weights;
    r->part_of = arena_array(&r->arena, (size_t)w->n_units + 1, sizeof *r->part_of);
    for (int32_t i = 0; i < w->n_units && r->part_of; i++) {
        r->part_of[i] = find_part(r, w->units[i].name);
        if (r->part_of[i] < 0) r->part_of = NULL;
    }
    return r->part_of ? SNUG_OK
                      : error_set(err, SNUG_ERR_MEMORY, "no memory for the book of a run");
}

static void open_rows(Recorder *r)
{
    Ledger *l = &r->job->engine->ledger;
    const bool two = r->plan->schedule.two_tiers;
    ledger_reset(l);
    r->tensor_row = ledger_row(l, "tensors", LEDGER_DEVICE);
    for (int i = 0; i < r->n_parts; i++) {
        char label[LEDGER_LABEL + 8];
        (void)snprintf(label, sizeof label, "weights %s", r->parts[i]);
        r->row[i][LEDGER_DEVICE] = ledger_row(l, label, LEDGER_DEVICE);
        if (two) r->row[i][LEDGER_HOST] = ledger_row(l, label, LEDGER_HOST);
    }
    if (!two) return;
    r->staging_row = ledger_row(l, "inputs and outputs on their way", LEDGER_HOST);
    ledger_set(l, r->staging_row, r->plan->staging_bytes);
}

static SnugStatus open_tables(Recorder *r, SnugError *err)
{
    const SnugPlan *p = r->plan;
    TRY(list_parts(r, err));
    TRY(held_make(&r->held, &p->trace, &p->placement, &p->schedule, r->part_of,
                  r->job->weights.n_units, err));
    TRY(phase_lines_init(&r->lines, r->job, p, &r->held, err));
    r->spans = arena_array(&r->arena, (size_t)r->held.n_spans + 1, sizeof *r->spans);
    const int32_t n_loads[] = { p->schedule.loads.n_loads, p->schedule.host.n_loads };
    for (int i = 0; i < LEDGER_TIERS; i++)
        r->times[i] = arena_array(&r->arena, (size_t)n_loads[i] + 1, sizeof *r->times[i]);
    if (!r->spans || !r->times[LEDGER_DEVICE] || !r->times[LEDGER_HOST])
        return error_set(err, SNUG_ERR_MEMORY, "no memory for the book of a run");
    return SNUG_OK;
}

SnugStatus recorder_open(Recorder *r, SnugJob *job, const SnugPlan *plan, double opened,
                         SnugError *err)
{
    *r = (Recorder){ .job = job, .plan = plan, .opened = opened };
    arena_init(&r->arena, job->engine->heap, "book");
    (void)pthread_mutex_init(&r->lock, NULL);
    timeline_init(&r->timeline);
    TRY(open_tables(r, err));
    open_rows(r);
    return SNUG_OK;
}

void recorder_close(Recorder *r)
{
    if (!r->job) return;
    held_release(&r->held);
    arena_release(&r->arena);
    (void)pthread_mutex_destroy(&r->lock);
    r->job = NULL;
}
