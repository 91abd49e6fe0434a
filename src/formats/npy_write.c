/* npy_write.c  Version 1.0, little-endian, C order. */
#include "formats/npy_write.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/outfile.h"
#include "base/size.h"
#include "formats/entry.h"
#include "formats/npy.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie");

struct NpyWriter {
    Heap *heap;
    OutFile *file;
    int64_t count, written;
};

/* Data begin at a multiple of 64; as numpy, leave room for 21 digits of the first dimension. */
static SnugStatus write_header(OutFile *file, const int64_t *dim, int rank, SnugError *err)
{
    enum { LEAD = 10, ALIGN = 64, GROWTH_DIGITS = 21 };
    char text[1024];
    size_t n =
        (size_t)snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++) /* at most 32 of 21 characters */
        n +=
            (size_t)snprintf(text + n, sizeof text - n, "%s%lld", i ? ", " : "", (long long)dim[i]);
    n += (size_t)snprintf(text + n, sizeof text - n, "%s), }", rank == 1 ? "," : "");
    char first[32];
    if (rank > 0)
        n += (size_t)snprintf(
            text + n, sizeof text - n, "%*s",
            GROWTH_DIGITS - snprintf(first, sizeof first, "%lld", (long long)dim[0]), "");
    const size_t padded = size_align(LEAD + n + 1, ALIGN) - LEAD;
    memset(text + n, ' ', padded - 1 - n);
    text[padded - 1] = '\n';
    const unsigned char lead[LEAD] = { 0x93,
                                       'N',
                                       'U',
                                       'M',
                                       'P',
                                       'Y',
                                       1,
                                       0,
                                       (unsigned char)(padded & 255),
                                       (unsigned char)(padded >> 8) };
    TRY(outfile_write(file, lead, sizeof lead, err));
    return outfile_write(file, text, padded, err);
}

static SnugStatus begin(NpyWriter *w, const char *path, const int64_t *dim, int rank,
                        SnugError *err)
{
    size_t bytes;
    bool fits = rank >= 0 && rank <= NPY_MAX_RANK;
    for (int i = 0; fits && i < rank; i++)
        fits = dim[i] >= 0;
    if (!fits || !entry_elements(dim, rank, &w->count) ||
        !size_mul((size_t)w->count, sizeof(float), &bytes) || bytes > INT64_MAX / 2)
        return error_set(err, SNUG_ERR_ARG, "%s: its shape cannot be stored", path);
    TRY(outfile_open(&w->file, w->heap, path, err));
    TRY(outfile_reserve(w->file, bytes, err));
    return write_header(w->file, dim, rank, err);
}

SnugStatus npy_create(NpyWriter **out, Heap *heap, const char *path, const int64_t *dim, int rank,
                      SnugError *err)
{
    *out = NULL;
    NpyWriter *w = heap_take(heap, sizeof *w, "npy");
    if (!w) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to write it", path);
    w->heap = heap;
    SnugStatus status = begin(w, path, dim, rank, err);
    if (status == SNUG_OK)
        *out = w;
    else
        npy_close(w);
    return status;
}

SnugStatus npy_append(NpyWriter *w, const float *values, int64_t n, SnugError *err)
{
    if (n < 0 || n > w->count - w->written)
        return error_set(err, SNUG_ERR_INTERNAL, "npy: %lld numbers appended, room for %lld",
                         (long long)n, (long long)(w->count - w->written));
    TRY(outfile_write(w->file, values, (size_t)n * sizeof *values, err));
    w->written += n;
    return SNUG_OK;
}

SnugStatus npy_commit(NpyWriter *w, SnugError *err)
{
    if (w->written != w->count)
        return error_set(err, SNUG_ERR_INTERNAL, "npy: %lld of %lld numbers were written",
                         (long long)w->written, (long long)w->count);
    return outfile_commit(w->file, err);
}

void npy_close(NpyWriter *w)
{
    if (!w) return;
    outfile_close(w->file);
    heap_give(w->heap, w);
}

SnugStatus npy_write_f32(Heap *heap, const char *path, const float *values, const int64_t *dim,
                         int rank, SnugError *err)
{
    NpyWriter *w;
    TRY(npy_create(&w, heap, path, dim, rank, err));
    SnugStatus status = npy_append(w, values, w->count, err);
    if (status == SNUG_OK) status = npy_commit(w, err);
    npy_close(w);
    return status;
}
