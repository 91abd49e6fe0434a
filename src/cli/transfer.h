/* transfer.h  What convert and verify share: progress with a rate, and a clean end on Ctrl-C. */
#ifndef CLI_TRANSFER_H
#define CLI_TRANSFER_H

#include "cli/cli.h"

typedef struct Transfer {
    CliProgress progress; /**< of --events */
    const char *verb;     /**< "converting" */
    double told;          /**< s */
} Transfer;

void transfer_init(Transfer *transfer, const char *verb, bool quiet, bool events);
/** A SnugEventFunction. */
void transfer_event(void *transfer, const SnugEvent *event);
/** End the line that was rewritten. */
void transfer_end(Transfer *transfer);
/** Non-zero once the user asked to stop; set up by transfer_init. */
const volatile int *transfer_cancel(void);

#endif
