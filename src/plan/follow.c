/* follow.c  Compute thread, readers and copier share counters under one lock: operations done, and
 * per tier the loads done in planned order. Load i of the device may begin when operation `after`
 * is done, load i of the host when device load `after` is; operation j waits until every device
 * load with need <= j has ended, device load j for the host loads with need <= j.
 *
 * Invariant: a unit's address is that of the last load with need <= the running operation. */
#include "plan/follow.h"

#include <pthread.h>
#include <time.h>

#include "base/now.h"
#include "base/size.h"

/* Loads to one tier, in planned order. */
typedef struct Tier {
    const Residency *plan;
    unsigned char *base;
    int32_t claimed; /* given to a thread */
    int32_t done;    /* all loads before this one have ended */
    bool *ended;     /* [n_loads] */
    double bytes;
} Tier;

struct Follow {
    FollowOptions o;
    Tier device, host; /* host: unused with one tier */
    double opened;
    LoadTime *times; /* [device loads] */
    /* compute thread only */
    int32_t next_op, segment, next_load;
    int32_t *load_of; /* [units]: device load that holds the unit now */
    FollowStats stats;
    /* copier only */
    int32_t *host_load_of; /* [units] */
    int32_t next_host_load;
    /* shared, under lock */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int32_t ops_done;
    bool stop, failed;
    SnugStatus load_status;
    SnugError load_error;
    int n_threads;
    pthread_t thread[FOLLOW_MAX_READERS + 1];
};

/* ---- threads that move weights ---------------------------------------------------------------- */

/* Under the lock: the next load of the tier once it may begin; -1 when there is none or at a stop.
 * `past`: how far the tier's own axis has come. */
static int32_t claim(Follow *f, Tier *tier, const int32_t *past)
{
    while (!f->stop && !f->failed && tier->claimed < tier->plan->n_loads) {
        if (*past > tier->plan->loads[tier->claimed].after) return tier->claimed++;
        pthread_cond_wait(&f->moved, &f->lock);
    }
    return -1;
}

/* Under the lock: load i of the tier has ended with `status`. */
static void finish(Follow *f, Tier *tier, int32_t i, SnugStatus status, const SnugError *err)
{
    if (status != SNUG_OK && !f->failed) {
        f->failed = true;
        f->load_status = status;
        f->load_error = *err;
    }
    if (status == SNUG_OK) {
        tier->ended[i] = true;
        tier->bytes += (double)tier->plan->loads[i].bytes;
        while (tier->done < tier->plan->n_loads && tier->ended[tier->done])
            tier->done++;
    }
    pthread_cond_broadcast(&f->moved);
}

static void tell(const Follow *f, bool host, int32_t load, bool ended)
{
    if (f->o.moving) f->o.moving(f->o.owner, host, load, ended);
}

/* Reads for the tier that files are read to. */
static void *reader(void *context)
{
    Follow *f = context;
    const bool two = f->o.schedule->two_tiers;
    Tier *tier = two ? &f->host : &f->device;
    const int32_t *past = two ? &f->device.done : &f->ops_done;
    pthread_mutex_lock(&f->lock);
    for (int32_t i; (i = claim(f, tier, past)) >= 0;) {
        pthread_mutex_unlock(&f->lock);
        const Load *load = &tier->plan->loads[i];
        SnugError err = { { 0 } };
        tell(f, two, i, false);
        const double begin = now_seconds();
        const SnugStatus status =
            f->o.read_unit(f->o.owner, load->unit, tier->base + load->offset, &err);
        const double end = now_seconds();
        if (status == SNUG_OK) tell(f, two, i, true);
        pthread_mutex_lock(&f->lock);
        if (!two) f->times[i] = (LoadTime){ begin - f->opened, end - f->opened };
        finish(f, tier, i, status, &err);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* Under the lock: wait for the unit of device load i in host memory; NULL at a stop. */
static const unsigned char *await_host(Follow *f, int32_t i)
{
    const Residency *h = f->host.plan;
    for (; f->next_host_load < h->n_loads && h->loads[f->next_host_load].need <= i;
         f->next_host_load++)
        f->host_load_of[h->loads[f->next_host_load].unit] = f->next_host_load;
    while (!f->stop && !f->failed && f->host.done < f->next_host_load)
        pthread_cond_wait(&f->moved, &f->lock);
    if (f->stop || f->failed) return NULL;
    return f->host.base + h->loads[f->host_load_of[f->device.plan->loads[i].unit]].offset;
}

static void *copier(void *context)
{
    Follow *f = context;
    pthread_mutex_lock(&f->lock);
    for (int32_t i; (i = claim(f, &f->device, &f->ops_done)) >= 0;) {
        const unsigned char *from = await_host(f, i);
        if (!from) break;
        pthread_mutex_unlock(&f->lock);
        const Load *load = &f->device.plan->loads[i];
        SnugError err = { { 0 } };
        tell(f, false, i, false);
        const double begin = now_seconds();
        const SnugStatus status =
            f->o.copy(f->o.owner, f->device.base + load->offset, from, load->bytes, &err);
        const double end = now_seconds();
        if (status == SNUG_OK) tell(f, false, i, true);
        pthread_mutex_lock(&f->lock);
        f->times[i] = (LoadTime){ begin - f->opened, end - f->opened };
        finish(f, &f->device, i, status, &err);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* ---- opening and closing ---------------------------------------------------------------------- */

static int32_t count_units(const Residency *r)
{
    int32_t n = 0;
    for (int32_t i = 0; i < r->n_loads; i++)
        if (r->loads[i].unit >= n) n = r->loads[i].unit + 1;
    return n;
}

static int32_t *no_loads(Heap *heap, int32_t n)
{
    int32_t *at = heap_take(heap, ((size_t)n + 1) * sizeof *at, "run");
    for (int32_t i = 0; at && i < n; i++)
        at[i] = -1;
    return at;
}

static bool take_tables(Follow *f)
{
    const Residency *loads = f->device.plan, *host = f->host.plan;
    const int32_t n_units = count_units(loads);
    f->load_of = no_loads(f->o.heap, n_units);
    f->host_load_of = no_loads(f->o.heap, n_units);
    f->device.ended = heap_take(f->o.heap, (size_t)loads->n_loads + 1, "run");
    f->host.ended = heap_take(f->o.heap, (size_t)host->n_loads + 1, "run");
    f->times = heap_take(f->o.heap, ((size_t)loads->n_loads + 1) * sizeof *f->times, "run");
    return f->load_of && f->host_load_of && f->device.ended && f->host.ended && f->times;
}

static bool start(Follow *f, void *(*body)(void *))
{
    if (pthread_create(&f->thread[f->n_threads], NULL, body, f) != 0) return false;
    f->n_threads++;
    return true;
}

static bool start_threads(Follow *f)
{
    if (!f->device.plan->n_loads) return true;
    for (int i = 0; i < f->o.n_readers && i < FOLLOW_MAX_READERS; i++)
        if (!start(f, reader)) return false;
    return !f->o.schedule->two_tiers || start(f, copier);
}

SnugStatus follow_open(Follow **out, const FollowOptions *options, SnugError *err)
{
    *out = NULL;
    Follow *f = heap_take(options->heap, sizeof *f, "run");
    if (!f) return error_set(err, SNUG_ERR_MEMORY, "no memory to run the plan");
    f->o = *options;
    f->opened = now_seconds();
    f->device = (Tier){ .plan = &options->schedule->loads, .base = options->device_base };
    f->host = (Tier){ .plan = &options->schedule->host, .base = options->host_base };
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->moved, NULL);
    if (!take_tables(f)) {
        follow_close(f);
        return error_set(err, SNUG_ERR_MEMORY, "no memory to run the plan");
    }
    if (!start_threads(f)) {
        follow_close(f);
        return error_set(err, SNUG_ERR_MEMORY, "the system refused a thread for the loader");
    }
    *out = f;
    return SNUG_OK;
}

void follow_close(Follow *f)
{
    if (!f) return;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_broadcast(&f->moved);
    pthread_mutex_unlock(&f->lock);
    for (int i = 0; i < f->n_threads; i++)
        (void)pthread_join(f->thread[i], NULL);
    (void)pthread_cond_destroy(&f->moved);
    (void)pthread_mutex_destroy(&f->lock);
    heap_give(f->o.heap, f->load_of);
    heap_give(f->o.heap, f->host_load_of);
    heap_give(f->o.heap, f->device.ended);
    heap_give(f->o.heap, f->host.ended);
    heap_give(f->o.heap, f->times);
    heap_give(f->o.heap, f);
}

/* ---- the compute thread ----------------------------------------------------------------------- */

/* A load for the running operation that is not there yet: wait, and count the time. */
static SnugStatus wait_loads(Follow *f, int32_t n, SnugError *err)
{
    SnugStatus status = SNUG_OK;
    pthread_mutex_lock(&f->lock);
    if (f->device.done < n) {
        const double begin = now_seconds();
        while (f->device.done < n && !f->failed) {
            struct timespec until;
            (void)clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += 100000000; /* look at `cancel` ten times a second */
            if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
            }
            (void)pthread_cond_timedwait(&f->moved, &f->lock, &until);
            if (f->o.cancel && atomic_load(f->o.cancel)) {
                status = error_set(err, SNUG_ERR_CANCELLED, "cancelled");
                break;
            }
        }
        f->stats.stall_seconds += now_seconds() - begin;
    }
    if (status == SNUG_OK && f->failed && f->device.done < n) {
        status = f->load_status;
        if (err) *err = f->load_error;
    }
    pthread_mutex_unlock(&f->lock);
    return status;
}

static void see_peak(size_t *peak, size_t end)
{
    if (end > *peak) *peak = end;
}

static SnugStatus get_weights(Follow *f, const Op *op, OpPlaces *places, SnugError *err)
{
    const Residency *r = f->device.plan;
    const int32_t before = f->next_load;
    while (f->next_load < r->n_loads && r->loads[f->next_load].need <= f->next_op) {
        const Load *load = &r->loads[f->next_load];
        f->load_of[load->unit] = f->next_load++;
        see_peak(&f->stats.slab_peak_bytes, load->offset + load->bytes);
    }
    if (f->next_load != before) TRY(wait_loads(f, f->next_load, err));
    for (int i = 0; i < op->n_weights; i++) {
        const Weight *w = op->weight[i];
        if (!w || w->unit < 0) continue;
        const int32_t load = f->load_of[w->unit];
        if (load < 0)
            return error_set(err, SNUG_ERR_INTERNAL, "%s is used but was never planned", w->name);
        places->weight[i] = f->device.base + r->loads[load].offset + w->unit_offset;
    }
    return SNUG_OK;
}

/* The segment of the next operation; NULL past the end of the trace. */
static const TraceSegment *find_segment(Follow *f)
{
    const Trace *t = f->o.trace;
    while (f->segment < t->n_segments) {
        const TraceSegment *s = &t->segments[f->segment];
        if (f->next_op < s->first_op + trace_template(t, s)->n_ops) return s;
        f->segment++;
    }
    return NULL;
}

/* Is tensor `id` the one that was rehearsed as `ref`? */
static bool is_operand(const Trace *t, const TraceSegment *s, TraceRef ref, int32_t id)
{
    if (ref >= 0) return id == s->first_tensor + ref;
    return id == t->carried[t->before[s->first_before - 1 - ref]].id;
}

static bool is_planned(const Trace *t, const TraceSegment *s, const TraceOp *plan, const Op *op)
{
    if (plan->kind != op->kind || plan->n_in != op->n_in || plan->shapes != trace_op_hash(op) ||
        plan->workspace_bytes != op->workspace_bytes)
        return false;
    for (int i = 0; i < op->n_in; i++)
        if (!is_operand(t, s, plan->in[i], op->in[i].id)) return false;
    if (plan->out == TRACE_NO_OUT) return op->kind == OP_OUTPUT;
    return is_operand(t, s, plan->out, op->out.id);
}

static unsigned char *address(const Follow *f, TraceRef ref, Tensor t)
{
    return f->device.base + placement_operand(f->o.placement, f->segment, ref) +
           (size_t)t.first * (size_t)dtype_info(t.dtype)->bytes;
}

static void get_places(Follow *f, const TraceSegment *s, const TraceOp *plan, const Op *op,
                       OpPlaces *places)
{
    for (int k = 0; k < op->n_in; k++)
        places->in[k] = address(f, plan->in[k], op->in[k]);
    if (plan->out != TRACE_NO_OUT) {
        unsigned char *at = address(f, plan->out, op->out);
        places->out = at;
        see_peak(&f->stats.slab_peak_bytes,
                 (size_t)(at - f->device.base) + size_align(tensor_bytes(op->out), LIVES_ALIGN));
    }
    if (op->workspace_bytes) {
        const size_t at = placement_workspace(f->o.placement, f->segment, f->next_op - s->first_op);
        places->workspace = f->device.base + at;
        see_peak(&f->stats.slab_peak_bytes, at + size_align(op->workspace_bytes, LIVES_ALIGN));
    }
    places->staging = f->host.base;
    places->read_row = f->o.read_row;
    places->read_context = f->o.owner;
}

static SnugStatus follow_op(void *self, const Op *op, OpPlaces *places, SnugError *err)
{
    Follow *f = self;
    const Trace *t = f->o.trace;
    const TraceSegment *s = find_segment(f);
    const TraceOp *plan =
        s ? &t->ops[trace_template(t, s)->first_op + f->next_op - s->first_op] : NULL;
    if (!plan || !is_planned(t, s, plan, op))
        return error_set(err, SNUG_ERR_INTERNAL, "operation %d (%s) is not the one planned (%s)",
                         f->next_op, op_kind_name(op->kind),
                         plan ? op_kind_name((OpKind)plan->kind) : "end");
    TRY(get_weights(f, op, places, err));
    get_places(f, s, plan, op, places);
    return SNUG_OK;
}

static void follow_done(void *self, const Op *op)
{
    Follow *f = self;
    f->next_op++;
    f->stats.ops_done = f->next_op;
    f->stats.flops_done += op->flops;
    pthread_mutex_lock(&f->lock);
    f->ops_done = f->next_op;
    if (f->device.claimed < f->device.plan->n_loads) pthread_cond_broadcast(&f->moved);
    pthread_mutex_unlock(&f->lock);
}

static SnugStatus follow_note(void *self, RunNote note, const char *text, int index, int count,
                              SnugError *err)
{
    Follow *f = self;
    return f->o.note(f->o.owner, note, text, index, count, err);
}

static SnugStatus follow_output(void *self, const Op *op, const void *data, SnugError *err)
{
    Follow *f = self;
    return f->o.output(f->o.owner, op, data, err);
}

RunHooks follow_hooks(Follow *follow)
{
    return (RunHooks){ .self = follow,
                       .op = follow_op,
                       .op_done = follow_done,
                       .note = follow_note,
                       .output = follow_output };
}

SnugStatus follow_finish(Follow *f, SnugError *err)
{
    if (f->next_op == f->o.trace->n_ops) return SNUG_OK;
    return error_set(err, SNUG_ERR_INTERNAL, "the run ended after %d of %d planned operations",
                     f->next_op, f->o.trace->n_ops);
}

static size_t host_peak(const Follow *f)
{
    const Residency *h = f->host.plan;
    size_t peak = 0;
    for (int32_t i = 0; i < f->host.claimed; i++)
        see_peak(&peak, h->loads[i].offset + h->loads[i].bytes);
    return peak;
}

FollowStats follow_stats(Follow *follow)
{
    FollowStats stats = follow->stats;
    pthread_mutex_lock(&follow->lock);
    stats.moved_bytes = follow->device.bytes;
    stats.read_bytes = follow->o.schedule->two_tiers ? follow->host.bytes : follow->device.bytes;
    stats.host_peak_bytes = host_peak(follow);
    pthread_mutex_unlock(&follow->lock);
    return stats;
}

const LoadTime *follow_load_times(const Follow *follow)
{
    return follow->times;
}
