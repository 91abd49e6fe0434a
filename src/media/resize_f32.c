/* resize_f32.c  torch's interpolate on float planes: bicubic without antialiasing, and nearest. */
#include <math.h>

#include "base/error.h"
#include "base/size.h"
#include "media/resize.h"

/** Four neighbours of an output position; the indices are clamped to the border. */
typedef struct CubicTap {
    int64_t index[4];
    float weight[4];
} CubicTap;

/** How far apart neighbours lie in memory. */
typedef struct Steps {
    int64_t channel, row, pixel;
} Steps;

static Steps steps_of(ResizeShape shape, int height, int width)
{
    if (shape.layout == RESIZE_CHW) return (Steps){ (int64_t)height * width, width, 1 };
    return (Steps){ 1, (int64_t)width * shape.channels, shape.channels };
}

static float near_weight(float x)
{
    const float a = -0.75f;
    return ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f;
}

static float far_weight(float x)
{
    const float a = -0.75f;
    return ((a * x - 5.0f * a) * x + 8.0f * a) * x - 4.0f * a;
}

static void set_tap(CubicTap *tap, int i, float scale, int n)
{
    float at = scale * ((float)i + 0.5f) - 0.5f;
    int64_t base = (int64_t)floorf(at);
    if (base > n - 1) base = n - 1;
    float t = at - (float)base;
    t = t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t;
    for (int k = 0; k < 4; k++) {
        int64_t index = base - 1 + k;
        tap->index[k] = index < 0 ? 0 : index >= n ? n - 1 : index;
    }
    tap->weight[0] = far_weight(t + 1.0f);
    tap->weight[1] = near_weight(t);
    tap->weight[2] = near_weight(1.0f - t);
    tap->weight[3] = far_weight(2.0f - t);
}

static float row_value(const float *row, const CubicTap *tap, int64_t step)
{
    float sum = row[tap->index[0] * step] * tap->weight[0];
    for (int k = 1; k < 4; k++)
        sum += row[tap->index[k] * step] * tap->weight[k];
    return sum;
}

static float plane_value(const float *plane, const CubicTap *x, const CubicTap *y, Steps in)
{
    float sum = row_value(plane + y->index[0] * in.row, x, in.pixel) * y->weight[0];
    for (int k = 1; k < 4; k++)
        sum += row_value(plane + y->index[k] * in.row, x, in.pixel) * y->weight[k];
    return sum;
}

SnugStatus resize_bicubic_f32(float *out, int height, int width, const float *in, ResizeShape shape,
                              Heap *heap, SnugError *err)
{
    if (height < 1 || width < 1 || shape.height < 1 || shape.width < 1 || shape.channels < 1)
        return error_set(err, SNUG_ERR_ARG, "resize from %d x %d to %d x %d px: sizes must be >= 1",
                         shape.width, shape.height, width, height);
    CubicTap *x_tap =
        heap_take(heap, ((size_t)width + (size_t)height) * sizeof *x_tap, "resize weights");
    if (!x_tap) return error_set(err, SNUG_ERR_MEMORY, "no memory for resize weights");
    CubicTap *y_tap = x_tap + width;
    for (int x = 0; x < width; x++)
        set_tap(&x_tap[x], x, (float)shape.width / (float)width, shape.width);
    for (int y = 0; y < height; y++)
        set_tap(&y_tap[y], y, (float)shape.height / (float)height, shape.height);
    const Steps from = steps_of(shape, shape.height, shape.width);
    const Steps to = steps_of(shape, height, width);
    for (int c = 0; c < shape.channels; c++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                out[c * to.channel + y * to.row + x * to.pixel] =
                    plane_value(in + c * from.channel, &x_tap[x], &y_tap[y], from);
    heap_give(heap, x_tap);
    return SNUG_OK;
}

static int64_t nearest_index(int i, float scale, int n)
{
    int64_t index = (int64_t)floorf((float)i * scale);
    return index < n ? index : n - 1;
}

void resize_nearest_f32(float *out, int height, int width, const float *in, ResizeShape shape)
{
    const Steps from = steps_of(shape, shape.height, shape.width);
    const Steps to = steps_of(shape, height, width);
    const float scale_x = (float)shape.width / (float)width;
    const float scale_y = (float)shape.height / (float)height;
    for (int c = 0; c < shape.channels; c++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                out[c * to.channel + y * to.row + x * to.pixel] =
                    in[c * from.channel + nearest_index(y, scale_y, shape.height) * from.row +
                       nearest_index(x, scale_x, shape.width) * from.pixel];
}
