/* paths.h  Where the command keeps what it finds out, after the XDG base directories. */
#ifndef CLI_PATHS_H
#define CLI_PATHS_H

#include <stdbool.h>
#include <stddef.h>

enum { PATHS_MAX = 4096 };

/** $XDG_CACHE_HOME/snug/NAME, else ~/.cache/snug/NAME; false when neither is known or too long. */
bool paths_cache(char out[PATHS_MAX], const char *name);
/** Make the folders that lead to `path`; false with errno when one cannot be made. */
bool paths_make_parents(const char *path);
/** Folder part of a path, "." without one. */
void paths_folder(char out[PATHS_MAX], const char *path);

#endif
