/* sort.c  Bottom-up merge sort: runs of 1, 2, 4, ... are merged from one array into the other. */
#include "base/sort.h"

#include <stdbool.h>
#include <string.h>

static void merge(const void **to, const void *const *from, size_t low, size_t middle, size_t high,
                  SortCompare *compare)
{
    size_t a = low, b = middle;
    for (size_t i = low; i < high; i++) {
        bool left = a < middle && (b >= high || compare(from[a], from[b]) <= 0);
        to[i] = left ? from[a++] : from[b++];
    }
}

void sort_pointers(const void **items, const void **scratch, size_t n, SortCompare *compare)
{
    const void **from = items, **to = scratch;
    for (size_t run = 1; run<n; run = run> n / 2 ? n : 2 * run) {
        for (size_t low = 0; low < n; low += 2 * run) {
            size_t middle = n - low < run ? n : low + run;
            size_t high = n - low < 2 * run ? n : low + 2 * run;
            merge(to, from, low, middle, high, compare);
        }
        const void **swap = from;
        from = to;
        to = swap;
    }
    if (from != items && n) memcpy(items, from, n * sizeof *items);
}

int sort_by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}
