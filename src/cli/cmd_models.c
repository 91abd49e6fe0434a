/* cmd_models.c  snug models inspect PATH */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static int usage(FILE *to, int code)
{
    (void)fprintf(to, "usage: snug models inspect PATH [--json] [--tensors]\n\n"
                      "  PATH       model folder or weight file\n"
                      "  --tensors  list every tensor\n"
                      "  --json     as JSON\n");
    return code;
}

int cmd_models(int argc, char **argv)
{
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
        return usage(stdout, 0);
    if (argc < 2 || strcmp(argv[0], "inspect") != 0) return usage(stderr, CLI_USAGE);
    const char *path = NULL;
    bool json = false, tensors = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--tensors") == 0)
            tensors = true;
        else if (strcmp(argv[i], "--help") == 0)
            return usage(stdout, 0);
        else if (argv[i][0] == '-' || path)
            return usage(stderr, CLI_USAGE);
        else
            path = argv[i];
    }
    if (!path) return usage(stderr, CLI_USAGE);
    char *text = NULL;
    SnugError err = { { 0 } };
    const SnugStatus status = snug_models_inspect(&text, path, json, tensors, &err);
    if (status != SNUG_OK) return cli_fail(status, &err);
    (void)fputs(text, stdout);
    snug_text_free(text);
    return 0;
}
