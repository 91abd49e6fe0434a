/* entry.h  One tensor as a file stores it, and the list that every weight format reads into.
 *
 * A format is one function of type FormatRead: it checks a file's header and fills an EntryList
 * without touching tensor data. Checkpoint joins the lists; nobody above it knows the formats. */
#ifndef FORMATS_ENTRY_H
#define FORMATS_ENTRY_H

#include "base/arena.h"
#include "base/file.h"
#include "tensor/scaling.h"
#include "tensor/tensor.h"

enum {
    ENTRY_MAX_RANK = 8,
    ENTRY_MAX_NAME = 1024,     /* bytes */
    ENTRY_MAX_COUNT = 1 << 20, /* tensors per file */
    ENTRY_MAX_NOTES = 1 << 16, /* metadata pairs per file */
    ENTRY_MAX_ARRAYS = 16
};

struct Entry;
/** Read bytes [from, from + n) of the tensor in C order, from a file that stores it otherwise. */
typedef SnugStatus EntryRead(const File *file, const struct Entry *entry, size_t from, size_t n,
                             void *to, SnugError *err);

struct EntryPart;

typedef struct Entry {
    const char *name;      /**< UTF-8, as in the file */
    const char *type_name; /**< as the file spells it: "BF16", "F6_E2M3" */
    DType dtype;           /**< DT_COUNT: snug can list the tensor, but not load it */
    int32_t file;          /**< index in the checkpoint */
    int32_t rank;
    int64_t dim[ENTRY_MAX_RANK]; /**< torch order, slowest first */
    size_t offset, bytes;        /**< absolute place in the file */
    EntryRead *read;             /**< NULL: the bytes lie at `offset` as they are */
    const void *layout;          /**< what `read` needs */
    /* quantised weights, put together from several tensors (join.h) */
    const struct EntryPart *parts; /**< [n_parts] in order of place; NULL: one tensor */
    int32_t n_parts;
    const Scaling *scaling; /**< NULL: no scales */
} Entry;

/** A whole tensor of the file, as one stretch of a joined entry's bytes; gaps read as zeros. */
typedef struct EntryPart {
    const Entry *from;
    size_t at;
} EntryPart;

/** A pair of a file's metadata. */
typedef struct EntryNote {
    const char *key, *text;
} EntryNote;

/** Where a file keeps an array of its metadata, which is not read with the header. */
typedef struct EntryArray {
    const char *key;
    uint32_t type; /**< of its elements, as the format numbers them */
    uint64_t n;    /**< elements */
    size_t offset; /**< of the first, in the file */
} EntryArray;

/** Everything lives in the arena it was read into. */
typedef struct EntryList {
    Entry *entries; /**< in the order of the header; names are unique */
    int32_t n;
    EntryNote *notes; /**< sorted by key, unique */
    int32_t n_notes;
    EntryArray array[ENTRY_MAX_ARRAYS]; /**< of vocabularies: "tokenizer..." */
    int32_t n_arrays;
} EntryList;

/** Read and check a header. `file` stays open as long as the entries are used. */
typedef SnugStatus FormatRead(const File *file, Arena *arena, EntryList *out, SnugError *err);

/** Shape of an entry; false when its rank is past TENSOR_MAX_RANK. */
bool entry_shape(const Entry *entry, Shape *out);
/** "[2, 3]" */
const char *entry_shape_text(const Entry *entry, char *text, size_t size);
/** The number of a shape's elements, in the order of the dimensions; false on overflow. */
bool entry_elements(const int64_t *dim, int32_t rank, int64_t *out);

/** Sort pointers to entries by name; a name that occurs twice is returned, else NULL. */
const Entry *entry_sort(const Entry **entries, const Entry **scratch, size_t n);
/** Binary search in sorted entries: index, or -1. */
int32_t entry_find(const Entry *const *entries, int32_t n, const char *name);

#endif
