/* fuzz.h  What every fuzz target promises, whatever the bytes: no crash, no leak, one of the status
 * codes, and memory in proportion to the input.
 *
 * A target is one file fuzz_<name>.c with LLVMFuzzerTestOneInput and a corpus/<name>/ folder. It is
 * built twice: with replay.c into the ordinary tests, and with libFuzzer when -Dfuzz=true. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/heap.h"
#include "snug/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/** Stop when a promise is broken. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** A reader may answer success, a bad file, or no memory: nothing else is the file's fault. */
static inline void fuzz_check_status(SnugStatus status, const SnugError *err)
{
    FUZZ_CHECK(status == SNUG_OK || status == SNUG_ERR_FILE || status == SNUG_ERR_MEMORY);
    FUZZ_CHECK(memchr(err->text, 0, sizeof err->text));
    FUZZ_CHECK((status == SNUG_OK) == (err->text[0] == '\0'));
}

/** Everything was given back, and never more was taken than 4 times the input and 64 MiB. */
static inline void fuzz_check_heap(Heap *heap, size_t n)
{
    FUZZ_CHECK(heap_now_bytes(heap) == 0);
    FUZZ_CHECK(heap_peak_bytes(heap) <= 4 * n + ((size_t)64 << 20));
    heap_free(heap);
}

/** The bytes as a file that needs no disk: its descriptor, and its path. Close it afterwards. */
static inline int fuzz_file(const uint8_t *bytes, size_t n, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(n == 0 || write(fd, bytes, n) == (ssize_t)n);
    (void)snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

#endif
