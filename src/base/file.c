/* file.c  POSIX reads that are complete or say why not. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/sort.h"

_Static_assert(sizeof(size_t) == 8 && sizeof(off_t) == 8, "offsets of big files are 64 bit");

struct File {
    Heap *heap;
    int fd;
    size_t bytes;
    dev_t device;
    ino_t inode;
    struct timespec changed;
    const char *path;
};

static SnugStatus system_refused(SnugError *err, const char *path, const char *verb)
{
    return error_set(err, SNUG_ERR_IO, "%s: cannot %s: %s", path, verb, strerror(errno));
}

/* Fills a File in place; `path` is borrowed. */
static SnugStatus open_at(File *file, const char *path, SnugError *err)
{
    struct stat st;
    /* O_NONBLOCK: opening a pipe nobody writes to must not hang; regular files ignore it */
    *file = (File){ .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), .path = path };
    if (file->fd < 0) return system_refused(err, path, "open");
    if (fstat(file->fd, &st) != 0) {
        SnugStatus status = system_refused(err, path, "stat");
        (void)close(file->fd);
        return status;
    }
    if (!S_ISREG(st.st_mode)) {
        (void)close(file->fd);
        return error_set(err, SNUG_ERR_FILE, "%s: %s, not a regular file", path,
                         S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
    }
    file->bytes = (size_t)st.st_size;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    file->changed = st.st_mtim;
    return SNUG_OK;
}

SnugStatus file_open(File **out, Heap *heap, const char *path, SnugError *err)
{
    File opened;
    *out = NULL;
    TRY(open_at(&opened, path, err));
    const size_t n = strlen(path) + 1;
    File *file = heap_take(heap, sizeof *file + n, "files");
    if (!file) {
        (void)close(opened.fd);
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    }
    *file = opened;
    file->heap = heap;
    file->path = memcpy(file + 1, path, n);
    *out = file;
    return SNUG_OK;
}

void file_close(File *file)
{
    if (!file) return;
    (void)close(file->fd);
    heap_give(file->heap, file);
}

const char *file_path(const File *file)
{
    return file->path;
}

size_t file_bytes(const File *file)
{
    return file->bytes;
}

bool file_same(const File *a, const File *b)
{
    return a->device == b->device && a->inode == b->inode;
}

SnugStatus file_pread_all(const File *file, size_t offset, void *to, size_t n, SnugError *err)
{
    if (offset > file->bytes || n > file->bytes - offset)
        return fault_set(err, FAULT_TRUNCATED, file->path, "file", NULL,
                         "read past its end (got %zu bytes, expected %zu at offset %zu)",
                         file->bytes, n, offset);
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(file->fd, (char *)to + done, n - done, (off_t)(offset + done));
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0) {
            return fault_set(err, FAULT_TRUNCATED, file->path, "file", NULL,
                             "it shrank while in use (got %zu bytes, expected %zu)", offset + done,
                             file->bytes);
        } else if (errno != EINTR) {
            return system_refused(err, file->path, "read");
        }
    }
    return SNUG_OK;
}

void file_forget(const File *file, size_t offset, size_t n)
{
    (void)posix_fadvise(file->fd, (off_t)offset, (off_t)n, POSIX_FADV_DONTNEED);
}

/* Nothing is read through the mapping: it is how the system is asked. */
bool file_in_cache(const File *file, size_t offset)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (offset >= file->bytes) return false;
    void *at =
        mmap(NULL, page, PROT_READ, MAP_SHARED, file->fd, (off_t)(offset & ~(size_t)(page - 1)));
    if (at == MAP_FAILED) return false;
    unsigned char in_core = 0;
    const bool asked = mincore(at, page, &in_core) == 0;
    (void)munmap(at, page);
    return asked && (in_core & 1);
}

SnugStatus file_check_unchanged(const File *file, SnugError *err)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0) return system_refused(err, file->path, "stat");
    if ((size_t)st.st_size != file->bytes || st.st_mtim.tv_sec != file->changed.tv_sec ||
        st.st_mtim.tv_nsec != file->changed.tv_nsec)
        return error_set(err, SNUG_ERR_FILE, "%s: it was changed while in use", file->path);
    return SNUG_OK;
}

/* ---- human answers ---- */

static bool begins(const char *text, size_t n, const char *prefix)
{
    size_t m = strlen(prefix);
    return n >= m && strncasecmp(text, prefix, m) == 0;
}

SnugStatus file_refuse_impostor(const File *file, const char *format, SnugError *err)
{
    char head[256];
    size_t n = file->bytes < sizeof head ? file->bytes : sizeof head, skip = 0;
    const char *answer = NULL;
    TRY(file_pread_all(file, 0, head, n, err));
    while (skip < n && strchr(" \t\r\n", head[skip]) && head[skip])
        skip++;
    if (text_ends(file->path, ".incomplete") || text_ends(file->path, ".part"))
        answer = "an unfinished download";
    else if (n == 0)
        answer = "an empty file";
    else if (begins(head, n, "version ") && memmem(head, n, "git-lfs", 7))
        answer = "a Git LFS pointer, the real file was not downloaded";
    else if (begins(head + skip, n - skip, "<!doctype") || begins(head + skip, n - skip, "<html"))
        answer = "an HTML page, saved in place of the real file";
    else if (begins(head + skip, n - skip, "{\"error\""))
        answer = "a JSON error message, saved in place of the real file";
    if (!answer) return SNUG_OK;
    return fault_set(err, FAULT_BAD_MAGIC, file->path, format, NULL, "this is %s", answer);
}

SnugStatus file_read_text(Arena *arena, const char *path, size_t limit, TextView *out,
                          SnugError *err)
{
    File file;
    TRY(open_at(&file, path, err));
    SnugStatus status = SNUG_OK;
    char *text = NULL;
    if (file.bytes > limit)
        status = fault_set(err, FAULT_TOO_LARGE, path, "text", NULL, "got %zu bytes, limit %zu",
                           file.bytes, limit);
    else if (!(text = arena_take(arena, file.bytes + 1)))
        status = error_set(err, SNUG_ERR_MEMORY, "%s: no memory for %zu bytes", path, file.bytes);
    else
        status = file_pread_all(&file, 0, text, file.bytes, err);
    (void)close(file.fd);
    if (status == SNUG_OK) *out = (TextView){ .at = text, .n = file.bytes };
    return status;
}

/* ---- paths and directories ---- */

FileType file_type(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return FILE_ABSENT;
    if (S_ISREG(st.st_mode)) return FILE_REGULAR;
    return S_ISDIR(st.st_mode) ? FILE_DIRECTORY : FILE_OTHER;
}

char *file_join(Arena *arena, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    if (n == 0) return arena_text(arena, name, strlen(name));
    return arena_printf(arena, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

char *file_dirname(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return arena_text(arena, ".", 1);
    return arena_text(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

const char *file_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool file_plain_name(const char *name)
{
    if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
    for (const char *c = name; *c; c++)
        if (*c == '/' || *c == '\\' || *c == ':' || (unsigned char)*c < 0x20) return false;
    return true;
}

/* Two walks: count, then fill; files that appear in between are left out. */
static SnugStatus fill_list(Arena *arena, DIR *folder, const char *dir, const char ***out,
                            size_t *n, SnugError *err)
{
    size_t room = 0, used = 0;
    struct dirent *entry;
    while (readdir(folder))
        room++;
    if (room > FILE_LIST_MAX)
        return fault_set(err, FAULT_TOO_LARGE, dir, "directory", NULL, "got %zu files, limit %d",
                         room, FILE_LIST_MAX);
    const char **names = arena_array(arena, room, sizeof *names);
    const char **scratch = arena_array(arena, room, sizeof *scratch);
    if (!names || !scratch) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to list it", dir);
    rewinddir(folder);
    while (used < room && (entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        names[used] = arena_text(arena, entry->d_name, strlen(entry->d_name));
        if (!names[used++]) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to list it", dir);
    }
    sort_pointers((const void **)names, (const void **)scratch, used, sort_by_text);
    *out = names;
    *n = used;
    return SNUG_OK;
}

SnugStatus file_list(Arena *arena, const char *dir, const char *const **out, size_t *n,
                     SnugError *err)
{
    const char **names = NULL;
    DIR *folder = opendir(dir);
    if (!folder) return system_refused(err, dir, "list");
    SnugStatus status = fill_list(arena, folder, dir, &names, n, err);
    (void)closedir(folder);
    *out = names;
    return status;
}
