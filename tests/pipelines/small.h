/* small.h  The smallest whole request, with every kind of output file, for tests that break it. */
#ifndef TESTS_PIPELINES_SMALL_H
#define TESTS_PIPELINES_SMALL_H

#include "pipelines/request.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "engine/engine.h"

static const char MODEL[] = "ti2v"; /* the smallest */

static inline SnugEngine *open_engine(void)
{
    return request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = 2 });
}

/** Files in a folder, those under temporary names too. */
static inline int count_files(const char *folder)
{
    int n = 0;
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.' || strstr(e->d_name, ".tmp") != NULL;
    (void)closedir(dir);
    return n;
}

/** Whether a thread of /proc/self/task still runs: joined ones stay listed until the kernel has
 *  buried them. Source: proc_pid_stat(5), flags; PF_EXITING in the kernel's sched.h. */
static inline bool thread_runs(const char *id)
{
    enum { EXITING = 4 };
    char path[64], text[512];
    (void)snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", id);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    const size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    const char *rest = strrchr(text, ')'); /* after the name: state ppid pgrp session tty tpgid */
    unsigned flags;
    return rest && sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 && !(flags & EXITING);
}

static inline int count_threads(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.' && thread_runs(e->d_name);
    (void)closedir(dir);
    return n;
}

/** Where outputs of these tests go: empty in the beginning. */
static inline const char *out_folder(void)
{
    const char *folder = request_scratch("out");
    (void)mkdir(folder, 0700);
    return folder;
}

static inline void remove_outputs(void)
{
    (void)remove(request_scratch("out/frames.npy"));
    (void)remove(request_scratch("out/latents.npy"));
    (void)remove(request_scratch("out/report.json"));
    CHECK_INT(count_files(out_folder()), 0);
}

/** One frame, two steps, with guidance. */
static inline SnugJob *small_job(SnugEngine *engine)
{
    SnugJob *job = NULL;
    SnugError err = { { 0 } };
    char path[1000];
    REQUIRE_OK(snug_job_create(&job, engine, "wan-ti2v", &err), &err);
    (void)snprintf(path, sizeof path, "%s/%s/model", test_path("golden/pipelines"), MODEL);
    static const char *const VALUES[][2] = { { "prompt", "a red ball" }, { "guidance", "3" },
                                             { "seed", "-7" },           { "frames", "1" },
                                             { "steps", "2" },           { "size", "32x32" } };
    for (size_t i = 0; i < COUNT(VALUES); i++)
        request_option(job, VALUES[i][0], VALUES[i][1]);
    (void)out_folder();
    request_option(job, "model", path);
    request_option(job, "output", request_scratch("out/frames.npy"));
    request_option(job, "save-latents", request_scratch("out/latents.npy"));
    request_option(job, "report", request_scratch("out/report.json"));
    return job;
}

#endif
