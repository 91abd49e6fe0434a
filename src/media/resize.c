/* resize.c  Pillow's 8-bit resampling (its Resample.c), in the same order of the same roundings.
 *
 * A pass computes each output value from a run of neighbours with fixed-point weights. The weights
 * of all positions are computed first, in double. A pass whose size does not change is skipped. */
#include "media/resize.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"

enum { WEIGHT_BITS = 22 };

/** Weights of one axis: output i is the sum of weight[i * size + k] * input[first[i] + k]. */
typedef struct Taps {
    int size;           /* weights a position has room for */
    int *first, *count; /* [n] */
    int32_t *weight;    /* [n, size] */
    void *block;
} Taps;

static double box_filter(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double bilinear_filter(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic_filter(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x *= M_PI;
    return sin(x) / x;
}

static double lanczos_filter(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

typedef struct Filter {
    double (*at)(double x);
    double support;
} Filter;

static Filter find_filter(ResizeFilter filter)
{
    switch (filter) {
    case RESIZE_BOX:
        return (Filter){ box_filter, 0.5 };
    case RESIZE_BILINEAR:
        return (Filter){ bilinear_filter, 1.0 };
    case RESIZE_BICUBIC:
        return (Filter){ bicubic_filter, 2.0 };
    default:
        return (Filter){ lanczos_filter, 3.0 };
    }
}

static void taps_release(Taps *taps, Heap *heap)
{
    heap_give(heap, taps->block);
    *taps = (Taps){ 0 };
}

static bool taps_reserve(Taps *taps, Heap *heap, int n, int size)
{
    size_t row_bytes = 2 * sizeof(int) + (size_t)size * sizeof(int32_t), bytes;
    if (!size_mul((size_t)n, row_bytes, &bytes)) return false;
    int *block = heap_take(heap, bytes, "resize weights");
    if (!block) return false;
    *taps = (Taps){ size, block, block + n, block + 2 * (int64_t)n, block };
    return true;
}

/** One position: weights in double, normalised, then rounded half away from zero. */
static void taps_set(Taps *taps, int i, Filter filter, double scale, double filter_scale, int in,
                     double *scratch)
{
    const double support = filter.support * filter_scale, centre = (i + 0.5) * scale;
    const double inverse = 1.0 / filter_scale;
    int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (end > in) end = in;
    double sum = 0.0;
    for (int k = 0; k < end - first; k++) {
        scratch[k] = filter.at((k + first - centre + 0.5) * inverse);
        sum += scratch[k];
    }
    for (int k = 0; k < end - first; k++) {
        double w = sum != 0.0 ? scratch[k] / sum : scratch[k];
        double fixed = w * (1 << WEIGHT_BITS);
        taps->weight[(int64_t)i * taps->size + k] = (int32_t)(w < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    taps->first[i] = first;
    taps->count[i] = end - first;
}

static bool taps_init(Taps *taps, Heap *heap, int in, int out, Filter filter)
{
    const double scale = (double)in / out, filter_scale = scale < 1.0 ? 1.0 : scale;
    const int size = (int)ceil(filter.support * filter_scale) * 2 + 1;
    double *scratch = heap_take(heap, (size_t)size * sizeof *scratch, "resize weights");
    bool ok = scratch && taps_reserve(taps, heap, out, size);
    for (int i = 0; ok && i < out; i++)
        taps_set(taps, i, filter, scale, filter_scale, in, scratch);
    heap_give(heap, scratch);
    return ok;
}

static inline uint8_t clip8(int32_t sum)
{
    int32_t value = sum >> WEIGHT_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void pass_across(Image *out, const Image *in, const Taps *taps)
{
    const int channels = in->channels;
    for (int y = 0; y < out->height; y++) {
        const uint8_t *row = in->pixels + image_bytes(in->width, y, channels);
        uint8_t *to = out->pixels + image_bytes(out->width, y, channels);
        for (int x = 0; x < out->width; x++) {
            const uint8_t *from = row + (int64_t)taps->first[x] * channels;
            const int32_t *weight = taps->weight + (int64_t)x * taps->size;
            int32_t sum[4] = { 1 << 21, 1 << 21, 1 << 21, 1 << 21 };
            for (int k = 0; k < taps->count[x]; k++, from += channels)
                for (int c = 0; c < channels; c++)
                    sum[c] += from[c] * weight[k];
            for (int c = 0; c < channels; c++)
                *to++ = clip8(sum[c]);
        }
    }
}

/** Sums are kept for a run of values at a time, so that rows are read from start to end. */
static void pass_down(Image *out, const Image *in, const Taps *taps)
{
    enum { RUN = 256 };
    const size_t row_bytes = image_bytes(in->width, 1, in->channels);
    for (int y = 0; y < out->height; y++) {
        const int32_t *weight = taps->weight + (int64_t)y * taps->size;
        for (size_t at = 0; at < row_bytes; at += RUN) {
            const size_t n = row_bytes - at < RUN ? row_bytes - at : RUN;
            int32_t sum[RUN];
            for (size_t i = 0; i < n; i++)
                sum[i] = 1 << 21;
            for (int k = 0; k < taps->count[y]; k++) {
                const uint8_t *from = in->pixels + (size_t)(taps->first[y] + k) * row_bytes + at;
                for (size_t i = 0; i < n; i++)
                    sum[i] += from[i] * weight[k];
            }
            for (size_t i = 0; i < n; i++)
                out->pixels[(size_t)y * row_bytes + at + i] = clip8(sum[i]);
        }
    }
}

typedef void Pass(Image *out, const Image *in, const Taps *taps);

static SnugStatus run_pass(Image *out, Heap *heap, const Image *in, int width, int height,
                           Filter filter, SnugError *err)
{
    const bool across = width != in->width;
    Taps taps = { 0 };
    bool ok = across ? taps_init(&taps, heap, in->width, width, filter)
                     : taps_init(&taps, heap, in->height, height, filter);
    SnugStatus status = ok ? image_init(out, heap, width, height, in->channels, err)
                           : error_set(err, SNUG_ERR_MEMORY, "no memory for resize weights");
    Pass *pass = across ? pass_across : pass_down;
    if (status == SNUG_OK) pass(out, in, &taps);
    taps_release(&taps, heap);
    return status;
}

static SnugStatus copy_image(Image *out, Heap *heap, const Image *in, SnugError *err)
{
    TRY(image_init(out, heap, in->width, in->height, in->channels, err));
    memcpy(out->pixels, in->pixels, image_bytes(in->width, in->height, in->channels));
    return SNUG_OK;
}

/** The one or two passes that are needed; at least one size differs. Their order changes roundings:
 *  Pillow 13 begins with the height where it shrinks more than twice as much (in pixels) as the
 *  width; Pillow to 12 always begins with the width. */
static SnugStatus run_passes(Image *out, Heap *heap, const Image *in, int width, int height,
                             Filter filter, SnugError *err)
{
    if (width == in->width || height == in->height)
        return run_pass(out, heap, in, width, height, filter, err);
    Image middle = { 0 };
    const bool down_first = height < in->height && in->height - height > 2 * (in->width - width);
    SnugStatus status = run_pass(&middle, heap, in, down_first ? in->width : width,
                                 down_first ? height : in->height, filter, err);
    if (status == SNUG_OK) status = run_pass(out, heap, &middle, width, height, filter, err);
    image_release(&middle);
    return status;
}

/* ---- RGBA: colours are weighted by their alpha ---- */

static uint8_t times(int a, int b)
{
    int t = a * b + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

static void premultiply(Image *image)
{
    uint8_t *p = image->pixels, *end = p + image_bytes(image->width, image->height, 4);
    for (; p < end; p += 4)
        for (int c = 0; c < 3; c++)
            p[c] = times(p[c], p[3]);
}

static void unpremultiply(Image *image)
{
    uint8_t *p = image->pixels, *end = p + image_bytes(image->width, image->height, 4);
    for (; p < end; p += 4)
        for (int c = 0; c < 3 && p[3] != 0 && p[3] != 255; c++) {
            int value = 255 * p[c] / p[3];
            p[c] = (uint8_t)(value > 255 ? 255 : value);
        }
}

static SnugStatus resize_rgba(Image *out, Heap *heap, const Image *in, int width, int height,
                              Filter filter, SnugError *err)
{
    Image weighted = { 0 };
    SnugStatus status = copy_image(&weighted, heap, in, err);
    if (status == SNUG_OK) {
        premultiply(&weighted);
        status = run_passes(out, heap, &weighted, width, height, filter, err);
    }
    if (status == SNUG_OK) unpremultiply(out);
    image_release(&weighted);
    return status;
}

/** Pillow adds the scale up instead of multiplying: the same doubles here. */
static SnugStatus resize_nearest(Image *out, Heap *heap, const Image *in, int width, int height,
                                 SnugError *err)
{
    TRY(image_init(out, heap, width, height, in->channels, err));
    const double scale_x = (double)in->width / width, scale_y = (double)in->height / height;
    const size_t channels = (size_t)in->channels;
    uint8_t *to = out->pixels;
    double from_y = scale_y * 0.5;
    for (int y = 0; y < height; y++, from_y += scale_y) {
        const uint8_t *row = in->pixels + image_bytes(in->width, (int)from_y, in->channels);
        double from_x = scale_x * 0.5;
        for (int x = 0; x < width; x++, from_x += scale_x, to += channels)
            memcpy(to, row + (size_t)from_x * channels, channels);
    }
    return SNUG_OK;
}

SnugStatus resize_image(Image *out, Heap *heap, const Image *in, int width, int height,
                        ResizeFilter filter, SnugError *err)
{
    *out = (Image){ 0 };
    if (width < 1 || height < 1 || width > IMAGE_MAX_SIDE_PX || height > IMAGE_MAX_SIDE_PX)
        return error_set(err, SNUG_ERR_ARG, "resize to %d x %d px: each side must be 1..%d px",
                         width, height, IMAGE_MAX_SIDE_PX);
    if (width == in->width && height == in->height) return copy_image(out, heap, in, err);
    if (filter == RESIZE_NEAREST) return resize_nearest(out, heap, in, width, height, err);
    if (in->channels == 4)
        return resize_rgba(out, heap, in, width, height, find_filter(filter), err);
    return run_passes(out, heap, in, width, height, find_filter(filter), err);
}

SnugStatus resize_crop(Image *out, Heap *heap, const Image *in, int left, int top, int width,
                       int height, SnugError *err)
{
    *out = (Image){ 0 };
    if (left < 0 || top < 0 || width < 1 || height < 1 || width > in->width - left ||
        height > in->height - top)
        return error_set(err, SNUG_ERR_ARG,
                         "crop of %d x %d px at %d, %d leaves the picture of "
                         "%d x %d px",
                         width, height, left, top, in->width, in->height);
    TRY(image_init(out, heap, width, height, in->channels, err));
    const size_t row_bytes = image_bytes(width, 1, in->channels);
    for (int y = 0; y < height; y++)
        memcpy(out->pixels + (size_t)y * row_bytes,
               in->pixels + image_bytes(in->width, top + y, in->channels) +
                   image_bytes(left, 1, in->channels),
               row_bytes);
    return SNUG_OK;
}

SnugStatus resize_crop_centre(Image *out, Heap *heap, const Image *in, int width, int height,
                              SnugError *err)
{
    return resize_crop(out, heap, in, (in->width - width) / 2, (in->height - height) / 2, width,
                       height, err);
}
