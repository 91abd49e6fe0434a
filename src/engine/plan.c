/* plan.c  From a job to a plan: rehearse each candidate of knobs, keep the fastest that fits.
 *
 * The candidates differ in memory and speed, never in a bit of the result. For each: rehearsal,
 * placement, residency under the room that the budget leaves, a forecast. If none fits, the
 * smallest need of all is the refusal's figure. */
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "engine/output.h"
#include "memory/process.h"

/* Room the process takes beside slab and books: stacks, page tables, the allocator's slack. */
enum { PROCESS_MARGIN_BYTES = 6 << 20, MAX_CANDIDATES = 24, LEAST_CHUNK = 64 };

/* Forecast until a machine is measured: f32 work per thread and disk. */
static const double FLOPS_PER_THREAD = 40e9, DISK_BYTES_PER_SECOND = 1.0e9,
                    MEMORY_BYTES_PER_SECOND = 8e9;

static int list_candidates(const PipelineInfo *info, RunKnobs *out)
{
    int n = 0;
    for (int64_t parts = 1; parts <= 64 && n + 3 <= MAX_CANDIDATES; parts *= 4) {
        const int64_t rows = parts == 1 ? 0 : (info->rows + parts - 1) / parts;
        if (parts > 1 && rows < LEAST_CHUNK) break;
        out[n++] = (RunKnobs){ .chunk_rows = rows, .lock_step = true, .cache_cross = true };
        out[n++] = (RunKnobs){ .chunk_rows = rows, .lock_step = true };
        if (info->guided) out[n++] = (RunKnobs){ .chunk_rows = rows };
    }
    return n;
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
    if (r.status != SNUG_OK && err) *err = local;
    return r.status;
}

/* Compute and transfers of a stage run side by side; what does not overlap is the larger. */
static double forecast(const SnugPlan *plan)
{
    const Trace *t = &plan->trace;
    const double rate = FLOPS_PER_THREAD * pool_threads(plan->job->engine->pool);
    double total = 0;
    for (int32_t s = 0; s < t->n_stages; s++) {
        double compute = 0;
        for (int32_t i = t->stages[s].first_op; i < t->stages[s].end_op; i++) {
            const double work = t->ops[i].flops / rate,
                         move = t->ops[i].bytes / MEMORY_BYTES_PER_SECOND;
            compute += work > move ? work : move;
        }
        const double load = plan->residency.stages[s].moved_bytes / DISK_BYTES_PER_SECOND;
        const double repeats = t->stages[s].steps ? (double)t->all_steps / t->n_steps : 1.0;
        total += repeats * (compute > load ? compute : load);
    }
    return total;
}

static void add_figures(SnugPlan *plan, size_t fixed)
{
    SnugFigures *f = &plan->figures;
    *f = (SnugFigures){ .budget_bytes = plan->job->engine->ram_bytes,
                        .fixed_bytes = fixed,
                        .slab_bytes = plan->residency.top,
                        .process_peak_bytes = fixed + plan->residency.top };
    for (int32_t s = 0; s < plan->trace.n_stages; s++) {
        f->moved_bytes += plan->residency.stages[s].moved_bytes;
        f->bound_bytes += plan->residency.stages[s].bound_bytes;
    }
    for (int32_t i = 0; i < plan->trace.n_ops; i++)
        f->flops += plan->trace.ops[i].flops;
    f->seconds = forecast(plan);
}

/* Everything of the process that is not slab: what is resident now, and what is still to come. */
static size_t fixed_bytes(const SnugPlan *plan)
{
    return process_rss_bytes() + plan->writer_bytes + PROCESS_MARGIN_BYTES;
}

typedef struct Search {
    RunKnobs best_knobs;
    double best_seconds;
    size_t best_top, least_top; /* slab bytes */
    bool found;
} Search;

static void drop_layout(SnugPlan *plan)
{
    placement_release(&plan->placement);
    residency_release(&plan->residency);
}

/* Lay one candidate out in `room` bytes; SNUG_ERR_BUDGET leaves its smallest need in *least. */
static SnugStatus lay_out(SnugPlan *plan, const RunKnobs *knobs, int sketch_steps, size_t room,
                          size_t *least, SnugError *err)
{
    SnugJob *job = plan->job;
    TRY(rehearse(plan, knobs, sketch_steps, err));
    drop_layout(plan);
    TRY(placement_make(&plan->placement, &plan->trace, sketch_steps != 0, err));
    const SnugStatus status = residency_make(&plan->residency, &plan->trace, &plan->placement,
                                             job->unit_bytes, job->weights.n_units, room, err);
    *least = plan->residency.top;
    return status;
}

static SnugStatus try_candidate(SnugPlan *plan, const RunKnobs *knobs, size_t room, Search *search,
                                SnugError *err)
{
    size_t top = 0;
    const SnugStatus status = lay_out(plan, knobs, SKETCH_STEPS, room, &top, err);
    if (status == SNUG_ERR_BUDGET) {
        if (top < search->least_top) search->least_top = top;
        return SNUG_OK;
    }
    TRY(status);
    const double seconds = forecast(plan);
    const bool faster = seconds < 0.98 * search->best_seconds;
    const bool smaller = seconds <= 1.005 * search->best_seconds && top < search->best_top;
    if (!search->found || faster || smaller) {
        search->best_knobs = *knobs;
        search->best_seconds = seconds;
        search->best_top = top;
        search->found = true;
    }
    return SNUG_OK;
}

static SnugStatus refuse(const SnugPlan *plan, size_t least_slab, size_t fixed, SnugError *err)
{
    const size_t need = fixed + least_slab, mib = (size_t)1 << 20;
    /* What is resident differs a little from run to run: name a figure that will do. */
    const size_t safe = (need + need / 100 + 2 * mib) / mib;
    return error_set(err, SNUG_ERR_BUDGET,
                     "does not fit --ram %zuMiB: the smallest budget that would do is %zuMiB "
                     "(%zu MiB of tensors, %zu MiB for the process and its output)",
                     plan->job->engine->ram_bytes / mib, safe, least_slab / mib, fixed / mib);
}

static SnugStatus search_plan(SnugPlan *plan, SnugError *err)
{
    RunKnobs candidates[MAX_CANDIDATES];
    const int n = list_candidates(&plan->job->info, candidates);
    Search search = { .least_top = SIZE_MAX };
    /* The trace itself is resident while running: rehearse once before counting. */
    TRY(rehearse(plan, &candidates[0], 0, err));
    size_t fixed = fixed_bytes(plan);
    const size_t budget = plan->job->engine->ram_bytes;
    const size_t room = budget > fixed ? budget - fixed : 0;
    for (int i = 0; i < n; i++)
        TRY(try_candidate(plan, &candidates[i], room, &search, err));
    if (!search.found) return refuse(plan, search.least_top, fixed, err);
    plan->knobs = search.best_knobs;
    size_t top;
    TRY(lay_out(plan, &plan->knobs, 0, room, &top, err));
    add_figures(plan, fixed);
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
    plan->placement.heap = plan->residency.heap = plan->heap;
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
