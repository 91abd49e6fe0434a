/* yuv.h  RGB to the 4:2:0 planes that video encoders take. */
#ifndef MEDIA_YUV_H
#define MEDIA_YUV_H

#include <stdint.h>

/** Y of (width, height) rounded up to even, Cb and Cr of half that. */
typedef struct YuvPlanes {
    uint8_t *data[3];
    int stride[3]; /* bytes */
} YuvPlanes;

/**
 * BT.709, limited range, 8 bits. Colour is sited left, as H.264 and VP9 players assume: 1 2 1 across
 * two rows. Odd sizes are padded by repeating the last column and row.
 * @param rgb  [height, width, 3]
 */
void yuv_from_rgb(YuvPlanes out, const uint8_t *rgb, int width, int height);

#endif
