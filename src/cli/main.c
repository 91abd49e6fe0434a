/* main.c  snug: which sub-command, and the help that lists them. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

typedef struct Command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} Command;

static const Command COMMANDS[] = {
    { "run", "run a pipeline inside a memory budget", cmd_run },
    { "plan", "say what a run would need, read and take, without running it", cmd_plan },
    { "models", "look into model folders and files", cmd_models },
    { "convert", "write weights in another form: quantise, cut into shards", cmd_convert },
    { "fonts", "font files and the scripts they can write", cmd_fonts },
    { "doctor", "what this machine can do, what is misconfigured, how fast it is", cmd_doctor },
    { "monitor", "load and memory of a process or the graphics cards", cmd_monitor },
    { "bench", "time one operation", cmd_bench },
};
enum { N_COMMANDS = sizeof COMMANDS / sizeof COMMANDS[0] };

static void help(FILE *to)
{
    (void)fprintf(
        to,
        "snug %s: big diffusion pipelines inside a memory budget\n\nusage: snug COMMAND ...\n\n",
        snug_version());
    for (int i = 0; i < N_COMMANDS; i++)
        (void)fprintf(to, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].summary);
    (void)fprintf(to,
                  "\n`snug COMMAND --help` tells more. Exit codes: 0 done, 1 run failed, 2 usage,\n"
                  "3 does not fit the budget, 4 bad input file, 130 cancelled.\n");
}

/* A full disk or a reader that went away is a failed write with a message and a clean end, not the end
 * of the process with temporary files left behind. */
static void ignore_write_signals(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    ignore_write_signals();
    if (argc < 2) {
        help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("snug %s\n", snug_version());
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(stdout);
        return 0;
    }
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0) return COMMANDS[i].run(argc - 2, argv + 2);
    (void)fprintf(stderr, "snug: \"%s\" is no command\n\n", argv[1]);
    help(stderr);
    return CLI_USAGE;
}
