/* clock.c  Segments repeat their templates, so seconds are summed once a template. */
#include "plan/clock.h"

SnugStatus clock_make(Clock *out, const Trace *t, const Costs *costs, SnugError *err)
{
    *out = (Clock){ .heap = t->heap, .trace = t };
    out->op_at = heap_take(t->heap, ((size_t)t->n_template_ops + 1) * sizeof(double), "planning");
    out->segment_at = heap_take(t->heap, ((size_t)t->n_segments + 1) * sizeof(double), "planning");
    double *length = heap_take(t->heap, ((size_t)t->n_templates + 1) * sizeof *length, "planning");
    if (!out->op_at || !out->segment_at || !length) {
        heap_give(t->heap, length);
        clock_release(out);
        return error_set(err, SNUG_ERR_MEMORY, "no memory for the forecast");
    }
    for (int32_t i = 0; i < t->n_templates; i++) {
        const TraceTemplate *m = &t->templates[i];
        for (int32_t k = 0; k < m->n_ops; k++) {
            out->op_at[m->first_op + k] = length[i];
            length[i] += costs->op_seconds(costs->self, &t->ops[m->first_op + k]);
        }
    }
    double now = 0;
    for (int32_t s = 0; s < t->n_segments; s++) {
        out->segment_at[s] = now;
        now += length[t->segments[s].template_id];
    }
    out->segment_at[t->n_segments] = now;
    heap_give(t->heap, length);
    return SNUG_OK;
}

void clock_release(Clock *clock)
{
    heap_give(clock->heap, clock->op_at);
    heap_give(clock->heap, clock->segment_at);
    *clock = (Clock){ .heap = clock->heap };
}

double clock_at(const Clock *clock, int32_t op)
{
    const Trace *t = clock->trace;
    if (op >= t->n_ops) return clock->segment_at[t->n_segments];
    const int32_t s = trace_segment_of(t, op);
    const TraceSegment *seg = &t->segments[s];
    return clock->segment_at[s] +
           clock->op_at[trace_template(t, seg)->first_op + op - seg->first_op];
}
