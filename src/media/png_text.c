/* png_text.c  Walk the chunks: length, type, data, checksum. Only texts are read, the rest is
 * stepped over; the walk ends at IEND or with the file. */
#include "media/png_text.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

static const uint8_t SIGNATURE[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };

enum { MAX_KEY = 79, CHUNK_EXTRA = 12 /* length, type, checksum */, MAX_CHUNKS = 1 << 20 };

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* What stands before the words of a text chunk. */
typedef struct Head {
    size_t words; /* where they begin */
    bool latin, compressed;
} Head;

/* Is this chunk's text of that key? Parts are ended by zeros. */
static bool read_head(const char *type, const char *data, size_t n, const char *key, Head *head)
{
    const size_t k = strlen(key);
    if (n < k + 1 || memcmp(data, key, k + 1) != 0) return false;
    *head = (Head){ .words = k + 1, .latin = memcmp(type, "tEXt", 4) == 0 };
    if (head->latin) return true;
    if (memcmp(type, "zTXt", 4) == 0) {
        head->compressed = true;
        return true;
    }
    if (n < k + 3) return false;
    head->compressed = data[k + 1] != 0;
    head->words = k + 3;                   /* after flag and method */
    for (int part = 0; part < 2; part++) { /* language, translated key */
        const char *end = memchr(data + head->words, 0, n - head->words);
        if (!end) return false;
        head->words = (size_t)(end - data) + 1;
    }
    return true;
}

static const char *from_latin(Arena *arena, const char *words, size_t n)
{
    char *out = arena_take(arena, 2 * n + 1);
    size_t at = 0;
    for (size_t i = 0; out && i < n; i++)
        at += (size_t)text_utf8_put(out + at, (uint8_t)words[i]);
    return out;
}

static SnugStatus take_words(Arena *arena, const char *path, const char *data, size_t n,
                             const Head *head, const char **out, SnugError *err)
{
    const char *words = data + head->words;
    n -= head->words;
    if (head->compressed)
        return error_set(err, SNUG_ERR_FILE, "%s: its text is compressed, which is not read", path);
    if (memchr(words, 0, n)) return error_set(err, SNUG_ERR_FILE, "%s: a zero in its text", path);
    if (!head->latin && text_utf8_check(words, n) != n)
        return error_set(err, SNUG_ERR_FILE, "%s: its text is not UTF-8", path);
    *out = head->latin ? from_latin(arena, words, n) : arena_text(arena, words, n);
    return *out ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "%s: no memory for its text", path);
}

/* One chunk; *out is set when it is the text. */
static SnugStatus read_chunk(Arena *arena, const File *file, size_t at, const uint8_t *frame,
                             const char *key, const char **out, SnugError *err)
{
    const char *path = file_path(file), *type = (const char *)frame + 4;
    const size_t n = be32(frame), start = at + 8;
    Head head;
    char begin[MAX_KEY + 1];
    if (memcmp(type, "tEXt", 4) != 0 && memcmp(type, "iTXt", 4) != 0 &&
        memcmp(type, "zTXt", 4) != 0)
        return SNUG_OK;
    const size_t k = strlen(key) + 1;
    if (n < k) return SNUG_OK;
    TRY(file_pread_all(file, start, begin, k, err));
    if (memcmp(begin, key, k) != 0) return SNUG_OK;
    if (n > PNG_TEXT_MAX_BYTES)
        return error_set(err, SNUG_ERR_FILE, "%s: its text is too long: %zu bytes, limit %d", path,
                         n, (int)PNG_TEXT_MAX_BYTES);
    char *data = arena_take(arena, n + 1);
    if (!data) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for its text", path);
    TRY(file_pread_all(file, start, data, n, err));
    if (!read_head(type, data, n, key, &head)) return SNUG_OK;
    return take_words(arena, path, data, n, &head, out, err);
}

static SnugStatus walk(Arena *arena, const File *file, const char *key, const char **out,
                       SnugError *err)
{
    uint8_t frame[8];
    const size_t bytes = file_bytes(file);
    if (bytes < sizeof SIGNATURE + CHUNK_EXTRA)
        return error_set(err, SNUG_ERR_FILE, "%s: no PNG file", file_path(file));
    TRY(file_pread_all(file, 0, frame, sizeof frame, err));
    if (memcmp(frame, SIGNATURE, sizeof SIGNATURE) != 0)
        return error_set(err, SNUG_ERR_FILE, "%s: no PNG file", file_path(file));
    size_t at = sizeof SIGNATURE;
    for (int i = 0; i < MAX_CHUNKS && at + CHUNK_EXTRA <= bytes && !*out; i++) {
        TRY(file_pread_all(file, at, frame, sizeof frame, err));
        if (be32(frame) > bytes - at - CHUNK_EXTRA)
            return error_set(err, SNUG_ERR_FILE, "%s: it ends inside a chunk", file_path(file));
        if (memcmp(frame + 4, "IEND", 4) == 0) break;
        TRY(read_chunk(arena, file, at, frame, key, out, err));
        at += (size_t)be32(frame) + CHUNK_EXTRA;
    }
    return SNUG_OK;
}

SnugStatus png_text_read(Arena *arena, const char *path, const char *key, const char **out,
                         SnugError *err)
{
    File *file = NULL;
    *out = NULL;
    TRY(file_open(&file, arena->heap, path, err));
    const SnugStatus status = strlen(key) <= MAX_KEY
                                  ? walk(arena, file, key, out, err)
                                  : error_set(err, SNUG_ERR_ARG, "a PNG key that is too long");
    file_close(file);
    return status;
}
