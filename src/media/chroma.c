/* chroma.c  Upsampling and colour conversion of JPEG and lossy WebP.
 *
 * Both formats define the stored samples exactly and leave the way back to RGB to the reader; a
 * reader that differs from Pillow's by a level here and there conditions a model on another picture.
 * The rounding below is that of libjpeg (jdsample.c, jdcolor.c) and libwebp (upsampling, yuv). */
#include "media/chroma.h"

static int clamp_index(int i, int n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

static uint8_t clip(int value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static const uint8_t *plane_row(const ChromaPlane *plane, int y)
{
    return plane->data + (int64_t)clamp_index(y, plane->height) * plane->stride;
}

/* ---- JPEG ---- */

static void repeat_across(uint8_t *out, int width, const uint8_t *row, int log2_across)
{
    for (int x = 0; x < width; x++)
        out[x] = row[x >> log2_across];
}

/** 2:1 across only: 3/4 of the near sample, 1/4 of the far one; rounds down on left pixels, up on
 *  right ones. */
static void double_across(uint8_t *out, int width, const uint8_t *row, int n)
{
    for (int x = 0; x < width; x++) {
        int i = x >> 1, far = (x & 1) ? i + 1 : i - 1;
        if (far < 0 || far >= n)
            out[x] = row[i];
        else
            out[x] = (uint8_t)((3 * row[i] + row[far] + 1 + (x & 1)) >> 2);
    }
}

/** 2:1 down only. */
static void double_down(uint8_t *out, int width, const uint8_t *near, const uint8_t *far, int lower)
{
    for (int x = 0; x < width; x++)
        out[x] = (uint8_t)((3 * near[x] + far[x] + 1 + lower) >> 2);
}

/** 2:1 both ways: column sums first, then the same across. */
static void double_both(uint8_t *out, int width, const uint8_t *near, const uint8_t *far, int n)
{
    for (int x = 0; x < width; x++) {
        int i = x >> 1, j = clamp_index((x & 1) ? i + 1 : i - 1, n);
        int this_sum = 3 * near[i] + far[i], next_sum = 3 * near[j] + far[j];
        out[x] = (uint8_t)((3 * this_sum + next_sum + ((x & 1) ? 7 : 8)) >> 4);
    }
}

void chroma_row_jpeg(uint8_t *out, int width, const ChromaPlane *plane, int y)
{
    const int across = plane->log2_across, down = plane->log2_down;
    const int i = y >> down, lower = y & 1;
    const uint8_t *near = plane_row(plane, i);
    const uint8_t *far = plane_row(plane, lower ? i + 1 : i - 1);
    if (across == 0 && down == 1)
        double_down(out, width, near, far, lower);
    else if (across == 1 && down == 0 && plane->width > 2) /* libjpeg: too narrow to be fancy */
        double_across(out, width, near, plane->width);
    else if (across == 1 && down == 1 && plane->width > 2)
        double_both(out, width, near, far, plane->width);
    else
        repeat_across(out, width, near, across);
}

void chroma_rgba_jpeg(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                      int width)
{
    /* 1.402, 1.772, 0.34414, 0.71414 in 16 bits of fraction */
    for (int x = 0; x < width; x++, out += 4) {
        int b = cb[x] - 128, r = cr[x] - 128;
        out[0] = clip(y[x] + ((91881 * r + 32768) >> 16));
        out[1] = clip(y[x] + ((-22554 * b - 46802 * r + 32768) >> 16));
        out[2] = clip(y[x] + ((116130 * b + 32768) >> 16));
        out[3] = 255;
    }
}

/* ---- WebP ---- */

void chroma_row_webp(uint8_t *out, int width, const ChromaPlane *plane, int y)
{
    /* each pixel: 9/16 of the nearest sample, 3/16 of its two neighbours, 1/16 of the diagonal one,
     * rounded in two steps */
    const uint8_t *near = plane_row(plane, y >> 1);
    const uint8_t *far = plane_row(plane, (y & 1) ? (y >> 1) + 1 : (y >> 1) - 1);
    for (int x = 0; x < width; x++) {
        int i = x >> 1, j = (x & 1) ? i + 1 : i - 1;
        if (j < 0 || j >= plane->width) {
            out[x] = (uint8_t)((3 * near[i] + far[i] + 2) >> 2);
            continue;
        }
        int a = near[i], b = near[j], c = far[i], d = far[j];
        int diagonal = (a + b + c + d + 8 + 2 * (b + c)) >> 3;
        out[x] = (uint8_t)((diagonal + a) >> 1);
    }
}

static int webp_high(int value, int factor)
{
    return (value * factor) >> 8;
}

static uint8_t webp_clip(int value)
{
    return clip(value >> 6);
}

void chroma_rgba_webp(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                      int width)
{
    for (int x = 0; x < width; x++, out += 4) {
        int luma = webp_high(y[x], 19077);
        out[0] = webp_clip(luma + webp_high(cr[x], 26149) - 14234);
        out[1] = webp_clip(luma - webp_high(cb[x], 6419) - webp_high(cr[x], 13320) + 8708);
        out[2] = webp_clip(luma + webp_high(cb[x], 33050) - 17685);
        out[3] = 255;
    }
}
