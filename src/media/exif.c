/* exif.c  Enough TIFF to find tag 0x0112 in the first directory. */
#include "media/exif.h"

#include <stdbool.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

static uint32_t get16(const uint8_t *p, bool little)
{
    return little ? (uint32_t)p[1] << 8 | p[0] : (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p, bool little)
{
    uint32_t first = get16(p, little), second = get16(p + 2, little);
    return little ? second << 16 | first : first << 16 | second;
}

int exif_orientation(const uint8_t *data, size_t n)
{
    if (n >= 6 && memcmp(data, "Exif\0\0", 6) == 0) {
        data += 6;
        n -= 6;
    }
    if (n < 8) return 0;
    bool little = memcmp(data, "II*\0", 4) == 0;
    if (!little && memcmp(data, "MM\0*", 4) != 0) return 0;
    size_t at = get32(data + 4, little);
    if (at > n - 2) return 0;
    size_t n_entries = get16(data + at, little);
    at += 2;
    for (size_t i = 0; i < n_entries && n - at >= ENTRY_BYTES; i++, at += ENTRY_BYTES) {
        const uint8_t *entry = data + at;
        if (get16(entry, little) != TAG_ORIENTATION) continue;
        uint32_t type = get16(entry + 2, little), value = 0;
        if (type == TYPE_SHORT) value = get16(entry + 8, little);
        if (type == TYPE_LONG) value = get32(entry + 8, little);
        return value >= 1 && value <= 8 ? (int)value : 0;
    }
    return 0;
}

int exif_xmp_orientation(const uint8_t *data, size_t n)
{
    static const char NAME[] = "tiff:Orientation";
    const uint8_t *found = memmem(data, n, NAME, sizeof NAME - 1);
    if (!found) return 0;
    const uint8_t *value = found + sizeof NAME - 1, *end = data + n;
    if (end - value >= 2 && value[0] == '=' && value[1] == '"')
        value += 2;
    else if (end - value >= 1 && value[0] == '>')
        value += 1;
    if (end - value < 1 || value[0] < '1' || value[0] > '8') return 0;
    return value[0] - '0';
}
