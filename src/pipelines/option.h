/* option.h  One row per option: it serves the command line, job files, range checks, help, docs. */
#ifndef PIPELINES_OPTION_H
#define PIPELINES_OPTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "snug/snug.h"

/** A whole number whose default is this word may be given as it; then the pipeline draws one. */
#define OPTION_RANDOM_WORD "random"
#define OPTION_RANDOM      INT64_MIN

/** Where a value of a kind lives in a request struct. */
typedef struct OptionSize {
    int width, height; /**< px; 0 when not given */
} OptionSize;

/** A row. `given` of a value not set keeps the default; OPT_INT is int64_t, OPT_FLOAT double,
 *  OPT_SIZE OptionSize, OPT_FLAG bool, texts, switches and paths const char * in the job's arena;
 *  so is a list: its texts one to a line, NULL for none. */
typedef struct Option {
    SnugOption public_part; /**< name, kind, range, help: what users see */
    size_t offset;          /**< of the value in the request struct */
} Option;

/** Parse `value` into the request; SNUG_ERR_ARG names option, value and range. */
SNUG_MUST_USE SnugStatus option_parse(const Option *option, void *request, Arena *arena,
                                      const char *value, SnugError *err);
/** Set every option that has a default. The table ends with a row without a name. */
SNUG_MUST_USE SnugStatus option_defaults(const Option *table, void *request, Arena *arena,
                                         SnugError *err);
/** Row of that name, or NULL. */
const Option *option_find(const Option *table, const char *name);

/** "8GiB", "512MiB", "1.5GB", "123456" -> bytes; SNUG_ERR_ARG for anything else. */
SNUG_MUST_USE SnugStatus option_parse_bytes(const char *text, size_t *out, SnugError *err);

#endif
