/* movie.h  Reads videos back with libav, and makes frames to write. */
#ifndef TESTS_MEDIA_MOVIE_H
#define TESTS_MEDIA_MOVIE_H

#include <stdio.h>
#include <stdlib.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "test.h"

enum { MOVIE_MAX_FRAMES = 64 };

typedef struct Movie {
    int width, height, n_frames, n_streams;
    double fps, sound_s;                  /* sound_s: where the last sample ends; -1: no sound */
    double start[MOVIE_MAX_FRAMES];       /* s, of each frame */
    unsigned char *rgb[MOVIE_MAX_FRAMES]; /* [height, width, 3] */
    enum AVCodecID codec;
    enum AVPixelFormat pixels;
    int color_space, color_range;
    int index_first; /* MP4: moov before mdat */
} Movie;

static inline unsigned char movie_clip(double x)
{
    return (unsigned char)(x < 0.0 ? 0.0 : x > 255.0 ? 255.0 : x + 0.5);
}

/** BT.709, limited range; chroma by repetition: good enough for smooth pictures. */
static inline void movie_rgb(unsigned char *out, const AVFrame *f)
{
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++, out += 3) {
            if (f->format == AV_PIX_FMT_BGRA || f->format == AV_PIX_FMT_BGR0) {
                const unsigned char *p = f->data[0] + y * f->linesize[0] + 4 * x;
                out[0] = p[2], out[1] = p[1], out[2] = p[0];
                continue;
            }
            CHECK_INT(f->format, AV_PIX_FMT_YUV420P);
            const double luma = (f->data[0][y * f->linesize[0] + x] - 16) * 255.0 / 219.0;
            const double cb = (f->data[1][y / 2 * f->linesize[1] + x / 2] - 128) * 255.0 / 224.0;
            const double cr = (f->data[2][y / 2 * f->linesize[2] + x / 2] - 128) * 255.0 / 224.0;
            out[0] = movie_clip(luma + 1.5748 * cr);
            out[1] = movie_clip(luma - 0.1873 * cb - 0.4681 * cr);
            out[2] = movie_clip(luma + 1.8556 * cb);
        }
}

static inline void movie_keep(Movie *m, const AVFrame *f, AVRational base)
{
    CHECK(m->n_frames < MOVIE_MAX_FRAMES);
    m->width = f->width;
    m->height = f->height;
    m->color_space = f->colorspace;
    m->color_range = f->color_range;
    m->pixels = f->format;
    m->start[m->n_frames] = (double)f->pts * av_q2d(base);
    unsigned char *rgb = malloc(3 * (size_t)f->width * (size_t)f->height);
    CHECK(rgb != NULL);
    movie_rgb(rgb, f);
    m->rgb[m->n_frames++] = rgb;
}

static inline void movie_feed(Movie *m, AVCodecContext *c, const AVPacket *packet, AVFrame *f,
                              AVRational base)
{
    CHECK(avcodec_send_packet(c, packet) >= 0);
    while (avcodec_receive_frame(c, f) >= 0) {
        if (c->codec_type == AVMEDIA_TYPE_VIDEO)
            movie_keep(m, f, base);
        else
            m->sound_s = (double)f->pts * av_q2d(base) + (double)f->nb_samples / f->sample_rate;
        av_frame_unref(f);
    }
}

static inline void movie_index(Movie *m, const char *path)
{
    FILE *file = fopen(path, "rb");
    static char head[4096];
    size_t n = fread(head, 1, sizeof head, file);
    (void)fclose(file);
    const char *moov = memmem(head, n, "moov", 4), *mdat = memmem(head, n, "mdat", 4);
    m->index_first = moov && (!mdat || moov < mdat);
}

static inline Movie movie_read(const char *path)
{
    Movie m = { .sound_s = -1.0 };
    AVFormatContext *format = NULL;
    AVCodecContext *codec[2] = { NULL, NULL };
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    if (avformat_open_input(&format, path, NULL, NULL) < 0) fail_msg("cannot open %s", path);
    CHECK(avformat_find_stream_info(format, NULL) >= 0);
    m.n_streams = (int)format->nb_streams;
    CHECK(m.n_streams <= 2);
    for (int i = 0; i < m.n_streams; i++) {
        const AVStream *s = format->streams[i];
        codec[i] = avcodec_alloc_context3(avcodec_find_decoder(s->codecpar->codec_id));
        CHECK(avcodec_parameters_to_context(codec[i], s->codecpar) >= 0);
        codec[i]->thread_count = 1;
        codec[i]->pkt_timebase = s->time_base;
        CHECK(avcodec_open2(codec[i], NULL, NULL) >= 0);
        if (s->codecpar->codec_type != AVMEDIA_TYPE_VIDEO) continue;
        m.fps = av_q2d(s->avg_frame_rate);
        m.codec = s->codecpar->codec_id;
    }
    while (av_read_frame(format, packet) >= 0) {
        const int i = packet->stream_index;
        movie_feed(&m, codec[i], packet, frame, format->streams[i]->time_base);
        av_packet_unref(packet);
    }
    for (int i = 0; i < m.n_streams; i++) {
        movie_feed(&m, codec[i], NULL, frame, format->streams[i]->time_base);
        avcodec_free_context(&codec[i]);
    }
    avformat_close_input(&format);
    av_packet_free(&packet);
    av_frame_free(&frame);
    movie_index(&m, path);
    return m;
}

static inline void movie_free(Movie *m)
{
    for (int i = 0; i < m->n_frames; i++)
        free(m->rgb[i]);
}

/** Frame t of a smooth moving picture, [height, width, 3], 0..1. */
static inline void movie_frame(float *out, int width, int height, int t)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                *out++ = 0.5f + 0.3f * sinf(0.05f * (float)(x + 3 * t) + (float)c) +
                         0.15f * cosf(0.07f * (float)(y - 2 * t) + 2.0f * (float)c);
}

/** dB between a frame read back and the one pushed, over the pushed part. */
static inline double movie_psnr(const Movie *m, int index, const float *want, int width, int height)
{
    double sum = 0.0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < 3 * width; x++) {
            const double away =
                m->rgb[index][y * 3 * m->width + x] - 255.0 * (double)want[y * 3 * width + x];
            sum += away * away;
        }
    return 10.0 * log10(255.0 * 255.0 * 3 * width * height / (sum + 1e-9));
}

#endif
