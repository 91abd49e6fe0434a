/* checkpoint.h  A set of weight files seen as one name space, whatever their format.
 *
 * A quantised weight that a file keeps as several tensors (codes, scales, their description) is one
 * entry here; the tensors as they are in the files are the "pieces" (join.h).
 *
 * Opening reads and checks headers only. A tensor is found by name; its bytes are read with
 * checkpoint_read, or straight from the file when entry->read is NULL. Nothing changes after
 * opening: any thread may read. A new format adds one row to FORMATS in checkpoint.c. */
#ifndef FORMATS_CHECKPOINT_H
#define FORMATS_CHECKPOINT_H

#include "formats/entry.h"
#include "formats/model_root.h"

enum { CHECKPOINT_MAX_INDEX = 64 * 1024 * 1024 /* bytes */, CHECKPOINT_MAX_SHARDS = 1024 };

typedef struct Checkpoint Checkpoint;

/**
 * Open one weight file, or all shards of an index (a path ending in ".json").
 * @param root  where files may lie (see model_root.h); NULL: anywhere
 * @return SNUG_ERR_FILE: malformed, of a kind that snug does not read (named), a shard missing
 */
SNUG_MUST_USE SnugStatus checkpoint_open(Checkpoint **out, Heap *heap, const char *path,
                                         const ModelRoot *root, SnugError *err);
void checkpoint_close(Checkpoint *checkpoint);

/** The path it was opened with. */
const char *checkpoint_path(const Checkpoint *checkpoint);
/** Tensors, numbered 0 .. count-1 by name in byte order. */
int32_t checkpoint_count(const Checkpoint *checkpoint);
const Entry *checkpoint_entry(const Checkpoint *checkpoint, int32_t index);
/** Number of the tensor of that name, -1 if there is none. */
int32_t checkpoint_find(const Checkpoint *checkpoint, const char *name);
/** Sum of all pieces. */
size_t checkpoint_bytes(const Checkpoint *checkpoint);
/** The tensors as the files have them, in the same order by name. */
int32_t checkpoint_n_pieces(const Checkpoint *checkpoint);
const Entry *checkpoint_piece(const Checkpoint *checkpoint, int32_t index);
/** NULL if there is none. */
const Entry *checkpoint_find_piece(const Checkpoint *checkpoint, const char *name);

int32_t checkpoint_n_files(const Checkpoint *checkpoint);
/** File of an entry: checkpoint_file(c, entry->file). */
const File *checkpoint_file(const Checkpoint *checkpoint, int32_t file);
/** Metadata text of that key from the first file that has it, or NULL. */
const char *checkpoint_metadata(const Checkpoint *checkpoint, const char *key);
/** Metadata of one file. */
const EntryNote *checkpoint_notes(const Checkpoint *checkpoint, int32_t file, int32_t *n);
/** Array of the metadata of any file, or NULL; *file is where it lies. */
const EntryArray *checkpoint_array(const Checkpoint *checkpoint, const char *key,
                                   const File **file);
/** What is odd but no error, one line each: "" if nothing is. */
const char *checkpoint_warnings(const Checkpoint *checkpoint);

/** Read bytes [from, from + n) of a tensor, C order, as stored. Messages name the tensor. */
SNUG_MUST_USE SnugStatus checkpoint_read(const Checkpoint *checkpoint, const Entry *entry,
                                         size_t from, size_t n, void *to, SnugError *err);
/** Does the page cache hold a tensor, by a look at its middle? */
bool checkpoint_in_cache(const Checkpoint *checkpoint, const Entry *entry);
/** Let the page cache drop a tensor that was read. */
void checkpoint_forget(const Checkpoint *checkpoint, const Entry *entry);

/** SNUG_ERR_FILE "mismatch" with both shapes, unless the entry has that shape. */
SNUG_MUST_USE SnugStatus checkpoint_expect_shape(const Checkpoint *checkpoint, const Entry *entry,
                                                 Shape want, SnugError *err);
/** How many tensors are not `used` [count]; the first ten names go to text[size]. */
int32_t checkpoint_unused(const Checkpoint *checkpoint, const bool *used, char *text, size_t size);

#endif
