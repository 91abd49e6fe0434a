/* charsmap.c  Walk of a Darts double array (formats spec 9.2). Nothing in the file is trusted. */
#include "text/charsmap.h"

#include <stdint.h>
#include <string.h>

static uint32_t unit_at(const Charsmap *map, size_t i)
{
    const unsigned char *u = map->units + 4 * i;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

const char *charsmap_init(Charsmap *map, TextView blob)
{
    *map = (Charsmap){ .units = (const unsigned char *)blob.at };
    if (blob.n < 4) return "normalisation table shorter than its length field";
    const size_t bytes = unit_at(map, 0);
    if (bytes == 0 || bytes % 4) return "normalisation table: array length is no multiple of 4";
    if (bytes >= blob.n - 4) return "normalisation table: array longer than the table";
    map->units += 4;
    map->n_units = bytes / 4;
    map->pool = (TextView){ blob.at + 4 + bytes, blob.n - 4 - bytes };
    if (text_utf8_check(map->pool.at, map->pool.n) < map->pool.n)
        return "normalisation table: replacement texts are invalid UTF-8";
    return NULL;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Standard alphabet, padded; out has 3 bytes for each 4 characters. False: not base64. */
static bool base64_decode(TextView in, char *out, size_t *n)
{
    if (in.n == 0 || in.n % 4) return false;
    size_t pad = (in.at[in.n - 1] == '=') + (in.at[in.n - 1] == '=' && in.at[in.n - 2] == '=');
    *n = 0;
    for (size_t i = 0; i < in.n; i += 4) {
        uint32_t bits = 0;
        size_t here = i + 4 == in.n ? 4 - pad : 4;
        for (size_t k = 0; k < 4; k++) {
            int digit = k < here ? base64_digit(in.at[i + k]) : 0;
            if (digit < 0) return false;
            bits = bits << 6 | (uint32_t)digit;
        }
        for (size_t k = 0; k + 1 < here; k++)
            out[(*n)++] = (char)(bits >> (16 - 8 * k) & 0xff);
    }
    return true;
}

const char *charsmap_init_base64(Charsmap *map, TextView base64, char *room)
{
    TextView blob = { .at = room };
    if (!base64_decode(base64, room, &blob.n)) return "normalisation table is not base64";
    return charsmap_init(map, blob);
}

/* The pool text at `value`, up to its NUL (or the pool's end, as the references do). */
static bool pool_text(const Charsmap *map, size_t value, TextView *out)
{
    if (value >= map->pool.n || ((unsigned char)map->pool.at[value] & 0xc0) == 0x80) return false;
    const char *end = memchr(map->pool.at + value, 0, map->pool.n - value);
    *out = (TextView){ map->pool.at + value, map->pool.n - value };
    if (end) out->n = (size_t)(end - out->at);
    return true;
}

static size_t offset(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 0x200) >> 6);
}

CharsmapHit charsmap_match(const Charsmap *map, TextView text, CharsmapRule rule, size_t *from,
                           TextView *to)
{
    CharsmapHit hit = CHARSMAP_MISS;
    size_t at = offset(unit_at(map, 0));
    for (size_t i = 0; i < text.n && text.at[i]; i++) {
        const unsigned char byte = (unsigned char)text.at[i];
        at ^= byte;
        if (at >= map->n_units) return CHARSMAP_BROKEN;
        const uint32_t unit = unit_at(map, at);
        if ((unit & 0x800000ff) != byte) break; /* bit 31: a value, not a node */
        at ^= offset(unit);
        if (!(unit & 0x100)) continue;
        if (at >= map->n_units || !pool_text(map, unit_at(map, at) & 0x7fffffff, to))
            return CHARSMAP_BROKEN;
        *from = i + 1;
        hit = CHARSMAP_HIT;
        if (rule == CHARSMAP_SHORTEST) break;
    }
    return hit;
}
