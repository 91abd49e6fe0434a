/* entry.c  Shapes and names of stored tensors. */
#include "formats/entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/sort.h"

bool entry_shape(const Entry *entry, Shape *out)
{
    if (entry->rank > TENSOR_MAX_RANK) return false;
    *out = (Shape){ .rank = entry->rank };
    for (int i = 0; i < entry->rank; i++)
        out->dim[i] = entry->dim[i];
    return true;
}

const char *entry_shape_text(const Entry *entry, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < entry->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "",
                                 (long long)entry->dim[i]);
    if (used < size) (void)snprintf(text + used, size - used, "]");
    return text;
}

bool entry_elements(const int64_t *dim, int32_t rank, int64_t *out)
{
    *out = 1;
    for (int32_t i = 0; i < rank; i++)
        if (!dim_mul(*out, dim[i], out)) return false;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

const Entry *entry_sort(const Entry **entries, const Entry **scratch, size_t n)
{
    sort_pointers((const void **)entries, (const void **)scratch, n, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(entries[i - 1]->name, entries[i]->name) == 0) return entries[i];
    return NULL;
}

static int name_against(const void *name, const void *at)
{
    return strcmp(name, (*(const Entry *const *)at)->name);
}

int32_t entry_find(const Entry *const *entries, int32_t n, const char *name)
{
    if (n == 0) return -1; /* bsearch wants an array even then */
    const Entry *const *found = bsearch(name, entries, (size_t)n, sizeof *entries, name_against);
    return found ? (int32_t)(found - entries) : -1;
}
