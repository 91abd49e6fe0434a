/* transfer.c  One line that is rewritten on a terminal, a line now and then elsewhere. */
#include "cli/transfer.h"

#include <signal.h>
#include <stdio.h>

static const double PIPE_SECONDS = 10.0;

static volatile int cancelled; /* for the signal handler only */

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    cancelled = 1;
}

const volatile int *transfer_cancel(void)
{
    return &cancelled;
}

void transfer_init(Transfer *t, const char *verb, bool quiet, bool events)
{
    const CliOptions options = { .quiet = quiet, .events = events };
    *t = (Transfer){ .verb = verb };
    cli_progress_init(&t->progress, &options);
    (void)signal(SIGINT, on_interrupt);
    (void)signal(SIGTERM, on_interrupt);
}

void transfer_event(void *transfer, const SnugEvent *e)
{
    Transfer *t = transfer;
    CliProgress *p = &t->progress;
    if (p->events) {
        cli_progress_event(p, e);
        return;
    }
    if (p->quiet || (!p->terminal && e->seconds - t->told < PIPE_SECONDS)) return;
    t->told = e->seconds;
    (void)fprintf(stderr, "%s%s %3.0f %%, %s", p->terminal ? "\r" : "", t->verb, e->fraction * 100,
                  e->text);
    if (e->seconds_left >= 0) (void)fprintf(stderr, ", %.0f s left", e->seconds_left);
    (void)fprintf(stderr, "%s", p->terminal ? "   " : "\n");
    (void)fflush(stderr);
    p->line_open = p->terminal;
}

void transfer_end(Transfer *t)
{
    if (t->progress.line_open) (void)fprintf(stderr, "\n");
    t->progress.line_open = false;
}
