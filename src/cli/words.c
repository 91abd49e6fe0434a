/* words.c  "--name value", "--name=value", "--flag", and at most one other word. */
#include "cli/words.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const Word *find(const Word *table, const char *word)
{
    const size_t n = strcspn(word, "=");
    for (; table->name; table++)
        if (strlen(table->name) == n && strncmp(table->name, word, n) == 0) return table;
    return NULL;
}

static int wrong(const char *command, const char *word, const char *why)
{
    (void)fprintf(stderr, "snug: %s: %.80s: %s (--help lists the options)\n", command, word, why);
    return CLI_USAGE;
}

static int set_number(const Word *row, const char *value, const char *command)
{
    char *end, why[96];
    const double number = strtod(value, &end);
    const bool good = end != value && !*end && number >= row->min && number <= row->max;
    if (good && row->number) {
        *row->number = number;
        return 0;
    }
    if (good && number == (double)(int)number) {
        *row->count = (int)number;
        return 0;
    }
    (void)snprintf(why, sizeof why, "\"%.20s\" is no %snumber from %.10g to %.10g", value,
                   row->count ? "whole " : "", row->min, row->max);
    return wrong(command, row->name, why);
}

int words_read(const Word *table, const char **other, const char *command, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const Word *row = find(table, argv[i]);
        const char *value = strchr(argv[i], '=');
        if (!row) {
            if (argv[i][0] == '-' || !other) return wrong(command, argv[i], "is not an option");
            if (*other) return wrong(command, argv[i], "one word too many");
            *other = argv[i];
            continue;
        }
        if (row->flag) {
            if (value) return wrong(command, row->name, "takes no value");
            *row->flag = true;
            continue;
        }
        if (value)
            value++;
        else if (i + 1 < argc)
            value = argv[++i];
        else
            return wrong(command, row->name, "needs a value");
        if (row->text)
            *row->text = value;
        else if (set_number(row, value, command))
            return CLI_USAGE;
    }
    return 0;
}
