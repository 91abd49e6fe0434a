/* sha256.h  SHA-256 (FIPS 180-4), piece by piece: fingerprints of files and stored state. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_TEXT = 2 * SHA256_BYTES + 1 };

/** A digest under way; a plain value: copy it to branch. */
typedef struct Sha256 {
    uint32_t state[8];
    uint64_t n; /* bytes so far */
    unsigned char block[64];
} Sha256;

void sha256_init(Sha256 *sha);
void sha256_add(Sha256 *sha, const void *bytes, size_t n);
/** The digest of what was added; the value is used up. */
void sha256_end(Sha256 *sha, unsigned char out[SHA256_BYTES]);
/** In lower-case hexadecimal digits. */
const char *sha256_text(const unsigned char digest[SHA256_BYTES], char out[SHA256_TEXT]);

#endif
