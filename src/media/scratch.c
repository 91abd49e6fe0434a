/* scratch.c  An unnamed file and the AVIOContexts over it. Each context keeps its own position. */
#include "media/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavformat/avformat.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"

typedef struct Cursor {
    int fd;
    int64_t at;
} Cursor;

static int open_nameless(Arena *names, const char *folder)
{
    int fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    /* file systems without O_TMPFILE: a name that lives for a moment */
    char *name = file_join(names, folder, ".snug-scratch-XXXXXX");
    if (!name) return -1;
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0) (void)unlink(name);
    return fd;
}

SnugStatus scratch_open(int *fd, Heap *heap, const char *path, SnugError *err)
{
    Arena names;
    SnugStatus status = SNUG_OK;
    *fd = -1;
    arena_init(&names, heap, "output");
    char *folder = file_dirname(&names, path);
    if (!folder)
        status = error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    else if ((*fd = open_nameless(&names, folder)) < 0)
        status = error_set(err, SNUG_ERR_IO, "%s: cannot create: %s", path, strerror(errno));
    arena_release(&names);
    return status;
}

static int write_at(void *opaque, uint8_t *data, int n)
{
    Cursor *cursor = opaque;
    for (int done = 0; done < n;) {
        ssize_t wrote = pwrite(cursor->fd, data + done, (size_t)(n - done), cursor->at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return AVERROR(errno);
        done += (int)wrote;
        cursor->at += wrote;
    }
    return n;
}

static int read_at(void *opaque, uint8_t *data, int n)
{
    Cursor *cursor = opaque;
    ssize_t got = pread(cursor->fd, data, (size_t)n, cursor->at);
    if (got < 0) return AVERROR(errno);
    if (got == 0) return AVERROR_EOF;
    cursor->at += got;
    return (int)got;
}

static int64_t seek_to(void *opaque, int64_t offset, int whence)
{
    Cursor *cursor = opaque;
    struct stat st;
    if (fstat(cursor->fd, &st) < 0) return AVERROR(errno);
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return st.st_size;
    int64_t base = whence == SEEK_CUR ? cursor->at : whence == SEEK_END ? st.st_size : 0;
    if (base + offset < 0) return AVERROR(EINVAL);
    return cursor->at = base + offset;
}

static AVIOContext *open_context(int fd, bool writes)
{
    Cursor *cursor = av_mallocz(sizeof *cursor);
    unsigned char *buffer = av_malloc(SCRATCH_BUFFER_BYTES);
    AVIOContext *io = NULL;
    if (cursor && buffer) {
        cursor->fd = fd;
        io = avio_alloc_context(buffer, SCRATCH_BUFFER_BYTES, writes, cursor, read_at,
                                writes ? write_at : NULL, seek_to);
    }
    if (!io) {
        av_free(cursor);
        av_free(buffer);
    }
    return io;
}

static void close_context(AVIOContext **io)
{
    if (!*io) return;
    av_freep(&(*io)->opaque);
    av_freep(&(*io)->buffer);
    avio_context_free(io);
}

/* MP4's faststart opens the file a second time, to read while it moves everything back. */
static int open_again(AVFormatContext *format, AVIOContext **out, const char *url, int flags,
                      AVDictionary **options)
{
    (void)url;
    (void)options;
    const int *fd = format->opaque;
    if (flags & AVIO_FLAG_WRITE) return AVERROR(EPERM);
    *out = open_context(*fd, false);
    return *out ? 0 : AVERROR(ENOMEM);
}

static int close_again(AVFormatContext *format, AVIOContext *io)
{
    (void)format;
    close_context(&io);
    return 0;
}

SnugStatus scratch_attach(AVFormatContext *format, int *fd, SnugError *err)
{
    format->pb = open_context(*fd, true);
    if (!format->pb) return error_set(err, SNUG_ERR_MEMORY, "no memory for a file buffer");
    format->opaque = fd;
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    format->io_open = open_again;
    format->io_close2 = close_again;
    return SNUG_OK;
}

void scratch_detach(AVFormatContext *format)
{
    if (format) close_context(&format->pb);
}

SnugStatus scratch_copy(OutFile *out, int fd, const char *path, SnugError *err)
{
    char buffer[16 * 1024];
    struct stat st;
    if (fstat(fd, &st) == 0) TRY(outfile_reserve(out, (size_t)st.st_size, err));
    for (off_t at = 0;;) {
        ssize_t got = pread(fd, buffer, sizeof buffer, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return error_set(err, SNUG_ERR_IO, "%s: cannot read back: %s", path, strerror(errno));
        if (got == 0) return SNUG_OK;
        TRY(outfile_write(out, buffer, (size_t)got, err));
        at += got;
    }
}
