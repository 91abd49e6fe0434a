/* cmd_fonts.c  snug fonts [FOLDER]: font files and the scripts they can write. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/words.h"

static int usage(FILE *to, int code)
{
    (void)fprintf(to,
                  "usage: snug fonts [FOLDER] [--json]\n\n"
                  "Font files below FOLDER (default: where Debian's packages put them), and the\n"
                  "scripts they can write. `snug run ad --font` takes any of the names.\n");
    return code;
}

int cmd_fonts(int argc, char **argv)
{
    bool json = false, help = false;
    const char *folder = NULL;
    const Word table[] = { { .name = "--json", .flag = &json },
                           { .name = "--help", .flag = &help },
                           { .name = "-h", .flag = &help },
                           { .name = NULL } };
    const int code = words_read(table, &folder, "fonts", argc, argv);
    if (code) return code;
    if (help) return usage(stdout, 0);
    SnugError err = { { 0 } };
    char *text = NULL;
    const char *const folders[] = { folder, NULL };
    const SnugStatus status = snug_fonts_list(&text, folder ? folders : NULL, json, &err);
    if (status != SNUG_OK) return cli_fail(status, &err);
    (void)fputs(text, stdout);
    snug_text_free(text);
    return 0;
}
