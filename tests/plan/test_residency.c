/* test_residency.c  Every schedule is simulated by brute force: a unit that is used is there, and
 * nothing is loaded over what is still in use. */
#include "plan/program.h"

enum { SEEDS = 400, MAX_BUDGETS = 6 };

typedef struct Case {
    Heap *heap;
    Program program;
    Trace trace;
    Placement placement;
} Case;

static void case_open(Case *c, uint64_t seed)
{
    SnugError err = { { 0 } };
    c->heap = heap_create();
    trace_init(&c->trace, c->heap);
    program_init(&c->program, seed);
    program_rehearse(&c->program, &c->trace);
    CHECK(placement_make(&c->placement, &c->trace, false, &err) == SNUG_OK);
}

static void case_close(Case *c)
{
    placement_release(&c->placement);
    trace_release(&c->trace);
    CHECK_INT(heap_now_bytes(c->heap), 0);
    heap_free(c->heap);
}

static SnugStatus plan(const Case *c, Residency *out, size_t slab)
{
    SnugError err = { { 0 } };
    const SnugStatus status = residency_make(out, &c->trace, &c->placement, c->program.unit_bytes,
                                             c->program.n_units, slab, &err);
    CHECK(status == SNUG_OK || (status == SNUG_ERR_BUDGET && strstr(err.text, "does not fit")));
    return status;
}

static bool overlap(const Case *c, const Load *a, const Load *b)
{
    const size_t *bytes = c->program.unit_bytes;
    return a->offset < b->offset + bytes[b->unit] && b->offset < a->offset + bytes[a->unit];
}

/* Loads come in order of need, begin before they are needed, lie above their stage's activations,
 * and begin only when the stage before is done. */
static void check_loads(const Case *c, const Residency *r)
{
    for (int32_t i = 0; i < r->n_loads; i++) {
        const Load *load = &r->loads[i];
        const int32_t stage = trace_stage_of(&c->trace, load->need_op);
        CHECK(i == 0 || r->loads[i - 1].need_op <= load->need_op);
        CHECK(load->after_op < load->need_op); /* else both would wait forever */
        CHECK(load->after_op >= c->trace.stages[stage].first_op - 1);
        CHECK(load->offset >= c->placement.stage_top[stage]);
        CHECK(load->offset % 64 == 0);
        CHECK(load->offset + c->program.unit_bytes[load->unit] <= r->top);
    }
}

/* At operation `op` the loads below `n` have ended; any other whose after_op < op may be running. */
static void check_use(const Case *c, const Residency *r, int32_t op, int32_t n, int32_t unit)
{
    int32_t at = n - 1;
    while (at >= 0 && r->loads[at].unit != unit)
        at--;
    if (at < 0) fail_msg("operation %d uses unit %d before any load", op, unit);
    for (int32_t i = at + 1; i < r->n_loads && r->loads[i].after_op < op; i++)
        if (overlap(c, &r->loads[at], &r->loads[i]))
            fail_msg("operation %d uses unit %d, load %d of unit %d overwrites it", op, unit, i,
                     r->loads[i].unit);
}

static void check_schedule(const Case *c, const Residency *r, size_t slab)
{
    const Trace *t = &c->trace;
    double moved = 0, bound = 0, bytes = 0;
    check_loads(c, r);
    for (int32_t op = 0, n = 0; op < t->n_ops; op++) {
        while (n < r->n_loads && r->loads[n].need_op <= op)
            n++;
        for (int k = 0; k < t->ops[op].n_units; k++)
            check_use(c, r, op, n, t->ops[op].unit[k]);
    }
    for (int32_t i = 0; i < r->n_loads; i++)
        bytes += (double)c->program.unit_bytes[r->loads[i].unit];
    for (int32_t s = 0; s < t->n_stages; s++) {
        CHECK(r->stages[s].bound_bytes <= r->stages[s].moved_bytes);
        CHECK(r->stages[s].bound_bytes >= (double)r->stages[s].unit_bytes); /* each once */
        CHECK(r->stages[s].top <= r->top);
        moved += r->stages[s].moved_bytes;
        bound += r->stages[s].bound_bytes;
    }
    CHECK(moved == bytes);
    CHECK(r->top <= slab && r->top >= c->placement.top);
}

TEST(residency, of_random_traces_survives_simulation_under_any_budget)
{
    static Case c;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        case_open(&c, seed);
        Residency r;
        CHECK(plan(&c, &r, SIZE_MAX) == SNUG_OK);
        check_schedule(&c, &r, SIZE_MAX);
        const size_t ample = r.top;
        for (int32_t s = 0; s < c.trace.n_stages; s++) {
            CHECK_INT(r.stages[s].n_resident, r.stages[s].n_units);
            CHECK(r.stages[s].moved_bytes == r.stages[s].bound_bytes);
        }
        residency_release(&r);
        CHECK(plan(&c, &r, 0) == SNUG_ERR_BUDGET);
        const size_t least = r.top;
        CHECK(least <= ample);
        for (int i = 0; i <= MAX_BUDGETS; i++) {
            const size_t slab = least + (ample - least) * (size_t)i / MAX_BUDGETS;
            CHECK(plan(&c, &r, slab) == SNUG_OK);
            check_schedule(&c, &r, slab);
            residency_release(&r);
        }
        case_close(&c);
    }
}

TEST(residency, names_the_smallest_slab_that_does_and_refuses_one_byte_less)
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
        CHECK(plan(&c, &r, least - 1) == SNUG_ERR_BUDGET);
        CHECK_INT(r.top, least);
        case_close(&c);
    }
}

/* The fewest bytes that any schedule reads: tries every choice of what to drop. Units of one size. */
static int fewest_reads(const int *use, int n, int room, unsigned there)
{
    while (n > 0 && (there >> *use & 1)) {
        use++;
        n--;
    }
    if (n == 0) return 0;
    const unsigned with = there | 1u << *use;
    int best = 1000;
    if (__builtin_popcount(with) <= room) return 1 + fewest_reads(use + 1, n - 1, room, with);
    for (int drop = 0; drop < 8; drop++) {
        if (!(there >> drop & 1)) continue;
        const int reads = 1 + fewest_reads(use + 1, n - 1, room, with & ~(1u << drop));
        if (reads < best) best = reads;
    }
    return best;
}

static double bound_of(const int *use, int n, int room)
{
    static const size_t UNIT_BYTES[8] = { 64, 64, 64, 64, 64, 64, 64, 64 };
    Heap *heap = heap_create();
    Trace t;
    SnugError err = { { 0 } };
    Placement placement;
    Residency r;
    trace_init(&t, heap);
    const RunHooks hooks = trace_recorder(&t);
    Program program = { .n_units = 8 };
    const Device device = program_device(&program);
    Run run = { .device = &device, .hooks = &hooks, .rehearse = true, .err = &err };
    run_stage(&run, "one");
    Tensor x = NO_TENSOR;
    for (int i = 0; i < n; i++) {
        const Weight w = { .name = "w", .bytes = 64, .unit = use[i] };
        Op op = { .kind = OP_ADD,
                  .in_place = 0,
                  .n_in = i > 0,
                  .in = { x },
                  .n_weights = 1,
                  .weight = { &w } };
        op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(16) };
        x = run_op(&run, &op);
    }
    CHECK(run.status == SNUG_OK && placement_make(&placement, &t, false, &err) == SNUG_OK);
    CHECK(residency_make(&r, &t, &placement, UNIT_BYTES, 8, placement.top + 64 * (size_t)room,
                         &err) == SNUG_OK);
    const double bound = r.stages[0].bound_bytes / 64;
    CHECK(r.stages[0].moved_bytes / 64 >= fewest_reads(use, n, room, 0));
    residency_release(&r);
    placement_release(&placement);
    trace_release(&t);
    heap_free(heap);
    return bound;
}

TEST(residency, bound_is_below_the_best_of_all_schedules_and_tight_on_a_loop)
{
    Dice d = { 99 };
    for (int i = 0; i < 300; i++) {
        int use[12];
        const int n = 1 + (int)dice(&d, 12), units = 1 + (int)dice(&d, 5),
                  room = 1 + (int)dice(&d, 4);
        for (int k = 0; k < n; k++)
            use[k] = (int)dice(&d, units);
        CHECK(bound_of(use, n, room) <= fewest_reads(use, n, room, 0));
    }
    static const int LOOP[] = { 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3 };
    CHECK(bound_of(LOOP, 12, 2) == 4 + 2 + 2);
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
        status = residency_make(&r, &c.trace, &c.placement, c.program.unit_bytes, c.program.n_units,
                                SIZE_MAX, &err);
        heap_fail_at(c.heap, 0);
        CHECK(status == SNUG_OK || (status == SNUG_ERR_MEMORY && err.text[0]));
        residency_release(&r);
        CHECK_INT(heap_now_bytes(c.heap), before);
    }
    CHECK(n > 2);
    case_close(&c);
}
