/* npy.c  Array data: read in chunks, swapped, widened, and put where C order wants them. */
#include "formats/npy.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"

enum { CHUNK_BYTES = 64 * 1024 };

typedef enum Wanted { WANT_F32, WANT_F64, WANT_I64 } Wanted;

typedef struct Reader {
    const char *path;
    NpyHeader header;
    Wanted wanted;
    void *to;
    /* Fortran order: where the next element goes, and the odometer that finds it */
    int64_t place, digit[NPY_MAX_RANK], stride[NPY_MAX_RANK];
    SnugError *err;
} Reader;

static void swap_bytes(unsigned char *at, int64_t n, size_t width)
{
    for (int64_t i = 0; i < n; i++, at += width) {
        for (size_t k = 0; k < width / 2; k++) {
            unsigned char byte = at[k];
            at[k] = at[width - 1 - k];
            at[width - 1 - k] = byte;
        }
    }
}

/* Place of the next element in C order; the file varies the first dimension fastest. */
static int64_t next_place(Reader *r)
{
    const int64_t now = r->place;
    for (int k = 0; k < r->header.rank; k++) {
        r->place += r->stride[k];
        if (++r->digit[k] < r->header.dim[k]) break;
        r->place -= r->stride[k] * r->header.dim[k];
        r->digit[k] = 0;
    }
    return now;
}

/* There are elements, so no dimension is 0 and no stride overflows. */
static void start_places(Reader *r)
{
    const NpyHeader *h = &r->header;
    int64_t stride = 1; /* of C order: the last dimension varies fastest */
    for (int k = h->rank - 1; k >= 0; k--) {
        r->stride[k] = stride;
        stride *= h->dim[k];
    }
    if (h->fortran_order) return;
    r->stride[0] = 1; /* file order is C order: a single digit that never turns over */
    r->header.dim[0] = INT64_MAX;
    r->header.rank = 1;
}

static bool is_float(DType type)
{
    return type == DT_F16 || type == DT_F32 || type == DT_F64;
}

/* A whole number of the file; false when it does not fit i64. */
static bool load_i64(DType type, const unsigned char *at, int64_t *out)
{
    uint64_t bits = 0;
    const int width = dtype_info(type)->bytes * 8;
    for (int i = width / 8 - 1; i >= 0; i--)
        bits = bits << 8 | at[i];
    const bool is_signed = type == DT_I8 || type == DT_I16 || type == DT_I32 || type == DT_I64;
    if (is_signed && width < 64 && bits >> (width - 1)) bits |= ~(uint64_t)0 << width;
    if (type == DT_BOOL) bits = bits != 0;
    *out = (int64_t)bits;
    return is_signed || bits <= INT64_MAX;
}

static double load_f64(DType type, const unsigned char *at)
{
    float single;
    double value;
    int64_t whole;
    if (type == DT_F64) {
        memcpy(&value, at, sizeof value);
        return value;
    }
    if (is_float(type)) {
        (void)dtype_widen(type, at, &single, 1);
        return (double)single;
    }
    return load_i64(type, at, &whole) ? (double)whole : (double)(uint64_t)whole;
}

/* One element to its place; false when it does not fit. */
static bool put(Reader *r, const unsigned char *at, int64_t place)
{
    const DType type = r->header.dtype;
    if (r->wanted == WANT_I64) return load_i64(type, at, &((int64_t *)r->to)[place]);
    double value = load_f64(type, at);
    if (r->wanted == WANT_F64) {
        ((double *)r->to)[place] = value;
        return true;
    }
    if (fabs(value) > (double)FLT_MAX && isfinite(value) && isinf((float)value)) return false;
    ((float *)r->to)[place] = (float)value;
    return true;
}

static SnugStatus put_chunk(Reader *r, unsigned char *bytes, int64_t n)
{
    const size_t width = (size_t)dtype_info(r->header.dtype)->bytes;
    if (r->header.big_endian) swap_bytes(bytes, n, width);
    for (int64_t i = 0; i < n; i++) {
        int64_t place = next_place(r);
        if (!put(r, bytes + (size_t)i * width, place))
            return fault_set(r->err, FAULT_TOO_LARGE, r->path, "npy", "data",
                             "a value does not fit %s", r->wanted == WANT_I64 ? "i64" : "f32");
    }
    return SNUG_OK;
}

static SnugStatus read_chunks(Reader *r, const File *file, unsigned char *chunk)
{
    const size_t width = (size_t)dtype_info(r->header.dtype)->bytes;
    size_t offset = r->header.data_offset;
    for (int64_t left = r->header.count; left > 0;) {
        int64_t n = CHUNK_BYTES / (int64_t)width;
        if (n > left) n = left;
        TRY(file_pread_all(file, offset, chunk, (size_t)n * width, r->err));
        TRY(put_chunk(r, chunk, n));
        offset += (size_t)n * width;
        left -= n;
    }
    return SNUG_OK;
}

static SnugStatus read_data(Reader *r, Heap *heap, const File *file)
{
    const NpyHeader *h = &r->header;
    if (h->count == 0) return SNUG_OK;
    if (h->dtype == DT_F32 && r->wanted == WANT_F32 && !h->big_endian && !h->fortran_order)
        return file_pread_all(file, h->data_offset, r->to, h->bytes, r->err);
    unsigned char *chunk = heap_take(heap, CHUNK_BYTES, "npy");
    if (!chunk) return error_set(r->err, SNUG_ERR_MEMORY, "%s: no memory to read it", r->path);
    start_places(r);
    SnugStatus status = read_chunks(r, file, chunk);
    heap_give(heap, chunk);
    return status;
}

static SnugStatus read_open(Reader *r, Arena *arena, const File *file, NpyArray *out)
{
    TRY(npy_read_header(file, &r->header, r->err));
    const NpyHeader *h = &r->header;
    if (r->wanted == WANT_I64 && is_float(h->dtype))
        return fault_set(r->err, FAULT_MISMATCH, r->path, "npy", "descr",
                         "got %s, expected whole numbers", dtype_name(h->dtype));
    const size_t item = r->wanted == WANT_F32 ? sizeof(float) : sizeof(double);
    r->to = arena_array(arena, (size_t)h->count, item);
    if (!r->to)
        return error_set(r->err, SNUG_ERR_MEMORY, "%s: no memory for %lld numbers", r->path,
                         (long long)h->count);
    out->rank = h->rank;
    memcpy(out->dim, h->dim, sizeof out->dim);
    out->count = h->count;
    return read_data(r, arena->heap, file);
}

static SnugStatus read_as(Arena *arena, const char *path, Wanted wanted, NpyArray *out,
                          SnugError *err)
{
    File *file;
    Reader r = { .path = path, .wanted = wanted, .err = err };
    *out = (NpyArray){ 0 };
    TRY(file_open(&file, arena->heap, path, err));
    SnugStatus status = read_open(&r, arena, file, out);
    file_close(file);
    if (status != SNUG_OK) {
        *out = (NpyArray){ 0 };
        return status;
    }
    if (wanted == WANT_F32) out->f32 = r.to;
    if (wanted == WANT_F64) out->f64 = r.to;
    if (wanted == WANT_I64) out->i64 = r.to;
    return SNUG_OK;
}

SnugStatus npy_read_f32(Arena *arena, const char *path, NpyArray *out, SnugError *err)
{
    return read_as(arena, path, WANT_F32, out, err);
}

SnugStatus npy_read_f64(Arena *arena, const char *path, NpyArray *out, SnugError *err)
{
    return read_as(arena, path, WANT_F64, out, err);
}

SnugStatus npy_read_i64(Arena *arena, const char *path, NpyArray *out, SnugError *err)
{
    return read_as(arena, path, WANT_I64, out, err);
}
