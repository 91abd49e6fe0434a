/* cli.h  The command line: one file per sub-command; sees the public API and base only. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

#include "snug/snug.h"

/** Exit code of a usage mistake. */
enum { CLI_USAGE = 2 };

/** Sub-commands: argv[0] is the first word after the command. Return the exit code. */
int cmd_run(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_fonts(int argc, char **argv);
int cmd_monitor(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_convert(int argc, char **argv);
/** `snug bench PIPELINE ...`: argv[0] is the pipeline. Changes the order of argv. */
int cli_bench_jobs(int argc, char **argv);

/** Engine options and switches shared by run and plan. */
typedef struct CliOptions {
    SnugEngineOptions engine;
    bool quiet, events, json, curve, memory_log, help;
    char result[1024];    /**< file for what became of the job; "": none */
    char curve_svg[1024]; /**< where to draw the curve; "": nowhere */
} CliOptions;

/**
 * Open engine and job from the words after the pipeline's name; flags over SNUG_* variables over
 * the configuration file. Prints what is wrong. Returns an exit code, 0 for success.
 * pipeline: NULL where a picture names it (--from-image).
 */
int cli_open(SnugEngine **engine, SnugJob **job, CliOptions *options, const char *pipeline,
             int argc, char **argv);
/** Print "snug: ..." for a failure and return its exit code. */
int cli_fail(SnugStatus status, const SnugError *err);
/** Help of one pipeline, from its option table. */
void cli_help_pipeline(const char *command, const char *pipeline);
/** Help of `snug COMMAND`: the pipelines there are. */
void cli_help_pipelines(const char *command);

/** Show events: one line that is rewritten on a terminal, plain lines in a pipe, JSON lines. */
typedef struct CliProgress {
    bool terminal, quiet, events, memory_log;
    bool line_open;
    const char *last_stage;
    double last_seconds;
} CliProgress;
void cli_progress_init(CliProgress *progress, const CliOptions *options);
void cli_progress_event(void *progress, const SnugEvent *event);
void cli_progress_end(CliProgress *progress);

#endif
