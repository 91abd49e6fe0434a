/* npz.c  Members are stored as they are: an entry is a place in the archive. */
#include "formats/npz.h"

#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "base/text.h"
#include "formats/npy.h"
#include "formats/zip.h"

static const char FORMAT[] = "npz", ENDING[] = ".npy";

typedef struct Reader {
    const File *file;
    Arena *arena;
    SnugError *err;
} Reader;

static SnugStatus no_memory(const Reader *r)
{
    return error_set(r->err, SNUG_ERR_MEMORY, "%s: %s: no memory for the header",
                     file_path(r->file), FORMAT);
}

static bool in_c_order(const NpyHeader *h)
{
    int wide = 0;
    for (int i = 0; i < h->rank; i++)
        wide += h->dim[i] != 1;
    return !h->fortran_order || wide < 2;
}

static SnugStatus describe(const Reader *r, const ZipMember *m, const NpyHeader *h, Entry *out)
{
    const bool loads = in_c_order(h) && (!h->big_endian || dtype_info(h->dtype)->bytes == 1);
    if (h->rank > ENTRY_MAX_RANK)
        return fault_set(r->err, FAULT_TOO_LARGE, file_path(r->file), FORMAT, m->name,
                         "got %d dimensions, limit %d", h->rank, ENTRY_MAX_RANK);
    *out = (Entry){ .dtype = loads ? h->dtype : DT_COUNT,
                    .type_name = dtype_name(h->dtype),
                    .rank = h->rank,
                    .offset = m->offset + h->data_offset,
                    .bytes = h->bytes };
    memcpy(out->dim, h->dim, (size_t)h->rank * sizeof *out->dim);
    if (!loads)
        out->type_name = arena_printf(r->arena, "%s (%s)", dtype_name(h->dtype),
                                      in_c_order(h) ? "big-endian" : "Fortran order");
    out->name = arena_text(r->arena, m->name, strlen(m->name) - strlen(ENDING));
    return out->name && out->type_name ? SNUG_OK : no_memory(r);
}

static SnugStatus read_member(const Reader *r, const ZipMember *m, Entry *out)
{
    unsigned char head[NPY_MAX_HEADER + 12];
    NpyHeader h;
    TRY(zip_require_stored(m, r->file, FORMAT, r->err));
    const size_t n = m->bytes < sizeof head ? m->bytes : sizeof head;
    TRY(file_pread_all(r->file, m->offset, head, n, r->err));
    const SnugStatus status = npy_parse_header(head, n, m->bytes, file_path(r->file), &h, r->err);
    if (status != SNUG_OK) {
        char shown[TEXT_ESCAPED];
        return error_wrap(r->err, status, "%s: ", text_escape(shown, m->name, strlen(m->name)));
    }
    return describe(r, m, &h, out);
}

SnugStatus npz_read(const File *file, Arena *arena, EntryList *out, SnugError *err)
{
    const Reader r = { file, arena, err };
    ZipDirectory zip;
    Arena scratch;
    *out = (EntryList){ 0 };
    arena_init(&scratch, arena->heap, "checkpoint headers");
    SnugStatus status = zip_read(&zip, &scratch, file, FORMAT, err);
    if (status == SNUG_OK) {
        out->entries = arena_array(arena, (size_t)zip.n + 1, sizeof *out->entries);
        if (!out->entries) status = no_memory(&r);
    }
    for (int32_t i = 0; status == SNUG_OK && i < zip.n; i++) {
        const ZipMember *m = &zip.members[i];
        if (!text_ends(m->name, ENDING) || strlen(m->name) == strlen(ENDING)) continue;
        status = read_member(&r, m, &out->entries[out->n]);
        if (status == SNUG_OK) out->n++;
    }
    arena_release(&scratch);
    if (status != SNUG_OK) *out = (EntryList){ 0 };
    return status;
}
