/* model_root.c  Resolve, then compare prefixes at a '/'. */
#include "formats/model_root.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"

static SnugStatus resolve(const char *path, char real[PATH_MAX], SnugError *err)
{
    if (realpath(path, real)) return SNUG_OK;
    return error_set(err, SNUG_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
}

SnugStatus model_root_init(ModelRoot *root, Arena *arena, const char *dir, bool follow_links,
                           SnugError *err)
{
    char real[PATH_MAX];
    *root = (ModelRoot){ 0 };
    TRY(resolve(dir, real, err));
    if (follow_links) return SNUG_OK;
    char *kept = arena_text(arena, real, strlen(real));
    char *above = kept ? file_dirname(arena, kept) : NULL;
    char *cache = above ? file_dirname(arena, above) : NULL;
    char *blobs = cache ? file_join(arena, cache, "blobs") : NULL;
    if (!blobs) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", dir);
    root->real = kept;
    if (strcmp(file_basename(above), "snapshots") == 0) root->blobs = blobs;
    return SNUG_OK;
}

static bool inside(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (strncmp(path, dir, n) != 0) return false;
    return path[n] == '/' || path[n] == '\0' || (n > 0 && dir[n - 1] == '/');
}

SnugStatus model_root_check(const ModelRoot *root, const char *path, SnugError *err)
{
    char real[PATH_MAX];
    if (!root || !root->real) return SNUG_OK;
    TRY(resolve(path, real, err));
    if (inside(real, root->real) || (root->blobs && inside(real, root->blobs))) return SNUG_OK;
    return fault_set(err, FAULT_UNSAFE, path, "model", NULL,
                     "a symbolic link leads out of the model's folder (to %s)", real);
}
