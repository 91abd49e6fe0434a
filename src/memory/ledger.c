/* ledger.c  A short table under a lock. */
#include "memory/ledger.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void ledger_init(Ledger *ledger)
{
    *ledger = (Ledger){ .n_rows = 0 };
    (void)pthread_mutex_init(&ledger->lock, NULL);
}

void ledger_release(Ledger *ledger)
{
    (void)pthread_mutex_destroy(&ledger->lock);
}

static int find_or_make(Ledger *l, const char *label, LedgerTier tier)
{
    for (int i = 0; i < l->n_rows; i++)
        if (l->rows[i].tier == tier && strncmp(l->rows[i].label, label, LEDGER_LABEL - 1) == 0)
            return i;
    if (l->n_rows == LEDGER_ROWS) return LEDGER_ROWS - 1;
    LedgerRow *row = &l->rows[l->n_rows];
    *row = (LedgerRow){ .tier = tier };
    (void)snprintf(row->label, sizeof row->label, "%s",
                   l->n_rows == LEDGER_ROWS - 1 ? "other" : label);
    return l->n_rows++;
}

int ledger_row(Ledger *ledger, const char *label, LedgerTier tier)
{
    pthread_mutex_lock(&ledger->lock);
    const int row = find_or_make(ledger, label, tier);
    pthread_mutex_unlock(&ledger->lock);
    return row;
}

static void move(LedgerRow *row, int64_t bytes)
{
    if (bytes < 0 && (size_t)-bytes > row->now_bytes)
        row->now_bytes = 0;
    else
        row->now_bytes += (size_t)bytes;
    if (row->now_bytes > row->peak_bytes) row->peak_bytes = row->now_bytes;
}

/* Under the lock. The tier moves by what the row really moved. */
static void book(Ledger *l, int row, int64_t bytes)
{
    const size_t before = l->rows[row].now_bytes;
    move(&l->rows[row], bytes);
    move(&l->total[l->rows[row].tier], (int64_t)(l->rows[row].now_bytes - before));
}

void ledger_book(Ledger *ledger, int row, int64_t bytes)
{
    pthread_mutex_lock(&ledger->lock);
    book(ledger, row, bytes);
    pthread_mutex_unlock(&ledger->lock);
}

void ledger_set(Ledger *ledger, int row, size_t bytes)
{
    pthread_mutex_lock(&ledger->lock);
    book(ledger, row, (int64_t)(bytes - ledger->rows[row].now_bytes));
    pthread_mutex_unlock(&ledger->lock);
}

void ledger_reset(Ledger *ledger)
{
    pthread_mutex_lock(&ledger->lock);
    for (int i = 0; i < ledger->n_rows; i++)
        ledger->rows[i].now_bytes = ledger->rows[i].peak_bytes = 0;
    for (int i = 0; i < LEDGER_TIERS; i++)
        ledger->total[i].now_bytes = ledger->total[i].peak_bytes = 0;
    pthread_mutex_unlock(&ledger->lock);
}

LedgerRow ledger_total(Ledger *ledger, LedgerTier tier)
{
    pthread_mutex_lock(&ledger->lock);
    LedgerRow total = ledger->total[tier];
    pthread_mutex_unlock(&ledger->lock);
    total.tier = tier;
    return total;
}

int ledger_rows(Ledger *ledger, LedgerRow *out, int max)
{
    pthread_mutex_lock(&ledger->lock);
    const int n = ledger->n_rows;
    for (int i = 0; i < n && i < max; i++)
        out[i] = ledger->rows[i];
    pthread_mutex_unlock(&ledger->lock);
    return n;
}

const char *ledger_tier_name(LedgerTier tier)
{
    return tier == LEDGER_HOST ? "host" : "device";
}
