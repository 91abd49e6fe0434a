/* video_sink.h  What a format of video.c has to do. One const table entry per VideoFormat. */
#ifndef MEDIA_VIDEO_SINK_H
#define MEDIA_VIDEO_SINK_H

#include <stdbool.h>

#include "media/video.h"

typedef struct VideoSink {
    /** *state stays NULL after a failure. `path` and `options` outlive the state. */
    SnugStatus (*open)(void **state, Heap *heap, const char *path, VideoFormat format,
                       const VideoOptions *options, SnugError *err);
    /** Frame number `index`, [height, width, 3]: as bytes, and as pushed. */
    SnugStatus (*push)(void *state, const uint8_t *bytes, const float *rgb, int64_t index,
                       SnugError *err);
    /** Finish and publish. */
    SnugStatus (*commit)(void *state, int64_t n_frames, SnugError *err);
    /** Free and remove what was not published. */
    void (*close)(void *state);
    /** Without what video.c holds itself. */
    size_t (*memory_bytes)(VideoFormat format, const VideoOptions *options);
    /** NULL where sound cannot be stored. */
    SnugStatus (*add_audio)(void *state, const char *path, bool shortest, SnugError *err);
} VideoSink;

extern const VideoSink VIDEO_CODED_SINK, VIDEO_SHEET_SINK, VIDEO_NPY_SINK, VIDEO_FOLDER_SINK;

#endif
