/* test_held.c  Sums over random programs: what is held at each operation, and for how long. */
#include "plan/program.h"

#include "plan/held.h"

enum { SEEDS = 120 };

typedef struct Bench {
    ProgramPlan p;
    Held held;
    int32_t part_of[PROGRAM_UNITS];
} Bench;

/* A seed's program under the least memory that does (tight) or as much as it likes. */
static void bench_open(Bench *b, uint64_t seed, bool two_tiers, bool tight)
{
    SnugError err = { { 0 } };
    size_t device = tight ? 1 : SIZE_MAX, host = device;
    *b = (Bench){ 0 };
    program_plan_open(&b->p, seed);
    SnugStatus status = program_plan_schedule(&b->p, device, host, two_tiers, &err);
    for (int i = 0; i < 20 && status == SNUG_ERR_BUDGET; i++) {
        if (b->p.schedule.loads.top) device = b->p.schedule.loads.top;
        if (b->p.schedule.host.top) host = b->p.schedule.host.top;
        status = program_plan_schedule(&b->p, device, host, two_tiers, &err);
    }
    if (status != SNUG_OK) fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
    for (int i = 0; i < b->p.program.n_units; i++)
        b->part_of[i] = i % 3;
    CHECK(held_make(&b->held, &b->p.trace, &b->p.placement, &b->p.schedule, b->part_of,
                    b->p.program.n_units, &err) == SNUG_OK);
}

static void bench_close(Bench *b)
{
    held_release(&b->held);
    program_plan_close(&b->p);
}

TEST(held, tensors_sum_to_what_placement_found)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        Bench b;
        bench_open(&b, seed, false, false);
        HeldCursor cursor = { 0 };
        for (int32_t s = 0; s < b.p.trace.n_stages; s++) {
            size_t most = 0;
            const TraceStage *stage = &b.p.trace.stages[s];
            for (int32_t op = stage->first_op; op < stage->end_op; op++) {
                const size_t now = held_tensors(&b.held, &cursor, op);
                if (now > most) most = now;
                if (op == b.p.placement.stage_peak_op[s])
                    CHECK_INT(now, b.p.placement.stage_live[s]);
            }
            CHECK_INT(most, b.p.placement.stage_live[s]);
        }
        bench_close(&b);
    }
}

/* The last load of the unit that is needed by then. */
static int32_t load_for(const Residency *r, int32_t unit, int32_t time)
{
    int32_t found = -1;
    for (int32_t i = 0; i < r->n_loads && r->loads[i].need <= time; i++)
        if (r->loads[i].unit == unit) found = i;
    return found;
}

/* Held as long as operations use it, and nothing is held where another load already comes. */
static void check_loads(const Bench *b)
{
    const Residency *r = &b->p.schedule.loads;
    const int32_t *last_op = b->held.last_op;
    int32_t last[4096];
    CHECK(r->n_loads < 4096);
    for (int32_t i = 0; i < r->n_loads; i++)
        last[i] = r->loads[i].need;
    for (int32_t i = 0; i < b->p.uses.n; i++) {
        const UnitUse *u = &b->p.uses.list[i];
        const int32_t load = load_for(r, u->unit, u->first);
        CHECK(load >= 0);
        if (u->last > last[load]) last[load] = u->last;
    }
    for (int32_t i = 0; i < r->n_loads; i++) {
        const Load *x = &r->loads[i];
        CHECK_INT(last_op[i], last[i]);
        for (int32_t k = i + 1; k < r->n_loads; k++) {
            const Load *y = &r->loads[k];
            if (x->offset < y->offset + y->bytes && y->offset < x->offset + x->bytes)
                CHECK(last_op[i] <= y->after);
        }
        if (i) CHECK(last_op[b->held.by_last_op[i - 1]] <= last_op[b->held.by_last_op[i]]);
    }
}

static void check_spans(const Bench *b)
{
    const Held *h = &b->held;
    int32_t n_loads = 0;
    for (int32_t i = 0; i < h->n_loads; i++) {
        const HeldSpan *s = &h->spans[h->span_of[i]];
        CHECK_INT(s->part, b->part_of[b->p.schedule.loads.loads[i].unit]);
        CHECK(s->first_op <= b->p.schedule.loads.loads[i].need && h->last_op[i] <= s->last_op);
    }
    for (int32_t i = 0; i < h->n_spans; i++) {
        n_loads += h->spans[i].n_loads;
        for (int32_t k = i + 1; k < h->n_spans; k++) /* spans of one part do not overlap */
            CHECK(h->spans[i].part != h->spans[k].part ||
                  h->spans[i].last_op < h->spans[k].first_op);
    }
    CHECK_INT(n_loads, h->n_loads);
}

TEST(held, loads_are_held_to_the_last_use_that_they_serve)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        Bench b;
        bench_open(&b, seed, seed % 3 == 0, seed % 2 == 0);
        check_loads(&b);
        check_spans(&b);
        for (int32_t i = 0; i < b.held.n_host_loads; i++) {
            const Residency *host = &b.p.schedule.host;
            const int32_t last = b.held.host_last[i];
            CHECK(last >= host->loads[i].need && last < b.p.schedule.loads.n_loads);
            CHECK_INT(b.p.schedule.loads.loads[last].unit, host->loads[i].unit);
        }
        bench_close(&b);
    }
}
