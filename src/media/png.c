/* png.c  libav's encoder makes the picture; the text chunks, which it cannot write, go in after the
 * header. */
#include "media/png.h"

#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/crc.h>
#include <libavutil/opt.h>

#include "base/error.h"
#include "media/libav.h"

enum { HEADER_BYTES = 8 + 25 }; /* signature and IHDR: what precedes the text */

static void put_be32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

static uint32_t crc_add(uint32_t crc, const void *data, size_t n)
{
    return av_crc(av_crc_get_table(AV_CRC_32_IEEE_LE), crc, data, n);
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 128) return false;
    return true;
}

static bool key_is_valid(const char *key)
{
    size_t n = strlen(key);
    if (n < 1 || n > 79 || key[0] == ' ' || key[n - 1] == ' ') return false;
    for (; *key; key++)
        if (*key < 32 || *key > 126) return false;
    return true;
}

/** length, type, key, separator, value, checksum. */
static SnugStatus write_text(OutFile *file, const PngText *text, SnugError *err)
{
    if (!key_is_valid(text->key))
        return error_set(err, SNUG_ERR_ARG, "PNG text key '%s': must be 1..79 printable ASCII",
                         text->key);
    const bool ascii = is_ascii(text->value);
    /* iTXt: key, 0, not compressed (two zeros), no language, no translated key */
    const size_t n_zeros = ascii ? 1 : 5;
    static const uint8_t ZEROS[5] = { 0 };
    const size_t key_bytes = strlen(text->key), value_bytes = strlen(text->value);
    if (value_bytes > (1u << 30)) return error_set(err, SNUG_ERR_ARG, "PNG text is too long");
    uint8_t head[8], tail[4];
    put_be32(head, (uint32_t)(key_bytes + n_zeros + value_bytes));
    memcpy(head + 4, ascii ? "tEXt" : "iTXt", 4);
    uint32_t crc = crc_add(UINT32_MAX, head + 4, 4);
    crc = crc_add(crc, text->key, key_bytes);
    crc = crc_add(crc, ZEROS, n_zeros);
    put_be32(tail, ~crc_add(crc, text->value, value_bytes));
    TRY(outfile_write(file, head, sizeof head, err));
    TRY(outfile_write(file, text->key, key_bytes, err));
    TRY(outfile_write(file, ZEROS, n_zeros, err));
    TRY(outfile_write(file, text->value, value_bytes, err));
    return outfile_write(file, tail, sizeof tail, err);
}

static void keep_pixels(void *opaque, uint8_t *data)
{
    (void)opaque;
    (void)data;
}

/** A frame that borrows the pixels; libav would copy a frame without a buffer of its own. */
static AVFrame *borrow_frame(const Image *image)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame) return NULL;
    frame->width = image->width;
    frame->height = image->height;
    frame->format = image->channels == 1   ? AV_PIX_FMT_GRAY8
                    : image->channels == 3 ? AV_PIX_FMT_RGB24
                                           : AV_PIX_FMT_RGBA;
    frame->data[0] = image->pixels;
    frame->linesize[0] = image->width * image->channels;
    frame->buf[0] =
        av_buffer_create(image->pixels, image_bytes(image->width, image->height, image->channels),
                         keep_pixels, NULL, AV_BUFFER_FLAG_READONLY);
    if (!frame->buf[0]) av_frame_free(&frame);
    return frame;
}

static AVCodecContext *open_encoder(const AVFrame *frame)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *context = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!context) return NULL;
    context->width = frame->width;
    context->height = frame->height;
    context->pix_fmt = frame->format;
    context->time_base = (AVRational){ 1, 25 };
    context->thread_count = 1;
    context->flags |= AV_CODEC_FLAG_BITEXACT;
    (void)av_opt_set(context->priv_data, "pred", "paeth", 0); /* half the size of none on photos */
    if (avcodec_open2(context, codec, NULL) < 0) avcodec_free_context(&context);
    return context;
}

static SnugStatus write_packet(OutFile *file, const AVPacket *packet, const PngText *texts,
                               int n_texts, SnugError *err)
{
    if (packet->size < HEADER_BYTES)
        return error_set(err, SNUG_ERR_INTERNAL, "PNG encoder gave %d bytes", packet->size);
    TRY(outfile_write(file, packet->data, HEADER_BYTES, err));
    for (int i = 0; i < n_texts; i++)
        TRY(write_text(file, &texts[i], err));
    return outfile_write(file, packet->data + HEADER_BYTES, (size_t)packet->size - HEADER_BYTES,
                         err);
}

SnugStatus png_write(OutFile *file, const Image *image, const PngText *texts, int n_texts,
                     SnugError *err)
{
    libav_quiet();
    SnugStatus status;
    AVFrame *frame = borrow_frame(image);
    AVPacket *packet = av_packet_alloc();
    AVCodecContext *context = frame && packet ? open_encoder(frame) : NULL;
    if (!context) {
        status = error_set(err, SNUG_ERR_MEMORY, "cannot start the PNG encoder");
        goto done;
    }
    int code = avcodec_send_frame(context, frame);
    if (code >= 0) code = avcodec_receive_packet(context, packet);
    status = code < 0 ? libav_fail(err, code, "cannot encode PNG of %d x %d px", image->width,
                                   image->height)
                      : write_packet(file, packet, texts, n_texts, err);
done:
    avcodec_free_context(&context);
    av_packet_free(&packet);
    av_frame_free(&frame);
    return status;
}

SnugStatus png_write_file(const char *path, Heap *heap, const Image *image, const PngText *texts,
                          int n_texts, SnugError *err)
{
    OutFile *file = NULL;
    SnugStatus status = outfile_open(&file, heap, path, err);
    if (status == SNUG_OK) status = png_write(file, image, texts, n_texts, err);
    if (status == SNUG_OK) status = outfile_commit(file, err);
    outfile_close(file);
    return status;
}

size_t png_write_bytes(int width, int height, int channels)
{
    /* libav holds the packet twice, each at worst a little larger than the pixels; deflate's tables
     * and the encoder's code, measured below 3.5 MiB */
    return image_bytes(width, height, channels) * 9 / 4 + ((size_t)5 << 20);
}
