/* wan_resume.c  Slots of the scheduler by name, read into tensors and handed out. */
#include "pipelines/wan_resume.h"

#include <string.h>

#include "base/fault.h"

/* Rising by bytes, as they are handed out; the latent itself comes last. */
static const struct {
    StepSlot slot;
    const char *name;
} STATE[] = {
    { SLOT_LAST, "last" },          { SLOT_M, "prediction.0" },     { SLOT_M + 1, "prediction.1" },
    { SLOT_M + 2, "prediction.2" }, { SLOT_M + 3, "prediction.3" }, { SLOT_X, "x" },
};
enum { N_STATE = sizeof STATE / sizeof STATE[0] };

static Shape latent_shape(const WanJob *j)
{
    return SHAPE(j->latent_t, j->latent_h, j->latent_w, j->vae.cfg.z);
}

static void find_live(const WanJob *j, int next, bool live[SLOT_COUNT])
{
    stepper_live(&j->scheduler, next, live);
    live[SLOT_X] = true;
}

int wan_resume_first(const WanJob *j)
{
    return j->context->resumed ? (int)j->context->resumed_step : j->scheduler.first;
}

SnugStatus wan_resume_check(const WanJob *j, SnugError *err)
{
    const Checkpoint *c = j->context->resumed;
    bool live[SLOT_COUNT];
    if (!c) return SNUG_OK;
    if (j->context->resumed_step <= j->scheduler.first || j->context->resumed_step > j->scheduler.n)
        return fault_set(err, FAULT_BAD, checkpoint_path(c), "state", "step",
                         "got %lld, the run has steps %d to %d",
                         (long long)j->context->resumed_step, j->scheduler.first + 1,
                         j->scheduler.n);
    if (wan_step_skipped(j, wan_resume_first(j)))
        return fault_set(err, FAULT_BAD, checkpoint_path(c), "state", "step",
                         "the step after %lld needs what the blocks did, which is never kept",
                         (long long)j->context->resumed_step);
    find_live(j, wan_resume_first(j), live);
    for (int i = 0; i < N_STATE; i++) {
        if (!live[STATE[i].slot]) continue;
        const int32_t at = checkpoint_find(c, STATE[i].name);
        if (at < 0)
            return fault_set(err, FAULT_MISSING, checkpoint_path(c), "state", STATE[i].name,
                             "the next step needs it");
        const Entry *e = checkpoint_entry(c, at);
        TRY(checkpoint_expect_shape(c, e, latent_shape(j), err));
        if (e->dtype != DT_F32)
            return fault_set(err, FAULT_MISMATCH, checkpoint_path(c), "state", STATE[i].name,
                             "got %s, expected F32", e->type_name);
    }
    return SNUG_OK;
}

/* An InputFill; what goes wrong is remembered and told by wan_resume_take. */
typedef struct StateFill {
    const Checkpoint *from;
    const Entry *entry;
    SnugStatus status;
    SnugError err;
} StateFill;

static void fill_state(void *context, float *to, int64_t count)
{
    StateFill *fill = context;
    fill->status =
        checkpoint_read(fill->from, fill->entry, 0, (size_t)count * sizeof *to, to, &fill->err);
    if (fill->status != SNUG_OK) memset(to, 0, (size_t)count * sizeof *to);
}

static Tensor take(Run *r, const WanJob *j, const char *name)
{
    const Checkpoint *c = j->context->resumed;
    StateFill fill = { .from = c, .entry = checkpoint_entry(c, checkpoint_find(c, name)) };
    Tensor t = run_input(r, latent_shape(j), fill_state, &fill);
    if (fill.status != SNUG_OK) return run_fail(r, fill.status, "%s", fill.err.text);
    return t;
}

Tensor wan_resume_take(Run *r, WanJob *j, Stepper *stepper)
{
    bool live[SLOT_COUNT];
    Tensor x = NO_TENSOR;
    find_live(j, wan_resume_first(j), live);
    for (int i = 0; i < N_STATE && run_ok(r); i++) {
        if (!live[STATE[i].slot]) continue;
        x = take(r, j, STATE[i].name);
        stepper->slot[STATE[i].slot] = x;
    }
    return x; /* the last is x */
}

/* Where the next step takes over what the blocks did before, that would have to be kept, too: as large
 * as all tokens. The state is kept a little later instead, after the first step that nothing is taken
 * over from. */
static bool is_due(const WanJob *j, int done)
{
    const int64_t every = j->context->keep_every;
    if (every <= 0) return false;
    if (done == j->scheduler.n) return true;
    if (wan_step_skipped(j, done)) return false;
    for (int i = done; i > j->scheduler.first; i--) {
        if (i % every == 0) return true;
        if (!wan_step_skipped(j, i - 1)) return false; /* it was kept then, if it was due */
    }
    return false;
}

void wan_resume_keep(Run *r, WanJob *j, const Stepper *stepper, int done, Tensor x)
{
    PipelineKeep *keep = j->context->keep;
    bool live[SLOT_COUNT];
    if (!keep || !is_due(j, done) || !run_ok(r)) return;
    find_live(j, done, live);
    *keep = (PipelineKeep){ .step = done };
    for (int i = 0; i < N_STATE; i++)
        if (live[STATE[i].slot]) keep->names[keep->n++] = STATE[i].name;
    for (int i = 0; i < N_STATE; i++)
        if (live[STATE[i].slot])
            run_output(r, "keep", done, STATE[i].slot == SLOT_X ? x : stepper->slot[STATE[i].slot]);
}
