/* audio.c  Demux, decode, resample: packets in, converted samples out of a small buffer. */
#include "media/audio.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/size.h"
#include "media/libav.h"

/* A decoder's frame is a few thousand samples; more than this is an attack. */
enum { MAX_FRAME_SAMPLES = 1 << 17 };

struct AudioReader {
    Arena arena; /* texts, and the sample buffer */
    const char *path;
    AVFormatContext *format;
    AVCodecContext *decoder;
    SwrContext *resampler;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    AudioLayout source, want;
    float *buffer; /* converted samples that nobody took yet */
    size_t buffer_samples, at, n;
    bool drained, ended; /* the decoder knows the end; everything was read */
};

/* Containers whose demuxers open no other file and allocate no more than the file is long; WAV's
 * does, see check_wav. */
static const char CONTAINERS[] = "wav,mp3,aac,flac,ogg,mov,mp4,m4a,matroska,webm";

enum { MAX_WAV_CHUNKS = 64, MAX_WAV_FORMAT_BYTES = 4096 };

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/** libav allocates and clears what the format chunk claims as its size, up to 2 GiB, before it looks
 *  whether the file is that long. */
static SnugStatus check_wav(const File *file, SnugError *err)
{
    uint8_t head[12];
    if (file_bytes(file) < sizeof head) return SNUG_OK; /* libav will say what it is not */
    TRY(file_pread_all(file, 0, head, sizeof head, err));
    if (memcmp(head + 8, "WAVE", 4) != 0) return SNUG_OK;
    size_t at = sizeof head;
    for (int i = 0; i < MAX_WAV_CHUNKS && at + 8 <= file_bytes(file); i++) {
        TRY(file_pread_all(file, at, head, 8, err));
        const size_t bytes = le32(head + 4);
        if (memcmp(head, "fmt ", 4) == 0 && bytes <= MAX_WAV_FORMAT_BYTES) return SNUG_OK;
        if (memcmp(head, "fmt ", 4) == 0 || memcmp(head, "data", 4) == 0) break;
        at += 8 + bytes + (bytes & 1);
    }
    return fault_set(err, FAULT_BAD, file_path(file), "WAV", NULL,
                     "no format chunk of at most %d bytes before the sound", MAX_WAV_FORMAT_BYTES);
}

/** Is it a readable file, and harmless to libav? */
static SnugStatus check_file(Heap *heap, const char *path, SnugError *err)
{
    File *file = NULL;
    TRY(file_open(&file, heap, path, err));
    SnugStatus status = check_wav(file, err);
    file_close(file);
    return status;
}

static SnugStatus open_format(AudioReader *r, SnugError *err)
{
    AVDictionary *options = NULL;
    char *url = arena_printf(&r->arena, "file:%s", r->path);
    int code = url ? av_dict_set(&options, "format_whitelist", CONTAINERS, 0) : AVERROR(ENOMEM);
    if (code >= 0) code = av_dict_set(&options, "protocol_whitelist", "file", 0);
    if (code >= 0) code = avformat_open_input(&r->format, url, NULL, &options);
    for (unsigned i = 0; code >= 0 && i < r->format->nb_streams; i++) {
        AVStream *s = r->format->streams[i];
        /* else the next call decodes pictures of any size, to learn about a track nobody asked for */
        if (s->codecpar->codec_type != AVMEDIA_TYPE_AUDIO) s->discard = AVDISCARD_ALL;
    }
    if (code >= 0) code = avformat_find_stream_info(r->format, NULL);
    av_dict_free(&options);
    /* its WAV reader calls a header that ends early "out of memory" */
    if (code == AVERROR(ENOMEM)) code = AVERROR_INVALIDDATA;
    if (code < 0) return libav_fail(err, code, "%s: not a sound file", r->path);
    return SNUG_OK;
}

static SnugStatus open_decoder(AudioReader *r, SnugError *err)
{
    const AVCodec *codec = NULL;
    r->stream = av_find_best_stream(r->format, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    if (r->stream < 0 || !codec)
        return error_set(err, SNUG_ERR_FILE, "%s: has no sound that can be read", r->path);
    for (unsigned i = 0; i < r->format->nb_streams; i++)
        r->format->streams[i]->discard = (int)i == r->stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    r->decoder = avcodec_alloc_context3(codec);
    if (!r->decoder) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory", r->path);
    r->decoder->thread_count = 1;
    r->decoder->max_samples = MAX_FRAME_SAMPLES;
    int code = avcodec_parameters_to_context(r->decoder, r->format->streams[r->stream]->codecpar);
    if (code >= 0) code = avcodec_open2(r->decoder, codec, NULL);
    if (code < 0) return libav_fail(err, code, "%s: cannot decode its sound", r->path);
    r->source = (AudioLayout){ r->decoder->sample_rate, r->decoder->ch_layout.nb_channels };
    if (r->source.rate_hz < 1 || r->source.rate_hz > AUDIO_MAX_RATE_HZ || r->source.channels < 1 ||
        r->source.channels > AUDIO_MAX_CHANNELS)
        return error_set(
            err, SNUG_ERR_FILE, "%s: sound of %d Hz and %d channels (limits %d Hz, %d channels)",
            r->path, r->source.rate_hz, r->source.channels, AUDIO_MAX_RATE_HZ, AUDIO_MAX_CHANNELS);
    return SNUG_OK;
}

SnugStatus audio_open(AudioReader **out, Heap *heap, const char *path, SnugError *err)
{
    *out = NULL;
    libav_quiet();
    TRY(check_file(heap, path, err));
    AudioReader *r = heap_take(heap, sizeof *r, "audio");
    if (!r) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    arena_init(&r->arena, heap, "audio");
    r->path = arena_text(&r->arena, path, strlen(path));
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
    SnugStatus status = SNUG_OK;
    if (!r->path || !r->packet || !r->frame)
        status = error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    if (status == SNUG_OK) status = open_format(r, err);
    if (status == SNUG_OK) status = open_decoder(r, err);
    if (status != SNUG_OK) {
        audio_close(r);
        return status;
    }
    r->want = r->source;
    *out = r;
    return SNUG_OK;
}

void audio_close(AudioReader *reader)
{
    if (!reader) return;
    Heap *heap = reader->arena.heap;
    swr_free(&reader->resampler);
    avcodec_free_context(&reader->decoder);
    avformat_close_input(&reader->format);
    av_packet_free(&reader->packet);
    av_frame_free(&reader->frame);
    arena_release(&reader->arena);
    heap_give(heap, reader);
}

AudioLayout audio_layout(const AudioReader *reader)
{
    return reader->source;
}

SnugStatus audio_convert(AudioReader *reader, AudioLayout want, SnugError *err)
{
    if (want.rate_hz < 1 || want.rate_hz > AUDIO_MAX_RATE_HZ || want.channels < 1 ||
        want.channels > AUDIO_MAX_CHANNELS)
        return error_set(err, SNUG_ERR_ARG, "sound of %d Hz and %d channels is not supported",
                         want.rate_hz, want.channels);
    reader->want = want;
    return SNUG_OK;
}

/* ---- reading ---- */

/** On the first frame, which tells the decoder's sample format for sure. */
static SnugStatus open_resampler(AudioReader *r, SnugError *err)
{
    AVChannelLayout to;
    av_channel_layout_default(&to, r->want.channels);
    int code =
        swr_alloc_set_opts2(&r->resampler, &to, AV_SAMPLE_FMT_FLT, r->want.rate_hz,
                            &r->frame->ch_layout, r->frame->format, r->frame->sample_rate, 0, NULL);
    /* channels are averaged; by default floats are mixed with more than that, and clip later */
    if (code >= 0) code = av_opt_set_double(r->resampler, "rematrix_maxval", 1.0, 0);
    if (code >= 0) code = swr_init(r->resampler);
    av_channel_layout_uninit(&to);
    if (code < 0) return libav_fail(err, code, "%s: cannot resample its sound", r->path);
    r->source = (AudioLayout){ r->frame->sample_rate, r->frame->ch_layout.nb_channels };
    return SNUG_OK;
}

static SnugStatus reserve(AudioReader *r, size_t samples, SnugError *err)
{
    if (samples <= r->buffer_samples) return SNUG_OK;
    size_t room = samples < 8192 ? 8192 : samples;
    r->buffer = arena_array(&r->arena, room * (size_t)r->want.channels, sizeof *r->buffer);
    r->buffer_samples = r->buffer ? room : 0;
    if (!r->buffer) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for sound", r->path);
    return SNUG_OK;
}

/** Convert `frame`, or what the resampler still holds when it is NULL; the buffer is empty. */
static SnugStatus convert(AudioReader *r, const AVFrame *frame, SnugError *err)
{
    const int samples = frame ? frame->nb_samples : 0;
    int room = swr_get_out_samples(r->resampler, samples);
    if (room < 0 || room > 16 * MAX_FRAME_SAMPLES)
        return error_set(err, SNUG_ERR_FILE, "%s: its sound cannot be resampled", r->path);
    TRY(reserve(r, (size_t)room + 1, err));
    uint8_t *to = (uint8_t *)r->buffer;
    const uint8_t **from = frame ? (const uint8_t **)(void *)frame->extended_data : NULL;
    int got = swr_convert(r->resampler, &to, room, from, samples);
    if (got < 0) return libav_fail(err, got, "%s: cannot resample its sound", r->path);
    r->at = 0;
    r->n = (size_t)got;
    return SNUG_OK;
}

/** Feed the decoder one packet of our stream, or the end. */
static int feed(AudioReader *r)
{
    for (;;) {
        int code = av_read_frame(r->format, r->packet);
        if (code < 0) { /* the end, or damage: either way nothing more comes */
            r->drained = true;
            return avcodec_send_packet(r->decoder, NULL);
        }
        if (r->packet->stream_index == r->stream)
            code = avcodec_send_packet(r->decoder, r->packet);
        else
            code = AVERROR(EAGAIN);
        av_packet_unref(r->packet);
        if (code >= 0) return 0;
        /* one broken packet is skipped, as players do */
        if (code != AVERROR(EAGAIN) && code != AVERROR_INVALIDDATA) return code;
    }
}

static bool same_layout(const AudioReader *r)
{
    return r->frame->sample_rate == r->source.rate_hz &&
           r->frame->ch_layout.nb_channels == r->source.channels;
}

static SnugStatus take_frame(AudioReader *r, SnugError *err)
{
    SnugStatus status = SNUG_OK;
    if (r->frame->nb_samples > MAX_FRAME_SAMPLES)
        status = error_set(err, SNUG_ERR_FILE, "%s: its sound is damaged", r->path);
    if (status == SNUG_OK && !r->resampler) status = open_resampler(r, err);
    if (status == SNUG_OK && !same_layout(r))
        status =
            error_set(err, SNUG_ERR_FILE, "%s: its sound changes rate or channels midway", r->path);
    if (status == SNUG_OK) status = convert(r, r->frame, err);
    av_frame_unref(r->frame);
    return status;
}

/** Decode until the buffer holds something or the end is reached. */
static SnugStatus refill(AudioReader *r, SnugError *err)
{
    while (r->n == r->at && !r->ended) {
        int code = avcodec_receive_frame(r->decoder, r->frame);
        if (code == AVERROR(EAGAIN) && !r->drained) {
            code = feed(r);
            if (code >= 0) continue;
        }
        if (code >= 0) {
            TRY(take_frame(r, err));
        } else if (code == AVERROR_EOF || code == AVERROR(EAGAIN)) {
            r->ended = true;
            if (r->resampler) TRY(convert(r, NULL, err));
        } else {
            return libav_fail(err, code, "%s: cannot decode its sound", r->path);
        }
    }
    return SNUG_OK;
}

SnugStatus audio_read(AudioReader *reader, float *out, size_t n, size_t *got, SnugError *err)
{
    const size_t channels = (size_t)reader->want.channels;
    *got = 0;
    while (*got < n) {
        TRY(refill(reader, err));
        size_t some = reader->n - reader->at;
        if (some == 0) return SNUG_OK; /* the end */
        if (some > n - *got) some = n - *got;
        memcpy(out + *got * channels, reader->buffer + reader->at * channels,
               some * channels * sizeof *out);
        reader->at += some;
        *got += some;
    }
    return SNUG_OK;
}
