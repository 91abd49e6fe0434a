/* npy_header.c  The header is a Python dict literal: a tokenizer for exactly its three keys. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "formats/entry.h"
#include "formats/npy.h"

static const char FORMAT[] = "npy";

typedef struct Parser {
    const char *text;
    size_t n, at;
    const char *path;
    SnugError *err;
} Parser;

static SnugStatus fail(const Parser *p, Fault fault, const char *what)
{
    char where[48];
    (void)snprintf(where, sizeof where, "header byte %zu", p->at);
    return fault_set(p->err, fault, p->path, FORMAT, where, "%s", what);
}

/* Next character after white space, 0 at the end. */
static char peek(Parser *p)
{
    while (p->at < p->n && p->text[p->at] && strchr(" \t\r\n", p->text[p->at]))
        p->at++;
    return p->at < p->n ? p->text[p->at] : '\0';
}

static bool accept(Parser *p, char c)
{
    if (peek(p) != c) return false;
    p->at++;
    return true;
}

static bool accept_word(Parser *p, const char *word)
{
    size_t n = strlen(word);
    (void)peek(p);
    if (p->n - p->at < n || memcmp(p->text + p->at, word, n) != 0) return false;
    p->at += n;
    return true;
}

/* 'text' or "text"; escapes do not occur in what we accept. */
static bool quoted(Parser *p, TextView *out)
{
    char quote = peek(p);
    if (quote != '\'' && quote != '"') return false;
    const char *from = p->text + p->at + 1;
    const char *end = memchr(from, quote, p->n - p->at - 1);
    if (!end) return false;
    *out = (TextView){ .at = from, .n = (size_t)(end - from) };
    p->at = (size_t)(end + 1 - p->text);
    return memchr(from, '\\', out->n) == NULL;
}

static SnugStatus parse_descr(Parser *p, NpyHeader *out)
{
    static const struct {
        const char *name;
        DType dtype;
    } TYPES[] = {
        { "f2", DT_F16 }, { "f4", DT_F32 }, { "f8", DT_F64 }, { "i1", DT_I8 },
        { "i2", DT_I16 }, { "i4", DT_I32 }, { "i8", DT_I64 }, { "u1", DT_U8 },
        { "u2", DT_U16 }, { "u4", DT_U32 }, { "u8", DT_U64 }, { "b1", DT_BOOL },
    };
    TextView descr;
    char shown[TEXT_ESCAPED], what[TEXT_ESCAPED + 64];
    if (peek(p) == '[') return fail(p, FAULT_UNSUPPORTED, "structured dtypes");
    if (!quoted(p, &descr)) return fail(p, FAULT_BAD, "descr is not a string");
    TextView type = descr;
    char order = type.n ? type.at[0] : '\0';
    if (order && strchr("<>=|", order)) type = (TextView){ type.at + 1, type.n - 1 };
    if (type.n && type.at[0] == 'O')
        return fail(p, FAULT_UNSAFE, "an object array is a pickle, which could run code");
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        if (!text_is(type, TYPES[i].name)) continue;
        out->dtype = TYPES[i].dtype;
        out->big_endian = order == '>';
        return SNUG_OK;
    }
    (void)snprintf(what, sizeof what, "dtype '%s'", text_escape(shown, descr.at, descr.n));
    return fail(p, FAULT_UNSUPPORTED, what);
}

static SnugStatus parse_order(Parser *p, NpyHeader *out)
{
    out->fortran_order = accept_word(p, "True");
    if (!out->fortran_order && !accept_word(p, "False"))
        return fail(p, FAULT_BAD, "fortran_order is neither True nor False");
    return SNUG_OK;
}

static SnugStatus parse_dim(Parser *p, int64_t *out)
{
    int64_t value = 0;
    char c = peek(p);
    if (c == '-') return fail(p, FAULT_BAD, "negative dimension");
    if (c < '0' || c > '9') return fail(p, FAULT_BAD, "shape is not a tuple of whole numbers");
    for (; p->at < p->n && p->text[p->at] >= '0' && p->text[p->at] <= '9'; p->at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, p->text[p->at] - '0', &value))
            return fail(p, FAULT_OVERFLOW, "dimension does not fit 63 bits");
    if (p->at < p->n && p->text[p->at] == 'L') p->at++; /* written by Python 2 */
    *out = value;
    return SNUG_OK;
}

/* (), (3,), (2, 3) */
static SnugStatus parse_shape(Parser *p, NpyHeader *out)
{
    if (!accept(p, '(')) return fail(p, FAULT_BAD, "shape is not a tuple");
    bool comma = true;
    out->rank = 0;
    while (!accept(p, ')')) {
        if (!comma) return fail(p, FAULT_BAD, "shape is not a tuple of whole numbers");
        if (out->rank == NPY_MAX_RANK) return fail(p, FAULT_TOO_LARGE, "over 32 dimensions");
        TRY(parse_dim(p, &out->dim[out->rank++]));
        comma = accept(p, ',');
    }
    if (out->rank == 1 && !comma) return fail(p, FAULT_BAD, "shape is not a tuple");
    return SNUG_OK;
}

static SnugStatus parse_dict(Parser *p, NpyHeader *out)
{
    enum { DESCR = 1, ORDER = 2, SHAPE_KEY = 4, ALL = 7 };
    int seen = 0;
    bool comma = true;
    if (!accept(p, '{')) return fail(p, FAULT_BAD, "not a dictionary");
    while (!accept(p, '}')) {
        TextView key;
        if (!comma || !quoted(p, &key)) return fail(p, FAULT_BAD, "expected a key");
        int which = text_is(key, "descr")           ? DESCR
                    : text_is(key, "fortran_order") ? ORDER
                    : text_is(key, "shape")         ? SHAPE_KEY
                                                    : 0;
        if (!which) return fail(p, FAULT_BAD, "unknown key");
        if (seen & which) return fail(p, FAULT_DUPLICATE, "key given twice");
        seen |= which;
        if (!accept(p, ':')) return fail(p, FAULT_BAD, "expected ':'");
        TRY(which == DESCR   ? parse_descr(p, out)
            : which == ORDER ? parse_order(p, out)
                             : parse_shape(p, out));
        comma = accept(p, ',');
    }
    if (seen != ALL) return fail(p, FAULT_MISSING, "one of descr, fortran_order, shape");
    if (peek(p) || p->at < p->n) return fail(p, FAULT_BAD, "text after the dictionary");
    return SNUG_OK;
}

/* Sizes must fit, and the file must end with the data. */
static SnugStatus check_size(NpyHeader *h, size_t file_bytes, const char *path, SnugError *err)
{
    if (!entry_elements(h->dim, h->rank, &h->count) ||
        !dtype_bytes(h->dtype, h->count, &h->bytes) || h->bytes > INT64_MAX)
        return fault_set(err, FAULT_OVERFLOW, path, FORMAT, "shape",
                         "the size of the array does not fit 63 bits");
    const size_t data = file_bytes - h->data_offset;
    if (h->bytes == data) return SNUG_OK;
    return fault_set(err, h->bytes > data ? FAULT_TRUNCATED : FAULT_HOLE, path, FORMAT, "data",
                     "got %zu bytes, expected %zu", data, h->bytes);
}

SnugStatus npy_parse_header(const void *head, size_t n, size_t file_bytes, const char *path,
                            NpyHeader *out, SnugError *err)
{
    const unsigned char *u = head;
    *out = (NpyHeader){ .dtype = DT_F32 };
    if (n < 10 || memcmp(u, "\x93NUMPY", 6) != 0)
        return fault_set(err, n < 10 ? FAULT_TRUNCATED : FAULT_BAD_MAGIC, path, FORMAT, NULL,
                         "not a NumPy array");
    const int major = u[6], minor = u[7];
    if (major < 1 || major > 3 || minor != 0)
        return fault_set(err, FAULT_BAD_VERSION, path, FORMAT, NULL,
                         "got %d.%d, expected 1.0 to "
                         "3.0",
                         major, minor);
    const size_t lead = major == 1 ? 10 : 12;
    size_t length = (size_t)u[8] | (size_t)u[9] << 8;
    if (major > 1 && n >= lead) length |= (size_t)u[10] << 16 | (size_t)u[11] << 24;
    if (n >= lead && length > NPY_MAX_HEADER)
        return fault_set(err, FAULT_TOO_LARGE, path, FORMAT, "header", "got %zu bytes, limit %d",
                         length, NPY_MAX_HEADER);
    if (n < lead || length > n - lead)
        return fault_set(err, FAULT_TRUNCATED, path, FORMAT, "header", "it ends past the file");
    Parser p = { .text = (const char *)u + lead, .n = length, .path = path, .err = err };
    size_t bad = text_utf8_check(p.text, p.n);
    if (major == 3 && bad < p.n)
        return fault_set(err, FAULT_BAD_TEXT, path, FORMAT, "header", "invalid UTF-8");
    TRY(parse_dict(&p, out));
    out->data_offset = lead + length;
    return check_size(out, file_bytes, path, err);
}

SnugStatus npy_read_header(const File *file, NpyHeader *out, SnugError *err)
{
    unsigned char head[NPY_MAX_HEADER + 12];
    const size_t bytes = file_bytes(file), n = bytes < sizeof head ? bytes : sizeof head;
    TRY(file_refuse_impostor(file, FORMAT, err));
    TRY(file_pread_all(file, 0, head, n, err));
    return npy_parse_header(head, n, bytes, file_path(file), out, err);
}
