/* engine.c  Opening the engine: budget, threads, kernels. */
#include "engine/engine.h"
#include "engine/kept.h"
#include "engine/speed.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "memory/process.h"

enum { MAX_THREADS = 1024 };

const char *snug_version(void)
{
    return SNUG_VERSION;
}

int snug_exit_code(SnugStatus status)
{
    switch (status) {
    case SNUG_OK:
        return 0;
    case SNUG_ERR_ARG:
        return 2;
    case SNUG_ERR_BUDGET:
        return 3;
    case SNUG_ERR_FILE:
        return 4;
    case SNUG_ERR_CANCELLED:
        return 130;
    case SNUG_ERR_IO:
    case SNUG_ERR_MEMORY:
    case SNUG_ERR_NUMERIC:
    case SNUG_ERR_INTERNAL:
    default:
        return 1;
    }
}

SnugStatus snug_parse_bytes(const char *text, size_t *out, SnugError *err)
{
    return option_parse_bytes(text, out, err);
}

static int usable_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

static SnugStatus choose_isa(const char *name, Isa *out, SnugError *err)
{
    const Isa best = isa_detect();
    *out = best;
    if (!name) return SNUG_OK;
    if (!isa_parse(name, out))
        return error_set(err, SNUG_ERR_ARG,
                         "instruction set \"%.50s\" is not known: ref, avx2, avx512, avx512vnni, "
                         "avx512bf16, neon",
                         name);
    if (isa_covers(best, *out)) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG, "this machine cannot run %s kernels; its best is %s", name,
                     isa_name(best));
}

/* What is free now, less a reserve for the system: a tenth, at least 256 MiB. */
static size_t automatic_budget(void)
{
    const size_t available = process_available_bytes(), least = (size_t)256 << 20;
    const size_t reserve = available / 10 > least ? available / 10 : least;
    const size_t free_bytes = available > 2 * reserve ? available - reserve : available / 2;
    return process_rss_bytes() + free_bytes;
}

/* "sim:8GiB,24GB/s" */
static SnugStatus parse_sim(const char *text, size_t *bytes, double *bytes_per_second,
                            SnugError *err)
{
    char size[32], speed[32];
    int end = 0;
    const int n = sscanf(text, "sim:%31[^,],%31[^/]/s%n", size, speed, &end);
    if (n != 2 || text[end] != '\0' || end == 0)
        return error_set(err, SNUG_ERR_ARG,
                         "device \"%.50s\": a simulated device is written sim:8GiB,24GB/s", text);
    size_t per_second;
    TRY(snug_parse_bytes(size, bytes, err));
    TRY(snug_parse_bytes(speed, &per_second, err));
    if (!*bytes || !per_second)
        return error_set(err, SNUG_ERR_ARG, "device \"%.50s\": no size or no speed", text);
    *bytes_per_second = (double)per_second;
    return SNUG_OK;
}

static SnugStatus open_device(SnugEngine *e, const SnugEngineOptions *o, SnugError *err)
{
    e->device = cpu_device_table(&e->cpu);
    if (!o->device || strcmp(o->device, "cpu") == 0) {
        if (o->vram_bytes)
            return error_set(err, SNUG_ERR_ARG, "--vram: the cpu has no memory of its own; --ram");
        return SNUG_OK;
    }
    if (strncmp(o->device, "sim", 3) != 0)
        return error_set(err, SNUG_ERR_ARG, "device \"%.50s\" is not there: cpu, sim", o->device);
    size_t bytes;
    double speed = 0;
    TRY(parse_sim(o->device, &bytes, &speed, err));
    sim_device_init(&e->sim, &e->cpu, bytes, speed);
    e->device = sim_device_table(&e->sim);
    e->vram_bytes = o->vram_bytes && o->vram_bytes < bytes ? o->vram_bytes : bytes;
    return SNUG_OK;
}

static SnugStatus open_parts(SnugEngine *e, const SnugEngineOptions *o, SnugError *err)
{
    if (o->threads < 0 || o->threads > MAX_THREADS)
        return error_set(err, SNUG_ERR_ARG, "%d threads: 1 to %d, 0 for all", o->threads,
                         MAX_THREADS);
    Isa isa;
    TRY(choose_isa(o->isa, &isa, err));
    e->processors = usable_processors();
    e->pool = pool_create(e->heap, o->threads ? o->threads : e->processors);
    if (!e->pool) return error_set(err, SNUG_ERR_MEMORY, "the system refused the compute threads");
    cpu_device_init(&e->cpu, e->pool, isa);
    TRY(open_device(e, o, err));
    e->base_rss_bytes = process_rss_bytes();
    e->ram_bytes = o->ram_bytes ? o->ram_bytes : automatic_budget();
    return speed_open(e, o, err);
}

SnugStatus snug_engine_open(SnugEngine **out, const SnugEngineOptions *options, SnugError *err)
{
    *out = NULL;
    Heap *heap = heap_create();
    SnugEngine *e = heap ? heap_take(heap, sizeof *e, "engine") : NULL;
    if (!e) {
        heap_free(heap);
        return error_set(err, SNUG_ERR_MEMORY, "no memory for an engine");
    }
    e->heap = heap;
    ledger_init(&e->ledger);
    const SnugEngineOptions defaults = { 0 };
    const SnugStatus status = open_parts(e, options ? options : &defaults, err);
    if (status == SNUG_OK)
        *out = e;
    else
        snug_engine_close(e);
    return status;
}

void snug_engine_close(SnugEngine *engine)
{
    if (!engine) return;
    Heap *heap = engine->heap;
    kept_drop(engine);
    pool_free(engine->pool);
    speed_close(engine);
    ledger_release(&engine->ledger);
    heap_give(heap, engine);
    heap_free(heap);
}

size_t snug_engine_ram_bytes(const SnugEngine *engine)
{
    return engine->ram_bytes;
}

int snug_engine_threads(const SnugEngine *engine)
{
    return pool_threads(engine->pool);
}

const char *snug_engine_isa(const SnugEngine *engine)
{
    return isa_name(engine->cpu.kernels.isa);
}

Run engine_run(SnugEngine *engine, const RunHooks *hooks, SnugError *err)
{
    return (Run){ .device = &engine->device, .hooks = hooks, .err = err };
}
