/* request.c  A request from a JSON file: what it will take, progress, memory, Ctrl-C.
 *
 *     request PIPELINE REQUEST.json RAM        request wan-ti2v ball.json 256MiB
 *     request                                  the pipelines and their options
 *
 * ball.json: { "model": "models/demo", "prompt": "a red ball", "seed": 7, "output": "ball.mp4" } */
#include <signal.h>
#include <stdio.h>

#include "snug/snug.h"

/* Signal handlers have nothing else to look at. */
static SnugJob *volatile running;

static void on_interrupt(int number)
{
    (void)number;
    if (running) snug_job_cancel(running);
}

static void list_pipelines(void)
{
    const char *name;
    for (int i = 0; (name = snug_pipeline_name(i)); i++) {
        const SnugOption *o;
        printf("%s: %s\n", name, snug_pipeline_summary(i));
        for (int k = 0; (o = snug_pipeline_option(name, k)); k++)
            printf("    %s: %s\n", o->name, o->help);
    }
}

static void on_event(void *context, const SnugEvent *event)
{
    char line[256];
    (void)context;
    switch (event->kind) {
    case SNUG_EVENT_PROGRESS:
        printf("%3.0f %% %s, step %d of %d\n", 100 * event->fraction, event->stage, event->step,
               event->n_steps);
        break;
    case SNUG_EVENT_MEMORY:
        for (int i = 0; i < event->n_tiers; i++)
            printf("%s\n", snug_memory_line(line, sizeof line, event->text, &event->tiers[i]));
        break;
    case SNUG_EVENT_WARNING:
    case SNUG_EVENT_OUTPUT:
        printf("%s\n", event->text);
        break;
    case SNUG_EVENT_STAGE:
    case SNUG_EVENT_DONE:
    default:
        break;
    }
}

static SnugStatus plan_and_run(SnugJob *job, SnugError *err)
{
    SnugPlan *plan = NULL;
    SnugStatus status = snug_plan_create(&plan, job, err);
    if (status == SNUG_ERR_BUDGET) fprintf(stderr, "does not fit:\n"); /* err says what would */
    if (status == SNUG_OK) {
        printf("%s", snug_plan_text(plan));
        running = job;
        status = snug_run(job, plan, on_event, NULL, err);
        running = NULL;
    }
    snug_plan_free(plan);
    return status;
}

int main(int argc, char **argv)
{
    SnugEngine *engine = NULL;
    SnugJob *job = NULL;
    SnugError err = { { 0 } };
    SnugEngineOptions options = { 0 };
    if (argc < 4) {
        list_pipelines();
        return 2;
    }
    (void)signal(SIGINT, on_interrupt);
    SnugStatus status = snug_parse_bytes(argv[3], &options.ram_bytes, &err);
    if (status == SNUG_OK) status = snug_engine_open(&engine, &options, &err);
    if (status == SNUG_OK) status = snug_job_create(&job, engine, argv[1], &err);
    if (status == SNUG_OK) status = snug_job_set_file(job, argv[2], &err);
    if (status == SNUG_OK) status = plan_and_run(job, &err);
    if (status == SNUG_OK) printf("%s", snug_job_memory_text(job));
    if (status != SNUG_OK) fprintf(stderr, "request: %s\n", err.text);
    snug_job_free(job);
    snug_engine_close(engine);
    return snug_exit_code(status);
}
