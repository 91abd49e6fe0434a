/* slab.h  The one block of memory that holds activations and weights of a run. */
#ifndef MEMORY_SLAB_H
#define MEMORY_SLAB_H

#include "base/error.h"

#include <stddef.h>

typedef struct Slab {
    unsigned char *base; /**< page aligned; NULL when closed */
    size_t bytes;
} Slab;

/** Reserve `bytes` of zeroed memory; pages are taken from the system when first touched.
 *  SNUG_ERR_MEMORY when the system refuses. */
SNUG_MUST_USE SnugStatus slab_open(Slab *slab, size_t bytes, SnugError *err);
/** Give it back; a closed slab is fine. */
void slab_close(Slab *slab);

/** Bytes of pages that the system has given. */
size_t slab_resident_bytes(const Slab *slab);
/** Highest byte ever written, found by looking at the pages [bytes]; page granular. */
size_t slab_touched_bytes(const Slab *slab);

#endif
