/* ledger.h  Who holds how much of which tier, now and at most: the book of everything in slabs.
 *
 * Rows are labels in a tier ("weights text_encoder" on the device). Blocks outside slabs are in the
 * heap's own book (base/heap.h); reports print both. */
#ifndef MEMORY_LEDGER_H
#define MEMORY_LEDGER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

typedef enum LedgerTier {
    LEDGER_DEVICE = 0, /**< where operations read and write; with one tier the process's memory */
    LEDGER_HOST,       /**< host memory before a device that has its own */
    LEDGER_TIERS
} LedgerTier;

enum { LEDGER_ROWS = 48, LEDGER_LABEL = 40 };

typedef struct LedgerRow {
    char label[LEDGER_LABEL];
    LedgerTier tier;
    size_t now_bytes, peak_bytes;
} LedgerRow;

/** Fields are private. Threads: any, after ledger_init. */
typedef struct Ledger {
    pthread_mutex_t lock;
    LedgerRow rows[LEDGER_ROWS];
    int n_rows;
    LedgerRow total[LEDGER_TIERS];
} Ledger;

void ledger_init(Ledger *ledger);
void ledger_release(Ledger *ledger);

/** Row of that label and tier, made if it is new; when the book is full its last row takes all. */
int ledger_row(Ledger *ledger, const char *label, LedgerTier tier);
/** Book bytes in (> 0) or out (< 0). More out than there is counts as all. */
void ledger_book(Ledger *ledger, int row, int64_t bytes);
/** Book so that the row holds `bytes`. */
void ledger_set(Ledger *ledger, int row, size_t bytes);
/** All rows at zero, peaks too: another run begins. */
void ledger_reset(Ledger *ledger);

/** Sum over a tier, with the highest sum there was. */
LedgerRow ledger_total(Ledger *ledger, LedgerTier tier);
/** Copy up to `max` rows; returns how many there are. */
int ledger_rows(Ledger *ledger, LedgerRow *out, int max);

/** "device", "host". */
const char *ledger_tier_name(LedgerTier tier);

#endif
