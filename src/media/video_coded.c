/* video_coded.c  MP4, WebM and GIF: one libav encoder and muxer over a scratch file.
 *
 * Encoders look ahead to spend bits well, and hold whole frames for it. The settings below keep that
 * to about a dozen frames: the memory is known, and the loss against the defaults is about 1 %. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>

#include "base/error.h"
#include "media/audio_track.h"
#include "media/image.h"
#include "media/libav.h"
#include "media/palette.h"
#include "media/scratch.h"
#include "media/video_sink.h"
#include "media/yuv.h"

/** An encoder's private option. */
typedef struct Setting {
    const char *name, *value;
} Setting;

/** One format. Memory: fixed + per_px * pixels of the padded frame; measured, see test_video.c. */
typedef struct Coding {
    const char *muxer, *encoder, *audio;
    enum AVPixelFormat pixels;
    int crf;
    size_t fixed_bytes, per_px_bytes;
    Setting muxing, settings[6];
} Coding;

static const Coding CODINGS[] = {
    [VIDEO_MP4] = { "mp4",
                    "libx264",
                    "aac",
                    AV_PIX_FMT_YUV420P,
                    18,
                    (size_t)12 << 20,
                    96,
                    { "movflags", "+faststart" },
                    { { "preset", "medium" },
                      { "x264-params", "threads=1:lookahead-threads=1:sync-lookahead=0:"
                                       "rc-lookahead=5:ref=2:bframes=2" } } },
    [VIDEO_WEBM] = { "webm",
                     "libvpx-vp9",
                     "libopus",
                     AV_PIX_FMT_YUV420P,
                     24,
                     (size_t)24 << 20,
                     140,
                     { 0 },
                     { { "deadline", "good" },
                       { "cpu-used", "3" },
                       { "lag-in-frames", "8" },
                       { "row-mt", "0" },
                       { "tile-columns", "0" } } },
    [VIDEO_GIF] = { "gif", "gif", NULL, AV_PIX_FMT_PAL8, 0, (size_t)6 << 20, 28, { 0 }, { { 0 } } },
};

typedef struct Coded {
    Heap *heap;
    const char *path;
    const Coding *coding;
    const VideoOptions *options;
    OutFile *out;
    int fd; /* scratch */
    AVFormatContext *format;
    AVCodecContext *encoder;
    AVStream *stream;
    AVFrame *frame;
    AVPacket *packet;
    Palette *palette; /* GIF */
    AudioTrack *audio;
    bool shortest;
    bool started; /* header written, trailer not */
} Coded;

static void coded_close(void *state)
{
    Coded *v = state;
    /* libav's GIF muxer frees what it holds only here; the bytes go to the scratch file */
    if (v->started) (void)av_write_trailer(v->format);
    audio_track_close(v->audio);
    palette_free(v->palette);
    avcodec_free_context(&v->encoder);
    av_frame_free(&v->frame);
    av_packet_free(&v->packet);
    scratch_detach(v->format);
    avformat_free_context(v->format);
    if (v->fd >= 0) (void)close(v->fd);
    outfile_close(v->out);
    heap_give(v->heap, v);
}

static SnugStatus no_memory(const Coded *v, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for the encoder", v->path);
}

static int padded(const Coded *v, int size)
{
    return v->coding->pixels == AV_PIX_FMT_YUV420P ? (size + 1) & ~1 : size;
}

static void set_context(Coded *v)
{
    AVCodecContext *c = v->encoder;
    const AVRational rate = av_d2q(v->options->fps, 1001000);
    c->width = padded(v, v->options->width);
    c->height = padded(v, v->options->height);
    c->pix_fmt = v->coding->pixels;
    c->framerate = rate;
    c->time_base = av_inv_q(rate);
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    if (v->format->oformat->flags & AVFMT_GLOBALHEADER) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (v->coding->pixels != AV_PIX_FMT_YUV420P) return;
    c->gop_size = 48; /* two or three seconds: players can jump */
    c->color_range = AVCOL_RANGE_MPEG;
    c->colorspace = AVCOL_SPC_BT709;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->chroma_sample_location = AVCHROMA_LOC_LEFT;
}

static int set_options(Coded *v)
{
    char crf[16];
    int code = 0;
    for (const Setting *s = v->coding->settings; s->name && code >= 0; s++)
        code = av_opt_set(v->encoder->priv_data, s->name, s->value, 0);
    if (!v->coding->crf || code < 0) return code;
    (void)snprintf(crf, sizeof crf, "%d", v->options->crf ? v->options->crf : v->coding->crf);
    v->encoder->bit_rate = 0; /* VP9: quality alone decides */
    return av_opt_set(v->encoder->priv_data, "crf", crf, 0);
}

static SnugStatus open_encoder(Coded *v, SnugError *err)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(v->coding->encoder);
    if (!codec)
        return error_set(err, SNUG_ERR_ARG, "%s: this FFmpeg has no encoder '%s'", v->path,
                         v->coding->encoder);
    v->encoder = avcodec_alloc_context3(codec);
    if (!v->encoder) return no_memory(v, err);
    set_context(v);
    int code = set_options(v);
    if (code >= 0) code = avcodec_open2(v->encoder, codec, NULL);
    if (code == AVERROR(ENOMEM)) return no_memory(v, err);
    if (code < 0)
        return error_set(err, SNUG_ERR_ARG, "%s: '%s' cannot encode %d x %d px at %g fps", v->path,
                         v->coding->encoder, v->encoder->width, v->encoder->height,
                         v->options->fps);
    return SNUG_OK;
}

static SnugStatus open_muxer(Coded *v, SnugError *err)
{
    if (avformat_alloc_output_context2(&v->format, NULL, v->coding->muxer, NULL) < 0)
        return no_memory(v, err);
    v->format->flags |= AVFMT_FLAG_BITEXACT; /* no dates, no random ids */
    if (v->options->comment &&
        av_dict_set(&v->format->metadata, "comment", v->options->comment, 0) < 0)
        return no_memory(v, err);
    return scratch_attach(v->format, &v->fd, err);
}

static SnugStatus open_frame(Coded *v, SnugError *err)
{
    v->packet = av_packet_alloc();
    v->frame = av_frame_alloc();
    if (!v->packet || !v->frame) return no_memory(v, err);
    v->frame->format = v->coding->pixels;
    v->frame->width = v->encoder->width;
    v->frame->height = v->encoder->height;
    if (v->coding->pixels == AV_PIX_FMT_PAL8) {
        v->palette = palette_create(v->heap);
        if (!v->palette) return no_memory(v, err);
    }
    return av_frame_get_buffer(v->frame, 0) < 0 ? no_memory(v, err) : SNUG_OK;
}

static SnugStatus open_stream(Coded *v, SnugError *err)
{
    v->stream = avformat_new_stream(v->format, NULL);
    if (!v->stream || avcodec_parameters_from_context(v->stream->codecpar, v->encoder) < 0)
        return no_memory(v, err);
    v->stream->time_base = v->encoder->time_base;
    v->stream->avg_frame_rate = v->encoder->framerate;
    return SNUG_OK;
}

static SnugStatus coded_open(void **state, Heap *heap, const char *path, VideoFormat format,
                             const VideoOptions *o, SnugError *err)
{
    libav_quiet();
    Coded *v = heap_take(heap, sizeof *v, "video");
    if (!v) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    *v = (Coded){ .heap = heap, .path = path, .coding = &CODINGS[format], .options = o, .fd = -1 };
    SnugStatus status = outfile_open(&v->out, heap, path, err);
    if (status == SNUG_OK) status = scratch_open(&v->fd, heap, path, err);
    if (status == SNUG_OK) status = open_muxer(v, err);
    if (status == SNUG_OK) status = open_encoder(v, err);
    if (status == SNUG_OK) status = open_frame(v, err);
    if (status == SNUG_OK) status = open_stream(v, err);
    if (status == SNUG_OK)
        *state = v;
    else
        coded_close(v);
    return status;
}

static SnugStatus coded_add_audio(void *state, const char *path, bool shortest, SnugError *err)
{
    Coded *v = state;
    if (!v->coding->audio)
        return error_set(err, SNUG_ERR_ARG, "%s: this kind of file holds no sound", v->path);
    if (v->audio) return error_set(err, SNUG_ERR_ARG, "%s: has sound already", v->path);
    v->shortest = shortest;
    return audio_track_open(&v->audio, v->heap, path, v->coding->audio, v->format, err);
}

/** The header waits for the first frame: all streams must be known. */
static SnugStatus start(Coded *v, SnugError *err)
{
    AVDictionary *options = NULL;
    const Setting *s = &v->coding->muxing;
    int code = s->name ? av_dict_set(&options, s->name, s->value, 0) : 0;
    if (code >= 0) code = avformat_write_header(v->format, &options);
    av_dict_free(&options);
    if (code < 0) return libav_fail(err, code, "%s: cannot write", v->path);
    v->started = true;
    return SNUG_OK;
}

static SnugStatus fill_frame(Coded *v, const uint8_t *rgb, SnugError *err)
{
    const int width = v->options->width, height = v->options->height;
    AVFrame *f = v->frame;
    if (av_frame_make_writable(f) < 0) return no_memory(v, err);
    if (v->palette) {
        palette_map(v->palette, f->data[0], f->linesize[0], rgb, width, height);
        memcpy(f->data[1], palette_colours(v->palette), AVPALETTE_SIZE);
        return SNUG_OK;
    }
    const YuvPlanes planes = { { f->data[0], f->data[1], f->data[2] },
                               { f->linesize[0], f->linesize[1], f->linesize[2] } };
    yuv_from_rgb(planes, rgb, width, height);
    return SNUG_OK;
}

/** Hand `frame` (NULL: the end) to the encoder and its packets to the muxer. */
static SnugStatus encode(Coded *v, AVFrame *frame, SnugError *err)
{
    int code = avcodec_send_frame(v->encoder, frame);
    while (code >= 0) {
        code = avcodec_receive_packet(v->encoder, v->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return SNUG_OK;
        if (code < 0) break;
        v->packet->stream_index = v->stream->index;
        if (!v->packet->duration) v->packet->duration = 1;
        av_packet_rescale_ts(v->packet, v->encoder->time_base, v->stream->time_base);
        code = av_interleaved_write_frame(v->format, v->packet);
    }
    return libav_fail(err, code, "%s: cannot write", v->path);
}

/** Is the sound over before frame `index` begins? */
static bool sound_is_over(const Coded *v, int64_t index)
{
    double seconds;
    return v->audio && v->shortest && audio_track_ended(v->audio, &seconds) && index > 0 &&
           (double)index / v->options->fps >= seconds;
}

static SnugStatus coded_push(void *state, const uint8_t *bytes, const float *rgb, int64_t index,
                             SnugError *err)
{
    (void)rgb;
    Coded *v = state;
    if (!v->started) TRY(start(v, err));
    if (v->audio) {
        SnugStatus status = audio_track_write(v->audio, (double)(index + 1) / v->options->fps, err);
        if (status != SNUG_OK) return error_wrap(err, status, "%s: ", v->path);
    }
    if (sound_is_over(v, index)) return SNUG_OK;
    TRY(fill_frame(v, bytes, err));
    v->frame->pts = index;
    return encode(v, v->frame, err);
}

static SnugStatus coded_commit(void *state, int64_t n_frames, SnugError *err)
{
    (void)n_frames;
    Coded *v = state;
    if (v->audio) {
        SnugStatus status = audio_track_finish(v->audio, err);
        if (status != SNUG_OK) return error_wrap(err, status, "%s: ", v->path);
    }
    TRY(encode(v, NULL, err));
    v->started = false;
    int code = av_write_trailer(v->format);
    avio_flush(v->format->pb);
    if (code >= 0) code = v->format->pb->error;
    if (code < 0) return libav_fail(err, code, "%s: cannot write", v->path);
    TRY(scratch_copy(v->out, v->fd, v->path, err));
    return outfile_commit(v->out, err);
}

static size_t coded_memory_bytes(VideoFormat format, const VideoOptions *o)
{
    /* encoders pad small frames to their blocks */
    const size_t width = ((size_t)o->width + 63) & ~(size_t)63;
    const size_t height = ((size_t)o->height + 63) & ~(size_t)63;
    const Coding *c = &CODINGS[format];
    return c->fixed_bytes + c->per_px_bytes * width * height;
}

const VideoSink VIDEO_CODED_SINK = { coded_open,  coded_push,         coded_commit,
                                     coded_close, coded_memory_bytes, coded_add_audio };
