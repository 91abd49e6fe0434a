/* image_read.c  The file's bytes go, whole, from one padded buffer into one decoder; no demuxer is
 * involved, so nothing but the chosen decoder can be reached by a hostile file. */
#include "media/image_read.h"

#include <string.h>

#include <libavcodec/avcodec.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/size.h"
#include "media/libav.h"
#include "media/pixels.h"

const ImageLimits IMAGE_READ_LIMITS = { IMAGE_MAX_SIDE_PX, 64 * 1000 * 1000, (size_t)256 << 20 };

/** A file in memory, with the zeroed tail that libav's readers may touch. */
typedef struct Bytes {
    uint8_t *data;
    size_t n;
} Bytes;

static SnugStatus take_bytes(Bytes *out, Heap *heap, size_t n, const ImageLimits *limits,
                             SnugError *err)
{
    if (n > limits->max_file_bytes)
        return fault_set(err, FAULT_TOO_LARGE, "picture", "file", NULL, "got %zu bytes, limit %zu",
                         n, limits->max_file_bytes);
    out->data = heap_take(heap, n + AV_INPUT_BUFFER_PADDING_SIZE, "picture file");
    if (!out->data) return error_set(err, SNUG_ERR_MEMORY, "no memory for a file of %zu bytes", n);
    out->n = n;
    return SNUG_OK;
}

static SnugStatus read_path(Bytes *out, Heap *heap, const char *path, const ImageLimits *limits,
                            SnugError *err)
{
    File *file = NULL;
    TRY(file_open(&file, heap, path, err));
    SnugStatus status = take_bytes(out, heap, file_bytes(file), limits, err);
    if (status != SNUG_OK)
        status = error_wrap(err, status, "%s: ", path);
    else
        status = file_pread_all(file, 0, out->data, out->n, err);
    file_close(file);
    return status;
}

static SnugStatus check_limits(const ImageHeader *h, const ImageLimits *limits, SnugError *err)
{
    const char *format = image_header_name(h->format);
    if (h->width > limits->max_side_px || h->height > limits->max_side_px)
        return fault_set(err, FAULT_TOO_LARGE, format, "headers", NULL,
                         "picture of %d x %d px (limit %d px a side)", h->width, h->height,
                         limits->max_side_px);
    if ((int64_t)h->width * h->height > limits->max_pixels)
        return fault_set(err, FAULT_TOO_LARGE, format, "headers", NULL,
                         "picture of %d x %d px (limit %lld pixels)", h->width, h->height,
                         (long long)limits->max_pixels);
    return SNUG_OK;
}

/* ---- what the decoder gets to see ---- */

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/**
 * Keep the chunks that make the picture; drop text and colour profiles, which a decoder would
 * unpack without limit, and animation. IEND is dropped too: without it libav's decoder reports a
 * picture whose rows are not all there, which it otherwise lets pass.
 */
static void png_strip(Bytes *file, const ImageHeader *header)
{
    static const char KEEP[][5] = { "IHDR", "PLTE", "tRNS", "IDAT" };
    size_t from = 8, to = 8;
    while (from < header->picture_bytes) {
        size_t bytes = 12 + (size_t)be32(file->data + from);
        bool keep = false;
        for (size_t i = 0; i < COUNT(KEEP); i++)
            keep = keep || memcmp(file->data + from + 4, KEEP[i], 4) == 0;
        if (keep) memmove(file->data + to, file->data + from, bytes);
        if (keep) to += bytes;
        from += bytes;
    }
    file->n = to;
}

/**
 * Make the first frame opaque: Pillow's convert("RGB") shows the colour under the transparency, and
 * puts that colour, or the first one, where the frame leaves the canvas bare.
 */
static void gif_make_opaque(Bytes *file, const ImageHeader *header)
{
    uint8_t *control = file->data + header->gif_control;
    file->data[11] = header->gif_control ? control[6] : 0; /* background colour */
    if (header->gif_control) control[3] &= 0xfe;
}

static void prepare(Bytes *file, const ImageHeader *header, int channels)
{
    if (header->format == IMAGE_FORMAT_PNG)
        png_strip(file, header);
    else
        file->n = header->picture_bytes;
    if (header->format == IMAGE_FORMAT_GIF && channels != 4) gif_make_opaque(file, header);
    memset(file->data + file->n, 0, AV_INPUT_BUFFER_PADDING_SIZE);
}

/* ---- decoding ---- */

/** Frames start black: what a damaged file leaves unwritten is never old memory. */
static int zeroed_buffer(AVCodecContext *context, AVFrame *frame, int flags)
{
    int code = avcodec_default_get_buffer2(context, frame, flags);
    for (int i = 0; code >= 0 && i < AV_NUM_DATA_POINTERS && frame->buf[i]; i++)
        memset(frame->buf[i]->data, 0, (size_t)frame->buf[i]->size);
    return code;
}

static AVCodecContext *open_decoder(const ImageHeader *header)
{
    static const enum AVCodecID ID[] = { AV_CODEC_ID_PNG, AV_CODEC_ID_MJPEG, AV_CODEC_ID_WEBP,
                                         AV_CODEC_ID_BMP, AV_CODEC_ID_GIF };
    const AVCodec *codec = avcodec_find_decoder(ID[header->format]);
    AVCodecContext *context = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!context) return NULL;
    context->thread_count = 1;
    /* what was checked, and the alignment that libav counts as pixels: no second, larger header */
    context->max_pixels = ((int64_t)header->width + 128) * ((int64_t)header->height + 128);
    context->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    context->idct_algo = FF_IDCT_INT; /* IJG's own, the nearest to Pillow's libjpeg */
    context->get_buffer2 = zeroed_buffer;
    if (avcodec_open2(context, codec, NULL) < 0) avcodec_free_context(&context);
    return context;
}

static void keep_bytes(void *opaque, uint8_t *data)
{
    (void)opaque;
    (void)data;
}

static int decode_packet(AVCodecContext *context, AVPacket *packet, AVFrame *frame)
{
    int code = avcodec_send_packet(context, packet);
    if (code < 0) return code;
    code = avcodec_receive_frame(context, frame);
    if (code != AVERROR(EAGAIN)) return code;
    code = avcodec_send_packet(context, NULL);
    return code < 0 ? code : avcodec_receive_frame(context, frame);
}

static SnugStatus damaged(const ImageHeader *header, SnugError *err)
{
    return fault_set(err, FAULT_TRUNCATED, image_header_name(header->format), "picture", NULL,
                     "it ends early or is damaged");
}

static SnugStatus check_frame(const AVFrame *frame, const ImageHeader *header, SnugError *err)
{
    const char *format = image_header_name(header->format);
    if (frame->width != header->width || frame->height != header->height)
        return fault_set(err, FAULT_MISMATCH, format, "picture", NULL,
                         "got %d x %d px, headers say %d x %d", frame->width, frame->height,
                         header->width, header->height);
    if (frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT))
        return damaged(header, err);
    return SNUG_OK;
}

static SnugStatus decode(AVFrame *frame, const Bytes *file, const ImageHeader *header,
                         SnugError *err)
{
    const char *name = image_header_name(header->format);
    SnugStatus status = SNUG_OK;
    AVPacket *packet = av_packet_alloc();
    AVCodecContext *context = open_decoder(header);
    if (!packet || !context) {
        status = error_set(err, SNUG_ERR_MEMORY, "cannot start the %s decoder", name);
        goto done;
    }
    /* a borrowed buffer: libav would otherwise copy the whole file */
    packet->buf = av_buffer_create(file->data, file->n + AV_INPUT_BUFFER_PADDING_SIZE, keep_bytes,
                                   NULL, AV_BUFFER_FLAG_READONLY);
    if (!packet->buf) {
        status = error_set(err, SNUG_ERR_MEMORY, "cannot start the %s decoder", name);
        goto done;
    }
    packet->data = file->data;
    packet->size = (int)file->n;
    packet->flags = AV_PKT_FLAG_KEY;
    int code = decode_packet(context, packet, frame);
    if (code == AVERROR(ENOMEM))
        status = error_set(err, SNUG_ERR_MEMORY, "no memory to decode %d x %d px", header->width,
                           header->height);
    else if (code < 0)
        status = damaged(header, err);
    else
        status = check_frame(frame, header, err);
done:
    avcodec_free_context(&context);
    av_packet_free(&packet);
    return status;
}

static SnugStatus read_bytes(Image *out, Heap *heap, Bytes *file, int channels,
                             const ImageLimits *limits, SnugError *err)
{
    ImageHeader header;
    TRY(image_header_parse(&header, file->data, file->n, err));
    TRY(check_limits(&header, limits, err));
    libav_quiet();
    prepare(file, &header, channels);
    AVFrame *frame = av_frame_alloc();
    if (!frame) return error_set(err, SNUG_ERR_MEMORY, "no memory for a decoder's frame");
    SnugStatus status = decode(frame, file, &header, err);
    if (status == SNUG_OK) status = pixels_store(out, heap, frame, &header, channels, err);
    av_frame_free(&frame);
    return status;
}

static const ImageLimits *or_default(const ImageLimits *limits)
{
    return limits ? limits : &IMAGE_READ_LIMITS;
}

SnugStatus image_read_file(Image *out, Heap *heap, const char *path, int channels,
                           const ImageLimits *limits, SnugError *err)
{
    *out = (Image){ 0 };
    Bytes file = { 0 };
    SnugStatus status = read_path(&file, heap, path, or_default(limits), err);
    if (status == SNUG_OK) {
        status = read_bytes(out, heap, &file, channels, or_default(limits), err);
        status = error_wrap(err, status, "%s: ", path);
    }
    heap_give(heap, file.data);
    return status;
}

SnugStatus image_read_memory(Image *out, Heap *heap, const void *data, size_t n, const char *name,
                             int channels, const ImageLimits *limits, SnugError *err)
{
    *out = (Image){ 0 };
    Bytes file = { 0 };
    SnugStatus status = take_bytes(&file, heap, n, or_default(limits), err);
    if (status == SNUG_OK) {
        if (n) memcpy(file.data, data, n);
        status = read_bytes(out, heap, &file, channels, or_default(limits), err);
    }
    heap_give(heap, file.data);
    return error_wrap(err, status, "%s: ", name);
}

/** Decoder contexts, tables and inflate windows; measured below 1 MiB, rounded up. */
enum { DECODER_FIXED_BYTES = 4 << 20 };

static SnugStatus probe_bytes(ImageProbe *out, const Bytes *file, const ImageLimits *limits,
                              SnugError *err)
{
    ImageHeader h;
    TRY(image_header_parse(&h, file->data, file->n, err));
    TRY(check_limits(&h, limits, err));
    bool lies = h.orientation >= 5;
    size_t pixels = (size_t)h.width * (size_t)h.height;
    *out = (ImageProbe){ .format = h.format,
                         .width = lies ? h.height : h.width,
                         .height = lies ? h.width : h.height,
                         .read_bytes = DECODER_FIXED_BYTES + file->n +
                                       pixels * (4 + (size_t)h.decoder_px_bytes) };
    return SNUG_OK;
}

SnugStatus image_read_probe(ImageProbe *out, Heap *heap, const char *path,
                            const ImageLimits *limits, SnugError *err)
{
    *out = (ImageProbe){ 0 };
    Bytes file = { 0 };
    SnugStatus status = read_path(&file, heap, path, or_default(limits), err);
    if (status == SNUG_OK) {
        status = probe_bytes(out, &file, or_default(limits), err);
        status = error_wrap(err, status, "%s: ", path);
    }
    heap_give(heap, file.data);
    return status;
}
