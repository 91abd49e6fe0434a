/* yuv.c  BT.709 in 16-bit fixed point. Own code, since libswscale's result depends on the machine. */
#include "media/yuv.h"

static int clamp_index(int i, int n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/** Y' = 16 + 219 (0.2126 R + 0.7152 G + 0.0722 B) / 255. */
static void luma_row(uint8_t *out, const uint8_t *rgb, int width, int padded)
{
    for (int x = 0; x < width; x++, rgb += 3)
        out[x] = (uint8_t)(16 + ((11966 * rgb[0] + 40254 * rgb[1] + 4064 * rgb[2] + 32768) >> 16));
    for (int x = width; x < padded; x++)
        out[x] = out[width - 1];
}

/** sum[c]: eight times the colour at column 2 x between rows a and b. */
static void colour_sum(int *sum, const uint8_t *a, const uint8_t *b, int x, int width)
{
    static const int WEIGHT[3] = { 1, 2, 1 };
    sum[0] = sum[1] = sum[2] = 0;
    for (int k = 0; k < 3; k++) {
        const int at = 3 * clamp_index(2 * x + k - 1, width);
        for (int c = 0; c < 3; c++)
            sum[c] += WEIGHT[k] * (a[at + c] + b[at + c]);
    }
}

/** Cb = 128 + 224 (B - Y) / (255 * 1.8556), Cr = 128 + 224 (R - Y) / (255 * 1.5748), of sums that
 *  are eight times too large: 16 bits of fraction become 19. */
static void colour_row(uint8_t *cb, uint8_t *cr, const uint8_t *a, const uint8_t *b, int width)
{
    const int half = 1 << 18;
    for (int x = 0; x < (width + 1) / 2; x++) {
        int s[3];
        colour_sum(s, a, b, x, width);
        cb[x] = (uint8_t)(128 + ((-6596 * s[0] - 22189 * s[1] + 28785 * s[2] + half) >> 19));
        cr[x] = (uint8_t)(128 + ((28784 * s[0] - 26145 * s[1] - 2639 * s[2] + half) >> 19));
    }
}

void yuv_from_rgb(YuvPlanes out, const uint8_t *rgb, int width, int height)
{
    const int padded_w = (width + 1) & ~1, padded_h = (height + 1) & ~1;
    const int64_t row_bytes = 3 * (int64_t)width;
    for (int y = 0; y < padded_h; y++)
        luma_row(out.data[0] + (int64_t)y * out.stride[0], rgb + clamp_index(y, height) * row_bytes,
                 width, padded_w);
    for (int y = 0; y < padded_h / 2; y++)
        colour_row(out.data[1] + (int64_t)y * out.stride[1],
                   out.data[2] + (int64_t)y * out.stride[2], rgb + 2 * y * row_bytes,
                   rgb + clamp_index(2 * y + 1, height) * row_bytes, width);
}
