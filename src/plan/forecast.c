/* forecast.c  One pass over the loads: they are ordered by need, so the stalls that decide when a
 * load may begin are all known when its turn comes. */
#include "plan/forecast.h"

#include "base/arena.h"

typedef struct Sim {
    const Clock *clock;
    const Costs *costs;
    const size_t *unit_bytes;
    const Residency *loads, *host;
    double *stall; /* [n_loads] seconds of waiting up to and including this load's need */
    double *taken; /* [n_loads] seconds that reading took from computing, up to this load */
    double taken_now;
    double *done; /* [n_loads] end of the load */
    bool *read;   /* [n_units] its file was read before */
    double link_free, disk_free;
    int32_t next_host;
} Sim;

/* Of a sum over loads, what those needed up to `op` make, when the first n loads are known. */
static double sum_before(const Sim *sim, const double *sums, int32_t op, int32_t n)
{
    int32_t a = 0, b = n; /* loads with need <= op */
    while (a < b) {
        const int32_t mid = a + (b - a) / 2;
        if (sim->loads->loads[mid].need <= op)
            a = mid + 1;
        else
            b = mid;
    }
    return a ? sums[a - 1] : 0.0;
}

/* Waiting before time `op`. */
static double stall_before(const Sim *sim, int32_t op, int32_t n)
{
    return sum_before(sim, sim->stall, op, n);
}

/* When operation `op` has ended. */
static double ended(const Sim *sim, int32_t op, int32_t n_known)
{
    if (op < 0) return 0.0;
    return clock_at(sim->clock, op + 1) + stall_before(sim, op, n_known);
}

static double read_seconds(Sim *sim, const Load *load)
{
    const Costs *c = sim->costs;
    const bool again = sim->read[load->unit];
    sim->read[load->unit] = true;
    sim->taken_now += (double)load->bytes * (again ? c->steal_again : c->steal_first);
    return (double)load->bytes / (again ? c->again_bytes_per_second : c->first_bytes_per_second);
}

/* When load i's unit is in host memory. */
static double in_host(Sim *sim, int32_t i)
{
    const Residency *h = sim->host;
    for (; sim->next_host < h->n_loads && h->loads[sim->next_host].need <= i; sim->next_host++) {
        const Load *load = &h->loads[sim->next_host];
        const double free = load->after >= 0 ? sim->done[load->after] : 0.0;
        if (free > sim->disk_free) sim->disk_free = free;
        sim->disk_free += read_seconds(sim, load);
    }
    return sim->disk_free;
}

static LoadTime run_load(Sim *sim, int32_t i)
{
    const Load *load = &sim->loads->loads[i];
    double begin = ended(sim, load->after, i);
    if (sim->link_free > begin) begin = sim->link_free;
    double length;
    if (sim->host) {
        const double there = in_host(sim, i);
        if (there > begin) begin = there;
        length = (double)load->bytes / sim->costs->copy_bytes_per_second;
    } else
        length = read_seconds(sim, load);
    sim->link_free = sim->done[i] = begin + length;
    const double before = i ? sim->stall[i - 1] : 0.0;
    const double wanted = clock_at(sim->clock, load->need) + before;
    sim->stall[i] = before + (sim->done[i] > wanted ? sim->done[i] - wanted : 0.0);
    sim->taken[i] = sim->taken_now;
    return (LoadTime){ begin, sim->done[i] };
}

/* What reading for a stage takes from computing; while operations wait for weights it takes nothing. */
static double stolen(const Sim *sim, const TraceStage *t, const StageWeights *s, int32_t n)
{
    const double taken = sum_before(sim, sim->taken, t->end_op - 1, n) -
                         sum_before(sim, sim->taken, t->first_op - 1, n);
    return taken > s->stall_seconds ? taken - s->stall_seconds : 0.0;
}

static double sum_stages(const Sim *sim, Residency *out)
{
    double all = 0;
    const Trace *t = sim->clock->trace;
    for (int32_t s = 0; s < t->n_stages; s++) {
        const int32_t first = t->stages[s].first_op, end = t->stages[s].end_op;
        out->stages[s].stall_seconds =
            stall_before(sim, end - 1, out->n_loads) - stall_before(sim, first - 1, out->n_loads);
        out->stages[s].seconds =
            clock_at(sim->clock, end) - clock_at(sim->clock, first) + out->stages[s].stall_seconds;
        const double more = stolen(sim, &t->stages[s], &out->stages[s], out->n_loads);
        out->stages[s].seconds += more;
        all += more;
    }
    return all;
}

SnugStatus forecast_loads(const Clock *clock, Residency *loads, const Residency *host,
                          const size_t *unit_bytes, int32_t n_units, const Costs *costs,
                          LoadTime *times, double *seconds, SnugError *err)
{
    const size_t n = (size_t)loads->n_loads + 1;
    Arena arena;
    arena_init(&arena, clock->heap, "planning");
    Sim sim = { .clock = clock,
                .costs = costs,
                .unit_bytes = unit_bytes,
                .loads = loads,
                .host = host,
                .stall = arena_array(&arena, n, sizeof(double)),
                .taken = arena_array(&arena, n, sizeof(double)),
                .done = arena_array(&arena, n, sizeof(double)),
                .read = arena_array(&arena, (size_t)n_units + 1, sizeof(bool)) };
    const bool good = sim.stall && sim.taken && sim.done && sim.read;
    if (good) {
        for (int32_t i = 0; i < loads->n_loads; i++) {
            const LoadTime time = run_load(&sim, i);
            if (times) times[i] = time;
        }
        *seconds = sum_stages(&sim, loads) + clock_at(clock, clock->trace->n_ops) +
                   (loads->n_loads ? sim.stall[loads->n_loads - 1] : 0.0);
    }
    arena_release(&arena);
    return good ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for the forecast");
}
