/* follow.c  Compute thread and loader share two counters under one lock: operations done, loads
 * done. Loads run in planned order; load i may start when `after_op` is done, and operation j waits
 * until every load with need_op <= j has ended.
 *
 * Invariant: a unit's address is that of the last load with need_op <= the running operation. */
#include "plan/follow.h"

#include <pthread.h>
#include <time.h>

#include "base/size.h"

struct Follow {
    FollowOptions o;
    /* compute thread only */
    int32_t next_op, next_load;
    int32_t next_stage;
    int32_t *load_of; /* [units]: load that holds the unit now */
    FollowStats stats;
    /* shared, under lock */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int32_t ops_done, loads_done;
    double moved_bytes;
    bool stop, failed;
    SnugStatus load_status;
    SnugError load_error;
    bool has_thread;
    pthread_t thread;
};

static double now_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int32_t count_units(const Residency *r)
{
    int32_t n = 0;
    for (int32_t i = 0; i < r->n_loads; i++)
        if (r->loads[i].unit >= n) n = r->loads[i].unit + 1;
    return n;
}

/* Wait until load i may begin; false when asked to stop. */
static bool wait_turn(Follow *f, const Load *load)
{
    pthread_mutex_lock(&f->lock);
    while (!f->stop && f->ops_done <= load->after_op)
        pthread_cond_wait(&f->moved, &f->lock);
    const bool go = !f->stop;
    pthread_mutex_unlock(&f->lock);
    return go;
}

static void *load_all(void *context)
{
    Follow *f = context;
    for (int32_t i = 0; i < f->o.residency->n_loads; i++) {
        const Load *load = &f->o.residency->loads[i];
        if (!wait_turn(f, load)) return NULL;
        SnugError err = { { 0 } };
        const SnugStatus status =
            f->o.read_unit(f->o.owner, load->unit, f->o.slab->base + load->offset, &err);
        pthread_mutex_lock(&f->lock);
        if (status != SNUG_OK) {
            f->failed = true;
            f->load_status = status;
            f->load_error = err;
        } else {
            f->loads_done = i + 1;
            f->moved_bytes += (double)f->o.unit_bytes[load->unit];
        }
        pthread_cond_broadcast(&f->moved);
        pthread_mutex_unlock(&f->lock);
        if (status != SNUG_OK) return NULL;
    }
    return NULL;
}

SnugStatus follow_open(Follow **out, const FollowOptions *options, SnugError *err)
{
    *out = NULL;
    Follow *f = heap_take(options->heap, sizeof *f, "run");
    if (!f) return error_set(err, SNUG_ERR_MEMORY, "no memory to run the plan");
    f->o = *options;
    const int32_t n_units = count_units(options->residency);
    f->load_of = heap_take(options->heap, ((size_t)n_units + 1) * sizeof *f->load_of, "run");
    if (!f->load_of) {
        heap_give(options->heap, f);
        return error_set(err, SNUG_ERR_MEMORY, "no memory to run the plan");
    }
    for (int32_t i = 0; i < n_units; i++)
        f->load_of[i] = -1;
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->moved, NULL);
    if (options->residency->n_loads) {
        f->has_thread = pthread_create(&f->thread, NULL, load_all, f) == 0;
        if (!f->has_thread) {
            follow_close(f);
            return error_set(err, SNUG_ERR_MEMORY, "the system refused a thread for the loader");
        }
    }
    *out = f;
    return SNUG_OK;
}

void follow_close(Follow *f)
{
    if (!f) return;
    if (f->has_thread) {
        pthread_mutex_lock(&f->lock);
        f->stop = true;
        pthread_cond_broadcast(&f->moved);
        pthread_mutex_unlock(&f->lock);
        (void)pthread_join(f->thread, NULL);
    }
    (void)pthread_cond_destroy(&f->moved);
    (void)pthread_mutex_destroy(&f->lock);
    heap_give(f->o.heap, f->load_of);
    heap_give(f->o.heap, f);
}

/* A load for the running operation that is not there yet: wait, and count the time. */
static SnugStatus wait_loads(Follow *f, int32_t n, SnugError *err)
{
    SnugStatus status = SNUG_OK;
    pthread_mutex_lock(&f->lock);
    if (f->loads_done < n) {
        const double begin = now_seconds();
        while (f->loads_done < n && !f->failed) {
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
    if (status == SNUG_OK && f->failed && f->loads_done < n) {
        status = f->load_status;
        if (err) *err = f->load_error;
    }
    pthread_mutex_unlock(&f->lock);
    return status;
}

static void see_peak(Follow *f, size_t end)
{
    if (end > f->stats.slab_peak_bytes) f->stats.slab_peak_bytes = end;
}

static SnugStatus get_weights(Follow *f, const Op *op, OpPlaces *places, SnugError *err)
{
    const Residency *r = f->o.residency;
    const int32_t before = f->next_load;
    while (f->next_load < r->n_loads && r->loads[f->next_load].need_op <= f->next_op) {
        const Load *load = &r->loads[f->next_load];
        f->load_of[load->unit] = f->next_load++;
        see_peak(f, load->offset + f->o.unit_bytes[load->unit]);
    }
    if (f->next_load != before) TRY(wait_loads(f, f->next_load, err));
    for (int i = 0; i < op->n_weights; i++) {
        const Weight *w = op->weight[i];
        if (!w || w->unit < 0) continue;
        const int32_t load = f->load_of[w->unit];
        if (load < 0)
            return error_set(err, SNUG_ERR_INTERNAL, "%s is used but was never planned", w->name);
        const size_t at = r->loads[load].offset + w->unit_offset;
        places->weight[i] = f->o.slab->base + at;
    }
    return SNUG_OK;
}

static void *address(const Follow *f, Tensor t)
{
    return f->o.slab->base + f->o.placement->tensor_offset[t.id] +
           (size_t)t.first * (size_t)dtype_info(t.dtype)->bytes;
}

static SnugStatus follow_op(void *self, const Op *op, OpPlaces *places, SnugError *err)
{
    Follow *f = self;
    const Trace *t = f->o.trace;
    const int32_t i = f->next_op;
    if (i >= t->n_ops || t->ops[i].kind != op->kind || t->ops[i].out != op->out.id ||
        t->ops[i].shapes != trace_op_hash(op) || t->ops[i].workspace_bytes != op->workspace_bytes)
        return error_set(err, SNUG_ERR_INTERNAL, "operation %d (%s) is not the one planned (%s)", i,
                         op_kind_name(op->kind),
                         i < t->n_ops ? op_kind_name((OpKind)t->ops[i].kind) : "end");
    TRY(get_weights(f, op, places, err));
    for (int k = 0; k < op->n_in; k++)
        places->in[k] = address(f, op->in[k]);
    if (op->kind != OP_OUTPUT) {
        places->out = address(f, op->out);
        see_peak(f, f->o.placement->tensor_offset[op->out.id] +
                        size_align(t->tensors[op->out.id].bytes, PLACEMENT_ALIGN));
    }
    places->read_row = f->o.read_row;
    places->read_context = f->o.owner;
    if (op->workspace_bytes) {
        const size_t at = f->o.placement->workspace_offset[i];
        places->workspace = f->o.slab->base + at;
        see_peak(f, at + size_align(op->workspace_bytes, PLACEMENT_ALIGN));
    }
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
    if (f->loads_done < f->o.residency->n_loads) pthread_cond_broadcast(&f->moved);
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

FollowStats follow_stats(Follow *follow)
{
    FollowStats stats = follow->stats;
    pthread_mutex_lock(&follow->lock);
    stats.moved_bytes = follow->moved_bytes;
    pthread_mutex_unlock(&follow->lock);
    return stats;
}
