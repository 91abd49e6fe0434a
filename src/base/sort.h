/* sort.h  Stable merge sort of pointers: never worse than n log n on hostile input, no hidden
 * allocation (the C library's qsort promises neither). */
#ifndef BASE_SORT_H
#define BASE_SORT_H

#include <stddef.h>

/** < 0, 0 or > 0 as a comes before, with or after b. */
typedef int SortCompare(const void *a, const void *b);

/** Sort items[0..n-1]; `scratch` has room for n pointers too. */
void sort_pointers(const void **items, const void **scratch, size_t n, SortCompare *compare);

/** Compare C strings by bytes: for arrays of `const char *`. */
int sort_by_text(const void *a, const void *b);

#endif
