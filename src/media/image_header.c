/* image_header.c  PNG, JPEG, WebP, BMP and GIF headers. Every read is bounds-checked: the bytes
 * come from strangers. */
#include "media/image_header.h"

#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "media/exif.h"

/* Honest progressive JPEGs have about ten scans. Each scan walks the whole picture, so a small file
 * with thousands of them would keep the decoder busy for hours. */
enum { MAX_JPEG_SCANS = 128 };

static uint32_t be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
    return be16(p) << 16 | be16(p + 2);
}

static uint32_t le16(const uint8_t *p)
{
    return (uint32_t)p[1] << 8 | p[0];
}

static uint32_t le24(const uint8_t *p)
{
    return (uint32_t)p[2] << 16 | le16(p);
}

static uint32_t le32(const uint8_t *p)
{
    return le16(p + 2) << 16 | le16(p);
}

const char *image_header_name(ImageFormat format)
{
    static const char *const NAMES[] = { "PNG", "JPEG", "WebP", "BMP", "GIF" };
    return NAMES[format];
}

/* Texts begin with the format; image_read.c puts the file's name before it. */
static SnugStatus truncated(SnugError *err, const char *format)
{
    return fault_set(err, FAULT_TRUNCATED, format, "headers", NULL, "it ends early or is damaged");
}

static SnugStatus set_size(ImageHeader *out, uint32_t width, uint32_t height, SnugError *err)
{
    if (width == 0 || height == 0)
        return fault_set(err, FAULT_BAD, image_header_name(out->format), "headers", NULL,
                         "picture has no pixels (got %u x %u)", width, height);
    if (width > INT32_MAX || height > INT32_MAX)
        return fault_set(err, FAULT_TOO_LARGE, image_header_name(out->format), "headers", NULL,
                         "picture of %u x %u px", width, height);
    out->width = (int)width;
    out->height = (int)height;
    return SNUG_OK;
}

/* ---- PNG ---- */

static SnugStatus png_ihdr(ImageHeader *out, const uint8_t *data, size_t n, SnugError *err)
{
    if (n < 33 || be32(data + 8) != 13 || memcmp(data + 12, "IHDR", 4) != 0)
        return truncated(err, "PNG");
    /* widest layout the decoder uses: four channels of 16 bits; one channel of 8 for palettes */
    out->decoder_px_bytes = data[24] == 16 ? 8 : 4;
    return set_size(out, be32(data + 16), be32(data + 20), err);
}

static SnugStatus parse_png(ImageHeader *out, const uint8_t *data, size_t n, SnugError *err)
{
    TRY(png_ihdr(out, data, n, err));
    bool has_data = false;
    int exif = 0, xmp = 0;
    size_t at = 8;
    while (n - at >= 12) {
        size_t length = be32(data + at);
        const uint8_t *type = data + at + 4, *body = data + at + 8;
        if (length > n - at - 12) return truncated(err, "PNG");
        if (memcmp(type, "IEND", 4) == 0) break;
        if (memcmp(type, "IDAT", 4) == 0) has_data = true;
        if (memcmp(type, "eXIf", 4) == 0) exif = exif_orientation(body, length);
        if (memcmp(type, "iTXt", 4) == 0 && length > 22 &&
            memcmp(body, "XML:com.adobe.xmp\0\0", 19) == 0)
            xmp = exif_xmp_orientation(body + 22, length - 22);
        at += 12 + length;
    }
    if (!has_data) return truncated(err, "PNG");
    out->picture_bytes = at; /* without IEND: see image_read.c */
    out->orientation = exif ? exif : xmp;
    return SNUG_OK;
}

/* ---- JPEG ---- */

typedef struct JpegWalk {
    const uint8_t *data;
    size_t n, at;
    int exif, xmp, scans;
    bool has_frame;
} JpegWalk;

/** Position after the entropy-coded bytes that follow a scan header. */
static size_t jpeg_scan_end(const JpegWalk *walk)
{
    size_t at = walk->at;
    while (at + 1 < walk->n) {
        const uint8_t *mark = memchr(walk->data + at, 0xff, walk->n - at - 1);
        if (!mark) return walk->n;
        at = (size_t)(mark - walk->data);
        uint8_t code = mark[1];
        if (code != 0x00 && code != 0xff && (code & 0xf8) != 0xd0) return at;
        at += code == 0xff ? 1 : 2;
    }
    return walk->n;
}

static SnugStatus jpeg_frame(ImageHeader *out, JpegWalk *walk, int code, const uint8_t *body,
                             size_t length, SnugError *err)
{
    if (length < 6) return truncated(err, "JPEG");
    if (body[0] != 8)

        return fault_set(err, FAULT_UNSUPPORTED, "JPEG", "frame", NULL,
                         "bits a channel (got %d, expected 8)", body[0]);
    if (walk->has_frame) return truncated(err, "JPEG");
    walk->has_frame = true;
    /* a baseline frame of 4:4:4, with four channels at most; progressive adds 16-bit coefficients
     * and their flags */
    out->decoder_px_bytes = code == 0xc2 ? 13 : 4;
    return set_size(out, be16(body + 3), be16(body + 1), err);
}

static SnugStatus jpeg_segment(ImageHeader *out, JpegWalk *walk, int code, SnugError *err)
{
    static const char EXIF[] = "Exif\0", XMP[] = "http://ns.adobe.com/xap/1.0/";
    if (walk->n - walk->at < 2) return truncated(err, "JPEG");
    size_t length = be16(walk->data + walk->at);
    if (length < 2 || length > walk->n - walk->at) return truncated(err, "JPEG");
    const uint8_t *body = walk->data + walk->at + 2;
    walk->at += length;
    length -= 2;
    if (code >= 0xc0 && code <= 0xcf && code != 0xc4 && code != 0xc8 && code != 0xcc)
        return jpeg_frame(out, walk, code, body, length, err);
    if (code == 0xe1 && length > sizeof EXIF && memcmp(body, EXIF, sizeof EXIF) == 0)
        walk->exif = exif_orientation(body, length);
    if (code == 0xe1 && length > sizeof XMP && memcmp(body, XMP, sizeof XMP) == 0)
        walk->xmp = exif_xmp_orientation(body + sizeof XMP, length - sizeof XMP);
    if (code == 0xda) {
        walk->at = jpeg_scan_end(walk);
        if (++walk->scans > MAX_JPEG_SCANS)

            return fault_set(err, FAULT_TOO_LARGE, "JPEG", "scans", NULL,
                             "more than the limit of %d", MAX_JPEG_SCANS);
    }
    return SNUG_OK;
}

static SnugStatus parse_jpeg(ImageHeader *out, const uint8_t *data, size_t n, SnugError *err)
{
    JpegWalk walk = { .data = data, .n = n, .at = 2 };
    for (;;) {
        while (walk.at < n && data[walk.at] != 0xff) /* stray bytes between segments */
            walk.at++;
        while (walk.at < n && data[walk.at] == 0xff)
            walk.at++;
        if (walk.at >= n) return truncated(err, "JPEG");
        int code = data[walk.at++];
        if (code == 0xd9) break;
        if (code == 0x00 || code == 0x01 || (code & 0xf8) == 0xd0) continue; /* no body */
        TRY(jpeg_segment(out, &walk, code, err));
    }
    if (!walk.has_frame || walk.scans == 0) return truncated(err, "JPEG");
    out->picture_bytes = walk.at;
    out->orientation = walk.exif ? walk.exif : walk.xmp;
    return SNUG_OK;
}

/* ---- WebP ---- */

static SnugStatus webp_chunk(ImageHeader *out, const uint8_t *type, const uint8_t *body,
                             size_t length, SnugError *err)
{
    if (memcmp(type, "VP8X", 4) == 0) {
        if (length < 10) return truncated(err, "WebP");
        if (body[0] & 2)
            return fault_set(err, FAULT_UNSUPPORTED, "WebP", "headers", NULL,
                             "animation; save one frame as PNG or WebP");
        return set_size(out, le24(body + 4) + 1, le24(body + 7) + 1, err);
    }
    if (memcmp(type, "VP8 ", 4) == 0) {
        if (length < 10 || memcmp(body + 3, "\x9d\x01\x2a", 3) != 0) return truncated(err, "WebP");
        out->decoder_px_bytes = 12; /* two frames of 4:2:0 and, with alpha, a lossless picture */
        if (out->width == 0)
            return set_size(out, le16(body + 6) & 0x3fff, le16(body + 8) & 0x3fff, err);
    }
    if (memcmp(type, "VP8L", 4) == 0) {
        if (length < 5 || body[0] != 0x2f) return truncated(err, "WebP");
        uint32_t bits = le32(body + 1);
        out->decoder_px_bytes = 12; /* ARGB, and the pictures of its transforms */
        if (out->width == 0)
            return set_size(out, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, err);
    }
    return SNUG_OK;
}

static SnugStatus parse_webp(ImageHeader *out, const uint8_t *data, size_t n, SnugError *err)
{
    int exif = 0, xmp = 0;
    size_t at = 12, end = 8 + (size_t)le32(data + 4);
    if (end > n || end < at) return truncated(err, "WebP");
    while (end - at >= 8) {
        size_t length = le32(data + at + 4);
        const uint8_t *type = data + at, *body = data + at + 8;
        if (length > end - at - 8) return truncated(err, "WebP");
        TRY(webp_chunk(out, type, body, length, err));
        if (memcmp(type, "EXIF", 4) == 0) exif = exif_orientation(body, length);
        if (memcmp(type, "XMP ", 4) == 0) xmp = exif_xmp_orientation(body, length);
        at += 8 + length + (length & 1);
        if (at > end) break;
    }
    if (out->width == 0 || out->decoder_px_bytes == 0) return truncated(err, "WebP");
    out->picture_bytes = end;
    out->orientation = exif ? exif : xmp;
    return SNUG_OK;
}

/* ---- BMP, GIF ---- */

static SnugStatus parse_bmp(ImageHeader *out, const uint8_t *data, size_t n, SnugError *err)
{
    if (n < 26) return truncated(err, "BMP");
    out->decoder_px_bytes = 4;
    out->picture_bytes = n;
    if (le32(data + 14) == 12) return set_size(out, le16(data + 18), le16(data + 20), err);
    int32_t width = (int32_t)le32(data + 18), height = (int32_t)le32(data + 22);
    if (width < 0 || height == INT32_MIN) return truncated(err, "BMP");
    return set_size(out, (uint32_t)width, (uint32_t)(height < 0 ? -height : height), err);
}

static size_t gif_table_bytes(int flags)
{
    return (flags & 0x80) ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/** Position after a chain of sub-blocks; beyond n when it has no end. */
static size_t gif_blocks_end(const uint8_t *data, size_t n, size_t at)
{
    while (at < n && data[at] != 0)
        at += (size_t)data[at] + 1;
    return at + 1;
}

/** To the end of the first frame. */
static SnugStatus parse_gif(ImageHeader *out, const uint8_t *data, size_t n, SnugError *err)
{
    if (n < 13) return truncated(err, "GIF");
    size_t at = 13 + gif_table_bytes(data[10]);
    while (at + 8 < n && data[at] == 0x21) { /* extension */
        if (data[at + 1] == 0xf9 && (data[at + 3] & 1)) out->gif_control = at;
        at = gif_blocks_end(data, n, at + 2);
    }
    if (at + 11 > n || data[at] != 0x2c) return truncated(err, "GIF"); /* frame */
    at = gif_blocks_end(data, n, at + 11 + gif_table_bytes(data[at + 9]));
    if (at > n) return truncated(err, "GIF");
    out->decoder_px_bytes = 9; /* BGRA, a stored copy, and indices */
    out->picture_bytes = at;
    return set_size(out, le16(data + 6), le16(data + 8), err);
}

SnugStatus image_header_parse(ImageHeader *out, const uint8_t *data, size_t n, SnugError *err)
{
    typedef SnugStatus Parse(ImageHeader *, const uint8_t *, size_t, SnugError *);
    static Parse *const PARSE[] = { parse_png, parse_jpeg, parse_webp, parse_bmp, parse_gif };
    *out = (ImageHeader){ 0 };
    if (n >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        out->format = IMAGE_FORMAT_PNG;
    else if (n >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0)
        out->format = IMAGE_FORMAT_JPEG;
    else if (n >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
        out->format = IMAGE_FORMAT_WEBP;
    else if (n >= 2 && memcmp(data, "BM", 2) == 0)
        out->format = IMAGE_FORMAT_BMP;
    else if (n >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0))
        out->format = IMAGE_FORMAT_GIF;
    else
        return fault_set(err, n ? FAULT_BAD_MAGIC : FAULT_TRUNCATED, "picture", "headers", NULL,
                         "%s", n ? "none of PNG, JPEG, WebP, BMP, GIF" : "the file is empty");
    TRY(PARSE[out->format](out, data, n, err));
    if (out->orientation == 0) out->orientation = 1;
    return SNUG_OK;
}
