/* minimal.c  The smallest program: plan a job, say what it will take, run it.
 *
 *     minimal MODEL PROMPT OUTPUT [RAM]        minimal models/demo "a red ball" ball.mp4 256MiB */
#include <stdio.h>

#include "snug/snug.h"

static void on_event(void *context, const SnugEvent *event)
{
    (void)context;
    if (event->kind == SNUG_EVENT_STAGE) printf("%s\n", event->stage);
}

static SnugStatus plan_and_run(SnugJob *job, SnugError *err)
{
    SnugPlan *plan = NULL;
    SnugStatus status = snug_plan_create(&plan, job, err);
    if (status == SNUG_OK) {
        const SnugFigures f = snug_plan_figures(plan);
        printf("peak %.1f MiB of %.1f MiB\n", (double)f.process_peak_bytes / 1048576.0,
               (double)f.budget_bytes / 1048576.0);
        status = snug_run(job, plan, on_event, NULL, err);
    }
    snug_plan_free(plan);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: minimal MODEL PROMPT OUTPUT [RAM]\n");
        return 2;
    }
    SnugEngine *engine = NULL;
    SnugJob *job = NULL;
    SnugError err = { { 0 } };
    SnugEngineOptions options = { 0 };
    SnugStatus status = argc > 4 ? snug_parse_bytes(argv[4], &options.ram_bytes, &err) : SNUG_OK;
    if (status == SNUG_OK) status = snug_engine_open(&engine, &options, &err);
    if (status == SNUG_OK) status = snug_job_create(&job, engine, "wan-ti2v", &err);
    if (status == SNUG_OK) status = snug_job_set(job, "model", argv[1], &err);
    if (status == SNUG_OK) status = snug_job_set(job, "prompt", argv[2], &err);
    if (status == SNUG_OK) status = snug_job_set(job, "output", argv[3], &err);
    if (status == SNUG_OK) status = plan_and_run(job, &err);
    if (status != SNUG_OK) fprintf(stderr, "minimal: %s\n", err.text);
    snug_job_free(job);
    snug_engine_close(engine);
    return snug_exit_code(status);
}
