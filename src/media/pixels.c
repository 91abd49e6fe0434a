/* pixels.c  One row function per layout that the decoders of this room produce. Each writes RGBA;
 * the store below picks channels and places the row. libswscale is not used: its grey and YCbCr
 * paths round differently from Pillow, and differently from machine to machine. */
#include "media/pixels.h"

#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>

#include "base/error.h"
#include "base/fault.h"
#include "media/chroma.h"

/** What a row function may use: the frame and scratch for two rows of colour. */
typedef struct Source {
    const AVFrame *frame;
    uint8_t *cb, *cr; /* [width] */
    ChromaPlane cb_plane, cr_plane;
} Source;

typedef void RowFunction(uint8_t *rgba, const Source *source, int y);

typedef struct Layout {
    enum AVPixelFormat format;
    RowFunction *row;
} Layout;

static const uint8_t *source_row(const Source *source, int plane, int y)
{
    return source->frame->data[plane] + (int64_t)y * source->frame->linesize[plane];
}

static inline void put(uint8_t *rgba, int x, int r, int g, int b, int a)
{
    rgba[4 * x] = (uint8_t)r;
    rgba[4 * x + 1] = (uint8_t)g;
    rgba[4 * x + 2] = (uint8_t)b;
    rgba[4 * x + 3] = (uint8_t)a;
}

static void row_rgb24(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 3)
        put(rgba, x, p[0], p[1], p[2], 255);
}

static void row_bgr24(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 3)
        put(rgba, x, p[2], p[1], p[0], 255);
}

static void row_rgba(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 4)
        put(rgba, x, p[0], p[1], p[2], p[3]);
}

static void row_bgra(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 4)
        put(rgba, x, p[2], p[1], p[0], p[3]);
}

static void row_bgr0(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 4)
        put(rgba, x, p[2], p[1], p[0], 255);
}

static void row_argb(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 4)
        put(rgba, x, p[1], p[2], p[3], p[0]);
}

static void row_rgb48be(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 6)
        put(rgba, x, p[0], p[2], p[4], 255);
}

static void row_rgba64be(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 8)
        put(rgba, x, p[0], p[2], p[4], p[6]);
}

static void row_gray8(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++)
        put(rgba, x, p[x], p[x], p[x], 255);
}

static void row_ya8(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 2)
        put(rgba, x, p[0], p[0], p[0], p[1]);
}

static void row_gray16be(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 2)
        put(rgba, x, p[0], p[0], p[0], 255);
}

static void row_ya16be(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 4)
        put(rgba, x, p[0], p[0], p[0], p[2]);
}

static void row_monoblack(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++) {
        int v = (p[x >> 3] >> (7 - (x & 7)) & 1) ? 255 : 0;
        put(rgba, x, v, v, v, 255);
    }
}

static void row_pal8(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    const uint32_t *palette = (const uint32_t *)(const void *)s->frame->data[1]; /* 0xAARRGGBB */
    for (int x = 0; x < s->frame->width; x++) {
        uint32_t c = palette[p[x]];
        put(rgba, x, c >> 16 & 255, c >> 8 & 255, c & 255, (int)(c >> 24));
    }
}

static void row_rgb555(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 2) {
        int c = p[1] << 8 | p[0];
        put(rgba, x, (c >> 10 & 31) * 255 / 31, (c >> 5 & 31) * 255 / 31, (c & 31) * 255 / 31, 255);
    }
}

static void row_rgb565(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *p = source_row(s, 0, y);
    for (int x = 0; x < s->frame->width; x++, p += 2) {
        int c = p[1] << 8 | p[0];
        put(rgba, x, (c >> 11) * 255 / 31, (c >> 5 & 63) * 255 / 63, (c & 31) * 255 / 31, 255);
    }
}

static void row_gbrp(uint8_t *rgba, const Source *s, int y)
{
    const uint8_t *g = source_row(s, 0, y), *b = source_row(s, 1, y), *r = source_row(s, 2, y);
    for (int x = 0; x < s->frame->width; x++)
        put(rgba, x, r[x], g[x], b[x], 255);
}

/** JPEG, any sub-sampling. */
static void row_yuv_jpeg(uint8_t *rgba, const Source *s, int y)
{
    const int width = s->frame->width;
    chroma_row_jpeg(s->cb, width, &s->cb_plane, y);
    chroma_row_jpeg(s->cr, width, &s->cr_plane, y);
    chroma_rgba_jpeg(rgba, source_row(s, 0, y), s->cb, s->cr, width);
}

/** Lossy WebP, always 4:2:0 of limited range. */
static void row_yuv_webp(uint8_t *rgba, const Source *s, int y)
{
    const int width = s->frame->width;
    chroma_row_webp(s->cb, width, &s->cb_plane, y);
    chroma_row_webp(s->cr, width, &s->cr_plane, y);
    chroma_rgba_webp(rgba, source_row(s, 0, y), s->cb, s->cr, width);
}

static void row_yuva_webp(uint8_t *rgba, const Source *s, int y)
{
    row_yuv_webp(rgba, s, y);
    const uint8_t *alpha = source_row(s, 3, y);
    for (int x = 0; x < s->frame->width; x++)
        rgba[4 * x + 3] = alpha[x];
}

static RowFunction *find_row(enum AVPixelFormat format)
{
    static const Layout LAYOUTS[] = {
        { AV_PIX_FMT_RGB24, row_rgb24 },         { AV_PIX_FMT_BGR24, row_bgr24 },
        { AV_PIX_FMT_RGBA, row_rgba },           { AV_PIX_FMT_BGRA, row_bgra },
        { AV_PIX_FMT_BGR0, row_bgr0 },           { AV_PIX_FMT_ARGB, row_argb },
        { AV_PIX_FMT_RGB48BE, row_rgb48be },     { AV_PIX_FMT_RGBA64BE, row_rgba64be },
        { AV_PIX_FMT_GRAY8, row_gray8 },         { AV_PIX_FMT_YA8, row_ya8 },
        { AV_PIX_FMT_GRAY16BE, row_gray16be },   { AV_PIX_FMT_YA16BE, row_ya16be },
        { AV_PIX_FMT_MONOBLACK, row_monoblack }, { AV_PIX_FMT_PAL8, row_pal8 },
        { AV_PIX_FMT_RGB555LE, row_rgb555 },     { AV_PIX_FMT_RGB565LE, row_rgb565 },
        { AV_PIX_FMT_GBRP, row_gbrp },           { AV_PIX_FMT_GBRAP, row_gbrp },
        { AV_PIX_FMT_YUVJ444P, row_yuv_jpeg },   { AV_PIX_FMT_YUVJ422P, row_yuv_jpeg },
        { AV_PIX_FMT_YUVJ420P, row_yuv_jpeg },   { AV_PIX_FMT_YUVJ440P, row_yuv_jpeg },
        { AV_PIX_FMT_YUVJ411P, row_yuv_jpeg },   { AV_PIX_FMT_YUV420P, row_yuv_webp },
        { AV_PIX_FMT_YUVA420P, row_yuva_webp },
    };
    for (size_t i = 0; i < sizeof LAYOUTS / sizeof LAYOUTS[0]; i++)
        if (LAYOUTS[i].format == format) return LAYOUTS[i].row;
    return NULL;
}

static ChromaPlane chroma_plane(const AVFrame *frame, int plane)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(frame->format);
    return (ChromaPlane){
        .data = frame->data[plane],
        .stride = frame->linesize[plane],
        .width = AV_CEIL_RSHIFT(frame->width, d->log2_chroma_w),
        .height = AV_CEIL_RSHIFT(frame->height, d->log2_chroma_h),
        .log2_across = d->log2_chroma_w,
        .log2_down = d->log2_chroma_h,
    };
}

/** Where stored pixel (x, y) lands: at + x * across + y * down, in pixels of the upright picture. */
typedef struct Turn {
    int64_t at, across, down;
} Turn;

static Turn turn_for(int orientation, int64_t w, int64_t h)
{
    const int64_t last = w * h - 1;
    switch (orientation) {
    case 2:
        return (Turn){ w - 1, -1, w }; /* mirrored */
    case 3:
        return (Turn){ last, -1, -w }; /* upside down */
    case 4:
        return (Turn){ last - w + 1, 1, -w }; /* mirrored upside down */
    case 5:
        return (Turn){ 0, h, 1 }; /* transposed; rows are now h long */
    case 6:
        return (Turn){ h - 1, h, -1 }; /* turn clockwise */
    case 7:
        return (Turn){ last, -h, -1 }; /* transposed over the other diagonal */
    case 8:
        return (Turn){ last - h + 1, -h, 1 }; /* turn anticlockwise */
    default:
        return (Turn){ 0, 1, w };
    }
}

static void place_row(Image *out, const uint8_t *rgba, int width, Turn turn, int y)
{
    const int channels = out->channels;
    uint8_t *to = out->pixels + (turn.at + y * turn.down) * channels;
    for (int x = 0; x < width; x++, rgba += 4, to += turn.across * channels) {
        if (channels == 1) {
            to[0] = (uint8_t)((19595 * rgba[0] + 38470 * rgba[1] + 7471 * rgba[2] + 32768) >> 16);
            continue;
        }
        for (int c = 0; c < channels; c++)
            to[c] = rgba[c];
    }
}

SnugStatus pixels_store(Image *out, Heap *heap, const AVFrame *frame, const ImageHeader *header,
                        int channels, SnugError *err)
{
    *out = (Image){ 0 };
    const int w = frame->width, h = frame->height;
    RowFunction *row = find_row(frame->format);
    if (!row) {
        const char *name = av_get_pix_fmt_name(frame->format);
        return fault_set(err, FAULT_UNSUPPORTED, image_header_name(header->format), "picture", NULL,
                         "pixels of kind %s", name ? name : "?");
    }
    uint8_t *scratch = heap_take(heap, 6 * (size_t)w, "picture row");
    if (!scratch) return error_set(err, SNUG_ERR_MEMORY, "no memory for a row of %d pixels", w);
    bool lies = header->orientation >= 5;
    SnugStatus status = image_init(out, heap, lies ? h : w, lies ? w : h, channels, err);
    if (status == SNUG_OK) {
        Source source = { .frame = frame,
                          .cb = scratch + 4 * (size_t)w,
                          .cr = scratch + 5 * (size_t)w,
                          .cb_plane = chroma_plane(frame, 1),
                          .cr_plane = chroma_plane(frame, 2) };
        Turn turn = turn_for(header->orientation, w, h);
        for (int y = 0; y < h; y++) {
            row(scratch, &source, y);
            place_row(out, scratch, w, turn, y);
        }
    }
    heap_give(heap, scratch);
    return status;
}
