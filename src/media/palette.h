/* palette.h  Pictures in 255 colours, for GIF. */
#ifndef MEDIA_PALETTE_H
#define MEDIA_PALETTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"

/* the 256th index is left to the encoder, which marks unchanged pixels with it */
enum { PALETTE_COLOURS = 255 };

typedef struct Palette Palette;

/** NULL when memory is refused. */
Palette *palette_create(Heap *heap);
void palette_free(Palette *palette);
/** What palette_create takes from the heap. */
size_t palette_bytes(void);

/**
 * Map a frame to indices, with an ordered dither that stands still from frame to frame.
 *
 * The colours of the frame before are kept as long as they serve the new one nearly as well as they
 * served the one they were made for: pictures that hardly move do not flicker, and compress.
 * @param out  [height, stride] indices below PALETTE_COLOURS
 * @param rgb  [height, width, 3]
 */
void palette_map(Palette *palette, uint8_t *out, int stride, const uint8_t *rgb, int width,
                 int height);

/** The colours of the last palette_map: 256 values 0xAARRGGBB, the last transparent. */
const uint32_t *palette_colours(const Palette *palette);

#endif
