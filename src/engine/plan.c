/* plan.c  From a job to a plan: lay out each candidate of knobs, keep the fastest that fits.
 *
 * The candidates differ in memory and speed, never in a bit of the result. They are compared on
 * sketches; the best is laid out in full. If none fits, the smallest need of all and the nearest
 * requests that would fit are the refusal. */
#include "engine/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "engine/output.h"
#include "memory/process.h"

/* Room the process takes beside slab and books: stacks, page tables, the allocator's slack. */
enum { PROCESS_MARGIN_BYTES = 6 << 20 };

/* A candidate and what a sketch of it said. */
typedef struct Candidate {
    RunKnobs knobs;
    double seconds, moved;
    size_t top; /* slab bytes */
    bool fits, tried;
} Candidate;

/* How much room the plan has, and what would do if nothing fits. */
typedef struct Search {
    Candidate candidate[LAYOUT_MAX_CANDIDATES];
    int n;
    RunKnobs way[LAYOUT_MAX_WAYS]; /* of the VAE */
    int n_ways;
    LayoutRoom room;
    size_t booked_bytes; /* when the room was measured */
    size_t smallest;     /* slab that the chosen way can do with */
    size_t least_device, least_host;
} Search;

/* ---- searching -------------------------------------------------------------------------------- */

static void note_least(Search *search, const SnugPlan *plan)
{
    const Schedule *s = &plan->schedule;
    if (s->loads.top < search->least_device) search->least_device = s->loads.top;
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

/* Slab bytes that would do for what is laid out. */
static SnugStatus least_bytes(SnugPlan *plan, size_t *out, SnugError *err)
{
    const LayoutRoom none = { 0, SIZE_MAX };
    const SnugStatus status = layout_schedule(plan, true, &none, err);
    *out = plan->schedule.loads.top;
    return status == SNUG_ERR_BUDGET ? SNUG_OK : status;
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

/* What a VAE has in flight depends on its way alone, so ways are compared beside the transformer's
 * smallest candidate, and all candidates go on with the first that fits; with the smallest if none
 * does or the caller wants it, who then gets no more room than that takes. */
static SnugStatus choose_way(SnugPlan *plan, Search *search, bool smallest, int *chosen,
                             SnugError *err)
{
    size_t bytes;
    search->smallest = SIZE_MAX;
    for (int i = 0; i < search->n_ways; i++) {
        const RunKnobs longest = layout_on_way(search->candidate[0].knobs, &search->way[i]);
        Candidate c = { .knobs = search->candidate[search->n - 1].knobs };
        c.knobs = layout_on_way(c.knobs, &search->way[i]);
        layout_drop(plan);
        if (i > 0) TRY(layout_rehearse(plan, &longest, 0, err));
        count_growth(plan, search);
        TRY(sketch(plan, &c, search, err));
        if (c.fits && !smallest) {
            *chosen = i;
            break;
        }
        TRY(least_bytes(plan, &bytes, err));
        if (bytes >= search->smallest) continue;
        *chosen = i;
        search->smallest = bytes;
    }
    take_way(search, *chosen);
    return SNUG_OK;
}

static SnugStatus compare(SnugPlan *plan, Search *search, bool smallest, SnugError *err)
{
    for (int i = 0; i < search->n; i++) {
        if (!search->candidate[i].fits) TRY(sketch(plan, &search->candidate[i], search, err));
        if (search->candidate[i].fits && !smallest && !layout_waits(plan))
            break; /* the rest is slower */
    }
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
    int way = 0;
    TRY(sketch(plan, first, search, err));
    if (!first->fits || smallest) TRY(choose_way(plan, search, smallest, &way, err));
    const LayoutRoom room = search->room;
    if (smallest && search->smallest < room.device_bytes)
        search->room.device_bytes = search->smallest;
    const SnugStatus status = compare(plan, search, smallest, err);
    if (status != SNUG_ERR_BUDGET || room.device_bytes == search->room.device_bytes) return status;
    search->room = room;
    take_way(search, way);
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

/* Everything of the process that is not slab: what is resident now, and what is still to come. */
static size_t fixed_bytes(const SnugPlan *plan)
{
    return process_rss_bytes() + plan->writer_bytes + PROCESS_MARGIN_BYTES;
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
    return error_set(err, SNUG_ERR_BUDGET, "%s%s%s", switches, budget, others);
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
    Search search = { .least_device = SIZE_MAX, .least_host = SIZE_MAX };
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

SnugStatus snug_plan_create(SnugPlan **out, SnugJob *job, SnugError *err)
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
