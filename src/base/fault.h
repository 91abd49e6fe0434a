/* fault.h  What can be wrong with a file, in one message shape:
 *     <file>: <format>: <where>: <fault>: <what> (got <x>, expected or limit <y>)
 * All readers use it, so messages and tests speak one language (docs: formats, section 0.1). */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "snug/status.h"

typedef enum Fault {
    FAULT_TRUNCATED,   /**< fewer bytes than a length field promises */
    FAULT_BAD_MAGIC,   /**< another kind of file */
    FAULT_BAD_VERSION, /**< a version this reader does not know */
    FAULT_TOO_LARGE,   /**< over a limit of snug, which the message names */
    FAULT_OVERFLOW,    /**< a product or sum does not fit 64 bits */
    FAULT_BAD_TEXT,    /**< invalid UTF-8 */
    FAULT_BAD_JSON,    /**< JSON grammar, or the wrong JSON type */
    FAULT_BAD,         /**< any other nonsense value */
    FAULT_DUPLICATE,   /**< the same key or name twice */
    FAULT_OVERLAP,     /**< data ranges share bytes */
    FAULT_HOLE,        /**< data ranges leave bytes out */
    FAULT_MISMATCH,    /**< shape times dtype is not the byte length; config is not the tensor */
    FAULT_MISSING,     /**< a required key, tensor, shard or file is absent */
    FAULT_UNSUPPORTED, /**< legal, but not implemented: the message names the feature */
    FAULT_UNSAFE,      /**< would run code, or escapes its directory */
    FAULT_TOO_DEEP,    /**< nesting limit */
    FAULT_COUNT
} Fault;

/** The word used in messages: "truncated", "bad JSON", ... */
const char *fault_word(Fault fault);

/** Write the message; `where` is escaped and cut, NULL leaves it out. Returns SNUG_ERR_FILE. */
__attribute__((format(printf, 6, 7))) SnugStatus fault_set(SnugError *err, Fault fault,
                                                           const char *file, const char *format,
                                                           const char *where, const char *what,
                                                           ...);

#endif
