/* preview.c  Bytes, enlarged, as a PNG that replaces the last one. */
#include "media/preview.h"

#include "base/error.h"
#include "media/png.h"
#include "media/resize.h"

enum { MAX_ZOOM = 16 };

static SnugStatus write_enlarged(const char *path, Heap *heap, const Image *small, int zoom,
                                 SnugError *err)
{
    Image large = { 0 };
    SnugStatus status = resize_image(&large, heap, small, small->width * zoom, small->height * zoom,
                                     RESIZE_NEAREST, err);
    if (status == SNUG_OK) status = png_write_file(path, heap, &large, NULL, 0, err);
    image_release(&large);
    return status;
}

SnugStatus preview_write(const char *path, Heap *heap, const float *rgb, int width, int height,
                         int zoom, SnugError *err)
{
    if (zoom < 1 || zoom > MAX_ZOOM)
        return error_set(err, SNUG_ERR_ARG, "preview zoom %d: must be 1..%d", zoom, MAX_ZOOM);
    Image small = { 0 };
    SnugStatus status = image_init(&small, heap, width, height, 3, err);
    if (status == SNUG_OK) {
        image_bytes_from_unit(small.pixels, rgb, image_bytes(width, height, 3));
        status = write_enlarged(path, heap, &small, zoom, err);
    }
    image_release(&small);
    return status;
}
