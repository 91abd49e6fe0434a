/* zip.c  From the end of the file backwards: end record, zip64 end, directory, local headers. */
#include "formats/zip.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "base/sort.h"

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    MAX_COMMENT = 65535,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    EXTRA_ZIP64 = 1
};

static const char LOCAL[] = "PK\3\4", CENTRAL[] = "PK\1\2", END[] = "PK\5\6", END64[] = "PK\6\6",
                  LOCATOR[] = "PK\6\7";

typedef struct Reader {
    const File *file;
    const char *format;
    Arena *arena, *scratch;
    SnugError *err;
    uint64_t n, directory_at, directory_bytes; /* as the end records say */
    ZipMember *members;                        /* in the order of the directory */
    size_t *begin;                             /* of each member's local header */
} Reader;

static uint64_t number(const unsigned char *at, int width)
{
    uint64_t value = 0;
    for (int i = width - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static SnugStatus no_memory(const Reader *r)
{
    return error_set(r->err, SNUG_ERR_MEMORY, "%s: %s: no memory for the directory",
                     file_path(r->file), r->format);
}

static SnugStatus fail(const Reader *r, Fault fault, const char *where, const char *what)
{
    return fault_set(r->err, fault, file_path(r->file), r->format, where, "%s", what);
}

/* ---- end records ---------------------------------------------------------------------------- */

static SnugStatus find_end(const Reader *r, unsigned char *tail, size_t n, size_t *at)
{
    TRY(file_pread_all(r->file, file_bytes(r->file) - n, tail, n, r->err));
    for (size_t i = n < END_BYTES ? 0 : n - END_BYTES + 1; i-- > 0;) {
        if (memcmp(tail + i, END, 4) != 0) continue;
        if (number(tail + i + 20, 2) != n - i - END_BYTES) continue; /* a comment of that length */
        *at = i;
        return SNUG_OK;
    }
    return fail(r, FAULT_TRUNCATED, "zip", "no directory at the end of the archive");
}

/* 32-bit fields must be "see there" or agree with the 64-bit ones. */
static bool agrees(uint64_t small, uint64_t limit, uint64_t big)
{
    return small == limit || small == big;
}

static SnugStatus read_end64(Reader *r, const unsigned char *end, size_t end_at,
                             const unsigned char *locator, size_t *directory_end)
{
    unsigned char big[END64_BYTES];
    const uint64_t at = number(locator + 8, 8);
    if (at > end_at || end_at - at < END64_BYTES + LOCATOR_BYTES)
        return fail(r, FAULT_BAD, "zip", "the zip64 record lies outside the archive");
    TRY(file_pread_all(r->file, (size_t)at, big, sizeof big, r->err));
    if (memcmp(big, END64, 4) != 0)
        return fail(r, FAULT_BAD, "zip", "the zip64 record is not where its locator says");
    if (number(big + 16, 4) || number(big + 20, 4) || number(locator + 4, 4))
        return fail(r, FAULT_UNSUPPORTED, "zip", "an archive in several parts");
    r->n = number(big + 32, 8);
    r->directory_bytes = number(big + 40, 8);
    r->directory_at = number(big + 48, 8);
    if (number(big + 24, 8) != r->n || !agrees(number(end + 10, 2), 0xffff, r->n) ||
        !agrees(number(end + 12, 4), 0xffffffff, r->directory_bytes) ||
        !agrees(number(end + 16, 4), 0xffffffff, r->directory_at))
        return fail(r, FAULT_BAD, "zip", "its two end records disagree");
    *directory_end = (size_t)at;
    return SNUG_OK;
}

static SnugStatus check_directory(const Reader *r, size_t directory_end)
{
    if (r->directory_at > directory_end || r->directory_bytes != directory_end - r->directory_at)
        return fail(r, FAULT_BAD, "zip", "the directory does not lie before the end record");
    if (r->n > ZIP_MAX_MEMBERS)
        return fault_set(r->err, FAULT_TOO_LARGE, file_path(r->file), r->format, "zip",
                         "got %llu members, limit %d", (unsigned long long)r->n, ZIP_MAX_MEMBERS);
    if (r->directory_bytes > ZIP_MAX_DIRECTORY)
        return fault_set(r->err, FAULT_TOO_LARGE, file_path(r->file), r->format, "zip",
                         "a directory of %llu bytes, limit %d",
                         (unsigned long long)r->directory_bytes, ZIP_MAX_DIRECTORY);
    if (r->n > r->directory_bytes / CENTRAL_BYTES)
        return fault_set(r->err, FAULT_BAD, file_path(r->file), r->format, "zip",
                         "%llu members do not fit a directory of %llu bytes",
                         (unsigned long long)r->n, (unsigned long long)r->directory_bytes);
    return SNUG_OK;
}

static SnugStatus read_end(Reader *r)
{
    const size_t bytes = file_bytes(r->file), most = END_BYTES + MAX_COMMENT + LOCATOR_BYTES;
    const size_t n = bytes < most ? bytes : most;
    unsigned char *tail = arena_take(r->scratch, n);
    size_t at = 0;
    if (!tail) return no_memory(r);
    TRY(find_end(r, tail, n, &at));
    const unsigned char *end = tail + at;
    const size_t end_at = bytes - n + at;
    size_t directory_end = end_at;
    r->n = number(end + 10, 2);
    r->directory_bytes = number(end + 12, 4);
    r->directory_at = number(end + 16, 4);
    if (at >= LOCATOR_BYTES && memcmp(end - LOCATOR_BYTES, LOCATOR, 4) == 0)
        TRY(read_end64(r, end, end_at, end - LOCATOR_BYTES, &directory_end));
    else if (number(end + 4, 2) || number(end + 6, 2) || number(end + 8, 2) != r->n)
        return fail(r, FAULT_UNSUPPORTED, "zip", "an archive in several parts");
    return check_directory(r, directory_end);
}

/* ---- members -------------------------------------------------------------------------------- */

static bool has_parent_part(const char *name)
{
    for (const char *at = name; (at = strstr(at, "..")); at += 2)
        if ((at == name || at[-1] == '/') && (at[2] == '\0' || at[2] == '/')) return true;
    return false;
}

static SnugStatus keep_name(const Reader *r, const unsigned char *text, size_t n, ZipMember *out)
{
    const char *path = file_path(r->file);
    if (n > ZIP_MAX_NAME)
        return fault_set(r->err, FAULT_TOO_LARGE, path, r->format, "zip",
                         "a member's name of %zu bytes, limit %d", n, ZIP_MAX_NAME);
    char *name = arena_text(r->arena, (const char *)text, n);
    if (!name) return no_memory(r);
    if (n == 0 || memchr(text, 0, n) || text_utf8_check(name, n) < n)
        return fail(r, FAULT_BAD_TEXT, name, "this is no name for a member");
    if (name[0] == '/' || strchr(name, '\\') || (n > 1 && name[1] == ':') || has_parent_part(name))
        return fail(r, FAULT_UNSAFE, name, "the member's name leads out of the archive");
    out->name = name;
    return SNUG_OK;
}

/* Fields that do not fit 32 bits stand in an extra field, in this order, only those needed. */
static SnugStatus read_extra64(const Reader *r, const unsigned char *extra, size_t n,
                               const char *name, uint64_t *const fields[3])
{
    while (n >= 4) {
        const uint64_t id = number(extra, 2), size = number(extra + 2, 2);
        if (size > n - 4) break;
        if (id == EXTRA_ZIP64) {
            const unsigned char *at = extra + 4, *end = at + size;
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != 0xffffffff) continue;
                if (end - at < 8)
                    return fail(r, FAULT_TRUNCATED, name, "its zip64 field is too short");
                *fields[i] = number(at, 8);
                at += 8;
            }
            return SNUG_OK;
        }
        extra += 4 + size;
        n -= 4 + (size_t)size;
    }
    return SNUG_OK; /* then 4 GiB - 1 is what is meant, and the range check decides */
}

/* Where the data begin: the local header has its own name and extra field before them. */
static SnugStatus locate(const Reader *r, ZipMember *m, uint64_t header_at, uint64_t stored)
{
    unsigned char local[LOCAL_BYTES + ZIP_MAX_NAME];
    const size_t name_bytes = strlen(m->name), limit = (size_t)r->directory_at;
    if (header_at > limit || limit - header_at < LOCAL_BYTES + name_bytes)
        return fail(r, FAULT_TRUNCATED, m->name, "its header lies outside the archive");
    TRY(file_pread_all(r->file, (size_t)header_at, local, LOCAL_BYTES + name_bytes, r->err));
    if (memcmp(local, LOCAL, 4) != 0)
        return fail(r, FAULT_BAD, m->name, "its header is not where the directory says");
    if (number(local + 26, 2) != name_bytes ||
        memcmp(local + LOCAL_BYTES, m->name, name_bytes) != 0)
        return fail(r, FAULT_BAD, m->name, "its header gives another name");
    m->offset = (size_t)header_at + LOCAL_BYTES + name_bytes + (size_t)number(local + 28, 2);
    if (m->offset > limit || stored > limit - m->offset)
        return fault_set(r->err, FAULT_TRUNCATED, file_path(r->file), r->format, m->name,
                         "%llu bytes of data do not fit the archive", (unsigned long long)stored);
    return SNUG_OK;
}

static SnugStatus read_member(Reader *r, const unsigned char **at, size_t *left, int32_t index)
{
    const unsigned char *c = *at;
    ZipMember *m = &r->members[index];
    if (*left < CENTRAL_BYTES || memcmp(c, CENTRAL, 4) != 0)
        return fail(r, FAULT_BAD, "zip", "the directory ends before its last member");
    const size_t name = (size_t)number(c + 28, 2), extra = (size_t)number(c + 30, 2);
    const size_t size = CENTRAL_BYTES + name + extra + (size_t)number(c + 32, 2);
    if (size > *left) return fail(r, FAULT_TRUNCATED, "zip", "the directory is cut short");
    TRY(keep_name(r, c + CENTRAL_BYTES, name, m));
    uint64_t bytes = number(c + 24, 4), stored = number(c + 20, 4), header_at = number(c + 42, 4);
    TRY(read_extra64(r, c + CENTRAL_BYTES + name, extra, m->name,
                     (uint64_t *const[3]){ &bytes, &stored, &header_at }));
    m->method = (int)number(c + 10, 2);
    m->encrypted = c[8] & 1;
    m->crc = (uint32_t)number(c + 16, 4);
    if (m->method == ZIP_STORED && bytes != stored)
        return fail(r, FAULT_MISMATCH, m->name, "it is stored as it is, but its two sizes differ");
    TRY(locate(r, m, header_at, stored));
    m->bytes = (size_t)bytes;
    m->stored_bytes = (size_t)stored;
    r->begin[index] = (size_t)header_at;
    *at += size;
    *left -= size;
    return SNUG_OK;
}

static SnugStatus read_members(Reader *r)
{
    const size_t room = (size_t)r->n + 1;
    size_t left = (size_t)r->directory_bytes;
    unsigned char *raw = arena_take(r->scratch, left);
    r->members = arena_array(r->scratch, room, sizeof *r->members);
    r->begin = arena_array(r->scratch, room, sizeof *r->begin);
    if (!raw || !r->members || !r->begin) return no_memory(r);
    TRY(file_pread_all(r->file, (size_t)r->directory_at, raw, left, r->err));
    const unsigned char *at = raw;
    for (int32_t i = 0; i < (int32_t)r->n; i++)
        TRY(read_member(r, &at, &left, i));
    if (left) return fail(r, FAULT_BAD, "zip", "the directory has more than its members");
    return SNUG_OK;
}

/* ---- order ---------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ZipMember *)a)->name, ((const ZipMember *)b)->name);
}

static int by_offset(const void *a, const void *b)
{
    const size_t x = ((const ZipMember *)a)->offset, y = ((const ZipMember *)b)->offset;
    return (x > y) - (x < y);
}

/* Data begin where they lie in the file; no member may reach into the next one's header. */
static SnugStatus check_overlap(const Reader *r, const ZipMember **order, const ZipMember **scratch)
{
    sort_pointers((const void **)order, (const void **)scratch, (size_t)r->n, by_offset);
    for (uint64_t i = 1; i < r->n; i++) {
        const ZipMember *before = order[i - 1];
        if (r->begin[order[i] - r->members] < before->offset + before->stored_bytes)
            return fail(r, FAULT_OVERLAP, order[i]->name, "it shares bytes with another member");
    }
    return SNUG_OK;
}

static SnugStatus put_in_order(Reader *r, ZipDirectory *out)
{
    const size_t n = (size_t)r->n;
    const ZipMember **order = arena_array(r->scratch, n + 1, sizeof *order);
    const ZipMember **scratch = arena_array(r->scratch, n + 1, sizeof *scratch);
    out->members = arena_array(r->arena, n + 1, sizeof *out->members);
    if (!order || !scratch || !out->members) return no_memory(r);
    for (size_t i = 0; i < n; i++)
        order[i] = &r->members[i];
    TRY(check_overlap(r, order, scratch));
    out->first = n ? order[0]->name : NULL;
    sort_pointers((const void **)order, (const void **)scratch, n, by_name);
    for (size_t i = 0; i < n; i++) {
        out->members[i] = *order[i];
        if (i > 0 && strcmp(out->members[i - 1].name, out->members[i].name) == 0)
            return fail(r, FAULT_DUPLICATE, out->members[i].name, "two members of that name");
    }
    out->n = (int32_t)n;
    return SNUG_OK;
}

SnugStatus zip_read(ZipDirectory *out, Arena *arena, const File *file, const char *format,
                    SnugError *err)
{
    Arena scratch;
    arena_init(&scratch, arena->heap, "checkpoint headers");
    Reader r = { .file = file, .format = format, .arena = arena, .scratch = &scratch, .err = err };
    *out = (ZipDirectory){ 0 };
    SnugStatus status = read_end(&r);
    if (status == SNUG_OK) status = read_members(&r);
    if (status == SNUG_OK) status = put_in_order(&r, out);
    arena_release(&scratch);
    if (status != SNUG_OK) *out = (ZipDirectory){ 0 };
    return status;
}

static int name_against(const void *name, const void *member)
{
    return strcmp(name, ((const ZipMember *)member)->name);
}

const ZipMember *zip_find(const ZipDirectory *directory, const char *name)
{
    if (directory->n == 0) return NULL; /* bsearch wants an array even then */
    return bsearch(name, directory->members, (size_t)directory->n, sizeof *directory->members,
                   name_against);
}

SnugStatus zip_require_stored(const ZipMember *m, const File *file, const char *format,
                              SnugError *err)
{
    if (m->encrypted)
        return fault_set(err, FAULT_UNSUPPORTED, file_path(file), format, m->name,
                         "an encrypted member");
    if (m->method != ZIP_STORED)
        return fault_set(err, FAULT_UNSUPPORTED, file_path(file), format, m->name,
                         "a compressed member (method %d)", m->method);
    return SNUG_OK;
}
