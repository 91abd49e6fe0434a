/* status.h  Status codes and caller-owned error text, shared by the library and its rooms. */
#ifndef SNUG_STATUS_H
#define SNUG_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define SNUG_MUST_USE __attribute__((warn_unused_result))

/** What a call ended with. The CLI's exit codes follow from it (see snug_exit_code). */
typedef enum SnugStatus {
    SNUG_OK = 0,
    SNUG_ERR_ARG,       /**< the caller's mistake: impossible size, unknown option or scheduler */
    SNUG_ERR_FILE,      /**< a file is malformed, truncated, of the wrong kind, or does not match */
    SNUG_ERR_IO,        /**< the system refused: cannot open, read or write; disk full */
    SNUG_ERR_BUDGET,    /**< does not fit the memory budget; err names what would */
    SNUG_ERR_MEMORY,    /**< the system had no memory although the budget allowed it */
    SNUG_ERR_CANCELLED, /**< the caller cancelled the job */
    SNUG_ERR_NUMERIC,   /**< NaN or infinity in results */
    SNUG_ERR_INTERNAL   /**< a bug in snug: run and plan disagree */
} SnugStatus;

/** Caller-owned error text: written on failure only, untouched on success. */
typedef struct SnugError {
    char text[2048]; /**< UTF-8, one or more lines, always terminated */
} SnugError;

#ifdef __cplusplus
}
#endif
#endif
