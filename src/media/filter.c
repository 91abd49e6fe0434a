/* filter.c  Windows slide along rows: a running histogram, a running sum. */
#include "media/filter.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

static int clamp(int x, int limit)
{
    return x < 0 ? 0 : x >= limit ? limit - 1 : x;
}

static inline uint8_t at(const Image *in, int x, int y)
{
    return in
        ->pixels[(size_t)clamp(y, in->height) * (size_t)in->width + (size_t)clamp(x, in->width)];
}

static SnugStatus begin(Image *out, Heap *heap, const Image *in, SnugError *err)
{
    *out = (Image){ .heap = heap };
    if (in->channels != 1)
        return error_set(err, SNUG_ERR_ARG, "a filter takes a grey picture, got %d channels",
                         in->channels);
    return image_init(out, heap, in->width, in->height, 1, err);
}

/* ---- edges ----------------------------------------------------------------------------------- */

static uint8_t edge(const Image *in, int x, int y)
{
    if (x == 0 || y == 0 || x == in->width - 1 || y == in->height - 1) return at(in, x, y);
    int sum = 9 * at(in, x, y);
    for (int i = 0; i < 9; i++)
        sum -= at(in, x + i % 3 - 1, y + i / 3 - 1);
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

SnugStatus filter_edges(Image *out, Heap *heap, const Image *in, SnugError *err)
{
    TRY(begin(out, heap, in, err));
    for (int y = 0; y < in->height; y++)
        for (int x = 0; x < in->width; x++)
            out->pixels[(size_t)y * (size_t)in->width + (size_t)x] = edge(in, x, y);
    return SNUG_OK;
}

/* ---- ranks ----------------------------------------------------------------------------------- */

static SnugStatus begin_window(Image *out, Heap *heap, const Image *in, int window, SnugError *err)
{
    *out = (Image){ .heap = heap };
    if (window < 1 || window > FILTER_MAX_WINDOW_PX || window % 2 == 0)
        return error_set(err, SNUG_ERR_ARG, "a window of %d px: must be odd and 1..%d", window,
                         FILTER_MAX_WINDOW_PX);
    return begin(out, heap, in, err);
}

/* The value of rank `rank` of a row's windows; one histogram slides along the row. */
static void rank_row(const Image *in, int y, int window, int rank, uint8_t *to)
{
    int count[256] = { 0 };
    const int reach = window / 2;
    for (int dy = -reach; dy <= reach; dy++)
        for (int dx = -reach; dx <= reach; dx++)
            count[at(in, dx, y + dy)]++;
    for (int x = 0; x < in->width; x++) {
        int value = 0;
        for (int below = count[0]; below <= rank; below += count[value])
            value++;
        to[x] = (uint8_t)value;
        for (int dy = -reach; dy <= reach; dy++) {
            count[at(in, x - reach, y + dy)]--;
            count[at(in, x + reach + 1, y + dy)]++;
        }
    }
}

static SnugStatus filter_rank(Image *out, Heap *heap, const Image *in, int window, int rank,
                              SnugError *err)
{
    TRY(begin_window(out, heap, in, window, err));
    for (int y = 0; y < in->height; y++)
        rank_row(in, y, window, rank, out->pixels + (size_t)y * (size_t)in->width);
    return SNUG_OK;
}

SnugStatus filter_median(Image *out, Heap *heap, const Image *in, int window, SnugError *err)
{
    return filter_rank(out, heap, in, window, window * window / 2, err);
}

SnugStatus filter_max(Image *out, Heap *heap, const Image *in, int window, SnugError *err)
{
    return filter_rank(out, heap, in, window, window * window - 1, err);
}

/* ---- blur ------------------------------------------------------------------------------------ */

enum { PASSES = 3, LONGEST_RADIUS = 1000 };

/* Width of the box whose PASSES-fold use comes nearest to the Gaussian. Gwosdek, Grewenig, Bruhn and
 * Weickert 2011, "Theoretical foundations of Gaussian convolution by extended box filtering". */
static float box_radius(float radius)
{
    const float variance = radius * radius / PASSES;
    const float length = (float)sqrt(12.0 * (double)variance + 1.0);
    const float whole = (float)floor(((double)length - 1.0) / 2.0);
    float part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
    part /= 6 * (variance - (whole + 1) * (whole + 1));
    return whole + part;
}

/* One pass along a line of n values, `step` apart in `to`. */
static void box_line(uint8_t *to, size_t step, const uint8_t *line, int n, float radius)
{
    const int reach = (int)radius;
    const uint32_t whole = (uint32_t)((1 << 24) / (radius * 2 + 1));
    const uint32_t part = ((1u << 24) - (uint32_t)(reach * 2 + 1) * whole) / 2;
    uint32_t sum = 0;
    for (int i = -reach; i <= reach; i++)
        sum += line[clamp(i, n)];
    for (int x = 0; x < n; x++) {
        const uint32_t ends =
            (uint32_t)line[clamp(x - reach - 1, n)] + line[clamp(x + reach + 1, n)];
        to[(size_t)x * step] = (uint8_t)((sum * whole + ends * part + (1u << 23)) >> 24);
        sum += line[clamp(x + reach + 1, n)];
        sum -= line[clamp(x - reach, n)];
    }
}

/* All passes along all lines of one axis: n values `step` apart, lines `line_step` apart. */
static void blur_axis(Image *image, uint8_t *line, int n, size_t step, int n_lines,
                      size_t line_step, float radius)
{
    for (int k = 0; k < n_lines; k++)
        for (int pass = 0; pass < PASSES; pass++) {
            uint8_t *first = image->pixels + (size_t)k * line_step;
            for (int i = 0; i < n; i++)
                line[i] = first[(size_t)i * step];
            box_line(first, step, line, n, radius);
        }
}

SnugStatus filter_blur(Image *out, Heap *heap, const Image *in, double radius_px, SnugError *err)
{
    *out = (Image){ .heap = heap };
    if (!(radius_px >= 0) || radius_px > LONGEST_RADIUS)
        return error_set(err, SNUG_ERR_ARG, "a blur of %g px: must be 0..%d", radius_px,
                         LONGEST_RADIUS);
    TRY(begin(out, heap, in, err));
    const int w = in->width, h = in->height;
    memcpy(out->pixels, in->pixels, image_bytes(w, h, 1));
    const float radius = box_radius((float)radius_px);
    if (radius_px == 0) return SNUG_OK;
    uint8_t *line = heap_take(heap, (size_t)(w > h ? w : h), "picture");
    if (!line) {
        image_release(out);
        return error_set(err, SNUG_ERR_MEMORY, "no memory to blur a picture of %d x %d px", w, h);
    }
    blur_axis(out, line, w, 1, h, (size_t)w, radius);
    blur_axis(out, line, h, (size_t)w, w, 1, radius);
    heap_give(heap, line);
    return SNUG_OK;
}
