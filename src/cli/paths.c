/* paths.c  Folders from the environment. */
#include "cli/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool paths_cache(char out[PATHS_MAX], const char *name)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;
    if (xdg && xdg[0] == '/') /* relative ones are invalid and to be ignored, says the standard */
        n = snprintf(out, PATHS_MAX, "%s/snug/%s", xdg, name);
    else if (home && *home)
        n = snprintf(out, PATHS_MAX, "%s/.cache/snug/%s", home, name);
    return n > 0 && n < PATHS_MAX;
}

bool paths_make_parents(const char *path)
{
    char part[PATHS_MAX];
    if (strlen(path) >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) return false;
        *slash = '/';
    }
    return true;
}

void paths_folder(char out[PATHS_MAX], const char *path)
{
    (void)snprintf(out, PATHS_MAX, "%s", path);
    char *slash = strrchr(out, '/');
    if (!slash)
        (void)snprintf(out, PATHS_MAX, ".");
    else if (slash == out)
        out[1] = '\0';
    else
        *slash = '\0';
}
