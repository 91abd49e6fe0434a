/* crc32.h  CRC-32 of zip, PNG and gzip (reflected, polynomial 0xedb88320), piece by piece. */
#ifndef BASE_CRC32_H
#define BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/** The checksum of what `crc` is one of, and n bytes behind it; of nothing it is 0. */
uint32_t crc32_add(uint32_t crc, const void *bytes, size_t n);

#endif
