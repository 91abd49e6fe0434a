/* plan.c  From a job to a plan: lay out each candidate of knobs, keep the fastest that fits.
 *
 * The candidates differ in memory and speed, never in a bit of the result. They are compared on
 * sketches; the best is laid out in full. If none fits, the smallest need of all and the nearest
 * requests that would fit are the refusal. */
#include "engine/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "engine/kept.h"
#include "engine/output.h"
#include "memory/process.h"

/* Room the process takes beside slab and books: stacks, page tables, the allocator's slack. */
enum { PROCESS_MARGIN_BYTES = 6 << 20 };

/* Candidates that do not fit before the least of all is asked. */
enum { MOST_FAILURES = 3 };

/* A candidate and what a sketch of it said. */
typedef struct Candidate {
    RunKnobs knobs;
    double seconds, moved;
    size_t top; /* slab bytes */
    bool fits, tried, hopeless;
} Candidate;

/* How much room the plan has, and what would do if nothing fits. */
typedef struct Search {
    Candidate candidate[LAYOUT_MAX_CANDIDATES];
    int n;
    RunKnobs way[LAYOUT_MAX_WAYS]; /* of the VAE */
    int n_ways;
    LayoutRoom room;
    size_t booked_bytes; /* when the room was measured */
    size_t smallest;     /* slab that the chosen way can do with, SIZE_MAX: not known */
    bool cramped;        /* no way of the VAE seems to fit */
    size_t least_device, least_host;
    char stage[48]; /* that did not fit there */
} Search;

/* ---- searching -------------------------------------------------------------------------------- */

static void note_least(Search *search, const SnugPlan *plan)
{
    const Schedule *s = &plan->schedule;
    if (s->loads.top < search->least_device) {
        search->least_device = s->loads.top;
        if (s->loads.refused_stage < plan->trace.n_stages)
            (void)snprintf(search->stage, sizeof search->stage, "%s",
                           plan->trace.stages[s->loads.refused_stage].name);
    }
    if (s->host.top && s->host.top < search->least_host) search->least_host = s->host.top;
}

static SnugStatus sketch(SnugPlan *plan, Candidate *c, Search *search, SnugError *err)
{
    const SnugStatus status = layout_make(plan, &c->knobs, LAYOUT_SKETCH_STEPS, &search->room, err);
    if (status == SNUG_ERR_BUDGET) {
        note_least(search, plan);
        return SNUG_OK;
    }
    TRY(status);
    c->seconds = layout_seconds(plan);
    c->moved = layout_moved_bytes(plan);
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
        if (smallest || c->seconds > 1.01 * best->seconds) continue;
        const bool faster = c->seconds < 0.98 * best->seconds,
                   lighter = c->moved < 0.95 * best->moved,
                   lower = c->moved <= 1.01 * best->moved && c->top < best->top;
        if (faster || lighter || lower) best = c;
    }
    return best;
}

static size_t most_of(const size_t *by_stage, int32_t n)
{
    size_t most = 0;
    for (int32_t s = 0; s < n; s++)
        if (by_stage[s] > most) most = by_stage[s];
    return most;
}

static void take_way(Search *search, int way)
{
    for (int i = 0; i < search->n; i++) {
        Candidate *c = &search->candidate[i];
        *c = (Candidate){ .knobs = layout_on_way(c->knobs, &search->way[way]) };
    }
}

/* A longer trace takes room. The book tells how much; what is resident by now says more of the
 * tables of earlier sketches. */
static void count_growth(SnugPlan *plan, Search *search)
{
    const size_t now = heap_now_bytes(plan->heap);
    const size_t more = now > search->booked_bytes ? now - search->booked_bytes : 0;
    size_t *room = plan->job->engine->device.memory ? NULL : &search->room.device_bytes;
    plan->fixed_bytes += more;
    search->booked_bytes += more;
    search->room.host_bytes -= more < search->room.host_bytes ? more : search->room.host_bytes;
    if (room) *room = search->room.host_bytes;
}

/* Slab bytes of the candidate that needs least, on the way taken. */
static SnugStatus least_of_all(SnugPlan *plan, Search *search, int sketch_steps, SnugError *err)
{
    size_t *by_stage;
    TRY(layout_least(plan, &search->candidate[search->n - 1].knobs, sketch_steps, &by_stage, err));
    search->smallest = most_of(by_stage, plan->trace.n_stages);
    if (search->smallest < search->least_device) search->least_device = search->smallest;
    return SNUG_OK;
}

/* Does a stage need clearly more or less? What lives across stages moves all of them a little. */
static bool differs(size_t a, size_t b)
{
    return (a > b ? a - b : b - a) > a / 64;
}

/* The VAE's stages: those that another way changes. */
static size_t need_of_vae(const size_t *by_stage, const size_t *first, const size_t *other,
                          int32_t n)
{
    size_t most = 0;
    for (int32_t s = 0; s < n; s++)
        if (differs(first[s], other[s]) && by_stage[s] > most) most = by_stage[s];
    return most;
}

/* What a VAE has in flight depends on its way alone, so ways are compared beside one candidate, the
 * one that is planned soonest, and all candidates go on with the first that fits; with the smallest
 * if none does or the caller wants it. */
static SnugStatus choose_way(SnugPlan *plan, Search *search, bool smallest, SnugError *err)
{
    const size_t room = search->room.device_bytes;
    const RunKnobs knobs = search->candidate[0].knobs;
    int chosen = 0;
    size_t *first, *now = NULL, least = SIZE_MAX;
    TRY(layout_least(plan, &knobs, 0, &first, err));
    size_t whole = most_of(first, plan->trace.n_stages);
    for (int i = 1; i < search->n_ways && (smallest || least > room); i++) {
        const RunKnobs longest = layout_on_way(knobs, &search->way[i]);
        TRY(layout_least(plan, &longest, 0, &now, err));
        count_growth(plan, search);
        const int32_t n = plan->trace.n_stages;
        if (i == 1) least = need_of_vae(first, first, now, n);
        if (i == 1 && least <= room && !smallest) break;
        const size_t need = need_of_vae(now, first, now, n);
        if (need >= least) continue;
        least = need;
        chosen = i;
        whole = most_of(now, n);
    }
    take_way(search, chosen);
    search->candidate[0].hopeless = whole > room;
    search->cramped = least != SIZE_MAX && least > room;
    return SNUG_OK;
}

/* Sketch the candidates, up to the first that fits and never waits: the rest is slower. Where several
 * in turn do not fit, the least of all says whether any can. */
static SnugStatus sketch_all(SnugPlan *plan, Search *search, bool smallest, SnugError *err)
{
    int failed = 0;
    for (int i = 0; i < search->n; i++) {
        Candidate *c = &search->candidate[i];
        if (!c->fits && !c->hopeless) TRY(sketch(plan, c, search, err));
        if (c->fits && !smallest && !layout_waits(plan)) return SNUG_OK;
        failed += !c->fits;
        if (failed == MOST_FAILURES && failed == i + 1 && search->smallest == SIZE_MAX) {
            TRY(least_of_all(plan, search, LAYOUT_SKETCH_STEPS, err));
            if (search->smallest > search->room.device_bytes) return SNUG_ERR_BUDGET;
        }
    }
    return SNUG_OK;
}

static SnugStatus compare(SnugPlan *plan, Search *search, bool smallest, SnugError *err)
{
    TRY(sketch_all(plan, search, smallest, err));
    for (Candidate *c; (c = best_left(search, smallest));) {
        const SnugStatus status = layout_make(plan, &c->knobs, 0, &search->room, err);
        if (status != SNUG_ERR_BUDGET) return status;
        note_least(search, plan); /* the whole request needs more than its sketch */
        c->tried = true;
    }
    return SNUG_ERR_BUDGET;
}

static SnugStatus search_candidates(SnugPlan *plan, Search *search, SnugError *err)
{
    const bool smallest = plan->job->constraints.smallest;
    Candidate *first = &search->candidate[0];
    TRY(sketch(plan, first, search, err));
    if (first->fits && !smallest) return compare(plan, search, false, err);
    TRY(choose_way(plan, search, smallest, err));
    if (smallest || search->cramped)
        TRY(least_of_all(plan, search, smallest ? 0 : LAYOUT_SKETCH_STEPS, err));
    if (search->cramped && search->smallest > search->room.device_bytes) return SNUG_ERR_BUDGET;
    const LayoutRoom room = search->room;
    if (smallest && search->smallest < room.device_bytes)
        search->room.device_bytes = search->smallest;
    const SnugStatus status = compare(plan, search, smallest, err);
    if (status != SNUG_ERR_BUDGET || room.device_bytes == search->room.device_bytes) return status;
    search->room = room;
    for (int i = 0; i < search->n; i++)
        search->candidate[i] = (Candidate){ .knobs = search->candidate[i].knobs };
    return compare(plan, search, smallest, err);
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

/* Everything of the process that is not slab: what is resident now, and what is still to come. Weights
 * that an earlier run left are not counted: the run takes over their slab, or gives it up first. */
static size_t fixed_bytes(const SnugPlan *plan)
{
    const size_t rss = process_rss_bytes(), kept = kept_resident_bytes(plan->job->engine);
    return (rss > kept ? rss - kept : 0) + plan->writer_bytes + PROCESS_MARGIN_BYTES;
}

/* The budget that would do, in words. */
static void name_budget(const SnugPlan *plan, const Search *search, char *to, size_t room)
{
    const SnugEngine *e = plan->job->engine;
    const size_t mib = (size_t)1 << 20;
    const bool two = e->device.memory != NULL;
    if (two && search->least_device != SIZE_MAX &&
        search->least_device > search->room.device_bytes) {
        (void)snprintf(to, room, "does not fit --vram %zuMiB: the smallest that would do is %zuMiB",
                       e->vram_bytes / mib, (search->least_device + 2 * mib) / mib);
        return;
    }
    const size_t least = two ? search->least_host : search->least_device;
    const size_t need = plan->fixed_bytes + least;
    /* What is resident differs a little from run to run: name a figure that will do. */
    const size_t safe = (need + need / 100 + 2 * mib) / mib;
    (void)snprintf(to, room,
                   "does not fit --ram %zuMiB: the smallest budget that would do is %zuMiB "
                   "(%zu MiB of tensors, %zu MiB for the process and its output)",
                   e->ram_bytes / mib, safe, least / mib, plan->fixed_bytes / mib);
}

static SnugStatus refuse(SnugPlan *plan, const Search *search, SnugError *err)
{
    char switches[160], budget[400], others[800];
    constraints_costly(&plan->job->constraints, switches, sizeof switches);
    name_budget(plan, search, budget, sizeof budget);
    plan_alternatives(plan, &search->room, others, sizeof others);
    return error_set(err, SNUG_ERR_BUDGET, "%s%s%s%s%s%s", switches,
                     search->stage[0] ? "stage " : "", search->stage, search->stage[0] ? ": " : "",
                     budget, others);
}

LayoutRoom plan_room(SnugPlan *plan)
{
    const SnugEngine *e = plan->job->engine;
    plan->fixed_bytes = fixed_bytes(plan);
    const size_t room = e->ram_bytes > plan->fixed_bytes ? e->ram_bytes - plan->fixed_bytes : 0;
    return (LayoutRoom){ .device_bytes = e->device.memory ? e->vram_bytes : room,
                         .host_bytes = room };
}

static SnugStatus search_plan(SnugPlan *plan, SnugError *err)
{
    RunKnobs knobs[LAYOUT_MAX_CANDIDATES];
    Search search = { .smallest = SIZE_MAX, .least_device = SIZE_MAX, .least_host = SIZE_MAX };
    search.n = layout_candidates(plan->job, knobs);
    search.n_ways = layout_vae_ways(plan->job, search.way);
    for (int i = 0; i < search.n; i++)
        search.candidate[i].knobs = knobs[i];
    /* The trace itself is resident while running: rehearse once before counting. */
    TRY(layout_rehearse(plan, &knobs[0], 0, err));
    search.room = plan_room(plan);
    search.booked_bytes = heap_now_bytes(plan->heap);
    const SnugStatus status = search_candidates(plan, &search, err);
    if (status == SNUG_ERR_BUDGET) return refuse(plan, &search, err);
    TRY(status);
    add_figures(plan);
    return SNUG_OK;
}

SnugStatus plan_open(SnugPlan **out, SnugJob *job, SnugError *err)
{
    *out = NULL;
    TRY(job_prepare(job, err));
    SnugPlan *plan = heap_take(job->engine->heap, sizeof *plan, "plan");
    if (!plan) return error_set(err, SNUG_ERR_MEMORY, "no memory for a plan");
    plan->job = job;
    plan->version = job->version;
    plan->heap = job->engine->heap;
    plan->unit_bytes = job->unit_bytes;
    arena_init(&plan->arena, plan->heap, "plan");
    trace_init(&plan->trace, plan->heap);
    plan->placement.heap = plan->clock.heap = plan->heap;
    plan->schedule.loads.heap = plan->schedule.host.heap = plan->heap;
    const SnugStatus status = output_memory_bytes(job, &plan->writer_bytes, err);
    if (status == SNUG_OK)
        *out = plan;
    else
        snug_plan_free(plan);
    return status;
}

static SnugStatus make_plan(SnugPlan **out, SnugJob *job, SnugError *err)
{
    SnugPlan *plan;
    *out = NULL;
    TRY(plan_open(&plan, job, err));
    SnugStatus status = search_plan(plan, err);
    if (status == SNUG_OK) status = plan_describe(plan, err);
    if (status == SNUG_OK)
        *out = plan;
    else
        snug_plan_free(plan);
    return status;
}

/* In requests of several phases that leave it to the plan, everything stays if all of it fits together;
 * else what must go goes. */
SnugStatus snug_plan_create(SnugPlan **out, SnugJob *job, SnugError *err)
{
    PlanConstraints *c = &job->constraints;
    *out = NULL;
    TRY(job_prepare(job, err));
    if (!job->info.phases || !constraints_open(c)) return make_plan(out, job, err);
    c->unload = UNLOAD_NEVER;
    const SnugStatus status = make_plan(out, job, err);
    c->unload = UNLOAD_FREE;
    return status == SNUG_ERR_BUDGET ? make_plan(out, job, err) : status;
}

void snug_plan_free(SnugPlan *plan)
{
    if (!plan) return;
    layout_drop(plan);
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
