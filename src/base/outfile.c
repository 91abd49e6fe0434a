/* outfile.c  Write to a temporary name, fsync, rename, fsync the folder. */
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"

enum { BUFFER_BYTES = 64 * 1024, MAX_TRIES = 100 };

struct OutFile {
    Arena arena; /* of this struct's texts */
    int fd;      /* -1 once committed */
    bool failed;
    char *path, *temporary, *folder;
    size_t written, buffered;
    char *buffer;
};

static SnugStatus refused(OutFile *file, const char *verb, SnugError *err)
{
    const int code = errno;
    const bool full = code == ENOSPC || code == EDQUOT;
    file->failed = true;
    return error_set(err, SNUG_ERR_IO, "%s: cannot %s%s: %s (after %zu bytes; nothing is left)",
                     file->path, verb, full ? ", the disk is full" : "", strerror(code),
                     file->written);
}

/* O_EXCL with names of our own, as mkstemp would ignore the umask. */
static SnugStatus open_temporary(OutFile *file, SnugError *err)
{
    const char *name = file_basename(file->path);
    for (int i = 0; i < MAX_TRIES; i++) {
        char *try = arena_printf(&file->arena, "%s%s.%.200s.%ld-%d.tmp", file->folder,
                                 text_ends(file->folder, "/") ? "" : "/", name, (long)getpid(), i);
        if (!try) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", file->path);
        file->fd = open(try, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->fd >= 0) {
            file->temporary = try;
            return SNUG_OK;
        }
        if (errno != EEXIST) break;
    }
    return refused(file, "create", err);
}

static SnugStatus prepare(OutFile *file, const char *path, SnugError *err)
{
    FileType there = file_type(path);
    if (there == FILE_DIRECTORY || there == FILE_OTHER)
        return error_set(err, SNUG_ERR_IO, "%s: cannot write: it is %s", path,
                         there == FILE_DIRECTORY ? "a directory" : "a device or pipe");
    if (!file_basename(path)[0])
        return error_set(err, SNUG_ERR_IO, "%s: cannot write: not the name of a file", path);
    file->path = arena_text(&file->arena, path, strlen(path));
    file->folder = file_dirname(&file->arena, path);
    file->buffer = arena_take(&file->arena, BUFFER_BYTES);
    if (!file->path || !file->folder || !file->buffer)
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    return open_temporary(file, err);
}

SnugStatus outfile_open(OutFile **out, Heap *heap, const char *path, SnugError *err)
{
    *out = NULL;
    OutFile *file = heap_take(heap, sizeof *file, "files");
    if (!file) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    file->fd = -1;
    arena_init(&file->arena, heap, "files");
    SnugStatus status = prepare(file, path, err);
    if (status != SNUG_OK)
        outfile_close(file);
    else
        *out = file;
    return status;
}

SnugStatus outfile_reserve(OutFile *file, size_t bytes, SnugError *err)
{
    if (bytes == 0 || fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == 0)
        return SNUG_OK;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? refused(file, "reserve", err)
                                                                : SNUG_OK;
}

static SnugStatus write_out(OutFile *file, const char *bytes, size_t n, SnugError *err)
{
    while (n > 0) {
        ssize_t done = write(file->fd, bytes, n);
        if (done < 0) {
            if (errno == EINTR) continue;
            return refused(file, "write", err);
        }
        bytes += done;
        n -= (size_t)done;
    }
    return SNUG_OK;
}

static SnugStatus flush(OutFile *file, SnugError *err)
{
    size_t n = file->buffered;
    file->buffered = 0;
    return write_out(file, file->buffer, n, err);
}

static SnugStatus check_usable(const OutFile *file, SnugError *err)
{
    if (!file->failed && file->fd >= 0) return SNUG_OK;
    return error_set(err, SNUG_ERR_IO, "%s: cannot write: %s", file->path,
                     file->failed ? "it failed before" : "it is finished");
}

SnugStatus outfile_write(OutFile *file, const void *bytes, size_t n, SnugError *err)
{
    TRY(check_usable(file, err));
    if (n == 0) return SNUG_OK;
    if (n > BUFFER_BYTES - file->buffered) TRY(flush(file, err));
    if (n >= BUFFER_BYTES) {
        TRY(write_out(file, bytes, n, err));
    } else {
        memcpy(file->buffer + file->buffered, bytes, n);
        file->buffered += n;
    }
    file->written += n;
    return SNUG_OK;
}

SnugStatus outfile_put(OutFile *file, size_t offset, const void *bytes, size_t n, SnugError *err)
{
    const char *at = bytes;
    TRY(check_usable(file, err));
    TRY(flush(file, err));
    while (n > 0) {
        const ssize_t done = pwrite(file->fd, at, n, (off_t)offset);
        if (done < 0) {
            if (errno == EINTR) continue;
            return refused(file, "write", err);
        }
        at += done;
        offset += (size_t)done;
        n -= (size_t)done;
    }
    if (offset > file->written) file->written = offset;
    return SNUG_OK;
}

size_t outfile_bytes(const OutFile *file)
{
    return file->written;
}

/* A rename is durable once its folder is. Some file systems cannot sync folders: no failure. */
static void sync_folder(const OutFile *file)
{
    int fd = open(file->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    (void)close(fd);
}

SnugStatus outfile_commit(OutFile *file, SnugError *err)
{
    TRY(check_usable(file, err));
    TRY(flush(file, err));
    /* what was reserved beyond the end goes back */
    if (ftruncate(file->fd, (off_t)file->written) != 0) return refused(file, "resize", err);
    if (fsync(file->fd) != 0) return refused(file, "flush to disk", err);
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) != 0) return refused(file, "close", err);
    if (rename(file->temporary, file->path) != 0) return refused(file, "rename", err);
    file->temporary = NULL;
    sync_folder(file);
    return SNUG_OK;
}

void outfile_close(OutFile *file)
{
    if (!file) return;
    Heap *heap = file->arena.heap;
    if (file->fd >= 0) (void)close(file->fd);
    if (file->temporary) (void)unlink(file->temporary);
    arena_release(&file->arena);
    heap_give(heap, file);
}
