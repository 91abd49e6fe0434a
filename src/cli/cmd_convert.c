/* cmd_convert.c  snug convert INPUT OUTPUT --to FORM */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/transfer.h"

enum { MAX_KEEP = 64 };

/** The words of the command. */
typedef struct Request {
    SnugConvertOptions options;
    const char *keep[MAX_KEEP];
    bool quiet, events, json, help;
} Request;

static int usage(FILE *to, int code)
{
    (void)fprintf(
        to,
        "usage: snug convert INPUT OUTPUT --to FORM [options]\n\n"
        "  INPUT             weight file, index of shards (.json), or a folder with one of them\n"
        "  OUTPUT            name ending in .safetensors or .gguf; or a folder (name ending in /), "
        "which\n"
        "                    gets config.json too, as diffusers and transformers load it\n"
        "  --to FORM         see below\n"
        "  --keep TEXT       tensors with this in their names stay as they are (several times)\n"
        "  --all             quantise embeddings, first and last layers, too\n"
        "  --shard-size SIZE several files of up to this size, and an index\n"
        "  --threads N       default: all processors\n"
        "  --quiet           no progress\n"
        "  --events          progress as JSON lines on standard output\n"
        "  --json            the result as JSON\n\nforms:\n");
    for (int i = 0; snug_convert_form(i); i++)
        (void)fprintf(to, "  %-10s %s\n", snug_convert_form(i), snug_convert_form_summary(i));
    return code;
}

static int fail_word(const char *word, const char *what)
{
    (void)fprintf(stderr, "snug: convert: %s %s\n", word, what);
    return CLI_USAGE;
}

static bool read_switch(Request *r, const char *word)
{
    bool *const flags[] = { &r->quiet, &r->events, &r->json, &r->help, &r->help, &r->options.all };
    static const char *const NAMES[] = { "--quiet", "--events", "--json", "--help", "-h", "--all" };
    for (int i = 0; i < 6; i++) {
        if (strcmp(word, NAMES[i]) != 0) continue;
        *flags[i] = true;
        return true;
    }
    return false;
}

static int read_value(Request *r, const char *name, const char *value)
{
    SnugError err = { { 0 } };
    char *end;
    if (strcmp(name, "--to") == 0) {
        r->options.form = value;
    } else if (strcmp(name, "--keep") == 0) {
        if (r->options.n_keep == MAX_KEEP) return fail_word(name, "is given too often");
        r->keep[r->options.n_keep++] = value;
    } else if (strcmp(name, "--shard-size") == 0) {
        if (snug_parse_bytes(value, &r->options.shard_bytes, &err) != SNUG_OK)
            return fail_word(name, err.text);
    } else if (strcmp(name, "--threads") == 0) {
        const long n = strtol(value, &end, 10);
        if (*end || end == value || n < 1 || n > 1024)
            return fail_word(name, "takes a number from 1 to 1024");
        r->options.threads = (int)n;
    } else {
        return fail_word(name, "is no option (snug convert --help)");
    }
    return 0;
}

static int read_words(Request *r, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (read_switch(r, argv[i])) continue;
        if (argv[i][0] != '-') {
            const char **to = r->options.input ? &r->options.output : &r->options.input;
            if (*to) return fail_word(argv[i], "is one word too many");
            *to = argv[i];
            continue;
        }
        if (i + 1 == argc) return fail_word(argv[i], "needs a value");
        const int code = read_value(r, argv[i], argv[i + 1]);
        if (code) return code;
        i++;
    }
    return 0;
}

static void print(const Request *r, const SnugConverted *c)
{
    const double rate = c->read_bytes / 1e6 / (c->seconds > 0 ? c->seconds : 1e-9);
    if (r->json || r->events) {
        int first = 1;
        (void)printf("{");
        json_out_member(&first, "output", r->options.output);
        json_out_number(&first, "files", c->files, 0);
        json_out_number(&first, "tensors", c->tensors, 0);
        json_out_number(&first, "changed", c->changed, 0);
        json_out_number(&first, "read_bytes", c->read_bytes, 0);
        json_out_number(&first, "written_bytes", c->written_bytes, 0);
        json_out_number(&first, "seconds", c->seconds, 3);
        json_out_number(&first, "mb_per_second", rate, 1);
        (void)printf("}\n");
        return;
    }
    (void)printf("%s: %d of %d tensors as %s, %.2f -> %.2f GB in %d file%s, %.1f s, %.0f MB/s\n",
                 r->options.output, c->changed, c->tensors, r->options.form, c->read_bytes / 1e9,
                 c->written_bytes / 1e9, c->files, c->files == 1 ? "" : "s", c->seconds, rate);
}

int cmd_convert(int argc, char **argv)
{
    Request r = { .options = { .cancel = transfer_cancel() } };
    const int code = read_words(&r, argc, argv);
    if (code) return code;
    if (r.help) return usage(stdout, 0);
    if (!r.options.input || !r.options.output || !r.options.form) return usage(stderr, CLI_USAGE);
    r.options.keep = r.keep;
    Transfer t;
    SnugConverted result;
    SnugError err = { { 0 } };
    transfer_init(&t, "converting", r.quiet, r.events);
    const SnugStatus status = snug_convert(&result, &r.options, transfer_event, &t, &err);
    transfer_end(&t);
    if (status != SNUG_OK) return cli_fail(status, &err);
    print(&r, &result);
    return 0;
}
