/* golden.h  Tensors of a golden .safetensors file, for files that our own oracle wrote: names are
 * looked up in the text of the header. */
#ifndef TESTS_SAMPLING_GOLDEN_H
#define TESTS_SAMPLING_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

typedef struct Golden {
    char *header;
    char *data;
} Golden;

/** Fails the test when the file cannot be read. */
static inline void golden_open(Golden *golden, const char *below_tests)
{
    FILE *file = fopen(test_path(below_tests), "rb");
    if (!file) fail_msg("cannot open %s", test_path(below_tests));
    uint64_t header_bytes = 0;
    CHECK_INT(fread(&header_bytes, 8, 1, file), 1);
    CHECK_INT(fseek(file, 0, SEEK_END), 0);
    size_t data_bytes = (size_t)ftell(file) - 8 - header_bytes;
    CHECK_INT(fseek(file, 8, SEEK_SET), 0);
    golden->header = calloc(1, header_bytes + 1);
    golden->data = malloc(data_bytes);
    CHECK(golden->header && golden->data);
    CHECK_INT(fread(golden->header, 1, header_bytes, file), header_bytes);
    CHECK_INT(fread(golden->data, 1, data_bytes, file), data_bytes);
    (void)fclose(file);
}

static inline void golden_close(Golden *golden)
{
    free(golden->header);
    free(golden->data);
}

/** Data of tensor `group/name` and how many 4-byte elements it has; fails when absent. */
static inline const void *golden_get(const Golden *golden, const char *group, const char *name,
                                     int64_t *n)
{
    char quoted[128];
    (void)snprintf(quoted, sizeof quoted, "\"%s/%s\":{", group, name);
    const char *at = strstr(golden->header, quoted);
    at = at ? strstr(at, "\"data_offsets\":[") : NULL;
    if (!at) fail_msg("no tensor %s/%s", group, name);
    char *end;
    unsigned long first = strtoul(at + strlen("\"data_offsets\":["), &end, 10);
    *n = (int64_t)(strtoul(end + 1, NULL, 10) - first) / 4;
    return golden->data + first;
}

#endif
