/* error.h  Build error texts: set where a fault is found, wrapped with context on the way up. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "snug/status.h"

/** Start a text. Returns `status` so that `return error_set(...)` reads well. err may be NULL. */
__attribute__((format(printf, 3, 4))) SnugStatus error_set(SnugError *err, SnugStatus status,
                                                           const char *format, ...);

/** Prefix the text with context ("file.safetensors: "); returns `status` unchanged. */
__attribute__((format(printf, 3, 4))) SnugStatus error_wrap(SnugError *err, SnugStatus status,
                                                            const char *format, ...);

/** Return early on failure; only where nothing but arena memory is held. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        SnugStatus try_status_ = (call);                                                           \
        if (try_status_ != SNUG_OK) return try_status_;                                            \
    } while (0)

#endif
