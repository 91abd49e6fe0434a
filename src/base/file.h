/* file.h  Files for reading: opened once, measured once, read with pread from any thread.
 *
 * The size seen at opening is the one every later check uses. Weight files must not be changed
 * while they are in use; a read past a shrunken end is SNUG_ERR_FILE, and file_check_unchanged
 * finds the rest. Replacing a file by rename does no harm: the open one stays readable. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/text.h"
#include "snug/status.h"

typedef struct File File;

/** Open a regular file (nothing else: no pipe, device, directory). Symbolic links are followed. */
SNUG_MUST_USE SnugStatus file_open(File **out, Heap *heap, const char *path, SnugError *err);
void file_close(File *file);
/** The path it was opened with; lives as long as the file. */
const char *file_path(const File *file);
size_t file_bytes(const File *file);
/** Are both the same file on disk (device and inode)? */
bool file_same(const File *a, const File *b);

/** Read exactly n bytes from `offset`; fewer there is SNUG_ERR_FILE "truncated". Threads: any. */
SNUG_MUST_USE SnugStatus file_pread_all(const File *file, size_t offset, void *to, size_t n,
                                        SnugError *err);
/** Tell the system that this range will not be read again soon, so that the page cache does not
 *  push others out. A hint; whole pages inside the range only. */
void file_forget(const File *file, size_t offset, size_t n);
/** Does the page cache hold the page with that byte? Where the system does not say: no. */
bool file_in_cache(const File *file, size_t offset);
/** SNUG_ERR_FILE when size or time of change differ from those at opening. */
SNUG_MUST_USE SnugStatus file_check_unchanged(const File *file, SnugError *err);

/** The human answers: empty file, unfinished download, Git LFS pointer, saved HTML or JSON error
 *  page. SNUG_OK when it is none of these; every reader asks this first. */
SNUG_MUST_USE SnugStatus file_refuse_impostor(const File *file, const char *format, SnugError *err);

/** A whole file into the arena, terminated with a NUL that is not counted. Larger than `limit`
 *  bytes is SNUG_ERR_FILE. The content is not checked to be UTF-8. */
SNUG_MUST_USE SnugStatus file_read_text(Arena *arena, const char *path, size_t limit, TextView *out,
                                        SnugError *err);

typedef enum FileType { FILE_ABSENT, FILE_REGULAR, FILE_DIRECTORY, FILE_OTHER } FileType;
/** What is at that path, after symbolic links. */
FileType file_type(const char *path);

/** "dir/name"; an empty dir gives the name alone. NULL when memory is refused. */
char *file_join(Arena *arena, const char *dir, const char *name);
/** The part of the path before the last '/', "." if there is none, "/" for the root. */
char *file_dirname(Arena *arena, const char *path);
/** The part after the last '/': a view of `path`. */
const char *file_basename(const char *path);
/** Is it the name of a file in its folder: no '/', '\\', drive letter, control character, not
 *  empty, "." or ".."? Names from inside files must be, before they are opened. */
bool file_plain_name(const char *name);

enum { FILE_LIST_MAX = 100000 };
/** Names in a directory, sorted by bytes, without "." and ".."; more than FILE_LIST_MAX is
 *  SNUG_ERR_FILE. */
SNUG_MUST_USE SnugStatus file_list(Arena *arena, const char *dir, const char *const **out,
                                   size_t *n, SnugError *err);

#endif
