/* speed.c  How fast this machine is, as the engine knows it. */
#include "engine/speed.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/machine.h"
#include "base/now.h"
#include "base/outfile.h"
#include "base/text.h"
#include "engine/measure.h"

static ProfileOwner this_machine(const SnugEngine *e)
{
    MachineFacts facts;
    machine_read(&facts, "");
    ProfileOwner owner = { .cores = facts.cores, .processors = facts.processors };
    (void)snprintf(owner.cpu, sizeof owner.cpu, "%s", facts.cpu);
    (void)snprintf(owner.isa, sizeof owner.isa, "%s", isa_name(e->cpu.kernels.isa));
    return owner;
}

static SnugStatus use_file(SnugEngine *e, const char *path, SnugError *err)
{
    MachineProfile found;
    const ProfileOwner here = this_machine(e);
    TRY(profile_read(&found, e->heap, path, err));
    TRY(profile_check_owner(&found, &here, path, err));
    profile_scale_threads(&found, pool_threads(e->pool));
    e->profile = found;
    return SNUG_OK;
}

SnugStatus speed_open(SnugEngine *e, const SnugEngineOptions *o, SnugError *err)
{
    SnugError why = { { 0 } };
    e->profile = profile_default(pool_threads(e->pool));
    if (!o->profile || (o->profile_optional && file_type(o->profile) == FILE_ABSENT)) {
        (void)snprintf(e->profile_note, sizeof e->profile_note, "this machine is not measured yet");
        return SNUG_OK;
    }
    const SnugStatus status = use_file(e, o->profile, &why);
    if (status == SNUG_OK) return SNUG_OK;
    if (!o->profile_optional || status != SNUG_ERR_FILE) {
        if (err) *err = why;
        return status;
    }
    (void)snprintf(e->profile_note, sizeof e->profile_note, "machine profile not used: %.400s",
                   why.text);
    return SNUG_OK;
}

const char *snug_engine_profile_note(const SnugEngine *engine)
{
    return engine->profile_note;
}

/* ---- measuring ------------------------------------------------------------------------------ */

typedef struct Listener {
    SnugEventFunction *on_event;
    void *context;
    double begin;
} Listener;

static void tell(void *context, const char *what, double fraction)
{
    const Listener *l = context;
    if (!l->on_event) return;
    const double seconds = now_seconds() - l->begin;
    const SnugEvent event = { .kind = SNUG_EVENT_PROGRESS,
                              .stage = what,
                              .fraction = fraction,
                              .seconds = seconds,
                              .seconds_left = -1.0 };
    l->on_event(l->context, &event);
}

static SnugStatus measure_all(Measure *m, const char *folder, SnugError *err)
{
    TRY(measure_work(m, err));
    TRY(measure_moves(m, err));
    TRY(measure_error(m, err));
    return measure_disk(m, folder, err);
}

static SnugStatus write_profile(const SnugEngine *e, const MachineProfile *p, OutFile *file,
                                SnugError *err)
{
    char when[32] = "";
    struct tm parts;
    const time_t now = time(NULL);
    if (gmtime_r(&now, &parts)) (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    TextBuilder b;
    text_init(&b, e->heap, "profile");
    profile_write(&b, p, when);
    SnugStatus status = b.failed ? error_set(err, SNUG_ERR_MEMORY, "no memory for a profile")
                                 : outfile_write(file, b.at, b.n, err);
    if (status == SNUG_OK) status = outfile_commit(file, err);
    text_release(&b);
    return status;
}

/* ---- in words ------------------------------------------------------------------------------- */

static void add_curve(TextBuilder *b, const char *name, const ProfileCurve *c, const char *unit)
{
    if (!c->n) return;
    text_addf(b, "  %-12s", name);
    for (int i = 0; i < c->n; i++)
        text_addf(b, "%8.1f", c->rate[i] / 1e9);
    text_addf(b, "   G%s/s at", unit);
    for (int i = 0; i < c->n; i++)
        text_addf(b, "%s%d", i ? ", " : " ", c->size[i]);
    text_addf(b, "\n");
}

static void add_profile(TextBuilder *b, const MachineProfile *p)
{
    text_addf(b, "matrix products by stored type; at: rows\n");
    for (int i = 0; i < DT_COUNT; i++)
        add_curve(b, dtype_name((DType)i), &p->gemm[i], "FLOP");
    if (!p->gemm[DT_F32].n) add_curve(b, "any", &p->work[WORK_GEMM], "FLOP");
    add_curve(b, "narrow", &p->work[WORK_GEMM_NARROW], "FLOP");
    text_addf(b, "attention; at: keys\n");
    add_curve(b, "128 a head", &p->work[WORK_ATTENTION], "FLOP");
    add_curve(b, "64 a head", &p->work[WORK_ATTENTION_NARROW], "FLOP");
    text_addf(b, "convolution; at: channels\n");
    for (int i = WORK_CONV_3X3; i <= WORK_CONV; i++)
        add_curve(b, work_name((WorkClass)i), &p->work[i], "FLOP");
    text_addf(b, "memory; at: KiB touched\n");
    static const OpKind SHOWN[] = { OP_ADD, OP_COPY, OP_LAYER_NORM, OP_ROPE, OP_ACTIVATION };
    for (size_t i = 0; i < sizeof SHOWN / sizeof SHOWN[0]; i++)
        add_curve(b, op_kind_name(SHOWN[i]), &p->move[SHOWN[i]], "B");
    text_addf(b,
              "weights: %.2f GB/s from the disk, %.2f from the page cache, %.2f when read and "
              "checked for the first time\n",
              p->disk_cold / 1e9, p->disk_warm / 1e9, p->disk_first / 1e9);
    text_addf(b, "an operation costs at least %.1f us; forecasts may be off by %.0f %%\n",
              p->op_seconds * 1e6, p->error * 100.0);
}

static char *described(const SnugEngine *e, bool json)
{
    TextBuilder b;
    text_init(&b, e->heap, "profile");
    if (json)
        profile_write(&b, &e->profile, "");
    else
        add_profile(&b, &e->profile);
    char *text = b.failed ? NULL : heap_take(e->heap, b.n + 1, "profile");
    if (text) memcpy(text, b.at, b.n);
    text_release(&b);
    return text;
}

const char *snug_engine_profile_text(SnugEngine *engine, bool json)
{
    char **text = json ? &engine->profile_json : &engine->profile_text;
    if (!*text) *text = described(engine, json);
    return *text ? *text : "";
}

/* The profile changed: describe it anew when asked. */
static void forget_texts(SnugEngine *e)
{
    heap_give(e->heap, e->profile_text);
    heap_give(e->heap, e->profile_json);
    e->profile_text = e->profile_json = NULL;
}

void speed_close(SnugEngine *engine)
{
    forget_texts(engine);
}

SnugStatus snug_profile_measure(SnugEngine *engine, const SnugMeasureOptions *options,
                                SnugEventFunction *on_event, void *context, SnugError *err)
{
    Listener listener = { on_event, context, now_seconds() };
    MachineProfile found = profile_default(pool_threads(engine->pool));
    Measure m = { .engine = engine,
                  .out = &found,
                  .step = tell,
                  .context = &listener,
                  .least_seconds = options->quick ? 0.0 : 0.06,
                  .quick = options->quick };
    OutFile *file = NULL; /* opened first: a path that cannot be written is told before the work */
    SnugStatus status =
        options->path ? outfile_open(&file, engine->heap, options->path, err) : SNUG_OK;
    if (status == SNUG_OK) status = opbench_open(&m.bench, engine, MEASURE_SLAB_BYTES, err);
    if (status == SNUG_OK) status = measure_all(&m, options->disk_folder, err);
    opbench_close(&m.bench);
    found.measured = true;
    found.owner = this_machine(engine);
    if (status == SNUG_OK && file) status = write_profile(engine, &found, file, err);
    outfile_close(file);
    if (status != SNUG_OK) return status;
    engine->profile = found;
    engine->profile_note[0] = '\0';
    forget_texts(engine);
    return SNUG_OK;
}
