/* replay.c  Run a fuzz target without a fuzzer: every file of a corpus as it is, cut short at every
 * length, and changed in some thousand ways that are the same on every machine. */
#include "fuzz.h"

#include <dirent.h>

enum { MAX_BYTES = 1 << 20, MAX_CUTS = 4096, CHANGES = 400 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* One of: flip a bit, set a byte, copy a stretch, remove a stretch, write an extreme number. */
static size_t change(uint8_t *bytes, size_t n, uint64_t *state)
{
    static const char *const NUMBERS[] = { "0",   "-1",      "18446744073709551615",
                                           "1e3", "[",       "{}",
                                           "\"",  "\\u0000", "9223372036854775807",
                                           "\xff" };
    size_t at = (size_t)next_random(state) % n, length = 1 + (size_t)next_random(state) % 8;
    if (length > n - at) length = n - at;
    const char *number = NUMBERS[next_random(state) % 10];
    size_t size = strlen(number);
    switch (next_random(state) % 5) {
    case 0:
        bytes[at] ^= (uint8_t)(1u << next_random(state) % 8);
        return n;
    case 1:
        bytes[at] = (uint8_t)next_random(state);
        return n;
    case 2:
        memmove(bytes + at, bytes + (size_t)next_random(state) % (n - length + 1), length);
        return n;
    case 3:
        memmove(bytes + at, bytes + at + length, n - at - length);
        return n - length;
    default:
        memmove(bytes + at + size, bytes + at, n - at);
        memcpy(bytes + at, number, size);
        return n + size;
    }
}

/* From memory of exactly that size, so that a sanitizer sees every step too far. */
static void run(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    FUZZ_CHECK(copy);
    if (n) memcpy(copy, bytes, n);
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void replay_bytes(const uint8_t *bytes, size_t n, uint8_t *work)
{
    uint64_t state = n;
    run(bytes, n);
    for (size_t cut = 0; cut < n && cut < MAX_CUTS; cut++)
        run(bytes, cut);
    for (int i = 0; i < CHANGES && n > 0; i++) {
        size_t size = n;
        memcpy(work, bytes, n);
        for (uint64_t left = 1 + next_random(&state) % 4; left > 0 && size > 0; left--)
            size = change(work, size, &state);
        run(work, size);
    }
}

static int replay_folder(const char *folder)
{
    static uint8_t bytes[MAX_BYTES], work[MAX_BYTES + 256];
    struct dirent *entry;
    int files = 0;
    DIR *dir = opendir(folder);
    FUZZ_CHECK(dir);
    while ((entry = readdir(dir))) {
        char path[2048];
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "rb");
        FUZZ_CHECK(file);
        size_t n = fread(bytes, 1, sizeof bytes, file);
        (void)fclose(file);
        replay_bytes(bytes, n, work);
        files++;
    }
    (void)closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++)
        files += replay_folder(argv[i]);
    (void)printf("%d files\n", files);
    return files > 0 ? 0 : 1;
}
