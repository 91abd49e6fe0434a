/* words.h  Words of small commands by a table: flags, numbers with a range, texts. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stdbool.h>
#include <stdio.h>

/** One option; exactly one of the four places is set. A row without a name ends the table. */
typedef struct Word {
    const char *name; /**< "--json" */
    bool *flag;
    double *number; /**< within min..max */
    int *count;     /**< whole, within min..max */
    const char **text;
    double min, max;
} Word;

/** Read the words; *other is the one word that is no option (NULL other: none is allowed). Says what
 *  is wrong, naming `command`. Returns an exit code, 0 for success. */
int words_read(const Word *table, const char **other, const char *command, int argc, char **argv);

#endif
