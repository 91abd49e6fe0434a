/* cmd_models.c  snug models inspect PATH: what is in it; snug models verify PATH: is all of it fine. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/transfer.h"

/** The words of the command. */
typedef struct Request {
    const char *path;
    bool json, tensors, quiet, events, help;
} Request;

static int usage(FILE *to, int code)
{
    (void)fprintf(to, "usage: snug models inspect PATH [--json] [--tensors]\n"
                      "       snug models verify PATH [--json] [--quiet] [--events]\n\n"
                      "  PATH       model folder or weight file\n"
                      "  inspect    what it holds, by its headers\n"
                      "  verify     read every tensor: data, NaN and infinity, checksums\n"
                      "  --tensors  list every tensor\n"
                      "  --json     as JSON\n"
                      "  --quiet    no progress\n"
                      "  --events   progress as JSON lines on standard output\n");
    return code;
}

static bool read_words(Request *r, int argc, char **argv)
{
    bool *const flags[] = { &r->json, &r->tensors, &r->quiet, &r->events, &r->help, &r->help };
    static const char *const NAMES[] = { "--json",   "--tensors", "--quiet",
                                         "--events", "--help",    "-h" };
    for (int i = 0; i < argc; i++) {
        int k = 0;
        while (k < 6 && strcmp(argv[i], NAMES[k]) != 0)
            k++;
        if (k < 6)
            *flags[k] = true;
        else if (argv[i][0] == '-' || r->path)
            return false;
        else
            r->path = argv[i];
    }
    return true;
}

static int inspect(const Request *r)
{
    char *text = NULL;
    SnugError err = { { 0 } };
    const SnugStatus status = snug_models_inspect(&text, r->path, r->json, r->tensors, &err);
    if (status != SNUG_OK) return cli_fail(status, &err);
    (void)fputs(text, stdout);
    snug_text_free(text);
    return 0;
}

static int verify(const Request *r)
{
    Transfer t;
    SnugVerified found;
    SnugError err = { { 0 } };
    transfer_init(&t, "verifying", r->quiet, r->events);
    const SnugStatus status =
        snug_models_verify(&found, r->path, transfer_event, &t, transfer_cancel(), &err);
    transfer_end(&t);
    if (status != SNUG_OK) return cli_fail(status, &err);
    if (r->json || r->events) {
        int first = 1;
        (void)printf("{");
        json_out_member(&first, "path", r->path);
        json_out_member(&first, "is", found.what);
        json_out_number(&first, "files", found.files, 0);
        json_out_number(&first, "tensors", found.tensors, 0);
        json_out_number(&first, "bytes", found.bytes, 0);
        json_out_number(&first, "checksums", found.checksums, 0);
        (void)printf("}\n");
        return 0;
    }
    (void)printf("%s%s%s: %d tensors in %d file%s, %.2f GB: all can be read, no NaN, no infinity; ",
                 r->path, found.what[0] ? ": " : "", found.what, found.tensors, found.files,
                 found.files == 1 ? "" : "s", found.bytes / 1e9);
    if (found.checksums)
        (void)printf("%d checksum%s right\n", found.checksums, found.checksums == 1 ? "" : "s");
    else
        (void)printf("no checksums to compare\n");
    return 0;
}

int cmd_models(int argc, char **argv)
{
    Request r = { 0 };
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
        return usage(stdout, 0);
    if (argc < 1 || !read_words(&r, argc - 1, argv + 1)) return usage(stderr, CLI_USAGE);
    if (r.help) return usage(stdout, 0);
    if (!r.path) return usage(stderr, CLI_USAGE);
    if (strcmp(argv[0], "inspect") == 0) return inspect(&r);
    if (strcmp(argv[0], "verify") == 0) return verify(&r);
    return usage(stderr, CLI_USAGE);
}
