/* size.h  The only place that multiplies and adds sizes: every result is checked. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** *out = a * b; false on overflow (out then unspecified). */
static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/** *out = a + b; false on overflow. */
static inline bool size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/** *out = a * b for dimensions (both >= 0); false on overflow. */
static inline bool dim_mul(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/** Round up to a power of two `align`; saturates at SIZE_MAX. */
static inline size_t size_align(size_t bytes, size_t align)
{
    size_t sum;
    if (!size_add(bytes, align - 1, &sum)) return SIZE_MAX;
    return sum & ~(align - 1);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
