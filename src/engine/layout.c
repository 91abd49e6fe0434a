/* layout.c  Rehearse, place, schedule. */
#include "engine/layout.h"

#include "base/size.h"

/* Frames that pass a VAE together keep none from one to the next, and its weights are transformed once for
 * all. Up to FEW_FRAMES that takes less memory whole, up to SOME_FRAMES it may in bands. */
enum { LEAST_CHUNK = 64, HEAD_GROUPS = 8, FEW_FRAMES = 5, SOME_FRAMES = 49 };

/* The least memory: heads in groups, branches in turn, a few chunks of rows. Takes up to a tenth more
 * work. In lock-step it would take as much memory as branches in turn without groups. */
static int group_heads(const SnugJob *job, RunKnobs *out)
{
    const PipelineInfo *info = &job->info;
    const PlanSwitch slicing = job->constraints.attention_slicing;
    int64_t rows = 0;
    if (!info->by_heads || slicing == SWITCH_OFF) return 0;
    for (int64_t parts = 4; parts <= 16 && info->rows / parts >= LEAST_CHUNK; parts *= 4)
        rows = (info->rows + parts - 1) / parts;
    if (rows == 0 && slicing == SWITCH_ON) return 0;
    *out = (RunKnobs){ .chunk_rows = rows, .head_groups = HEAD_GROUPS };
    return 1;
}

int layout_candidates(const SnugJob *job, RunKnobs out[LAYOUT_MAX_CANDIDATES])
{
    const PipelineInfo *info = &job->info;
    const PlanConstraints *c = &job->constraints;
    int n = 0;
    static const struct {
        bool guided, camera;
        RunKnobs knobs;
    } WAYS[] = {
        { .camera = true,
          .guided = true,
          .knobs = { .lock_step = true,
                     .cache_cross = true,
                     .keep_camera = true,
                     .join_branches = true } },
        { .knobs = { .lock_step = true, .cache_cross = true, .keep_camera = true } },
        { .knobs = { .lock_step = true } },
        { .guided = true, .knobs = { .lock_step = false } },
    };
    for (size_t way = 0; way < sizeof WAYS / sizeof *WAYS; way++) {
        if ((WAYS[way].guided && !info->guided) || (WAYS[way].camera && !info->camera)) continue;
        for (int64_t parts = 1; parts <= 64; parts *= 4) {
            const int64_t rows = parts == 1 ? 0 : (info->rows + parts - 1) / parts;
            if (parts > 1 && (rows < LEAST_CHUNK || c->attention_slicing == SWITCH_OFF)) break;
            if (parts == 1 && c->attention_slicing == SWITCH_ON) continue;
            out[n] = WAYS[way].knobs;
            out[n++].chunk_rows = rows;
        }
        if (c->attention_slicing == SWITCH_ON && n < LAYOUT_MAX_CANDIDATES &&
            (info->rows + 3) / 4 <
                LEAST_CHUNK) { /* few rows: the switch wants two chunks at least */
            out[n] = WAYS[way].knobs;
            out[n++].chunk_rows = info->rows > 1 ? (info->rows + 1) / 2 : 1;
        }
    }
    n += group_heads(job, out + n);
    RunKnobs way[LAYOUT_MAX_WAYS];
    (void)layout_vae_ways(job, way);
    for (int i = 0; i < n; i++)
        out[i] = layout_on_way(out[i], &way[0]);
    return n;
}

/* Frames one by one, or all together, in bands as far as the switches leave them. */
static int add_ways(const SnugJob *job, bool together, bool whole, RunKnobs *out)
{
    static const int64_t BANDS[] = { 0, 64, 16 }; /* lower bands transform weights more often */
    const PipelineInfo *info = &job->info;
    const PlanSwitch tiling = job->constraints.vae_tiling;
    const int64_t latents =
        info->frames_step > 0 ? (info->frames - 1) / info->frames_step + 1 : info->frames;
    int n = 0;
    for (size_t i = 0; i < COUNT(BANDS); i++) {
        if (BANDS[i] ? tiling == SWITCH_OFF || 2 * BANDS[i] > info->height
                     : tiling == SWITCH_ON || !whole)
            continue;
        out[n++] = (RunKnobs){ .band_rows = BANDS[i], .group_frames = together ? latents : 0 };
    }
    if (n == 0 && whole)
        out[n++] = (RunKnobs){ .band_rows = CONV_BAND, .group_frames = together ? latents : 0 };
    return n;
}

int layout_vae_ways(const SnugJob *job, RunKnobs out[LAYOUT_MAX_WAYS])
{
    const int64_t frames = job->info.frames;
    const PlanSwitch slicing = job->constraints.vae_slicing;
    if (frames <= 1 || slicing == SWITCH_ON) return add_ways(job, false, true, out);
    if (frames <= FEW_FRAMES || slicing == SWITCH_OFF) return add_ways(job, true, true, out);
    int n = add_ways(job, false, true, out);
    if (frames <= SOME_FRAMES) n += add_ways(job, true, false, out + n);
    return n;
}

RunKnobs layout_on_way(RunKnobs knobs, const RunKnobs *way)
{
    knobs.band_rows = way->band_rows;
    knobs.group_frames = way->group_frames;
    return knobs;
}

SnugStatus layout_rehearse(SnugPlan *plan, const RunKnobs *knobs, int sketch_steps, SnugError *err)
{
    SnugJob *job = plan->job;
    trace_clear(&plan->trace);
    const RunHooks hooks = trace_recorder(&plan->trace);
    SnugError local = { { 0 } };
    Run r = engine_run(job->engine, &hooks, &local);
    r.rehearse = true;
    r.arithmetic = job->arithmetic;
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

/* Reading takes processor time, of those that compute, too, where none is left over. */
static double steal(const SnugEngine *e, double bytes_per_cpu_second)
{
    const int threads = pool_threads(e->pool);
    return threads < e->processors ? 0.0 : 1.0 / (bytes_per_cpu_second * threads);
}

Costs layout_costs(const SnugPlan *plan)
{
    const SnugEngine *e = plan->job->engine;
    const MachineProfile *p = &e->profile;
    const DeviceMemory *memory = e->device.memory;
    return (Costs){ .self = p,
                    .op_seconds = op_seconds,
                    .first_bytes_per_second = profile_first_rate(p, plan->job->cached),
                    .again_bytes_per_second =
                        plan->job->weights.keep_cached ? p->disk_warm : p->disk_cold,
                    .copy_bytes_per_second = memory ? memory->bytes_per_second : 0,
                    .steal_first = steal(e, profile_first_cpu_rate(p, plan->job->cached)),
                    .steal_again =
                        steal(e, plan->job->weights.keep_cached ? p->cpu_warm : p->cpu_cold) };
}

/* A stage with steps has more of them than its sketch. */
double layout_seconds(const SnugPlan *plan)
{
    const Trace *t = &plan->trace;
    double total = 0;
    for (int32_t s = 0; s < t->n_stages; s++) {
        const double repeats = t->stages[s].steps ? (double)t->all_steps / t->n_steps : 1.0;
        total += repeats * plan->schedule.loads.stages[s].seconds;
    }
    return total;
}

/* In every further step as much moves as in those of the sketch but the first. */
static double moved_in_full(const Trace *t, int32_t stage, const StageWeights *w)
{
    const double once =
        w->moved_bytes < (double)w->unit_bytes ? w->moved_bytes : (double)w->unit_bytes;
    if (!t->stages[stage].steps || t->n_steps < 2) return w->moved_bytes;
    return once + (w->moved_bytes - once) * (t->all_steps - 1) / (t->n_steps - 1);
}

double layout_moved_bytes(const SnugPlan *plan)
{
    const Residency *r = &plan->schedule.loads;
    double moved = 0;
    for (int32_t s = 0; s < r->n_stages; s++)
        moved += moved_in_full(&plan->trace, s, &r->stages[s]);
    return moved;
}

/* ---- laying out ------------------------------------------------------------------------------- */

void layout_drop(SnugPlan *plan)
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

SnugStatus layout_schedule(SnugPlan *plan, bool quick, const LayoutRoom *room, SnugError *err)
{
    SnugJob *job = plan->job;
    const Costs costs = layout_costs(plan);
    Uses uses;
    schedule_release(&plan->schedule);
    clock_release(&plan->clock);
    TRY(clock_make(&plan->clock, &plan->trace, &costs, err));
    TRY(uses_of_trace(&uses, &plan->trace, job->weights.n_units, err));
    const ScheduleTask task = { .trace = &plan->trace,
                                .placement = &plan->placement,
                                .uses = &uses,
                                .clock = &plan->clock,
                                .costs = &costs,
                                .unit_bytes = plan->unit_bytes,
                                .n_units = job->weights.n_units,
                                .device_bytes = room->device_bytes,
                                .two_tiers = job->engine->device.memory != NULL,
                                .host_bytes = room->host_bytes,
                                .staging_bytes = plan->staging_bytes,
                                .constraints = &job->constraints,
                                .quick = quick };
    const SnugStatus status = schedule_make(&plan->schedule, &task, err);
    uses_release(&uses);
    return status;
}

SnugStatus layout_make(SnugPlan *plan, const RunKnobs *knobs, int sketch_steps,
                       const LayoutRoom *room, SnugError *err)
{
    const bool quick = sketch_steps != 0;
    TRY(layout_rehearse(plan, knobs, sketch_steps, err));
    layout_drop(plan);
    plan->knobs = *knobs;
    plan->staging_bytes = plan->job->engine->device.memory ? staging_bytes(&plan->trace) : 0;
    TRY(placement_make(&plan->placement, &plan->trace, quick, err));
    return layout_schedule(plan, quick, room, err);
}

SnugStatus layout_least(SnugPlan *plan, const RunKnobs *knobs, int sketch_steps, size_t **by_stage,
                        SnugError *err)
{
    Uses uses;
    TRY(layout_rehearse(plan, knobs, sketch_steps, err));
    layout_drop(plan);
    TRY(placement_make(&plan->placement, &plan->trace, true, err));
    *by_stage = arena_array(&plan->arena, (size_t)plan->trace.n_stages + 1, sizeof **by_stage);
    if (!*by_stage) return error_set(err, SNUG_ERR_MEMORY, "no memory for a plan");
    TRY(uses_of_trace(&uses, &plan->trace, plan->job->weights.n_units, err));
    const ResidencyTask task = { .uses = &uses,
                                 .floor = plan->placement.stage_top,
                                 .unit_bytes = plan->unit_bytes,
                                 .n_units = plan->job->weights.n_units,
                                 .constraints = &plan->job->constraints,
                                 .trace = &plan->trace };
    const SnugStatus status = residency_least(&task, *by_stage, err);
    uses_release(&uses);
    return status;
}

bool layout_waits(const SnugPlan *plan)
{
    const Residency *r = &plan->schedule.loads;
    double stall = 0;
    for (int32_t s = 0; s < r->n_stages; s++)
        stall += r->stages[s].stall_seconds;
    return stall > 0.01 * plan->schedule.seconds;
}
