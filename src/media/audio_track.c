/* audio_track.c  Reads, encodes and hands packets to the muxer, never further than the video is. */
#include "media/audio_track.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>

#include "base/error.h"
#include "media/audio.h"
#include "media/libav.h"

enum { BIT_RATE = 192000, FRAME_SAMPLES_MAX = 4096 };

struct AudioTrack {
    Heap *heap;
    AudioReader *reader;
    AVFormatContext *format; /* of the writer */
    AVStream *stream;
    AVCodecContext *encoder;
    AVFrame *frame;
    AVPacket *packet;
    int filled;     /* samples in `frame` */
    int64_t n;      /* samples read so far */
    bool ended;     /* the file did */
    float *samples; /* [FRAME_SAMPLES_MAX, channels], as read */
};

/** The file's rate if the encoder can, else the highest it can (48 kHz for both we use). */
static int choose_rate(const AVCodec *codec, int rate_hz)
{
    int best = 0;
    for (const int *r = codec->supported_samplerates; r && *r; r++) {
        if (*r == rate_hz) return rate_hz;
        if (*r > best && *r <= 48000) best = *r;
    }
    return best ? best : rate_hz;
}

static SnugStatus open_encoder(AudioTrack *t, const char *name, SnugError *err)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec)
        return error_set(err, SNUG_ERR_ARG, "this FFmpeg has no encoder '%s' for sound", name);
    t->encoder = avcodec_alloc_context3(codec);
    if (!t->encoder) return error_set(err, SNUG_ERR_MEMORY, "no memory for sound");
    AudioLayout source = audio_layout(t->reader);
    AVCodecContext *c = t->encoder;
    c->sample_rate = choose_rate(codec, source.rate_hz);
    c->sample_fmt = codec->sample_fmts[0];
    for (const enum AVSampleFormat *f = codec->sample_fmts; *f != AV_SAMPLE_FMT_NONE; f++)
        if (*f == AV_SAMPLE_FMT_FLT || *f == AV_SAMPLE_FMT_FLTP) c->sample_fmt = *f;
    av_channel_layout_default(&c->ch_layout, source.channels > 1 ? 2 : 1);
    c->time_base = (AVRational){ 1, c->sample_rate };
    c->bit_rate = BIT_RATE;
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    if (t->format->oformat->flags & AVFMT_GLOBALHEADER) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    int code = avcodec_open2(c, codec, NULL);
    if (code < 0) return libav_fail(err, code, "cannot start the encoder '%s'", name);
    AudioLayout want = { c->sample_rate, c->ch_layout.nb_channels };
    return audio_convert(t->reader, want, err);
}

static SnugStatus open_buffers(AudioTrack *t, SnugError *err)
{
    const AVCodecContext *c = t->encoder;
    const int channels = c->ch_layout.nb_channels;
    t->packet = av_packet_alloc();
    t->frame = av_frame_alloc();
    t->samples = heap_take(t->heap, sizeof(float) * FRAME_SAMPLES_MAX * (size_t)channels, "audio");
    if (!t->packet || !t->frame || !t->samples)
        return error_set(err, SNUG_ERR_MEMORY, "no memory for sound");
    t->frame->format = c->sample_fmt;
    t->frame->sample_rate = c->sample_rate;
    t->frame->nb_samples = c->frame_size > 0 ? c->frame_size : 1024;
    if (t->frame->nb_samples > FRAME_SAMPLES_MAX)
        return error_set(err, SNUG_ERR_INTERNAL, "sound frames of %d samples", c->frame_size);
    int code = av_channel_layout_copy(&t->frame->ch_layout, &c->ch_layout);
    if (code >= 0) code = av_frame_get_buffer(t->frame, 0);
    return code < 0 ? libav_fail(err, code, "no memory for sound") : SNUG_OK;
}

static SnugStatus add_stream(AudioTrack *t, SnugError *err)
{
    t->stream = avformat_new_stream(t->format, NULL);
    if (!t->stream) return error_set(err, SNUG_ERR_MEMORY, "no memory for sound");
    t->stream->time_base = t->encoder->time_base;
    int code = avcodec_parameters_from_context(t->stream->codecpar, t->encoder);
    return code < 0 ? libav_fail(err, code, "no memory for sound") : SNUG_OK;
}

SnugStatus audio_track_open(AudioTrack **out, Heap *heap, const char *path, const char *encoder,
                            AVFormatContext *format, SnugError *err)
{
    *out = NULL;
    AudioTrack *t = heap_take(heap, sizeof *t, "audio");
    if (!t) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    t->heap = heap;
    t->format = format;
    SnugStatus status = audio_open(&t->reader, heap, path, err);
    if (status == SNUG_OK) status = open_encoder(t, encoder, err);
    if (status == SNUG_OK) status = open_buffers(t, err);
    if (status == SNUG_OK) status = add_stream(t, err);
    if (status != SNUG_OK) {
        audio_track_close(t);
        return status;
    }
    *out = t;
    return SNUG_OK;
}

void audio_track_close(AudioTrack *track)
{
    if (!track) return;
    audio_close(track->reader);
    avcodec_free_context(&track->encoder);
    av_frame_free(&track->frame);
    av_packet_free(&track->packet);
    heap_give(track->heap, track->samples);
    heap_give(track->heap, track);
}

/** Hand `frame` (NULL: the end) to the encoder and its packets to the muxer. */
static SnugStatus encode(AudioTrack *t, AVFrame *frame, SnugError *err)
{
    int code = avcodec_send_frame(t->encoder, frame);
    while (code >= 0) {
        code = avcodec_receive_packet(t->encoder, t->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return SNUG_OK;
        if (code < 0) break;
        t->packet->stream_index = t->stream->index;
        av_packet_rescale_ts(t->packet, t->encoder->time_base, t->stream->time_base);
        code = av_interleaved_write_frame(t->format, t->packet);
    }
    return libav_fail(err, code, "cannot write sound");
}

/** Encode what `frame` holds. */
static SnugStatus encode_filled(AudioTrack *t, SnugError *err)
{
    const int whole = t->frame->nb_samples;
    t->frame->nb_samples = t->filled;
    t->frame->pts = t->n - t->filled;
    SnugStatus status = encode(t, t->frame, err);
    t->frame->nb_samples = whole;
    t->filled = 0;
    return status;
}

/** Put n interleaved samples behind those in `frame`. */
static void put_samples(AudioTrack *t, int n)
{
    const int channels = t->encoder->ch_layout.nb_channels;
    const bool planar = av_sample_fmt_is_planar(t->encoder->sample_fmt);
    for (int c = 0; c < channels; c++) {
        float *to = (float *)(void *)t->frame->extended_data[planar ? c : 0];
        const int step = planar ? 1 : channels, first = planar ? 0 : c;
        for (int i = 0; i < n; i++)
            to[(t->filled + i) * step + first] = t->samples[i * channels + c];
    }
    t->filled += n;
    t->n += n;
}

SnugStatus audio_track_write(AudioTrack *track, double seconds, SnugError *err)
{
    const int64_t until = (int64_t)(seconds * track->encoder->sample_rate);
    while (!track->ended && track->n < until) {
        int64_t n = track->frame->nb_samples - track->filled;
        if (n > until - track->n) n = until - track->n;
        size_t got;
        TRY(audio_read(track->reader, track->samples, (size_t)n, &got, err));
        if ((int64_t)got < n) track->ended = true;
        if (av_frame_make_writable(track->frame) < 0)
            return error_set(err, SNUG_ERR_MEMORY, "no memory for sound");
        put_samples(track, (int)got);
        if (track->filled == track->frame->nb_samples) TRY(encode_filled(track, err));
    }
    return SNUG_OK;
}

bool audio_track_ended(const AudioTrack *track, double *seconds)
{
    *seconds = (double)track->n / track->encoder->sample_rate;
    return track->ended;
}

SnugStatus audio_track_finish(AudioTrack *track, SnugError *err)
{
    if (track->filled) TRY(encode_filled(track, err));
    return encode(track, NULL, err);
}
