/* exif.h  The one EXIF field that changes a picture: its orientation. */
#ifndef MEDIA_EXIF_H
#define MEDIA_EXIF_H

#include <stddef.h>
#include <stdint.h>

/** Orientation 1..8 from an EXIF block (with or without its "Exif" mark); 0: none, or damaged. */
int exif_orientation(const uint8_t *data, size_t n);

/** Orientation 1..8 from an XMP packet (`tiff:Orientation`); 0: none. */
int exif_xmp_orientation(const uint8_t *data, size_t n);

#endif
