/* run.c  Following a plan: slab, loader, outputs, progress. */
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/now.h"
#include "base/outfile.h"
#include "engine/kept.h"
#include "engine/output.h"
#include "engine/recorder.h"
#include "engine/report.h"
#include "memory/process.h"

/* One run in progress: owner of the follow callbacks. */
typedef struct Running {
    SnugJob *job;
    const SnugPlan *plan;
    SnugEventFunction *on_event;
    void *context;
    Slab slab;             /* host: all of it, or staging and weights on their way */
    unsigned char *device; /* a device's own slab, or NULL */
    KeptFound kept;
    atomic_size_t kept_bytes; /* that were there already */
    Follow *follow;
    bool running; /* or has run: the recorder has figures */
    Output *output;
    OutFile *report; /* NULL: none is asked for */
    Recorder *recorder;
    SnugEvent event; /* state carried from event to event */
    double started, last_event, step_began;
    StageMemory *stages; /* [n_stages] measured */
    int32_t stage;
    size_t rss_before_bytes; /* when nothing of the slab was touched */
} Running;

static void send(Running *run, SnugEventKind kind, const char *text, double seconds)
{
    SnugEvent *e = &run->event;
    e->kind = kind;
    e->text = text;
    e->seconds = seconds;
    e->memory_bytes = run->recorder ? recorder_rss(run->recorder) : process_rss_bytes();
    e->budget_bytes = run->job->engine->ram_bytes;
    if (run->follow && run->plan->figures.flops > 0)
        e->fraction = follow_stats(run->follow).flops_done / run->plan->figures.flops;
    if (kind == SNUG_EVENT_DONE) e->fraction = 1.0;
    e->seconds_left = -1.0;
    if (kind == SNUG_EVENT_DONE)
        e->seconds_left = 0.0;
    else if (e->fraction > 0.02)
        e->seconds_left = e->seconds * (1.0 - e->fraction) / e->fraction;
    if (run->on_event) run->on_event(run->context, e);
}

static void emit(Running *run, SnugEventKind kind, const char *text)
{
    SnugTierUse tiers[RECORDER_TIERS];
    run->event.tiers = tiers;
    run->event.n_tiers = run->running ? recorder_tiers(run->recorder, tiers) : 0;
    run->last_event = now_seconds() - run->started;
    send(run, kind, text, run->last_event);
}

/* A device of its own has the line that services before this one wrote; without one it is a line like
 * the others. Returns how many tiers it has. */
static int as_phase(SnugTierUse *tiers, int n)
{
    if (n > 1) {
        tiers[0].tier = "GPU Memory";
        tiers[0].limit_bytes = 0;
    }
    return 1;
}

/* What the recorder has to tell, with the figures of when it happened. */
static void emit_news(Running *run)
{
    RecorderNews news;
    while (run->follow && recorder_next(run->recorder, &news)) {
        run->event.tiers = news.tiers;
        run->event.n_tiers = news.phase ? as_phase(news.tiers, news.n_tiers) : news.n_tiers;
        send(run, SNUG_EVENT_MEMORY, news.label, news.seconds);
    }
    run->event.n_tiers = 0;
}

/* The last phase's weights are gone, and the memory with them. */
static void emit_end(Running *run)
{
    const char *line = phase_lines_end(&run->recorder->lines);
    SnugTierUse tiers[RECORDER_TIERS];
    if (!line) return;
    const int n = recorder_tiers(run->recorder, tiers);
    tiers[0].used_bytes = 0;
    tiers[0].reserved_bytes = n > 1 ? 0 : process_rss_bytes();
    run->event.tiers = tiers;
    run->event.n_tiers = as_phase(tiers, n);
    send(run, SNUG_EVENT_MEMORY, line, now_seconds() - run->started);
    run->event.n_tiers = 0;
}

/* ---- what the run asks of its owner ---------------------------------------------------------- */

static SnugStatus read_unit(void *owner, int32_t unit, void *to, SnugError *err)
{
    Running *run = owner;
    if (run->kept.there && run->kept.there[unit]) {
        atomic_fetch_add(&run->kept_bytes, run->plan->unit_bytes[unit]);
        return SNUG_OK;
    }
    return weight_table_read(&run->job->weights, unit, to, err);
}

static SnugStatus copy_to_device(void *owner, void *to, const void *from, size_t bytes,
                                 SnugError *err)
{
    const Running *run = owner;
    const Device *device = &run->job->engine->device;
    const size_t offset = (size_t)((unsigned char *)to - run->device);
    for (int32_t i = 0; run->kept.there && i < run->kept.n_units; i++)
        if (run->kept.there[i] && run->kept.units[i].offset == offset) return SNUG_OK;
    return device->memory->copy(device->self, to, from, bytes, err);
}

static void on_moving(void *owner, bool host, int32_t load, bool ended)
{
    const Running *run = owner;
    recorder_moving(run->recorder, host, load, ended);
}

static SnugStatus read_row(void *owner, const Weight *weight, int64_t row, void *to, SnugError *err)
{
    const Running *run = owner;
    return weight_table_read_row(&run->job->weights, weight, row, to, err);
}

static void leave_stage(Running *run)
{
    if (run->stage < 0 || run->stage >= run->plan->trace.n_stages) return;
    StageMemory *s = &run->stages[run->stage];
    const double now = now_seconds() - run->started;
    s->seconds = now - s->begin_seconds;
    s->last_step_seconds = run->event.n_steps ? now - run->step_began : 0.0;
    s->rss_bytes = recorder_rss(run->recorder);
}

/* The slab's pages are taken as they are touched. What another process has eaten since the plan was
 * made would end this one by the kernel's hand, without a word: say it while there is time. */
static SnugStatus check_room(const Running *run, SnugError *err)
{
    const Schedule *s = &run->plan->schedule;
    const DeviceMemory *memory = run->job->engine->device.memory;
    const bool all_in_process = !s->two_tiers || memory->in_process;
    const size_t top = (s->two_tiers ? s->host.top : 0) + (all_in_process ? s->loads.top : 0);
    const size_t mib = (size_t)1 << 20;
    const size_t rss = process_rss_bytes(), before = run->rss_before_bytes;
    const size_t touched = rss > before ? rss - before : 0, room = process_room_bytes();
    const size_t missing = top > touched ? top - touched : 0;
    if (!room || missing <= room) return SNUG_OK;
    return error_set(err, SNUG_ERR_MEMORY,
                     "the plan needs %zu MiB more, but the machine (or the memory cgroup) has only "
                     "%zu MiB left: something else has taken it, or --ram is more than there is",
                     missing / mib, room / mib);
}

static SnugStatus on_note(void *owner, RunNote note, const char *text, int index, int count,
                          SnugError *err)
{
    Running *run = owner;
    emit_news(run);
    if (note == RUN_STAGE) {
        TRY(check_room(run, err));
        leave_stage(run);
        run->stage++;
        if (run->stage < run->plan->trace.n_stages)
            run->stages[run->stage].begin_seconds = now_seconds() - run->started;
        run->event.stage = text;
        run->event.step = run->event.n_steps = 0;
        emit(run, SNUG_EVENT_STAGE, NULL);
        recorder_tell(run->recorder, "stage", text);
        emit_news(run);
    } else if (note == RUN_STEP) {
        run->event.step = index + 1;
        run->event.n_steps = count;
        run->step_began = now_seconds() - run->started;
        emit(run, SNUG_EVENT_PROGRESS, NULL);
    } else if (now_seconds() - run->started - run->last_event > 0.5)
        emit(run, SNUG_EVENT_PROGRESS, NULL);
    return SNUG_OK;
}

static SnugStatus on_output(void *owner, const Op *op, const void *data, SnugError *err)
{
    Running *run = owner;
    return output_take(run->output, op, data, err);
}

/* ---- the run -------------------------------------------------------------------------------- */

/* Reads of weights in flight: the second hides the latency of the first. */
enum { READERS = 2 };

static SnugStatus open_slabs(Running *run, SnugError *err)
{
    const Schedule *s = &run->plan->schedule;
    const Device *device = &run->job->engine->device;
    if (run->slab.base) { /* with what the run before left there */
        recorder_slabs(run->recorder);
        return SNUG_OK;
    }
    if (!s->two_tiers) return slab_open(&run->slab, s->loads.top, err);
    TRY(slab_open(&run->slab, s->host.top, err));
    TRY(device->memory->open(device->self, s->loads.top, &run->device, err));
    recorder_slabs(run->recorder);
    return SNUG_OK;
}

static void close_slabs(Running *run)
{
    const Device *device = &run->job->engine->device;
    if (run->device)
        device->memory->close(device->self, run->device, run->plan->schedule.loads.top);
    slab_close(&run->slab);
    run->device = NULL;
}

static SnugStatus open_parts(Running *run, SnugError *err)
{
    const SnugPlan *plan = run->plan;
    SnugJob *job = run->job;
    run->stages = heap_take(job->engine->heap,
                            ((size_t)plan->trace.n_stages + 1) * sizeof(StageMemory), "run");
    run->recorder = heap_take(job->engine->heap, sizeof *run->recorder, "run");
    if (!run->stages || !run->recorder) return error_set(err, SNUG_ERR_MEMORY, "no memory to run");
    if (job->common.report)
        TRY(outfile_open(&run->report, job->engine->heap, job->common.report, err));
    TRY(recorder_open(run->recorder, job, plan, run->started, err));
    TRY(output_open(&run->output, job, err));
    TRY(kept_begin(&run->kept, job, plan, err));
    run->slab = run->kept.slab;
    run->device = run->kept.device;
    run->rss_before_bytes = process_rss_bytes() - run->kept.resident_bytes;
    TRY(check_room(run, err));
    TRY(open_slabs(run, err));
    const FollowOptions options = { .heap = job->engine->heap,
                                    .trace = &plan->trace,
                                    .placement = &plan->placement,
                                    .schedule = &plan->schedule,
                                    .device_base = run->device ? run->device : run->slab.base,
                                    .host_base = run->device ? run->slab.base : NULL,
                                    .n_readers = READERS,
                                    .owner = run,
                                    .read_unit = read_unit,
                                    .copy = copy_to_device,
                                    .moving = on_moving,
                                    .read_row = read_row,
                                    .note = on_note,
                                    .output = on_output,
                                    .cancel = &job->cancel };
    TRY(follow_open(&run->follow, &options, err));
    run->running = true;
    return SNUG_OK;
}

/* A failure that the pipeline has an answer to. Want of memory and the caller's wish are none. */
static bool rescue(Running *run, SnugStatus status, const SnugError *why)
{
    SnugJob *job = run->job;
    Image image = { 0 };
    SnugError ignored;
    const bool masks = status == SNUG_ERR_NUMERIC || status == SNUG_ERR_FILE ||
                       status == SNUG_ERR_IO || status == SNUG_ERR_INTERNAL;
    if (!masks || !job->pipeline->rescue) return false;
    if (job->pipeline->rescue(job->prepared, &image, &ignored) != SNUG_OK) return false;
    const bool good = output_rescue(run->output, &image, why->text, &ignored) == SNUG_OK;
    image_release(&image);
    if (!good) return false;
    char line[700];
    (void)snprintf(job->degraded, sizeof job->degraded, "%.500s", why->text);
    (void)snprintf(line, sizeof line, "degraded: stage %s failed, its result is a substitute: %s",
                   run->event.stage ? run->event.stage : "start", job->degraded);
    emit(run, SNUG_EVENT_WARNING, line);
    return true;
}

static SnugStatus carry_out(Running *run, SnugError *err)
{
    SnugJob *job = run->job;
    job->degraded[0] = '\0';
    TRY(open_parts(run, err));
    const RunHooks hooks = recorder_hooks(run->recorder, follow_hooks(run->follow));
    SnugError local = { { 0 } };
    Run r = engine_run(job->engine, &hooks, &local);
    r.arithmetic = job->arithmetic;
    r.knobs = run->plan->knobs;
    r.taps = job->common.taps != NULL;
    r.cancel = &job->cancel;
    job->pipeline->recipe(&r, job->prepared);
    leave_stage(run);
    emit_news(run);
    if (r.status != SNUG_OK && rescue(run, r.status, &local))
        return output_commit(run->output, err);
    if (r.status != SNUG_OK) {
        if (err) *err = local;
        return error_wrap(err, r.status, r.status == SNUG_ERR_CANCELLED ? "%s: " : "stage %s: ",
                          run->event.stage ? run->event.stage : "start");
    }
    TRY(follow_finish(run->follow, err));
    return output_commit(run->output, err);
}

static void measure(Running *run)
{
    SnugFigures *f = &run->job->figures;
    *f = run->plan->figures;
    f->seconds = now_seconds() - run->started;
    f->process_peak_bytes =
        run->recorder ? recorder_peak_rss(run->recorder) : process_peak_rss_bytes();
    if (!run->follow) return;
    const FollowStats stats = follow_stats(run->follow);
    f->slab_peak_bytes = stats.slab_peak_bytes;
    f->host_slab_peak_bytes = stats.host_peak_bytes;
    f->moved_bytes = stats.moved_bytes - (double)atomic_load(&run->kept_bytes);
    f->stall_seconds = stats.stall_seconds;
}

/* One event a line. */
static void warn(Running *run)
{
    char line[sizeof run->job->weights.warnings];
    for (const char *at = run->job->weights.warnings; *at;) {
        const size_t n = strcspn(at, "\n");
        memcpy(line, at, n);
        line[n] = '\0';
        if (n) emit(run, SNUG_EVENT_WARNING, line);
        at += n + (at[n] == '\n');
    }
}

static SnugStatus report(Running *run, SnugError *err)
{
    RunRecord record = {
        .job = run->job, .plan = run->plan, .stages = run->stages, .recorder = run->recorder
    };
    return report_make(&record, run->report, err);
}

/* Weights that stay are the engine's from now on; all else goes back to the system. */
static void give_back(Running *run, SnugStatus status)
{
    SnugJob *job = run->job;
    follow_close(run->follow);
    run->follow = NULL;
    if (status == SNUG_OK && run->plan->schedule.loads.holds && !job->degraded[0])
        kept_end(&run->kept, job->engine, run->plan, run->slab, run->device);
    else
        close_slabs(run);
    kept_release(&run->kept, job->engine);
    if (status == SNUG_OK) emit_end(run);
}

static SnugStatus finish(Running *run, SnugStatus status, SnugError *err)
{
    SnugJob *job = run->job;
    measure(run);
    give_back(run, status);
    if (status == SNUG_OK) status = report(run, err);
    if (status == SNUG_OK && job->common.output) emit(run, SNUG_EVENT_OUTPUT, job->common.output);
    if (status == SNUG_OK) emit(run, SNUG_EVENT_DONE, NULL);
    output_close(run->output);
    outfile_close(run->report);
    if (run->recorder) recorder_close(run->recorder);
    heap_give(job->engine->heap, run->recorder);
    heap_give(job->engine->heap, run->stages);
    return status;
}

SnugStatus snug_run(SnugJob *job, const SnugPlan *plan, SnugEventFunction *on_event, void *context,
                    SnugError *err)
{
    if (plan->job != job || plan->version != job->version)
        return error_set(err, SNUG_ERR_ARG,
                         "the plan belongs to another job, or the job was changed since");
    TRY(job_prepare(job, err));
    process_reset_peak();
    Running run = {
        .job = job, .plan = plan, .on_event = on_event, .context = context, .stage = -1
    };
    run.started = now_seconds();
    warn(&run);
    const SnugStatus status = carry_out(&run, err);
    return finish(&run, status, err);
}
