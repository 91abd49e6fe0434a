/* compose.c  Pillow's integer arithmetic: Convert.c, Paste.c, AlphaComposite.c, GetBBox.c. */
#include "media/compose.h"

#include <string.h>

#include "base/error.h"

static inline uint8_t div_255(uint32_t t)
{
    t += 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

static inline uint8_t mix(uint8_t below, uint8_t above, uint8_t share)
{
    return div_255(below * (255u - share) + above * (uint32_t)share);
}

/* ---- channels -------------------------------------------------------------------------------- */

static inline uint8_t luma(const uint8_t *rgb)
{
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 32768u) >> 16);
}

SnugStatus compose_grey(Image *out, Heap *heap, const Image *in, SnugError *err)
{
    TRY(image_init(out, heap, in->width, in->height, 1, err));
    const size_t n = image_bytes(in->width, in->height, 1), step = (size_t)in->channels;
    for (size_t i = 0; i < n; i++)
        out->pixels[i] = step == 1 ? in->pixels[i] : luma(in->pixels + i * step);
    return SNUG_OK;
}

SnugStatus compose_convert(Image *out, Heap *heap, const Image *in, int channels, SnugError *err)
{
    TRY(image_init(out, heap, in->width, in->height, channels, err));
    const size_t n = image_bytes(in->width, in->height, 1), step = (size_t)in->channels;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *from = in->pixels + i * step;
        uint8_t *to = out->pixels + i * (size_t)channels;
        for (int c = 0; c < channels; c++)
            to[c] = c == 3 ? 255 : step == 1 ? from[0] : from[c];
    }
    return SNUG_OK;
}

SnugStatus compose_alpha(Image *out, Heap *heap, const Image *in, SnugError *err)
{
    TRY(image_init(out, heap, in->width, in->height, 1, err));
    const size_t n = image_bytes(in->width, in->height, 1);
    for (size_t i = 0; i < n; i++)
        out->pixels[i] = in->channels == 4 ? in->pixels[4 * i + 3] : 255;
    return SNUG_OK;
}

/* ---- areas ----------------------------------------------------------------------------------- */

void compose_threshold(Image *image, int limit)
{
    const size_t n = image_bytes(image->width, image->height, image->channels);
    for (size_t i = 0; i < n; i++)
        image->pixels[i] = image->pixels[i] > limit ? 255 : 0;
}

static ImageBox cut(ImageBox box, const Image *to)
{
    return (ImageBox){ box.left > 0 ? box.left : 0, box.top > 0 ? box.top : 0,
                       box.right < to->width ? box.right : to->width,
                       box.bottom < to->height ? box.bottom : to->height };
}

static inline uint8_t *pixel(const Image *image, int x, int y)
{
    const size_t at = (size_t)y * (size_t)image->width + (size_t)x;
    return image->pixels + at * (size_t)image->channels;
}

void compose_fill(Image *image, ImageBox box, uint8_t value)
{
    const ImageBox b = cut(box, image);
    for (int y = b.top; y < b.bottom && b.left < b.right; y++)
        memset(pixel(image, b.left, y), value, image_bytes(b.right - b.left, 1, image->channels));
}

/* ---- laying over ----------------------------------------------------------------------------- */

void compose_paste(Image *to, const Image *from, int x, int y, const Image *mask)
{
    const ImageBox b = cut((ImageBox){ x, y, x + from->width, y + from->height }, to);
    const int channels = to->channels;
    for (int row = b.top; row < b.bottom; row++)
        for (int column = b.left; column < b.right; column++) {
            uint8_t *under = pixel(to, column, row);
            const uint8_t *over = pixel(from, column - x, row - y);
            const uint8_t share = mask ? *pixel(mask, column - x, row - y) : 255;
            for (int c = 0; c < channels; c++)
                under[c] = mix(under[c], over[c], share);
        }
}

/* The weight of `above` is kept in 7 more bits than a byte. */
static void over(uint8_t *below, const uint8_t *above)
{
    const uint32_t sa = above[3], da = below[3];
    if (sa == 0) return;
    const uint32_t blend = da * (255 - sa), out_alpha = sa * 255 + blend;
    const uint32_t c1 = sa * 255 * 255 * 128 / out_alpha, c2 = 255 * 128 - c1;
    for (int c = 0; c < 3; c++) {
        const uint32_t t = above[c] * c1 + below[c] * c2 + (128u << 7);
        below[c] = (uint8_t)((((t >> 8) + t) >> 8) >> 7);
    }
    below[3] = div_255(out_alpha);
}

void compose_over(Image *below, const Image *above)
{
    const size_t n = image_bytes(below->width, below->height, 1);
    for (size_t i = 0; i < n; i++)
        over(below->pixels + 4 * i, above->pixels + 4 * i);
}

/* ---- looking --------------------------------------------------------------------------------- */

static bool seen(const Image *image, int x, int y)
{
    const uint8_t *at = pixel(image, x, y);
    if (image->channels == 4) return at[3] != 0;
    return at[0] || (image->channels == 3 && (at[1] || at[2]));
}

bool compose_bounds(const Image *image, ImageBox *out)
{
    *out = (ImageBox){ image->width, image->height, 0, 0 };
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            if (!seen(image, x, y)) continue;
            if (x < out->left) out->left = x;
            if (x >= out->right) out->right = x + 1;
            if (y < out->top) out->top = y;
            out->bottom = y + 1;
        }
    return out->right > out->left;
}

/* The value of rank `rank`, counted from 0. */
static int ranked(const size_t count[256], size_t rank)
{
    int value = 0;
    for (size_t below = count[0]; below <= rank && value < 255; below += count[value])
        value++;
    return value;
}

double compose_percentile(const Image *grey, double percent)
{
    size_t count[256] = { 0 };
    const size_t n = image_bytes(grey->width, grey->height, 1);
    for (size_t i = 0; i < n; i++)
        count[grey->pixels[i]]++;
    const double at = percent / 100.0 * (double)(n - 1);
    const size_t rank = (size_t)at;
    const double low = ranked(count, rank), high = ranked(count, rank + 1 < n ? rank + 1 : rank);
    const double t = at - (double)rank;
    return t >= 0.5 ? high - (high - low) * (1.0 - t) : low + (high - low) * t;
}
