/* image.c  Pictures and their change into floats and back. */
#include "media/image.h"

#include "base/error.h"
#include "base/size.h"

size_t image_bytes(int width, int height, int channels)
{
    return (size_t)width * (size_t)height * (size_t)channels;
}

SnugStatus image_init(Image *out, Heap *heap, int width, int height, int channels, SnugError *err)
{
    *out = (Image){ .heap = heap };
    if (width < 1 || height < 1 || width > IMAGE_MAX_SIDE_PX || height > IMAGE_MAX_SIDE_PX)
        return error_set(err, SNUG_ERR_ARG, "picture of %d x %d px: each side must be 1..%d px",
                         width, height, IMAGE_MAX_SIDE_PX);
    if (channels != 1 && channels != 3 && channels != 4)
        return error_set(err, SNUG_ERR_ARG, "picture of %d channels: must be 1, 3 or 4", channels);
    size_t bytes = image_bytes(width, height, channels);
    uint8_t *pixels = heap_take(heap, bytes, "picture");
    if (!pixels)
        return error_set(err, SNUG_ERR_MEMORY, "no memory for a picture of %d x %d px (%zu bytes)",
                         width, height, bytes);
    *out = (Image){ width, height, channels, pixels, heap };
    return SNUG_OK;
}

void image_release(Image *image)
{
    if (image->heap) heap_give(image->heap, image->pixels);
    *image = (Image){ 0 };
}

static inline float to_float(uint8_t value, ImageRange range)
{
    float unit = (float)value / 255.0f;
    return range == IMAGE_UNIT ? unit : 2.0f * unit - 1.0f;
}

void image_to_chw(float *out, const Image *image, ImageRange range)
{
    const size_t n = (size_t)image->width * (size_t)image->height;
    const size_t channels = (size_t)image->channels;
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < n; i++)
            out[c * n + i] = to_float(image->pixels[i * channels + c], range);
}

void image_to_hwc(float *out, const Image *image, ImageRange range)
{
    const size_t n = image_bytes(image->width, image->height, image->channels);
    for (size_t i = 0; i < n; i++)
        out[i] = to_float(image->pixels[i], range);
}

void image_bytes_from_unit(uint8_t *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = in[i] > 0.0f ? in[i] : 0.0f; /* NaN compares false: 0 */
        out[i] = (uint8_t)((x < 1.0f ? x : 1.0f) * 255.0f);
    }
}
