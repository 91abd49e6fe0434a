/* cmd_doctor.c  snug doctor: what this machine can do, what is misconfigured, how fast it is. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/json_out.h"
#include "cli/paths.h"
#include "cli/words.h"

static const double GIB = 1073741824.0;

typedef struct Words {
    bool measure, json, quick, help;
    const char *profile, *disk, *root;
    SnugEngineOptions engine;
} Words;

static int usage(FILE *to, int code)
{
    (void)fprintf(
        to,
        "usage: snug doctor [--measure] [--json] [options]\n\n"
        "  --measure       measure speed (about 20 s) and keep it for forecasts\n"
        "  --quick         with --measure: small shapes, one call each, rough\n"
        "  --json          as JSON\n"
        "  --profile FILE  the machine profile (default: snug/profile.json in the cache folder)\n"
        "  --disk DIR      folder whose disk is measured (default: that of the profile)\n"
        "  --threads N     compute threads to measure with (default: all processors)\n"
        "  --isa NAME      kernels to measure: ref, avx2, avx512, avx512vnni, avx512bf16, neon\n"
        "  --root DIR      look at the copy of /proc and /sys below DIR; measures nothing\n");
    return code;
}

static int read_words(Words *w, int argc, char **argv)
{
    const Word table[] = {
        { .name = "--measure", .flag = &w->measure },
        { .name = "--json", .flag = &w->json },
        { .name = "--quick", .flag = &w->quick },
        { .name = "--help", .flag = &w->help },
        { .name = "-h", .flag = &w->help },
        { .name = "--profile", .text = &w->profile },
        { .name = "--disk", .text = &w->disk },
        { .name = "--root", .text = &w->root },
        { .name = "--isa", .text = &w->engine.isa },
        { .name = "--threads", .count = &w->engine.threads, .min = 1, .max = 1024 },
        { .name = NULL }
    };
    const int code = words_read(table, NULL, "doctor", argc, argv);
    if (code || !w->measure || !w->root) return code;
    (void)fprintf(stderr,
                  "snug: doctor: --measure and --root: only this machine can be measured\n");
    return CLI_USAGE;
}

/* ---- printing ------------------------------------------------------------------------------- */

static void print_gpus(const Doctor *d)
{
    if (d->gpu_answer != GPU_FOUND)
        (void)printf("GPU        %s\n", d->gpu_answer == GPU_FAILED ? d->gpu_why : "none");
    for (int i = 0; i < d->n_gpus; i++) {
        const Gpu *g = &d->gpus[i];
        (void)printf("GPU %d      %s, driver %s", i, g->name, g->driver[0] ? g->driver : "unknown");
        if (g->memory_mib >= 0) (void)printf(", %.1f GiB", g->memory_mib / 1024.0);
        if (g->used_mib >= 0) (void)printf(" (%.1f in use)", g->used_mib / 1024.0);
        if (g->limit_w >= 0) (void)printf(", power limit %.0f W", g->limit_w);
        if (g->most_limit_w >= 0) (void)printf(" of at most %.0f", g->most_limit_w);
        (void)printf(", persistence %s\n", g->persistence == 1   ? "on"
                                           : g->persistence == 0 ? "off"
                                                                 : "unknown");
    }
}

static void print_facts(const Doctor *d, const SnugEngine *engine)
{
    const MachineFacts *f = &d->facts;
    (void)printf("snug       %s\n", snug_version());
    (void)printf("processor  %s, %d cores, %d processors usable\n", f->cpu, f->cores,
                 f->processors);
    if (engine)
        (void)printf("kernels    %s, %d threads\n", snug_engine_isa(engine),
                     snug_engine_threads(engine));
    if (d->kernel[0]) (void)printf("system     Linux %s\n", d->kernel);
    (void)printf("memory     %.1f GiB, %.1f available", (double)f->ram_bytes / GIB,
                 (double)f->available_bytes / GIB);
    if (engine)
        (void)printf("; --ram is %.1f GiB unless given",
                     (double)snug_engine_ram_bytes(engine) / GIB);
    (void)printf("\nswap       ");
    if (f->swap_bytes)
        (void)printf("%.1f GiB, %.1f free\n", (double)f->swap_bytes / GIB,
                     (double)f->swap_free_bytes / GIB);
    else
        (void)printf("none\n");
    if (f->cgroup_limit_bytes == SIZE_MAX)
        (void)printf("cgroup     no memory limit\n");
    else
        (void)printf("cgroup     %.2f GiB, %.2f in use (%s)\n", (double)f->cgroup_limit_bytes / GIB,
                     (double)f->cgroup_used_bytes / GIB, f->cgroup);
    print_gpus(d);
}

static void print_advice(const char *title, const DoctorAdvice *a, int n)
{
    if (n) (void)printf("\n%s\n", title);
    for (int i = 0; i < n; i++) {
        (void)printf("- %s\n", a[i].what);
        if (a[i].command[0]) (void)printf("    %s\n", a[i].command);
    }
}

static void print_text(const Doctor *d, SnugEngine *engine)
{
    print_facts(d, engine);
    if (engine && !snug_engine_profile_note(engine)[0])
        (void)printf("\nspeed of this machine\n%s", snug_engine_profile_text(engine, false));
    print_advice("what could be better", d->wrong, d->n_wrong);
    print_advice("settings of other tools in the environment", d->settings, d->n_settings);
    if (!d->n_wrong) (void)printf("\nnothing is misconfigured\n");
}

/* ---- as JSON -------------------------------------------------------------------------------- */

static void json_advice(const char *name, const DoctorAdvice *a, int n)
{
    (void)printf(",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        int first = 1;
        (void)printf("%s{", i ? "," : "");
        json_out_member(&first, "what", a[i].what);
        json_out_member(&first, "command", a[i].command);
        (void)printf("}");
    }
    (void)printf("]");
}

static void json_gpu(const Gpu *g, int i)
{
    int first = 1;
    (void)printf("%s{", i ? "," : "");
    json_out_member(&first, "name", g->name);
    json_out_member(&first, "driver", g->driver);
    json_out_number(&first, "memory_mib", g->memory_mib, 0);
    json_out_number(&first, "used_mib", g->used_mib, 0);
    json_out_number(&first, "power_limit_w", g->limit_w, 0);
    json_out_number(&first, "power_limit_most_w", g->most_limit_w, 0);
    (void)printf(",\"persistence\":%s}", g->persistence == 1   ? "true"
                                         : g->persistence == 0 ? "false"
                                                               : "null");
}

static void print_json(const Doctor *d, SnugEngine *engine)
{
    const MachineFacts *f = &d->facts;
    int first = 1;
    (void)printf("{");
    json_out_member(&first, "snug", snug_version());
    json_out_member(&first, "cpu", f->cpu);
    json_out_number(&first, "cores", f->cores, 0);
    json_out_number(&first, "processors", f->processors, 0);
    json_out_number(&first, "ram_bytes", (double)f->ram_bytes, 0);
    json_out_number(&first, "available_bytes", (double)f->available_bytes, 0);
    json_out_number(&first, "swap_bytes", (double)f->swap_bytes, 0);
    json_out_number(&first, "swap_free_bytes", (double)f->swap_free_bytes, 0);
    const bool limited = f->cgroup_limit_bytes != SIZE_MAX;
    json_out_number(&first, "cgroup_limit_bytes", limited ? (double)f->cgroup_limit_bytes : -1, 0);
    json_out_number(&first, "cgroup_used_bytes", limited ? (double)f->cgroup_used_bytes : -1, 0);
    (void)printf(",\"gpus\":[");
    for (int i = 0; i < d->n_gpus; i++)
        json_gpu(&d->gpus[i], i);
    (void)printf("]");
    if (engine) {
        json_out_member(&first, "isa", snug_engine_isa(engine));
        json_out_number(&first, "threads", snug_engine_threads(engine), 0);
        json_out_number(&first, "default_ram_bytes", (double)snug_engine_ram_bytes(engine), 0);
        json_out_member(&first, "profile_note", snug_engine_profile_note(engine));
        (void)printf(",\"profile\":%s", snug_engine_profile_text(engine, true));
    }
    json_advice("advice", d->wrong, d->n_wrong);
    json_advice("settings", d->settings, d->n_settings);
    (void)printf("}\n");
}

/* ---- measuring ------------------------------------------------------------------------------ */

static void on_step(void *context, const SnugEvent *e)
{
    if (*(const bool *)context)
        (void)fprintf(stderr, "\r\033[K%3.0f %%  %s", 100.0 * e->fraction, e->stage);
    else
        (void)fprintf(stderr, "%5.1f s  %s\n", e->seconds, e->stage);
}

/* Neighbours make this machine look slower than it is. */
static void warn_if_busy(const SnugEngine *engine)
{
    double load;
    if (getloadavg(&load, 1) != 1 || load < 0.5 * snug_engine_threads(engine)) return;
    (void)fprintf(stderr,
                  "snug: other programs keep this machine busy (load %.1f, %d threads measured): "
                  "measure again when it is idle\n",
                  load, snug_engine_threads(engine));
}

static int measure(SnugEngine *engine, const Words *w)
{
    char folder[PATHS_MAX];
    bool terminal = isatty(STDERR_FILENO) == 1;
    SnugError err = { { 0 } };
    if (!paths_make_parents(w->profile)) {
        (void)fprintf(stderr, "snug: %s: its folder cannot be made: %s\n", w->profile,
                      strerror(errno));
        return 1;
    }
    warn_if_busy(engine);
    paths_folder(folder, w->profile);
    const SnugMeasureOptions options = { .path = w->profile,
                                         .disk_folder = w->disk ? w->disk : folder,
                                         .quick = w->quick };
    const SnugStatus status = snug_profile_measure(engine, &options, on_step, &terminal, &err);
    if (terminal) (void)fprintf(stderr, "\r\033[K");
    if (status != SNUG_OK) return cli_fail(status, &err);
    (void)fprintf(stderr, "profile written: %s\n", w->profile);
    return 0;
}

static int examine(Words *w)
{
    SnugEngine *engine = NULL;
    SnugError err = { { 0 } };
    int code = 0;
    if (!w->root) {
        w->engine.profile = w->profile;
        w->engine.profile_optional = true; /* what is wrong with it is this command's to tell */
        const SnugStatus status = snug_engine_open(&engine, &w->engine, &err);
        if (status != SNUG_OK) return cli_fail(status, &err);
        if (w->measure) code = measure(engine, w);
    }
    Doctor *d = code ? NULL : calloc(1, sizeof *d);
    if (d) {
        doctor_look(d, w->root ? w->root : "");
        doctor_judge(d);
        if (engine && snug_engine_profile_note(engine)[0])
            doctor_advise(d, "snug doctor --measure", "forecasts are rough: %s",
                          snug_engine_profile_note(engine));
        if (w->json)
            print_json(d, engine);
        else
            print_text(d, engine);
    } else if (!code)
        code = 1;
    free(d);
    snug_engine_close(engine);
    return code;
}

int cmd_doctor(int argc, char **argv)
{
    char path[PATHS_MAX];
    Words w = { 0 };
    const int code = read_words(&w, argc, argv);
    if (code) return code;
    if (w.help) return usage(stdout, 0);
    if (!w.profile && paths_cache(path, "profile.json")) w.profile = path;
    if (w.measure && !w.profile) {
        (void)fprintf(stderr,
                      "snug: no cache folder is known (HOME, XDG_CACHE_HOME): --profile FILE\n");
        return CLI_USAGE;
    }
    return examine(&w);
}
