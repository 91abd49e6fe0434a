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

SnugStatus net_run(Net *net, NetRecipe *recipe, NetOutput *output, void *context)
{
    NetRun run = { net, output, context };
    Trace trace;
    Placement placement = { .heap = net->heap };
    Residency residency = { .heap = net->heap };
    Slab slab = { 0 };
    const Device device = cpu_device_table(&net->cpu);
    trace_init(&trace, net->heap);
    const RunHooks recorder = trace_recorder(&trace);
    Run r = { .device = &device,
              .hooks = &recorder,
              .err = &net->err,
              .knobs = net->knobs,
              .taps = true,
              .rehearse = true };
    recipe(&r, context);
    SnugStatus status = r.status;
    size_t *bytes = arena_array(&net->arena, (size_t)net->table.n_units + 1, sizeof *bytes);
    for (int32_t i = 0; i < net->table.n_units; i++)
        bytes[i] = net->table.units[i].bytes;
    if (status == SNUG_OK) status = placement_make(&placement, &trace, false, &net->err);
    if (status == SNUG_OK)
        status = residency_make(&residency, &trace, &placement, bytes, net->table.n_units,
                                net->slab_limit ? net->slab_limit : SIZE_MAX, &net->err);
    net->planned_top = residency.top;
    if (status == SNUG_OK) status = slab_open(&slab, residency.top, &net->err);
    /* Whatever the slab held before: nothing may read what nobody wrote. */
    for (size_t i = 0; status == SNUG_OK && i < slab.bytes; i++)
        slab.base[i] = 0xff;
    const FollowOptions o = { .heap = net->heap,
                              .trace = &trace,
                              .placement = &placement,
                              .residency = &residency,
                              .unit_bytes = bytes,
                              .slab = &slab,
                              .owner = &run,
                              .read_unit = read_unit,
                              .read_row = read_row,
                              .note = on_note,
                              .output = on_output };
    if (status == SNUG_OK) status = follow(&run, recipe, &o, &device);
    slab_close(&slab);
    residency_release(&residency);
    placement_release(&placement);
    trace_release(&trace);
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
