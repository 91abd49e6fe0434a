/* files.h  Build files in the test's scratch directory, byte by byte. */
#ifndef TESTS_FORMATS_FILES_H
#define TESTS_FORMATS_FILES_H

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/** Path below the scratch directory: one of 32 static buffers in turn. */
static inline const char *files_path(const char *name)
{
    static char path[32][600];
    static int next;
    char *at = path[next++ & 31];
    (void)snprintf(at, sizeof path[0], "%s/%s", test_scratch(), name);
    return at;
}

/** Write a file; folders of its name are made. Returns its path. */
static inline const char *files_put(const char *name, const void *bytes, size_t n)
{
    const char *path = files_path(name);
    char folder[600];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)snprintf(folder, sizeof folder, "%s/%.*s", test_scratch(), (int)(slash - name), name);
        (void)mkdir(folder, 0700);
    }
    FILE *f = fopen(path, "wb");
    CHECK(f && (n == 0 || fwrite(bytes, 1, n, f) == n) && fclose(f) == 0);
    return path;
}

static inline const char *files_text(const char *name, const char *text)
{
    return files_put(name, text, strlen(text));
}

/** A safetensors file: header text and `data` bytes counting 0, 1, 2, ... */
static inline const char *files_safetensors(const char *name, const char *header, size_t data)
{
    size_t n = strlen(header);
    unsigned char *bytes = malloc(8 + n + data);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> 8 * i & 255);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < data; i++)
        bytes[8 + n + i] = (unsigned char)i;
    const char *path = files_put(name, bytes, 8 + n + data);
    free(bytes);
    return path;
}

#endif
