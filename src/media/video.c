/* video.c  Picks the sink by the name, checks what every format needs, turns floats into bytes. */
#include "media/video.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"
#include "media/audio_track.h"
#include "media/image.h"
#include "media/video_sink.h"

struct VideoWriter {
    Heap *heap;
    char *path;
    char *comment;
    const VideoSink *sink;
    void *state;
    VideoOptions options;
    uint8_t *bytes; /* one frame */
    int64_t n;      /* frames so far */
    bool failed;
};

static const VideoSink *find_sink(VideoFormat format)
{
    switch (format) {
    case VIDEO_SHEET:
        return &VIDEO_SHEET_SINK;
    case VIDEO_NPY:
        return &VIDEO_NPY_SINK;
    case VIDEO_FOLDER:
        return &VIDEO_FOLDER_SINK;
    default:
        return &VIDEO_CODED_SINK;
    }
}

SnugStatus video_format_of_path(VideoFormat *out, const char *path, SnugError *err)
{
    static const struct {
        const char *ending;
        VideoFormat format;
    } ENDINGS[] = { { ".mp4", VIDEO_MP4 },
                    { ".webm", VIDEO_WEBM },
                    { ".gif", VIDEO_GIF },
                    { ".png", VIDEO_SHEET },
                    { ".npy", VIDEO_NPY } };
    const size_t n = strlen(path);
    if (file_type(path) == FILE_DIRECTORY || (n > 0 && path[n - 1] == '/')) {
        *out = VIDEO_FOLDER;
        return SNUG_OK;
    }
    for (size_t i = 0; i < sizeof ENDINGS / sizeof ENDINGS[0]; i++) {
        const size_t ending = strlen(ENDINGS[i].ending);
        if (n <= ending || strcasecmp(path + n - ending, ENDINGS[i].ending) != 0) continue;
        *out = ENDINGS[i].format;
        return SNUG_OK;
    }
    return error_set(err, SNUG_ERR_ARG,
                     "%s: the name must end in .mp4, .webm, .gif, .png, .npy, or in / for a folder "
                     "of pictures",
                     path);
}

static SnugStatus check_options(VideoFormat format, const char *path, const VideoOptions *o,
                                SnugError *err)
{
    const bool timed = format == VIDEO_MP4 || format == VIDEO_WEBM || format == VIDEO_GIF;
    const double max_fps = format == VIDEO_GIF ? 50.0 : 240.0;
    const int max_crf = format == VIDEO_MP4 ? 51 : 63;
    if (o->width < 1 || o->height < 1 || o->width > VIDEO_MAX_SIDE_PX ||
        o->height > VIDEO_MAX_SIDE_PX)
        return error_set(err, SNUG_ERR_ARG, "%s: frames of %d x %d px: each side must be 1..%d px",
                         path, o->width, o->height, VIDEO_MAX_SIDE_PX);
    if (timed && !(o->fps >= 0.1 && o->fps <= max_fps))
        return error_set(err, SNUG_ERR_ARG, "%s: %g frames a second: must be 0.1..%g", path, o->fps,
                         max_fps);
    if (o->crf < 0 || o->crf > max_crf)
        return error_set(err, SNUG_ERR_ARG, "%s: crf %d: must be 1..%d", path, o->crf, max_crf);
    if (o->n_frames < 0)
        return error_set(err, SNUG_ERR_ARG, "%s: %lld frames", path, (long long)o->n_frames);
    if ((format == VIDEO_NPY || format == VIDEO_SHEET) && o->n_frames == 0)
        return error_set(err, SNUG_ERR_ARG, "%s: the number of frames must be known", path);
    if (format == VIDEO_SHEET && o->n_frames > VIDEO_MAX_SHEET_FRAMES)
        return error_set(err, SNUG_ERR_ARG, "%s: a contact sheet holds at most %d frames", path,
                         VIDEO_MAX_SHEET_FRAMES);
    return SNUG_OK;
}

static char *copy_text(Heap *heap, const char *text)
{
    char *copy = heap_take(heap, strlen(text) + 1, "video");
    if (copy) memcpy(copy, text, strlen(text));
    return copy;
}

static SnugStatus open_writer(VideoWriter *w, const char *path, VideoFormat format,
                              const VideoOptions *options, SnugError *err)
{
    w->sink = find_sink(format);
    w->options = *options;
    w->path = copy_text(w->heap, path);
    w->bytes = heap_take(w->heap, image_bytes(options->width, options->height, 3), "video");
    if (options->comment) w->comment = copy_text(w->heap, options->comment);
    w->options.comment = w->comment;
    if (!w->path || !w->bytes || (options->comment && !w->comment))
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for a frame", path);
    return w->sink->open(&w->state, w->heap, w->path, format, &w->options, err);
}

SnugStatus video_writer_open(VideoWriter **out, Heap *heap, const char *path,
                             const VideoOptions *options, SnugError *err)
{
    VideoFormat format;
    *out = NULL;
    TRY(video_format_of_path(&format, path, err));
    TRY(check_options(format, path, options, err));
    VideoWriter *w = heap_take(heap, sizeof *w, "video");
    if (!w) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    w->heap = heap;
    SnugStatus status = open_writer(w, path, format, options, err);
    if (status != SNUG_OK) {
        video_writer_abandon(w);
        return status;
    }
    *out = w;
    return SNUG_OK;
}

size_t video_writer_memory_bytes(VideoFormat format, const VideoOptions *options, int with_audio)
{
    return sizeof(VideoWriter) + 4096 + image_bytes(options->width, options->height, 3) +
           find_sink(format)->memory_bytes(format, options) +
           (with_audio ? (size_t)AUDIO_TRACK_BYTES : 0);
}

static SnugStatus note(VideoWriter *w, SnugStatus status)
{
    if (status != SNUG_OK) w->failed = true;
    return status;
}

static SnugStatus check_usable(const VideoWriter *w, SnugError *err)
{
    if (!w->failed) return SNUG_OK;
    return error_set(err, SNUG_ERR_IO, "%s: cannot write: it failed before", w->path);
}

SnugStatus video_writer_add_audio(VideoWriter *writer, const char *path, int shortest,
                                  SnugError *err)
{
    TRY(check_usable(writer, err));
    if (!writer->sink->add_audio)
        return note(writer, error_set(err, SNUG_ERR_ARG, "%s: this kind of file holds no sound",
                                      writer->path));
    if (writer->n > 0)
        return note(writer, error_set(err, SNUG_ERR_ARG, "%s: sound must come before frames",
                                      writer->path));
    return note(writer, writer->sink->add_audio(writer->state, path, shortest != 0, err));
}

SnugStatus video_writer_push(VideoWriter *writer, const float *rgb, SnugError *err)
{
    const VideoOptions *o = &writer->options;
    TRY(check_usable(writer, err));
    if (o->n_frames > 0 && writer->n == o->n_frames)
        return note(writer, error_set(err, SNUG_ERR_ARG, "%s: more than the announced %lld frames",
                                      writer->path, (long long)o->n_frames));
    image_bytes_from_unit(writer->bytes, rgb, image_bytes(o->width, o->height, 3));
    TRY(note(writer, writer->sink->push(writer->state, writer->bytes, rgb, writer->n, err)));
    writer->n++;
    return SNUG_OK;
}

SnugStatus video_writer_commit(VideoWriter *writer, SnugError *err)
{
    const VideoOptions *o = &writer->options;
    SnugStatus status = check_usable(writer, err);
    if (status == SNUG_OK && writer->n == 0)
        status = error_set(err, SNUG_ERR_ARG, "%s: no frame was written", writer->path);
    if (status == SNUG_OK && o->n_frames > 0 && writer->n != o->n_frames)
        status = error_set(err, SNUG_ERR_ARG, "%s: %lld frames were announced, %lld came",
                           writer->path, (long long)o->n_frames, (long long)writer->n);
    if (status == SNUG_OK) status = writer->sink->commit(writer->state, writer->n, err);
    video_writer_abandon(writer);
    return status;
}

void video_writer_abandon(VideoWriter *writer)
{
    if (!writer) return;
    Heap *heap = writer->heap;
    if (writer->state) writer->sink->close(writer->state);
    heap_give(heap, writer->bytes);
    heap_give(heap, writer->comment);
    heap_give(heap, writer->path);
    heap_give(heap, writer);
}
