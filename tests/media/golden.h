/* golden.h  Reads tests/golden/media: a text file of lines, and one of all their data in order. */
#ifndef TESTS_MEDIA_GOLDEN_H
#define TESTS_MEDIA_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

typedef struct Golden {
    FILE *lines;
    unsigned char *data;
    size_t n, at;
} Golden;

/** A whole file; free() it. */
static inline unsigned char *golden_file(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("cannot open %s", path);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    *n = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*n + 1);
    CHECK(data && fread(data, 1, *n, file) == *n);
    (void)fclose(file);
    return data;
}

static inline Golden golden_open(const char *name)
{
    Golden golden = { 0 };
    char path[256];
    (void)snprintf(path, sizeof path, "golden/media/%s.txt", name);
    golden.lines = fopen(test_path(path), "r");
    if (!golden.lines) fail_msg("cannot open %s", test_path(path));
    (void)snprintf(path, sizeof path, "golden/media/%s.bin", name);
    golden.data = golden_file(test_path(path), &golden.n);
    return golden;
}

/** The next n bytes of the data file. */
static inline unsigned char *golden_take(Golden *golden, size_t n)
{
    if (n > golden->n - golden->at) fail_msg("golden data ends early");
    unsigned char *data = golden->data + golden->at;
    golden->at += n;
    return data;
}

/** Checks that everything was used. */
static inline void golden_close(Golden *golden)
{
    CHECK_INT(golden->at, golden->n);
    free(golden->data);
    (void)fclose(golden->lines);
}

#endif
