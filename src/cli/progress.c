/* progress.c  Events for people and programs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/json_out.h"

void cli_progress_init(CliProgress *progress, const CliOptions *options)
{
    *progress = (CliProgress){ .terminal = isatty(STDERR_FILENO) == 1,
                               .quiet = options->quiet,
                               .events = options->events,
                               .memory_log = options->memory_log };
}

static const char *kind_name(SnugEventKind kind)
{
    switch (kind) {
    case SNUG_EVENT_STAGE:
        return "stage";
    case SNUG_EVENT_PROGRESS:
        return "progress";
    case SNUG_EVENT_MEMORY:
        return "memory";
    case SNUG_EVENT_WARNING:
        return "warning";
    case SNUG_EVENT_OUTPUT:
        return "output";
    case SNUG_EVENT_DONE:
    default:
        return "done";
    }
}

static void print_tiers(const SnugEvent *e)
{
    (void)printf(",\"tiers\":[");
    for (int i = 0; i < e->n_tiers; i++)
        (void)printf("%s{\"tier\":\"%s\",\"used_bytes\":%zu,\"reserved_bytes\":%zu,"
                     "\"budget_bytes\":%zu,\"peak_bytes\":%zu}",
                     i ? "," : "", e->tiers[i].tier, e->tiers[i].used_bytes,
                     e->tiers[i].reserved_bytes, e->tiers[i].limit_bytes, e->tiers[i].peak_bytes);
    (void)printf("]");
}

static void print_event(const SnugEvent *e)
{
    (void)printf("{\"event\":\"%s\",\"stage\":", kind_name(e->kind));
    json_out_text(e->stage ? e->stage : "");
    (void)printf(
        ",\"step\":%d,\"steps\":%d,\"fraction\":%.4f,\"seconds\":%.3f,\"seconds_left\":%.1f,"
        "\"memory_bytes\":%zu,\"budget_bytes\":%zu",
        e->step, e->n_steps, e->fraction, e->seconds, e->seconds_left, e->memory_bytes,
        e->budget_bytes);
    if (e->text) {
        (void)printf(",\"text\":");
        json_out_text(e->text);
    }
    if (e->n_tiers) print_tiers(e);
    (void)printf("}\n");
    (void)fflush(stdout);
}

static void log_memory(CliProgress *p, const SnugEvent *e)
{
    char line[256];
    if (!p->memory_log) return;
    cli_progress_end(p);
    for (int i = 0; i < e->n_tiers; i++)
        (void)fprintf(stderr, "%s\n", snug_memory_line(line, sizeof line, e->text, &e->tiers[i]));
}

static void print_line(const SnugEvent *e, const char *end)
{
    char steps[48] = "", left[48] = "";
    if (e->n_steps) (void)snprintf(steps, sizeof steps, " step %d/%d", e->step, e->n_steps);
    if (e->seconds_left >= 0) (void)snprintf(left, sizeof left, ", %.0f s left", e->seconds_left);
    (void)fprintf(stderr, "%-16s%s  %3.0f %%  %.1f s%s  %.0f of %.0f MiB%s",
                  e->stage ? e->stage : "", steps, 100.0 * e->fraction, e->seconds, left,
                  (double)e->memory_bytes / 1048576.0, (double)e->budget_bytes / 1048576.0, end);
    (void)fflush(stderr);
}

void cli_progress_event(void *context, const SnugEvent *e)
{
    CliProgress *p = context;
    if (p->events) {
        print_event(e);
        return;
    }
    if (e->kind == SNUG_EVENT_MEMORY) {
        log_memory(p, e);
        return;
    }
    if (p->quiet) return;
    if (e->kind == SNUG_EVENT_WARNING || e->kind == SNUG_EVENT_OUTPUT) {
        cli_progress_end(p);
        (void)fprintf(stderr, "%s: %s\n", e->kind == SNUG_EVENT_OUTPUT ? "written" : "warning",
                      e->text);
    } else if (p->terminal) {
        (void)fprintf(stderr, "\r\033[K");
        print_line(e, "");
        p->line_open = true;
    } else if (e->kind == SNUG_EVENT_STAGE || e->step || e->seconds - p->last_seconds > 5.0) {
        print_line(e, "\n");
        p->last_seconds = e->seconds;
    }
}

void cli_progress_end(CliProgress *p)
{
    if (p->line_open) (void)fputc('\n', stderr);
    p->line_open = false;
}
