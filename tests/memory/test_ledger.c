/* test_ledger.c  Rows, sums and peaks, also from several threads. */
#include "test.h"

#include <stdio.h>

#include "memory/ledger.h"

TEST(ledger, keeps_now_and_peak_by_label_and_tier)
{
    Ledger l;
    LedgerRow rows[LEDGER_ROWS];
    ledger_init(&l);
    const int a = ledger_row(&l, "weights vae", LEDGER_DEVICE),
              b = ledger_row(&l, "weights vae", LEDGER_HOST),
              c = ledger_row(&l, "tensors", LEDGER_DEVICE);
    CHECK(a != b && b != c && a == ledger_row(&l, "weights vae", LEDGER_DEVICE));
    ledger_book(&l, a, 100);
    ledger_set(&l, c, 50);
    ledger_book(&l, b, 7);
    ledger_book(&l, a, -60);
    ledger_set(&l, c, 20);
    CHECK_INT(ledger_rows(&l, rows, LEDGER_ROWS), 3);
    CHECK_INT(rows[a].now_bytes, 40);
    CHECK_INT(rows[a].peak_bytes, 100);
    CHECK_INT(rows[c].now_bytes, 20);
    CHECK_INT(ledger_total(&l, LEDGER_DEVICE).now_bytes, 60);
    CHECK_INT(ledger_total(&l, LEDGER_DEVICE).peak_bytes, 150);
    CHECK_INT(ledger_total(&l, LEDGER_HOST).peak_bytes, 7);
    ledger_reset(&l);
    CHECK_INT(ledger_total(&l, LEDGER_DEVICE).peak_bytes, 0);
    ledger_release(&l);
}

TEST(ledger, more_out_than_in_is_all)
{
    Ledger l;
    ledger_init(&l);
    const int a = ledger_row(&l, "a", LEDGER_DEVICE), b = ledger_row(&l, "b", LEDGER_DEVICE);
    ledger_book(&l, a, 10);
    ledger_book(&l, b, 5);
    ledger_book(&l, a, -1000);
    CHECK_INT(ledger_total(&l, LEDGER_DEVICE).now_bytes, 5);
    ledger_release(&l);
}

TEST(ledger, a_full_book_puts_the_rest_into_its_last_row)
{
    Ledger l;
    LedgerRow rows[LEDGER_ROWS];
    ledger_init(&l);
    for (int i = 0; i < 3 * LEDGER_ROWS; i++) {
        char label[100];
        (void)snprintf(label, sizeof label, "a label that is longer than a row can hold %d", i);
        if (i % 2) (void)snprintf(label, sizeof label, "%d", i);
        ledger_book(&l, ledger_row(&l, label, LEDGER_HOST), 1);
    }
    CHECK_INT(ledger_rows(&l, rows, LEDGER_ROWS), LEDGER_ROWS);
    CHECK_TEXT(rows[LEDGER_ROWS - 1].label, "other");
    CHECK_INT(ledger_total(&l, LEDGER_HOST).now_bytes, 3 * LEDGER_ROWS);
    ledger_release(&l);
}

static void *book_and_unbook(void *context)
{
    Ledger *l = context;
    const int row = ledger_row(l, "shared", LEDGER_DEVICE);
    for (int i = 0; i < 20000; i++) {
        ledger_book(l, row, 3);
        ledger_book(l, row, -3);
    }
    return NULL;
}

TEST(ledger, threads_may_book_at_the_same_time)
{
    Ledger l;
    pthread_t other;
    ledger_init(&l);
    CHECK(pthread_create(&other, NULL, book_and_unbook, &l) == 0);
    (void)book_and_unbook(&l);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK_INT(ledger_total(&l, LEDGER_DEVICE).now_bytes, 0);
    CHECK(ledger_total(&l, LEDGER_DEVICE).peak_bytes <= 6);
    ledger_release(&l);
}
