/* cmd_run.c  snug run PIPELINE ..., snug plan PIPELINE ...: the same arguments. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static SnugJob *volatile running_job; /* for the signal handler only */

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    SnugJob *job = running_job;
    if (job) snug_job_cancel(job);
}

static void catch_interrupts(SnugJob *job)
{
    running_job = job;
    struct sigaction action = { .sa_handler = job ? on_interrupt : SIG_DFL };
    (void)sigemptyset(&action.sa_mask);
    action.sa_flags = (int)SA_RESETHAND; /* a second Ctrl-C ends the process at once */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static bool is_pipeline(const char *name)
{
    const char *known = NULL;
    for (int i = 0; (known = snug_pipeline_name(i)) && strcmp(known, name) != 0; i++) {
    }
    return known != NULL;
}

static bool wants_help(const char *command, int argc, char **argv)
{
    bool asked = argc < 1;
    for (int i = 0; i < argc; i++)
        asked = asked || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
    if (asked && argc > 0 && is_pipeline(argv[0]))
        cli_help_pipeline(command, argv[0]);
    else if (asked)
        cli_help_pipelines(command);
    return asked;
}

/* The pipeline's name; NULL when options come at once (--from-image). */
static const char *name_first(char **argv)
{
    return strncmp(argv[0], "--", 2) == 0 ? NULL : argv[0];
}

/* False when it cannot be written. */
static bool write_result(const SnugJob *job, const char *path, SnugStatus status,
                         const SnugError *why)
{
    char *text = NULL;
    SnugError err = { { 0 } };
    if (!path[0]) return true;
    bool good = snug_job_result(&text, job, status, why, &err) == SNUG_OK;
    FILE *file = good ? fopen(path, "we") : NULL;
    good = file && fputs(text, file) >= 0;
    if (file && fclose(file) != 0) good = false;
    snug_text_free(text);
    if (!good) (void)fprintf(stderr, "snug: --result %s: cannot be written\n", path);
    return good;
}

static int run_job(SnugJob *job, const CliOptions *options)
{
    SnugError err = { { 0 } };
    SnugPlan *plan = NULL;
    CliProgress progress;
    cli_progress_init(&progress, options);
    catch_interrupts(job);
    SnugStatus status = snug_plan_create(&plan, job, &err);
    if (status == SNUG_OK) status = snug_run(job, plan, cli_progress_event, &progress, &err);
    catch_interrupts(NULL);
    cli_progress_end(&progress);
    if (status == SNUG_OK && !options->quiet && !options->events)
        (void)fprintf(stderr, "%s", snug_job_memory_text(job));
    const bool told = write_result(job, options->result, status, &err);
    snug_plan_free(plan);
    if (status == SNUG_OK) return told ? 0 : 1;
    return cli_fail(status, &err);
}

static int print_curve(SnugJob *job, const CliOptions *options)
{
    SnugError err = { { 0 } };
    const char *text = NULL;
    const SnugStatus status = snug_plan_curve(
        &text, job, options->json, options->curve_svg[0] ? options->curve_svg : NULL, &err);
    if (status == SNUG_OK) (void)printf("%s", text);
    return status == SNUG_OK ? 0 : cli_fail(status, &err);
}

static int print_plan(SnugJob *job, const CliOptions *options)
{
    SnugError err = { { 0 } };
    SnugPlan *plan = NULL;
    const SnugStatus status = snug_plan_create(&plan, job, &err);
    if (status == SNUG_OK)
        (void)printf("%s%s", options->json ? snug_plan_json(plan) : snug_plan_text(plan),
                     options->json ? "\n" : "");
    snug_plan_free(plan);
    return status == SNUG_OK ? 0 : cli_fail(status, &err);
}

static int plan_job(SnugJob *job, const CliOptions *options)
{
    const bool curve = options->curve || options->curve_svg[0];
    return curve ? print_curve(job, options) : print_plan(job, options);
}

/* Open what the options ask for, do it, close. */
static int with_job(const char *command, int argc, char **argv,
                    int (*function)(SnugJob *job, const CliOptions *options))
{
    if (wants_help(command, argc, argv)) return argc < 1 ? CLI_USAGE : 0;
    SnugEngine *engine = NULL;
    SnugJob *job = NULL;
    CliOptions options;
    const char *pipeline = name_first(argv);
    const int skip = pipeline != NULL;
    int code = cli_open(&engine, &job, &options, pipeline, argc - skip, argv + skip);
    if (code == 0) code = function(job, &options);
    snug_job_free(job);
    snug_engine_close(engine);
    return code;
}

int cmd_run(int argc, char **argv)
{
    return with_job("run", argc, argv, run_job);
}

int cmd_plan(int argc, char **argv)
{
    return with_job("plan", argc, argv, plan_job);
}
