/* cmd_monitor.c  snug monitor PID | --gpu: load and memory once a second, as a table or JSON lines. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/now.h"
#include "cli/cli.h"
#include "cli/gpu.h"
#include "cli/json_out.h"
#include "cli/words.h"

enum { HEADER_EVERY = 20, MAX_PID = 1 << 22 };
static const double MIB = 1048576.0;

static int usage(FILE *to, int code)
{
    (void)fprintf(to, "usage: snug monitor PID [--json] [--interval S] [--count N]\n"
                      "       snug monitor --gpu [--json] [--interval S] [--count N]\n\n"
                      "  PID           process to watch, until it ends\n"
                      "  --gpu         the graphics cards instead\n"
                      "  --json        one JSON object a line\n"
                      "  --interval S  seconds between lines (default: 1)\n"
                      "  --count N     end after N lines (default: go on)\n");
    return code;
}

static void wait_until(double when)
{
    const struct timespec t = { .tv_sec = (time_t)when,
                                .tv_nsec = (long)((when - (double)(time_t)when) * 1e9) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

/* ---- a process ------------------------------------------------------------------------------ */

/* Numbers < 0: the system does not tell. */
typedef struct Sample {
    double seconds, cpu_seconds;
    double threads, rss, peak, swap, read, written; /* bytes */
} Sample;

static bool read_stat(int pid, Sample *s)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    const size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    char state;
    unsigned long user, system;
    long threads;
    if (!at ||
        sscanf(at + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld",
               &state, &user, &system, &threads) != 4)
        return false;
    s->cpu_seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    s->threads = (double)threads;
    return state != 'Z' && state != 'X';
}

/* "read_bytes: 123"; another user's file cannot be read. */
static double read_io(int pid, const char *key)
{
    char path[64], line[128];
    double value = -1.0;
    (void)snprintf(path, sizeof path, "/proc/%d/io", pid);
    FILE *file = fopen(path, "re");
    if (!file) return -1.0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) value = strtod(line + strlen(key) + 1, NULL);
    (void)fclose(file);
    return value;
}

static bool take_sample(int pid, Sample *s)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
    s->seconds = now_seconds();
    if (!read_stat(pid, s)) return false;
    s->rss = (double)machine_kib_line(path, "VmRSS");
    s->peak = (double)machine_kib_line(path, "VmHWM");
    s->swap = (double)machine_kib_line(path, "VmSwap");
    s->read = read_io(pid, "read_bytes");
    s->written = read_io(pid, "write_bytes");
    return true;
}

static double rate(double after, double before, double seconds)
{
    return after < 0 || before < 0 || seconds <= 0 ? -1.0 : (after - before) / seconds;
}

static void print_cell(double value)
{
    if (value < 0)
        (void)printf(" %9s", "-");
    else
        (void)printf(" %9.1f", value);
}

static void print_sample(const Sample *s, const Sample *before, double since, bool json, int line)
{
    const double span = s->seconds - before->seconds;
    const double cpu = 100.0 * rate(s->cpu_seconds, before->cpu_seconds, span);
    const double read = rate(s->read, before->read, span),
                 written = rate(s->written, before->written, span);
    if (json) {
        int first = 1;
        (void)printf("{");
        json_out_number(&first, "seconds", since, 3);
        json_out_number(&first, "cpu_percent", cpu, 1);
        json_out_number(&first, "threads", s->threads, 0);
        json_out_number(&first, "rss_bytes", s->rss, 0);
        json_out_number(&first, "peak_bytes", s->peak, 0);
        json_out_number(&first, "swap_bytes", s->swap, 0);
        json_out_number(&first, "read_bytes_per_second", read, 0);
        json_out_number(&first, "written_bytes_per_second", written, 0);
        (void)printf("}\n");
    } else {
        if (line % HEADER_EVERY == 0)
            (void)printf("%9s %9s %9s %9s %9s %9s %9s %9s\n", "seconds", "cpu %", "threads",
                         "rss MiB", "peak MiB", "swap MiB", "read MB/s", "write MB/s");
        (void)printf("%9.1f", since);
        print_cell(cpu);
        print_cell(s->threads);
        print_cell(s->rss / MIB);
        print_cell(s->peak / MIB);
        print_cell(s->swap / MIB);
        print_cell(read < 0 ? read : read / 1e6);
        print_cell(written < 0 ? written : written / 1e6);
        (void)printf("\n");
    }
    (void)fflush(stdout);
}

static int watch_process(int pid, bool json, double interval, int count)
{
    Sample before = { 0 }, now = { 0 };
    if (!take_sample(pid, &before)) {
        (void)fprintf(stderr, "snug: monitor: there is no process %d\n", pid);
        return CLI_USAGE;
    }
    const double begin = before.seconds;
    for (int i = 0; count == 0 || i < count; i++) {
        wait_until(begin + interval * (i + 1));
        if (!take_sample(pid, &now)) break; /* it ended */
        print_sample(&now, &before, now.seconds - begin, json, i);
        before = now;
        if (ferror(stdout)) return 1;
    }
    return 0;
}

/* ---- graphics cards ------------------------------------------------------------------------- */

static void print_gpu(const Gpu *g, int index, double since, bool json)
{
    if (json) {
        int first = 1;
        (void)printf("{");
        json_out_number(&first, "seconds", since, 3);
        json_out_number(&first, "gpu", index, 0);
        json_out_member(&first, "name", g->name);
        json_out_number(&first, "load_percent", g->load_percent, 0);
        json_out_number(&first, "used_mib", g->used_mib, 0);
        json_out_number(&first, "memory_mib", g->memory_mib, 0);
        json_out_number(&first, "power_w", g->power_w, 1);
        json_out_number(&first, "temperature_c", g->temperature_c, 0);
        (void)printf("}\n");
        return;
    }
    (void)printf("%9.1f %9d", since, index);
    print_cell(g->load_percent);
    print_cell(g->used_mib);
    print_cell(g->memory_mib);
    print_cell(g->power_w);
    print_cell(g->temperature_c);
    (void)printf("\n");
}

static int watch_gpus(bool json, double interval, int count)
{
    Gpu gpus[GPU_MAX];
    char why[256];
    int n;
    const double begin = now_seconds();
    for (int i = 0; count == 0 || i < count; i++) {
        if (i) wait_until(begin + interval * i);
        const GpuAnswer answer = gpu_list(gpus, &n, why);
        if (answer != GPU_FOUND) {
            (void)fprintf(stderr, "snug: monitor: %s\n",
                          answer == GPU_FAILED ? why : "no graphics card is to be seen");
            return 1;
        }
        if (!json && i % HEADER_EVERY == 0)
            (void)printf("%9s %9s %9s %9s %9s %9s %9s\n", "seconds", "GPU", "load %", "used MiB",
                         "of MiB", "power W", "celsius");
        for (int k = 0; k < n; k++)
            print_gpu(&gpus[k], k, now_seconds() - begin, json);
        (void)fflush(stdout);
        if (ferror(stdout)) return 1;
    }
    return 0;
}

int cmd_monitor(int argc, char **argv)
{
    bool gpu = false, json = false, help = false;
    double interval = 1.0;
    int count = 0;
    const char *pid_text = NULL;
    const Word table[] = { { .name = "--gpu", .flag = &gpu },
                           { .name = "--json", .flag = &json },
                           { .name = "--help", .flag = &help },
                           { .name = "-h", .flag = &help },
                           { .name = "--interval", .number = &interval, .min = 0.01, .max = 3600 },
                           { .name = "--count", .count = &count, .min = 1, .max = 1e9 },
                           { .name = NULL } };
    const int code = words_read(table, &pid_text, "monitor", argc, argv);
    if (code) return code;
    if (help) return usage(stdout, 0);
    if (gpu == (pid_text != NULL)) return usage(stderr, CLI_USAGE);
    if (gpu) return watch_gpus(json, interval, count);
    char *end;
    const long pid = strtol(pid_text, &end, 10);
    if (*end || pid < 1 || pid > MAX_PID) {
        (void)fprintf(stderr, "snug: monitor: \"%.40s\" is no process number\n", pid_text);
        return CLI_USAGE;
    }
    return watch_process((int)pid, json, interval, count);
}
