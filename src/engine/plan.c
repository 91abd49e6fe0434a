/* plan.c  From a job to a plan: rehearse each candidate of knobs, keep the fastest that fits.
 *
 * The candidates differ in memory and speed, never in a bit of the result. For each: rehearsal,
 * placement, schedule under the room that the budgets leave, a forecast. If none fits, the smallest
 * need of all is the refusal's figure. */
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "engine/output.h"
#include "memory/process.h"

/* Room the process takes beside slab and books: stacks, page tables, the allocator's slack. */
enum { PROCESS_MARGIN_BYTES = 6 << 20, MAX_CANDIDATES = 24, LEAST_CHUNK = 64 };

/* A candidate and what a sketch of it said. */
typedef struct Candidate {
    RunKnobs knobs;
    double seconds;
    size_t top; /* slab bytes */
    bool fits, tried;
} Candidate;

/* How much room the plan has, and what would do if nothing fits. */
typedef struct Search {
    Candidate candidate[MAX_CANDIDATES];
    int n;
    size_t device_room, host_room; /* slab bytes; host_room: two tiers only */
    size_t least_device, least_host;
} Search;

/* In order of falling speed where nothing has to wait for weights: keeping keys and values saves
 * work, lock-step saves reading, chunks cost a little. */
static void list_candidates(const PipelineInfo *info, const PlanConstraints *c, Search *search)
{
    static const RunKnobs WAYS[] = { { .lock_step = true, .cache_cross = true },
                                     { .lock_step = true },
                                     { .lock_step = false } };
    for (int way = 0; way < (info->guided ? 3 : 2); way++)
        for (int64_t parts = 1; parts <= 64 && search->n < MAX_CANDIDATES; parts *= 4) {
            const int64_t rows = parts == 1 ? 0 : (info->rows + parts - 1) / parts;
            if (parts > 1 && (rows < LEAST_CHUNK || c->attention_slicing == SWITCH_OFF)) break;
            if (parts == 1 && c->attention_slicing == SWITCH_ON) continue;
            Candidate *to = &search->candidate[search->n++];
            to->knobs = WAYS[way];
            to->knobs.chunk_rows = rows;
        }
}

/* Candidates are compared on a sketch, a few steps of each loop: later ones repeat them. */
enum { SKETCH_STEPS = 4 };

static SnugStatus rehearse(SnugPlan *plan, const RunKnobs *knobs, int sketch_steps, SnugError *err)
{
    SnugJob *job = plan->job;
    trace_clear(&plan->trace);
    const RunHooks hooks = trace_recorder(&plan->trace);
    SnugError local = { { 0 } };
    Run r = engine_run(job->engine, &hooks, &local);
    r.rehearse = true;
    r.sketch_steps = sketch_steps;
    r.taps = job->common.taps != NULL;
    r.knobs = *knobs;
    job->pipeline->recipe(&r, job->prepared);
    if (r.status != SNUG_OK) {
        if (err) *err = local;
        return r.status;
    }
    return trace_end(&plan->trace, err);
}

/* ---- costs ----------------------------------------------------------------------------------- */

static double op_seconds(const void *self, const TraceOp *op)
{
    return profile_op_seconds(self, op);
}

/* Weights are read again from the page cache if the machine has room for them beside the budget. */
static Costs make_costs(const SnugPlan *plan)
{
    const SnugEngine *e = plan->job->engine;
    size_t weights = 0;
    for (int32_t i = 0; i < plan->job->weights.n_units; i++)
        weights += plan->job->unit_bytes[i];
    const bool cached = process_available_bytes() > weights + e->ram_bytes;
    const DeviceMemory *memory = e->device.memory;
    return (Costs){ .self = &e->profile,
                    .op_seconds = op_seconds,
                    .first_bytes_per_second = e->profile.disk_cold,
                    .again_bytes_per_second = cached ? e->profile.disk_warm : e->profile.disk_cold,
                    .copy_bytes_per_second = memory ? memory->bytes_per_second : 0 };
}

/* Seconds of the whole request from those of a sketch: a stage with steps has more of them. */
static double in_full(const SnugPlan *plan)
{
    const Trace *t = &plan->trace;
    double total = 0;
    for (int32_t s = 0; s < t->n_stages; s++) {
        const double repeats = t->stages[s].steps ? (double)t->all_steps / t->n_steps : 1.0;
        total += repeats * plan->schedule.loads.stages[s].seconds;
    }
    return total;
}

/* ---- laying out ------------------------------------------------------------------------------- */

static void drop_layout(SnugPlan *plan)
{
    placement_release(&plan->placement);
    schedule_release(&plan->schedule);
    clock_release(&plan->clock);
}

/* Host memory for the largest input or output on its way to or from the device. */
static size_t staging_bytes(const Trace *t)
{
    double most = 0;
    for (int32_t i = 0; i < t->n_template_ops; i++) {
        const TraceOp *op = &t->ops[i];
        const bool passes = op->kind == OP_INPUT || op->kind == OP_OUTPUT || op->kind == OP_EMBED;
        if (passes && op->bytes > most) most = op->bytes;
    }
    return size_align((size_t)most, LIVES_ALIGN);
}

static SnugStatus make_schedule(SnugPlan *plan, bool quick, const Search *search, SnugError *err)
{
    SnugJob *job = plan->job;
    const Costs costs = make_costs(plan);
    Uses uses;
    TRY(clock_make(&plan->clock, &plan->trace, &costs, err));
    TRY(uses_of_trace(&uses, &plan->trace, job->weights.n_units, err));
    const ScheduleTask task = { .trace = &plan->trace,
                                .placement = &plan->placement,
                                .uses = &uses,
                                .clock = &plan->clock,
                                .costs = &costs,
                                .unit_bytes = job->unit_bytes,
                                .n_units = job->weights.n_units,
                                .device_bytes = search->device_room,
                                .two_tiers = job->engine->device.memory != NULL,
                                .host_bytes = search->host_room,
                                .staging_bytes = plan->staging_bytes,
                                .constraints = &job->constraints,
                                .quick = quick };
    const SnugStatus status = schedule_make(&plan->schedule, &task, err);
    uses_release(&uses);
    return status;
}

/* Lay one candidate out; after SNUG_ERR_BUDGET the schedule's tops are what would do. */
static SnugStatus lay_out(SnugPlan *plan, const RunKnobs *knobs, int sketch_steps,
                          const Search *search, SnugError *err)
{
    const bool quick = sketch_steps != 0;
    TRY(rehearse(plan, knobs, sketch_steps, err));
    drop_layout(plan);
    plan->knobs = *knobs;
    plan->staging_bytes = plan->job->engine->device.memory ? staging_bytes(&plan->trace) : 0;
    TRY(placement_make(&plan->placement, &plan->trace, quick, err));
    return make_schedule(plan, quick, search, err);
}

/* ---- searching -------------------------------------------------------------------------------- */

static void note_least(Search *search, const Schedule *s)
{
    if (s->loads.top < search->least_device) search->least_device = s->loads.top;
    if (s->host.top && s->host.top < search->least_host) search->least_host = s->host.top;
}

static SnugStatus sketch(SnugPlan *plan, Candidate *c, Search *search, SnugError *err)
{
    const SnugStatus status = lay_out(plan, &c->knobs, SKETCH_STEPS, search, err);
    if (status == SNUG_ERR_BUDGET) {
        note_least(search, &plan->schedule);
        return SNUG_OK;
    }
    TRY(status);
    c->seconds = in_full(plan);
    c->top = plan->schedule.loads.top;
    c->fits = true;
    return SNUG_OK;
}

/* The best candidate not tried in full yet; NULL when none is left. */
static Candidate *best_left(Search *search, bool smallest)
{
    Candidate *best = NULL;
    for (int i = 0; i < search->n; i++) {
        Candidate *c = &search->candidate[i];
        if (!c->fits || c->tried) continue;
        if (!best || (smallest && c->top < best->top)) {
            best = c;
            continue;
        }
        if (smallest) continue;
        const bool faster = c->seconds < 0.98 * best->seconds;
        if (faster || (c->seconds <= 1.005 * best->seconds && c->top < best->top)) best = c;
    }
    return best;
}

/* Does the schedule make the work wait for weights, by more than a hundredth? */
static bool waits(const SnugPlan *plan)
{
    const Residency *r = &plan->schedule.loads;
    double stall = 0;
    for (int32_t s = 0; s < r->n_stages; s++)
        stall += r->stages[s].stall_seconds;
    return stall > 0.01 * plan->schedule.seconds;
}

static SnugStatus search_candidates(SnugPlan *plan, Search *search, SnugError *err)
{
    const bool smallest = plan->job->constraints.smallest;
    for (int i = 0; i < search->n; i++) {
        TRY(sketch(plan, &search->candidate[i], search, err));
        if (search->candidate[i].fits && !smallest && !waits(plan)) break; /* the rest is slower */
    }
    for (Candidate *c; (c = best_left(search, smallest));) {
        const SnugStatus status = lay_out(plan, &c->knobs, 0, search, err);
        if (status != SNUG_ERR_BUDGET) return status;
        note_least(search, &plan->schedule); /* the whole request needs more than its sketch */
        c->tried = true;
    }
    return SNUG_ERR_BUDGET;
}

/* ---- figures ---------------------------------------------------------------------------------- */

static void add_figures(SnugPlan *plan)
{
    const SnugEngine *e = plan->job->engine;
    const Schedule *s = &plan->schedule;
    SnugFigures *f = &plan->figures;
    *f = (SnugFigures){ .budget_bytes = e->ram_bytes,
                        .device_budget_bytes = s->two_tiers ? e->vram_bytes : 0,
                        .fixed_bytes = plan->fixed_bytes,
                        .slab_bytes = s->loads.top,
                        .host_slab_bytes = s->two_tiers ? s->host.top : 0,
                        .seconds = s->seconds,
                        .error = e->profile.error,
                        .flops = plan->trace.flops };
    f->process_peak_bytes = f->fixed_bytes + (s->two_tiers ? f->host_slab_bytes : f->slab_bytes);
    for (int32_t i = 0; i < plan->trace.n_stages; i++) {
        f->moved_bytes += s->loads.stages[i].moved_bytes;
        f->bound_bytes += s->loads.stages[i].bound_bytes;
        f->stall_seconds += s->loads.stages[i].stall_seconds;
    }
}

/* Everything of the process that is not slab: what is resident now, and what is still to come. */
static size_t fixed_bytes(const SnugPlan *plan)
{
    return process_rss_bytes() + plan->writer_bytes + PROCESS_MARGIN_BYTES;
}

static SnugStatus refuse(const SnugPlan *plan, const Search *search, SnugError *err)
{
    const SnugEngine *e = plan->job->engine;
    const size_t mib = (size_t)1 << 20;
    const bool two = e->device.memory != NULL;
    if (two && search->least_device != SIZE_MAX && search->least_device > search->device_room)
        return error_set(err, SNUG_ERR_BUDGET,
                         "does not fit --vram %zuMiB: the smallest that would do is %zuMiB",
                         e->vram_bytes / mib, (search->least_device + 2 * mib) / mib);
    const size_t least = two ? search->least_host : search->least_device;
    const size_t need = plan->fixed_bytes + least;
    /* What is resident differs a little from run to run: name a figure that will do. */
    const size_t safe = (need + need / 100 + 2 * mib) / mib;
    return error_set(err, SNUG_ERR_BUDGET,
                     "does not fit --ram %zuMiB: the smallest budget that would do is %zuMiB "
                     "(%zu MiB of tensors, %zu MiB for the process and its output)",
                     e->ram_bytes / mib, safe, least / mib, plan->fixed_bytes / mib);
}

static SnugStatus search_plan(SnugPlan *plan, SnugError *err)
{
    const SnugEngine *e = plan->job->engine;
    Search search = { .least_device = SIZE_MAX, .least_host = SIZE_MAX };
    list_candidates(&plan->job->info, &plan->job->constraints, &search);
    /* The trace itself is resident while running: rehearse once before counting. */
    TRY(rehearse(plan, &search.candidate[0].knobs, 0, err));
    plan->fixed_bytes = fixed_bytes(plan);
    const size_t room = e->ram_bytes > plan->fixed_bytes ? e->ram_bytes - plan->fixed_bytes : 0;
    search.device_room = e->device.memory ? e->vram_bytes : room;
    search.host_room = room;
    const SnugStatus status = search_candidates(plan, &search, err);
    if (status == SNUG_ERR_BUDGET) return refuse(plan, &search, err);
    TRY(status);
    add_figures(plan);
    return SNUG_OK;
}

SnugStatus snug_plan_create(SnugPlan **out, SnugJob *job, SnugError *err)
{
    *out = NULL;
    TRY(job_prepare(job, err));
    SnugPlan *plan = heap_take(job->engine->heap, sizeof *plan, "plan");
    if (!plan) return error_set(err, SNUG_ERR_MEMORY, "no memory for a plan");
    plan->job = job;
    plan->version = job->version;
    plan->heap = job->engine->heap;
    arena_init(&plan->arena, plan->heap, "plan");
    trace_init(&plan->trace, plan->heap);
    plan->placement.heap = plan->clock.heap = plan->heap;
    plan->schedule.loads.heap = plan->schedule.host.heap = plan->heap;
    SnugStatus status = output_memory_bytes(job, &plan->writer_bytes, err);
    if (status == SNUG_OK) status = search_plan(plan, err);
    if (status == SNUG_OK) status = plan_describe(plan, err);
    if (status == SNUG_OK)
        *out = plan;
    else
        snug_plan_free(plan);
    return status;
}

void snug_plan_free(SnugPlan *plan)
{
    if (!plan) return;
    drop_layout(plan);
    trace_release(&plan->trace);
    arena_release(&plan->arena);
    heap_give(plan->heap, plan);
}

SnugFigures snug_plan_figures(const SnugPlan *plan)
{
    return plan->figures;
}

const char *snug_plan_text(const SnugPlan *plan)
{
    return plan->text;
}

const char *snug_plan_json(const SnugPlan *plan)
{
    return plan->json;
}
