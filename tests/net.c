/* net.c  The engine's steps without the engine, for tests of networks. */
#include "net.h"

#include "base/size.h"

void net_open(Net *net, const char *folder, const char *weights, const char *golden)
{
    char path[512];
    *net = (Net){ .heap = heap_create() };
    arena_init(&net->arena, net->heap, "test");
    net->pool = pool_create(net->heap, 2);
    cpu_device_init(&net->cpu, net->pool, isa_detect());
    weight_table_init(&net->table, &net->arena);
    net->knobs = (RunKnobs){ .lock_step = true, .cache_cross = true };
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    if (json_open(&net->config, net->heap, test_path(path), &net->err) != SNUG_OK)
        fail_msg("%s", net->err.text);
    (void)snprintf(path, sizeof path, "%s/%s", folder, weights);
    if (checkpoint_open(&net->checkpoint, net->heap, test_path(path), NULL, &net->err) != SNUG_OK)
        fail_msg("%s", net->err.text);
    (void)snprintf(path, sizeof path, "%s/%s", folder, golden);
    if (golden[0] &&
        checkpoint_open(&net->golden, net->heap, test_path(path), NULL, &net->err) != SNUG_OK)
        fail_msg("%s", net->err.text);
}

void net_close(Net *net)
{
    json_close(net->config);
    checkpoint_close(net->checkpoint);
    checkpoint_close(net->golden);
    pool_free(net->pool);
    arena_release(&net->arena);
    CHECK_INT(heap_now_bytes(net->heap), 0);
    heap_free(net->heap);
}

Json net_config(const Net *net)
{
    return json_root(net->config);
}

bool net_has_golden(Net *net, const char *name)
{
    return checkpoint_find(net->golden, name) >= 0;
}

const float *net_golden(Net *net, const char *name, Shape *shape)
{
    const int32_t i = checkpoint_find(net->golden, name);
    if (i < 0) fail_msg("no golden %s", name);
    const Entry *e = checkpoint_entry(net->golden, i);
    Shape s;
    CHECK(entry_shape(e, &s));
    if (shape) *shape = s;
    const int64_t n = shape_count(s);
    void *raw = arena_take(&net->arena, e->bytes + 8);
    float *wide = arena_array(&net->arena, (size_t)n + 1, sizeof *wide);
    if (checkpoint_read(net->golden, e, 0, e->bytes, raw, &net->err) != SNUG_OK)
        fail_msg("%s", net->err.text);
    CHECK(dtype_widen(e->dtype, raw, wide, n));
    return wide;
}

typedef struct NetRun {
    Net *net;
    NetOutput *output;
    void *context;
} NetRun;

static SnugStatus read_unit(void *owner, int32_t unit, void *to, SnugError *err)
{
    return weight_table_read(&((NetRun *)owner)->net->table, unit, to, err);
}

static SnugStatus read_row(void *owner, const Weight *w, int64_t row, void *to, SnugError *err)
{
    return weight_table_read_row(&((NetRun *)owner)->net->table, w, row, to, err);
}

static SnugStatus on_note(void *owner, RunNote note, const char *text, int index, int count,
                          SnugError *err)
{
    (void)owner, (void)note, (void)text, (void)index, (void)count, (void)err;
    return SNUG_OK;
}

static SnugStatus on_output(void *owner, const Op *op, const void *data, SnugError *err)
{
    NetRun *run = owner;
    (void)err;
    if (run->output)
        run->output(run->context, op->arg.output.name, op->arg.output.index, op->in[0], data);
    return SNUG_OK;
}

static SnugStatus follow(NetRun *run, NetRecipe *recipe, const FollowOptions *o,
                         const Device *device)
{
    Net *net = run->net;
    Follow *f = NULL;
    SnugStatus status = follow_open(&f, o, &net->err);
    if (status != SNUG_OK) return status;
    const RunHooks hooks = follow_hooks(f);
    Run r = {
        .device = device, .hooks = &hooks, .err = &net->err, .knobs = net->knobs, .taps = true
    };
    recipe(&r, run->context);
    status = r.status;
    if (status == SNUG_OK) status = follow_finish(f, &net->err);
    net->stats = follow_stats(f);
    follow_close(f);
    return status;
}

/* Everything that a plan is made of. */
typedef struct NetPlan {
    Trace trace;
    Placement placement;
    Uses uses;
    Clock clock;
    Schedule schedule;
    size_t *bytes;
} NetPlan;

static double op_seconds(const void *self, const TraceOp *op)
{
    (void)self;
    return op->flops * 1e-11;
}

static const Costs COSTS = { .op_seconds = op_seconds,
                             .first_bytes_per_second = 1e9,
                             .again_bytes_per_second = 4e9 };

static SnugStatus make_plan(Net *net, NetPlan *p, NetRecipe *recipe, void *context,
                            const Device *device)
{
    SnugError *err = &net->err;
    const RunHooks recorder = trace_recorder(&p->trace);
    Run r = { .device = device,
              .hooks = &recorder,
              .err = err,
              .knobs = net->knobs,
              .taps = true,
              .rehearse = true };
    recipe(&r, context);
    if (r.status != SNUG_OK) return r.status;
    p->bytes = arena_array(&net->arena, (size_t)net->table.n_units + 1, sizeof *p->bytes);
    for (int32_t i = 0; i < net->table.n_units; i++)
        p->bytes[i] = net->table.units[i].bytes;
    TRY(trace_end(&p->trace, err));
    TRY(placement_make(&p->placement, &p->trace, false, err));
    TRY(uses_of_trace(&p->uses, &p->trace, net->table.n_units, err));
    TRY(clock_make(&p->clock, &p->trace, &COSTS, err));
    const ScheduleTask task = { .trace = &p->trace,
                                .placement = &p->placement,
                                .uses = &p->uses,
                                .clock = &p->clock,
                                .costs = &COSTS,
                                .unit_bytes = p->bytes,
                                .n_units = net->table.n_units,
                                .device_bytes = net->slab_limit ? net->slab_limit : SIZE_MAX };
    return schedule_make(&p->schedule, &task, err);
}

SnugStatus net_run(Net *net, NetRecipe *recipe, NetOutput *output, void *context)
{
    NetRun run = { net, output, context };
    NetPlan p = { .placement.heap = net->heap,
                  .uses.heap = net->heap,
                  .clock.heap = net->heap,
                  .schedule = { .loads.heap = net->heap, .host.heap = net->heap } };
    Slab slab = { 0 };
    const Device device = cpu_device_table(&net->cpu);
    trace_init(&p.trace, net->heap);
    SnugStatus status = make_plan(net, &p, recipe, context, &device);
    net->planned_top = p.schedule.loads.top;
    if (status == SNUG_OK) status = slab_open(&slab, p.schedule.loads.top, &net->err);
    /* Whatever the slab held before: nothing may read what nobody wrote. */
    for (size_t i = 0; status == SNUG_OK && i < slab.bytes; i++)
        slab.base[i] = 0xff;
    const FollowOptions o = { .heap = net->heap,
                              .trace = &p.trace,
                              .placement = &p.placement,
                              .schedule = &p.schedule,
                              .device_base = slab.base,
                              .n_readers = 2,
                              .owner = &run,
                              .read_unit = read_unit,
                              .read_row = read_row,
                              .note = on_note,
                              .output = on_output };
    if (status == SNUG_OK) status = follow(&run, recipe, &o, &device);
    slab_close(&slab);
    schedule_release(&p.schedule);
    clock_release(&p.clock);
    uses_release(&p.uses);
    placement_release(&p.placement);
    trace_release(&p.trace);
    return status;
}

void net_fill(void *context, float *to, int64_t count)
{
    memcpy(to, context, (size_t)count * sizeof *to);
}

float *net_channels_last(Net *net, const float *x, Shape s)
{
    const int64_t c = s.dim[0], pixels = shape_count(s) / c;
    float *y = arena_array(&net->arena, (size_t)(c * pixels), sizeof *y);
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < c; k++)
            y[p * c + k] = x[k * pixels + p];
    return y;
}

double net_greatest(const float *x, int64_t n)
{
    double most = 1.0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}
