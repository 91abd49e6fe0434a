/* bench_jobs.c  snug bench PIPELINE --jobs N --auto-unload both ...: consecutive jobs in one engine, with
 * weights given up and with weights that stay. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* Means over the jobs of one way. */
typedef struct Means {
    double seconds, waited, first_bytes, later_bytes;
} Means;

static SnugStatus run_jobs(SnugJob *job, const char *unload, int n, Means *out, SnugError *err)
{
    SnugPlan *plan = NULL;
    *out = (Means){ 0 };
    SnugStatus status = snug_job_set(job, "auto-unload", unload, err);
    if (status == SNUG_OK) status = snug_plan_create(&plan, job, err);
    for (int i = 0; i < n && status == SNUG_OK; i++) {
        status = snug_run(job, plan, NULL, NULL, err);
        const SnugFigures f = snug_job_figures(job);
        out->seconds += f.seconds / n;
        out->waited += f.stall_seconds / n;
        *(i ? &out->later_bytes : &out->first_bytes) += f.moved_bytes / (i ? n - 1 : 1);
    }
    snug_plan_free(plan);
    return status;
}

static int run_ways(SnugJob *job, const char *unload, int n)
{
    static const char *const BOTH[] = { "true", "false" };
    const bool both = strcmp(unload, "both") == 0;
    (void)printf("auto_unload  jobs  mean s  waited for weights s  computing s  MiB read: first, "
                 "each later\n");
    for (int i = 0; i < (both ? 2 : 1); i++) {
        const char *way = both ? BOTH[i] : unload;
        SnugError err = { { 0 } };
        Means m;
        const SnugStatus status = run_jobs(job, way, n, &m, &err);
        if (status != SNUG_OK) return cli_fail(status, &err);
        (void)printf("%-11s  %4d  %6.3f  %20.3f  %11.3f  %10.1f, %.1f\n", way, n, m.seconds,
                     m.waited, m.seconds - m.waited, m.first_bytes / 1048576.0,
                     m.later_bytes / 1048576.0);
        (void)fflush(stdout);
    }
    return 0;
}

int cli_bench_jobs(int argc, char **argv)
{
    enum { MAX_JOBS = 1000 };
    const char *unload = "both";
    long n = 10;
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        const bool jobs = strcmp(argv[i], "--jobs") == 0;
        if ((jobs || strcmp(argv[i], "--auto-unload") == 0) && i + 1 < argc) {
            char *end = NULL;
            if (jobs)
                n = strtol(argv[++i], &end, 10);
            else
                unload = argv[++i];
            if (jobs && (*end || n < 1 || n > MAX_JOBS)) {
                (void)fprintf(stderr, "snug: bench: --jobs: a number from 1 to %d\n", MAX_JOBS);
                return CLI_USAGE;
            }
        } else
            argv[kept++] = argv[i];
    }
    SnugEngine *engine = NULL;
    SnugJob *job = NULL;
    CliOptions options;
    int code = cli_open(&engine, &job, &options, argv[0], kept - 1, argv + 1);
    if (code == 0) code = run_ways(job, unload, (int)n);
    snug_job_free(job);
    snug_engine_close(engine);
    return code;
}
