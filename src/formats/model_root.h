/* model_root.h  The directory a model may read from: no symbolic link leads out of it.
 *
 * One pattern is let through: hub caches keep snapshots/<revision>/... as links into the sibling
 * blobs/ of snapshots. */
#ifndef FORMATS_MODEL_ROOT_H
#define FORMATS_MODEL_ROOT_H

#include "base/arena.h"
#include "snug/status.h"

typedef struct ModelRoot {
    const char *real;  /**< resolved root; NULL: everything is allowed */
    const char *blobs; /**< resolved blob folder of a hub cache, or NULL */
} ModelRoot;

/** Resolve `dir`. With `follow_links` the user opted in to links that lead anywhere. */
SNUG_MUST_USE SnugStatus model_root_init(ModelRoot *root, Arena *arena, const char *dir,
                                         bool follow_links, SnugError *err);
/** SNUG_ERR_FILE "unsafe" when the existing `path` resolves to a place outside.
 *  root may be NULL. */
SNUG_MUST_USE SnugStatus model_root_check(const ModelRoot *root, const char *path, SnugError *err);

#endif
