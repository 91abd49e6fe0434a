/* phase_lines.c  Finding the operations. */
#include "engine/phase_lines.h"

static bool gives_up(const SnugJob *job, const SnugPlan *plan, int phase)
{
    return plan_unload_of(&job->constraints, phase) == UNLOAD_ALWAYS && !plan->schedule.loads.holds;
}

/* The last use of the network that moved most in [begin, end]; -1: none was used. */
static int32_t largest_ends(const Held *h, const double *bytes, int32_t begin, int32_t end)
{
    int32_t best = -1;
    for (int32_t i = 0; i < h->n_spans; i++)
        if (h->spans[i].last_op >= begin && h->spans[i].last_op <= end &&
            (best < 0 || bytes[i] >= bytes[best]))
            best = i;
    return best < 0 ? -1 : h->spans[best].last_op;
}

SnugStatus phase_lines_init(PhaseLines *out, const SnugJob *job, const SnugPlan *plan,
                            const Held *held, SnugError *err)
{
    const Trace *t = &plan->trace;
    *out = (PhaseLines){ .phases = job->info.phases };
    for (int p = 0; p <= PIPELINE_MAX_PHASES; p++)
        out->before[p] = out->end[p] = -1;
    if (!out->phases) return SNUG_OK;
    double *bytes = heap_take(plan->heap, ((size_t)held->n_spans + 1) * sizeof *bytes, "book");
    if (!bytes) return error_set(err, SNUG_ERR_MEMORY, "no memory for the book of a run");
    for (int32_t i = 0; i < held->n_loads; i++)
        bytes[held->span_of[i]] += (double)plan->schedule.loads.loads[i].bytes;
    for (int p = 1; p <= out->phases->n; p++) {
        int32_t begin = -1, end = -1;
        for (int32_t s = 0; s < t->n_stages; s++) {
            if (t->stages[s].phase != p) continue;
            if (begin < 0) begin = t->stages[s].first_op;
            end = t->stages[s].end_op - 1;
        }
        if (end < 0) continue;
        out->last = p;
        if (!gives_up(job, plan, p)) continue;
        out->end[p] = end;
        out->before[p] = largest_ends(held, bytes, begin, end);
    }
    heap_give(plan->heap, bytes);
    return SNUG_OK;
}

const char *phase_lines_before(const PhaseLines *l, int32_t op)
{
    for (int p = 1; l->phases && p <= l->phases->n; p++)
        if (l->end[p] >= 0 && l->before[p] == op) return l->phases->lines[p][0];
    return NULL;
}

const char *phase_lines_after(const PhaseLines *l, int32_t op, int i)
{
    for (int p = 1; l->phases && p <= l->phases->n; p++) {
        if (l->end[p] != op || op < 0) continue;
        const char *line = l->phases->lines[p][0] ? l->phases->lines[p][1 + i] : NULL;
        const bool closes = line && !l->phases->lines[p][2 + i];
        return closes && p == l->last ? NULL : line;
    }
    return NULL;
}

const char *phase_lines_end(const PhaseLines *l)
{
    if (!l->phases || l->end[l->last] < 0) return NULL;
    const char *const *line = l->phases->lines[l->last];
    while (line[1])
        line++;
    return *line;
}
