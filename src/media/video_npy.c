/* video_npy.c  f32 [F, H, W, 3] for comparisons: the values before they become bytes. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/outfile.h"
#include "base/size.h"
#include "media/image.h"
#include "media/video_sink.h"

enum { HEADER_BYTES = 192 }; /* a multiple of 64, room for any shape */

typedef struct Npy {
    Heap *heap;
    OutFile *out;
    size_t frame_bytes;
} Npy;

/** Version 1.0 of the format: magic, length of the text, text padded with spaces to a newline. */
static SnugStatus write_header(Npy *npy, const VideoOptions *o, SnugError *err)
{
    char header[HEADER_BYTES + 1];
    memset(header, ' ', HEADER_BYTES);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)(HEADER_BYTES - 10);
    header[9] = 0;
    int n = snprintf(header + 10, HEADER_BYTES - 10,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %d, %d, 3), }",
                     (long long)o->n_frames, o->height, o->width);
    header[10 + n] = ' '; /* snprintf's terminator */
    header[HEADER_BYTES - 1] = '\n';
    return outfile_write(npy->out, header, HEADER_BYTES, err);
}

static void npy_close(void *state)
{
    Npy *npy = state;
    outfile_close(npy->out);
    heap_give(npy->heap, npy);
}

static SnugStatus npy_open(void **state, Heap *heap, const char *path, VideoFormat format,
                           const VideoOptions *o, SnugError *err)
{
    (void)format;
    size_t total;
    const size_t frame_bytes = 4 * image_bytes(o->width, o->height, 3);
    if (!size_mul(frame_bytes, (size_t)o->n_frames, &total) ||
        !size_add(total, HEADER_BYTES, &total))
        return error_set(err, SNUG_ERR_ARG, "%s: %lld frames are too many", path,
                         (long long)o->n_frames);
    Npy *npy = heap_take(heap, sizeof *npy, "video");
    if (!npy) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    npy->heap = heap;
    npy->frame_bytes = frame_bytes;
    SnugStatus status = outfile_open(&npy->out, heap, path, err);
    if (status == SNUG_OK) status = outfile_reserve(npy->out, total, err);
    if (status == SNUG_OK) status = write_header(npy, o, err);
    if (status == SNUG_OK)
        *state = npy;
    else
        npy_close(npy);
    return status;
}

static SnugStatus npy_push(void *state, const uint8_t *bytes, const float *rgb, int64_t index,
                           SnugError *err)
{
    (void)bytes;
    (void)index;
    Npy *npy = state;
    return outfile_write(npy->out, rgb, npy->frame_bytes, err);
}

static SnugStatus npy_commit(void *state, int64_t n_frames, SnugError *err)
{
    (void)n_frames;
    Npy *npy = state;
    return outfile_commit(npy->out, err);
}

static size_t npy_memory_bytes(VideoFormat format, const VideoOptions *o)
{
    (void)format;
    (void)o;
    return (size_t)1 << 20; /* the output buffer, and code touched first here */
}

const VideoSink VIDEO_NPY_SINK = {
    npy_open, npy_push, npy_commit, npy_close, npy_memory_bytes, NULL
};
