/* video.h  Write a video frame by frame, into the kind of file that its name asks for.
 *
 *     open [-> add_audio] -> push ... -> commit      the file is there, complete
 *                                    \-> abandon     nothing is left; an older file stays
 *
 * | name              | what                                                                     |
 * |-------------------|--------------------------------------------------------------------------|
 * | .mp4              | H.264 (High, yuv420p, BT.709), index first: plays in browsers while loading |
 * | .webm             | VP9 in the same colours                                                  |
 * | .gif              | 255 colours that follow the picture, ordered dither; at most 50 fps      |
 * | .png              | one frame: that picture; several: a contact sheet, shrunk to 4096 px a side |
 * | .npy              | f32 [F, H, W, 3], the values as pushed                                   |
 * | folder/           | frame_0000.png ...; also an existing folder without such files           |
 *
 * Pixels become bytes as the reference exporters do it: clamped to 0..1, times 255, fraction cut
 * off. Odd sizes of .mp4 and .webm are padded by repeating the last row or column. The same frames
 * give the same bytes with the same library versions: no dates, no random ids, one thread.
 *
 * Merely being linked to FFmpeg's libraries costs 25 MiB of resident memory from the start of the
 * process (VmRSS 26.2 MB against 1.2 MB without, 4.7 MB of it anonymous; Debian 12, 135 shared
 * objects). That is not in the figures below; pages of an encoder touched first here are.
 */
#ifndef MEDIA_VIDEO_H
#define MEDIA_VIDEO_H

#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "snug/status.h"

enum { VIDEO_MAX_SIDE_PX = 8192, VIDEO_MAX_SHEET_FRAMES = 10000 };

typedef enum VideoFormat {
    VIDEO_MP4,
    VIDEO_WEBM,
    VIDEO_GIF,
    VIDEO_SHEET, /**< .png */
    VIDEO_NPY,
    VIDEO_FOLDER
} VideoFormat;

typedef struct VideoOptions {
    int width, height;   /**< px, 1..VIDEO_MAX_SIDE_PX */
    double fps;          /**< 0.1..240; only .mp4, .webm and .gif look at it */
    int64_t n_frames;    /**< how many will come. Binding for .npy and .png, else only checked when
                              set; 0: unknown */
    int crf;             /**< quality of .mp4 (1 best..51, 0: 18) and .webm (1..63, 0: 24) */
    const char *comment; /**< stored in .mp4, .webm and PNG; UTF-8 or NULL */
} VideoOptions;

typedef struct VideoWriter VideoWriter;

/** What the name asks for; SNUG_ERR_ARG names the endings there are. */
SNUG_MUST_USE SnugStatus video_format_of_path(VideoFormat *out, const char *path, SnugError *err);

/**
 * Upper bound of what a writer takes from open to commit, FFmpeg's encoder and muxer included (their
 * part is measured, test_video checks it). Depends on sizes, and for VIDEO_SHEET on n_frames.
 * @param with_audio  a sound track will be added
 */
size_t video_writer_memory_bytes(VideoFormat format, const VideoOptions *options, int with_audio);

/**
 * Start writing. The folder must exist and be writable, which is found out now and not after the
 * work.
 * @param out      ended by video_writer_commit or video_writer_abandon; NULL after a failure
 * @param options  copied
 * @return SNUG_ERR_ARG: unknown ending, impossible size, rate or count; SNUG_ERR_IO: cannot be
 *         written there; SNUG_ERR_MEMORY
 */
SNUG_MUST_USE SnugStatus video_writer_open(VideoWriter **out, Heap *heap, const char *path,
                                           const VideoOptions *options, SnugError *err);

/**
 * Mix in a sound file; before the first push, .mp4 (AAC) and .webm (Opus) only. Sound is cut where
 * the video ends. 192 kbit/s, the file's rate, one or two channels.
 * @param shortest  nonzero: frames beyond the end of the sound are dropped too (ffmpeg -shortest)
 * @return as audio_open, and SNUG_ERR_ARG for other formats; after a failure only abandon
 */
SNUG_MUST_USE SnugStatus video_writer_add_audio(VideoWriter *writer, const char *path, int shortest,
                                                SnugError *err);

/**
 * The next frame.
 * @param rgb  [height, width, 3], 0..1; values beyond are clamped, NaN is 0
 * @return SNUG_ERR_IO: disk full and the like; SNUG_ERR_ARG: more frames than announced;
 *         SNUG_ERR_MEMORY. After a failure only abandon.
 */
SNUG_MUST_USE SnugStatus video_writer_push(VideoWriter *writer, const float *rgb, SnugError *err);

/** Finish, publish under the final name and free the writer; after a failure it is abandoned.
 *  SNUG_ERR_ARG: no frame, or fewer than announced. */
SNUG_MUST_USE SnugStatus video_writer_commit(VideoWriter *writer, SnugError *err);
/** Free; nothing is left on the disk. NULL is fine. */
void video_writer_abandon(VideoWriter *writer);

#endif
