/* video_folder.c  frame_0000.png, frame_0001.png, ... in a folder.
 *
 * A new folder is filled under a hidden name beside the final one and renamed. Into a folder that
 * exists, the pictures are moved one by one from a hidden folder inside it; it may not hold frames
 * already, since a shorter video over a longer one would leave a mixture of both. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "media/png.h"
#include "media/video_sink.h"

enum { MAX_TRIES = 100, NAME_BYTES = 64 };

typedef struct Folder {
    Heap *heap;
    Arena arena; /* texts */
    const VideoOptions *options;
    const char *path;        /* as given */
    char *final, *temporary; /* without a '/' at the end; NULL: not created */
    char *from, *to;         /* room for the name of a frame in each */
    size_t room_bytes;
    bool exists;
    int64_t n_written, n_moved;
} Folder;

static const char *frame_name(char *room, size_t room_bytes, const char *folder, int64_t index)
{
    (void)snprintf(room, room_bytes, "%s/frame_%04lld.png", folder, (long long)index);
    return room;
}

static void folder_close(void *state)
{
    Folder *f = state;
    for (int64_t i = 0; i < f->n_moved; i++)
        (void)unlink(frame_name(f->to, f->room_bytes, f->final, i));
    for (int64_t i = f->n_moved; f->temporary && i < f->n_written; i++)
        (void)unlink(frame_name(f->from, f->room_bytes, f->temporary, i));
    if (f->temporary) (void)rmdir(f->temporary);
    Heap *heap = f->heap;
    arena_release(&f->arena);
    heap_give(heap, f);
}

static SnugStatus refuse_mixture(Folder *f, SnugError *err)
{
    const char *const *names;
    size_t n;
    TRY(file_list(&f->arena, f->final, &names, &n, err));
    for (size_t i = 0; i < n; i++)
        if (text_starts(names[i], "frame_") && text_ends(names[i], ".png"))
            return error_set(err, SNUG_ERR_IO,
                             "%s: holds frames already (%s); empty it or name "
                             "another folder",
                             f->path, names[i]);
    return SNUG_OK;
}

static SnugStatus make_temporary(Folder *f, SnugError *err)
{
    const char *parent = f->exists ? f->final : file_dirname(&f->arena, f->final);
    for (int i = 0; parent && i < MAX_TRIES; i++) {
        char *try =
            arena_printf(&f->arena, "%s/.snug-frames.%ld-%d.tmp", parent, (long)getpid(), i);
        if (!try) break;
        if (mkdir(try, 0777) == 0) {
            f->temporary = try;
            return SNUG_OK;
        }
        if (errno != EEXIST)
            return error_set(err, SNUG_ERR_IO, "%s: cannot create a folder: %s", f->path,
                             strerror(errno));
    }
    return error_set(err, SNUG_ERR_MEMORY, "%s: cannot name a temporary folder", f->path);
}

static SnugStatus prepare(Folder *f, SnugError *err)
{
    size_t n = strlen(f->path);
    while (n > 1 && f->path[n - 1] == '/')
        n--;
    f->final = arena_text(&f->arena, f->path, n);
    f->room_bytes = n + 64 + NAME_BYTES; /* the temporary folder's own name is shorter than 64 */
    f->from = arena_take(&f->arena, f->room_bytes);
    f->to = arena_take(&f->arena, f->room_bytes);
    if (!f->final || !f->from || !f->to)
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for its name", f->path);
    const FileType type = file_type(f->final);
    if (type != FILE_ABSENT && type != FILE_DIRECTORY)
        return error_set(err, SNUG_ERR_IO, "%s: is a file, not a folder", f->path);
    f->exists = type == FILE_DIRECTORY;
    if (f->exists) TRY(refuse_mixture(f, err));
    return make_temporary(f, err);
}

static SnugStatus folder_open(void **state, Heap *heap, const char *path, VideoFormat format,
                              const VideoOptions *o, SnugError *err)
{
    (void)format;
    Folder *f = heap_take(heap, sizeof *f, "video");
    if (!f) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    *f = (Folder){ .heap = heap, .options = o, .path = path };
    arena_init(&f->arena, heap, "video");
    SnugStatus status = prepare(f, err);
    if (status == SNUG_OK)
        *state = f;
    else
        folder_close(f);
    return status;
}

static SnugStatus folder_push(void *state, const uint8_t *bytes, const float *rgb, int64_t index,
                              SnugError *err)
{
    (void)rgb;
    Folder *f = state;
    const VideoOptions *o = f->options;
    uint8_t *pixels = (uint8_t *)(uintptr_t)bytes; /* Image has no const form; only read below */
    const Image frame = { o->width, o->height, 3, pixels, NULL };
    const PngText text = { "comment", o->comment };
    SnugStatus status = png_write_file(frame_name(f->from, f->room_bytes, f->temporary, index),
                                       f->heap, &frame, &text, text.value ? 1 : 0, err);
    if (status != SNUG_OK) return error_wrap(err, status, "%s: ", f->path);
    f->n_written = index + 1;
    return SNUG_OK;
}

static SnugStatus move_frames(Folder *f, SnugError *err)
{
    while (f->n_moved < f->n_written) {
        const char *from = frame_name(f->from, f->room_bytes, f->temporary, f->n_moved);
        const char *to = frame_name(f->to, f->room_bytes, f->final, f->n_moved);
        if (rename(from, to) < 0)
            return error_set(err, SNUG_ERR_IO, "%s: cannot put in place: %s", to, strerror(errno));
        f->n_moved++;
    }
    f->n_moved = f->n_written = 0; /* they stay */
    return SNUG_OK;
}

static SnugStatus folder_commit(void *state, int64_t n_frames, SnugError *err)
{
    (void)n_frames;
    Folder *f = state;
    if (f->exists) return move_frames(f, err);
    if (rename(f->temporary, f->final) < 0)
        return error_set(err, SNUG_ERR_IO, "%s: cannot put in place: %s", f->path, strerror(errno));
    f->temporary = NULL;
    f->n_written = 0;
    return SNUG_OK;
}

static size_t folder_memory_bytes(VideoFormat format, const VideoOptions *o)
{
    (void)format;
    /* one frame's encoder; the names in an existing folder */
    return png_write_bytes(o->width, o->height, 3) + ((size_t)1 << 20);
}

const VideoSink VIDEO_FOLDER_SINK = { folder_open,  folder_push,         folder_commit,
                                      folder_close, folder_memory_bytes, NULL };
