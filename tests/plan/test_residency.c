/* test_residency.c  Every schedule is simulated by brute force: a unit that is used is there, and
 * nothing is loaded over what is still in use. */
#include "plan/program.h"

enum { SEEDS = 400, MAX_BUDGETS = 6 };

typedef struct Case {
    Heap *heap;
    Program program;
    Trace trace;
    Placement placement;
    Uses uses;
} Case;

static void case_open(Case *c, uint64_t seed)
{
    SnugError err = { { 0 } };
    c->heap = heap_create();
    trace_init(&c->trace, c->heap);
    program_init(&c->program, seed);
    program_rehearse(&c->program, &c->trace);
    CHECK(placement_make(&c->placement, &c->trace, false, &err) == SNUG_OK);
    CHECK(uses_of_trace(&c->uses, &c->trace, c->program.n_units, &err) == SNUG_OK);
}

static void case_close(Case *c)
{
    uses_release(&c->uses);
    placement_release(&c->placement);
    trace_release(&c->trace);
    CHECK_INT(heap_now_bytes(c->heap), 0);
    heap_free(c->heap);
}

static const ResidencyPolicy POLICIES[] = {
    { .horizon = 1, .strict = true },
    { .horizon = 0, .strict = true },
    { .horizon = 3 },
    { .horizon = 1, .eager = true },
    { .horizon = 0, .plain = true },
    { .horizon = 0, .strict = true, .plain = true },
    { .horizon = 1, .grid = true, .plain = true },
};
static const ResidencyPolicy SAFE = { .grid = true };
enum { MAX_STAGES = 32 };

static SnugStatus make(const ResidencyTask *task, Residency *out, ResidencyPolicy policy,
                       SnugError *err)
{
    ResidencyPolicy by_stage[MAX_STAGES];
    ResidencyTask with = *task;
    CHECK(task->uses->n_stages <= MAX_STAGES);
    for (int i = 0; i < task->uses->n_stages; i++)
        by_stage[i] = policy;
    with.by_stage = by_stage;
    return residency_make(out, &with, err);
}

static SnugStatus plan_by(const Case *c, Residency *out, size_t slab, ResidencyPolicy policy)
{
    SnugError err = { { 0 } };
    const ResidencyTask task = { .uses = &c->uses,
                                 .floor = c->placement.stage_top,
                                 .unit_bytes = c->program.unit_bytes,
                                 .n_units = c->program.n_units,
                                 .slab_bytes = slab };
    const SnugStatus status = make(&task, out, policy, &err);
    CHECK(status == SNUG_OK || (status == SNUG_ERR_BUDGET && strstr(err.text, "do not fit")));
    return status;
}

static SnugStatus plan(const Case *c, Residency *out, size_t slab)
{
    return plan_by(c, out, slab, SAFE);
}

static bool overlap(const Load *a, const Load *b)
{
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* From the moment it may begin until operation `last` a load lies above all activations. */
static void check_clear(const Case *c, const Load *load, int32_t last)
{
    for (int32_t s = 0; s < c->trace.n_stages; s++) {
        const TraceStage *stage = &c->trace.stages[s];
        if (stage->first_op > last || stage->end_op - 1 <= load->after) continue;
        CHECK(load->offset >= c->placement.stage_top[s]);
    }
}

/* Loads come in order of need and begin before they are needed. */
static void check_loads(const Case *c, const Residency *r)
{
    for (int32_t i = 0; i < r->n_loads; i++) {
        const Load *load = &r->loads[i];
        CHECK(i == 0 || r->loads[i - 1].need <= load->need);
        CHECK(load->after < load->need); /* else both would wait forever */
        CHECK(load->offset % 64 == 0);
        CHECK_INT(load->bytes, c->program.unit_bytes[load->unit]);
        CHECK(load->offset + load->bytes <= r->top);
        check_clear(c, load, load->need);
    }
}

/* At operation `op` the loads below `n` have ended; any other whose `after` < op may be running. */
static void check_use(const Case *c, const Residency *r, int32_t op, int32_t n, int32_t unit)
{
    int32_t at = n - 1;
    while (at >= 0 && r->loads[at].unit != unit)
        at--;
    if (at < 0) fail_msg("operation %d uses unit %d before any load", op, unit);
    const Load *load = &r->loads[at];
    check_clear(c, load, op);
    for (int32_t i = at + 1; i < r->n_loads; i++) /* later ones may begin early too */
        if ((i < n || r->loads[i].after < op) && overlap(load, &r->loads[i]))
            fail_msg("operation %d uses unit %d, load %d of unit %d may overwrite it", op, unit, i,
                     r->loads[i].unit);
}

static void check_schedule(const Case *c, const Residency *r, size_t slab)
{
    const Trace *t = &c->trace;
    double moved = 0, bytes = 0;
    int32_t n = 0;
    check_loads(c, r);
    for (int32_t s = 0; s < t->n_segments; s++) {
        const TraceSegment *seg = &t->segments[s];
        for (int32_t i = 0; i < trace_template(t, seg)->n_ops; i++) {
            const TraceOp *op = &t->ops[trace_template(t, seg)->first_op + i];
            const int32_t at = seg->first_op + i;
            while (n < r->n_loads && r->loads[n].need <= at)
                n++;
            for (int k = 0; k < op->n_units; k++)
                check_use(c, r, at, n, t->units[seg->first_unit + op->unit[k]]);
        }
    }
    for (int32_t i = 0; i < r->n_loads; i++)
        bytes += (double)r->loads[i].bytes;
    for (int32_t s = 0; s < t->n_stages; s++) {
        CHECK(r->stages[s].bound_bytes <= r->stages[s].moved_bytes);
        CHECK(r->stages[s].top <= r->top);
        moved += r->stages[s].moved_bytes;
    }
    CHECK(moved == bytes);
    CHECK(r->top <= slab && r->top >= c->placement.top);
}

TEST(residency, of_random_traces_survives_simulation_under_any_budget_and_policy)
{
    static Case c;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        case_open(&c, seed);
        Residency r;
        CHECK(plan(&c, &r, SIZE_MAX) == SNUG_OK);
        check_schedule(&c, &r, SIZE_MAX);
        const size_t ample = r.top;
        for (int32_t s = 0; s < c.trace.n_stages; s++)
            CHECK_INT(r.stages[s].n_resident, r.stages[s].n_units);
        residency_release(&r);
        CHECK(plan(&c, &r, 0) == SNUG_ERR_BUDGET);
        const size_t least = r.top;
        for (int i = 0; i <= MAX_BUDGETS; i++) {
            const size_t slab = ample > least ? least + (ample - least) * (size_t)i / MAX_BUDGETS
                                              : least + 640 * (size_t)i;
            CHECK(plan(&c, &r, slab) == SNUG_OK); /* the grid never fails above the least */
            check_schedule(&c, &r, slab);
            residency_release(&r);
            for (size_t k = 0; k < COUNT(POLICIES); k++) {
                if (plan_by(&c, &r, slab, POLICIES[k]) != SNUG_OK) continue;
                check_schedule(&c, &r, slab);
                residency_release(&r);
            }
        }
        case_close(&c);
    }
}

TEST(residency, names_a_slab_that_does)
{
    static Case c;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        case_open(&c, seed);
        Residency r;
        CHECK(plan(&c, &r, 1) == SNUG_ERR_BUDGET);
        const size_t least = r.top;
        CHECK(r.loads == NULL && r.stages == NULL);
        CHECK(plan(&c, &r, least) == SNUG_OK);
        CHECK(r.top <= least);
        residency_release(&r);
        CHECK(plan(&c, &r, c.placement.top - 1) == SNUG_ERR_BUDGET);
        CHECK_INT(r.top, least);
        case_close(&c);
    }
}

/* ---- against every schedule there is ---------------------------------------------------------- */

enum { FEW_UNITS = 6, FEW_USES = 14 };

/* A short sequence of uses, one an operation. */
typedef struct Short {
    int use[FEW_USES], n, n_units;
    size_t bytes[FEW_UNITS], room;
    int memo[FEW_USES + 1][1 << FEW_UNITS]; /* fewest 64-byte pieces, -1: not known yet */
} Short;

static size_t held(const Short *s, unsigned there)
{
    size_t sum = 0;
    for (int i = 0; i < s->n_units; i++)
        sum += there >> i & 1 ? s->bytes[i] : 0;
    return sum;
}

/* The fewest bytes that any schedule reads from use i on: every choice of what to keep. */
static int fewest(Short *s, int i, unsigned there)
{
    while (i < s->n && (there >> s->use[i] & 1))
        i++;
    if (i == s->n) return 0;
    if (s->memo[i][there] >= 0) return s->memo[i][there];
    int best = INT32_MAX;
    for (unsigned keep = there;; keep = (keep - 1) & there) {
        const unsigned with = keep | 1u << s->use[i];
        if (held(s, with) <= s->room) {
            const int rest = fewest(s, i + 1, with);
            if (rest < best) best = rest;
        }
        if (keep == 0) break;
    }
    return s->memo[i][there] = best + (int)(s->bytes[s->use[i]] / 64);
}

static void short_init(Short *s, Dice *d, bool equal)
{
    memset(s, 0, sizeof *s);
    memset(s->memo, -1, sizeof s->memo);
    s->n_units = 2 + (int)dice(d, FEW_UNITS - 1);
    s->n = 2 + (int)dice(d, FEW_USES - 1);
    const bool loop = dice(d, 2) == 0;
    for (int i = 0; i < s->n; i++)
        s->use[i] = loop ? i % s->n_units : (int)dice(d, s->n_units);
    size_t largest = 0;
    for (int i = 0; i < s->n_units; i++) {
        s->bytes[i] = 64 * (size_t)(equal ? 4 : 1 + dice(d, 6));
        if (s->bytes[i] > largest) largest = s->bytes[i];
    }
    s->room = largest + 64 * (size_t)dice(d, 14);
}

/* What snug's best policy moves, and its bound, in pieces of 64 bytes. */
static void plan_short(const Short *s, double *moved, double *bound)
{
    Heap *heap = heap_create();
    SnugError err = { { 0 } };
    UnitUse list[FEW_USES];
    int32_t stage_first[2] = { 0, s->n }, stage_begin[2] = { 0, s->n };
    Uses uses = { .heap = heap,
                  .list = list,
                  .n = s->n,
                  .stage_first = stage_first,
                  .stage_begin = stage_begin,
                  .n_stages = 1 };
    for (int i = 0; i < s->n; i++)
        list[i] = (UnitUse){ s->use[i], i, i, INT32_MAX };
    CHECK(uses_link(&uses, s->n_units, &err) == SNUG_OK);
    const size_t floor[1] = { 0 };
    const ResidencyTask task = { .uses = &uses,
                                 .floor = floor,
                                 .unit_bytes = s->bytes,
                                 .n_units = s->n_units,
                                 .slab_bytes = s->room };
    *moved = 1e9;
    for (size_t k = 0; k < COUNT(POLICIES); k++) {
        Residency r;
        if (make(&task, &r, POLICIES[k], &err) != SNUG_OK) continue;
        *bound = r.stages[0].bound_bytes / 64;
        if (r.stages[0].moved_bytes / 64 < *moved) *moved = r.stages[0].moved_bytes / 64;
        residency_release(&r);
    }
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static void compare_with_best(bool equal, double most_gap)
{
    static Short s;
    Dice d = { equal ? 99 : 7 };
    double ours = 0, best = 0, bounds = 0;
    for (int i = 0; i < 1500; i++) {
        double moved, bound = 0;
        short_init(&s, &d, equal);
        const int fewest_reads = fewest(&s, 0, 0);
        plan_short(&s, &moved, &bound);
        CHECK(bound <= fewest_reads);
        CHECK(moved >= fewest_reads && moved < 1e9);
        ours += moved;
        best += fewest_reads;
        bounds += bound;
    }
    print_message("%s units: moved %.4f x the best of all schedules, bound %.4f x\n",
                  equal ? "equal" : "mixed", ours / best, bounds / best);
    CHECK(ours <= most_gap * best);
}

TEST(residency, of_equal_units_moves_the_fewest_bytes_there_are)
{
    compare_with_best(true, 1.0); /* Belady's rule is exact here */
}

/* Units of six sizes in little room are unkind: places must be whole, and evicting by next use
 * alone is not exact. Seen: 1.02; a planner that broke is far above. */
TEST(residency, of_mixed_units_is_near_the_best_of_all_schedules)
{
    compare_with_best(false, 1.05);
}

TEST(residency, every_refused_allocation_is_reported_and_leaks_nothing)
{
    static Case c;
    case_open(&c, 3);
    const size_t before = heap_now_bytes(c.heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    int n = 0;
    while (status != SNUG_OK) {
        SnugError err = { { 0 } };
        Residency r;
        heap_fail_at(c.heap, ++n);
        const ResidencyTask task = { .uses = &c.uses,
                                     .floor = c.placement.stage_top,
                                     .unit_bytes = c.program.unit_bytes,
                                     .n_units = c.program.n_units,
                                     .slab_bytes = SIZE_MAX };
        status = make(&task, &r, SAFE, &err);
        heap_fail_at(c.heap, 0);
        CHECK(status == SNUG_OK || (status == SNUG_ERR_MEMORY && err.text[0]));
        residency_release(&r);
        CHECK_INT(heap_now_bytes(c.heap), before);
    }
    CHECK(n > 2);
    case_close(&c);
}
