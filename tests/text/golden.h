/* golden.h  Files of tests/golden/text, and an engine's worth of memory to read them with.
 * How they were made: tools/oracle/golden_text.py. */
#ifndef TESTS_TEXT_GOLDEN_H
#define TESTS_TEXT_GOLDEN_H

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json_scan.h"
#include "text/tokenizer.h"

enum { GOLDEN_MAX_BYTES = 1 << 22, GOLDEN_MAX_TEXTS = 1024 };

typedef struct Golden {
    Heap *heap;
    Arena arena;
    SnugError err;
} Golden;

static inline void golden_begin(Golden *g)
{
    memset(g, 0, sizeof *g);
    g->heap = heap_create();
    CHECK(g->heap);
    arena_init(&g->arena, g->heap, "test");
}

/* Also sees that nothing but the arena was held. */
static inline void golden_end(Golden *g)
{
    arena_release(&g->arena);
    CHECK_INT(heap_now_bytes(g->heap), 0);
    heap_free(g->heap);
}

static inline TextView golden_view(const char *text)
{
    return (TextView){ text, strlen(text) };
}

static inline void golden_ok(const Golden *g, SnugStatus status)
{
    if (status != SNUG_OK) fail_msg("status %d: %s", (int)status, g->err.text);
}

static inline TextView golden_file(Golden *g, const char *name)
{
    char path[256];
    TextView text = { .n = 0 };
    (void)snprintf(path, sizeof path, "golden/text/%s", name);
    golden_ok(g, file_read_text(&g->arena, test_path(path), GOLDEN_MAX_BYTES, &text, &g->err));
    return text;
}

/* Write a file into the scratch folder; returns its path (static). */
static inline const char *golden_write(const char *name, TextView bytes)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", test_scratch(), name);
    FILE *file = fopen(path, "wb");
    CHECK(file);
    CHECK_INT(fwrite(bytes.at, 1, bytes.n, file), bytes.n);
    CHECK_INT(fclose(file), 0);
    return path;
}

/* Text between `from` and the first `to` behind it. */
static inline TextView golden_between(TextView text, const char *from, const char *to)
{
    const char *a = memmem(text.at, text.n, from, strlen(from));
    CHECK(a);
    a += strlen(from);
    const char *b = memmem(a, (size_t)(text.at + text.n - a), to, strlen(to));
    CHECK(b);
    return (TextView){ a, (size_t)(b - a) };
}

/* `text` with every @name@ replaced, in the arena. */
static inline TextView golden_fill(Golden *g, TextView text, const char *name, TextView with)
{
    TextBuilder out;
    text_init(&out, g->heap, "test");
    for (size_t at = 0; at < text.n;) {
        const char *found = memmem(text.at + at, text.n - at, name, strlen(name));
        size_t end = found ? (size_t)(found - text.at) : text.n;
        text_add(&out, text.at + at, end - at);
        if (found) text_add(&out, with.at, with.n);
        at = found ? end + strlen(name) : end;
    }
    TextView filled = { arena_text(&g->arena, out.at, out.n), out.n };
    text_release(&out);
    CHECK(filled.at);
    return filled;
}

/* A tokenizer.json with the parts it shares with umt5/tokenizer.json put back. */
static inline TextView golden_json(Golden *g, const char *name)
{
    TextView whole = golden_file(g, "umt5/tokenizer.json"), text = golden_file(g, name);
    TextView charsmap = golden_between(whole, "\"precompiled_charsmap\":\"", "\"");
    TextView vocab = golden_between(whole, "\"vocab\":", "]]");
    vocab.n += 2;
    text = golden_fill(g, text, "@charsmap@", charsmap);
    return golden_fill(g, text, "@vocab@", vocab);
}

/* texts.json; returns how many. */
static inline int golden_texts(Golden *g, TextView *texts)
{
    JsonScan scan;
    TextView bytes = golden_file(g, "texts.json");
    int n = 0;
    json_scan_init(&scan, bytes.at, bytes.n, "texts.json", "json", &g->arena, &g->err);
    (void)json_scan_array(&scan);
    while (json_scan_item(&scan) && n < GOLDEN_MAX_TEXTS && json_scan_text(&scan, &texts[n]))
        n++;
    golden_ok(g, json_scan_end(&scan));
    CHECK(n > 300);
    return n;
}

/* One line of an .ids file: *at moves to the next one. Returns how many ids. */
static inline int64_t golden_ids(TextView file, size_t *at, int32_t *ids, int64_t room)
{
    int64_t n = 0;
    const char *c = file.at + *at, *end = memchr(c, '\n', file.n - *at);
    CHECK(end);
    while (c < end) {
        char *next;
        CHECK(n < room);
        ids[n++] = (int32_t)strtol(c, &next, 10);
        c = next + (next < end && *next == ' ');
    }
    *at = (size_t)(end - file.at) + 1;
    return n;
}

#endif
