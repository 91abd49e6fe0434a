/* base64.h  Bytes out of base64 (RFC 4648): strict, spaces and line ends between groups aside. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/heap.h"
#include "snug/status.h"

/** Does the text consist of base64's characters alone, padded to whole groups? */
bool base64_looks(const char *text, size_t n);

/**
 * @param out  [*n_out] bytes, given back by the caller (heap_give); NULL after a failure
 * @return SNUG_ERR_FILE names the first character that does not belong; SNUG_ERR_MEMORY
 */
SNUG_MUST_USE SnugStatus base64_decode(unsigned char **out, size_t *n_out, Heap *heap,
                                       const char *text, size_t n, SnugError *err);

#endif
