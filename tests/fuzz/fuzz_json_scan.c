/* fuzz_json_scan.c  One text read twice: skipped as a whole, and walked value by value. Both must
 * agree on whether it is JSON, as far as the walk does not ask for more than the grammar. */
#include "fuzz.h"

#include "base/json_scan.h"

typedef struct Walk {
    JsonScan scan;
    bool object[JSON_SCAN_MAX_DEPTH]; /* containers entered */
    int depth;
} Walk;

/* Read one value; a number that is no double, and a container too deep, fail like the skip. */
static void take_value(Walk *w)
{
    JsonScan *s = &w->scan;
    TextView text;
    double number;
    bool truth;
    JsonKind kind = json_scan_peek(s);
    if (kind == JSON_KIND_OBJECT || kind == JSON_KIND_ARRAY) {
        if (kind == JSON_KIND_OBJECT ? json_scan_object(s) : json_scan_array(s))
            w->object[w->depth++] = kind == JSON_KIND_OBJECT;
    } else if (kind == JSON_KIND_TEXT) {
        if (json_scan_text(s, &text)) FUZZ_CHECK(text_utf8_check(text.at, text.n) == text.n);
    } else if (kind == JSON_KIND_NUMBER) {
        if (json_scan_f64(s, &number)) FUZZ_CHECK(number - number == 0.0);
    } else if (kind == JSON_KIND_BOOL) {
        (void)json_scan_bool(s, &truth);
    } else if (kind == JSON_KIND_NULL) {
        (void)json_scan_null(s);
    }
}

static SnugStatus walk(const char *text, size_t n, Arena *arena, SnugError *err)
{
    Walk w;
    TextView key;
    memset(&w, 0, sizeof w);
    json_scan_init(&w.scan, text, n, "f", "json", arena, err);
    take_value(&w);
    while (w.depth > 0) {
        bool more = w.object[w.depth - 1] ? json_scan_key(&w.scan, &key) : json_scan_item(&w.scan);
        if (w.scan.status != SNUG_OK) break;
        if (more)
            take_value(&w);
        else
            w.depth--;
    }
    return json_scan_end(&w.scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    Heap *heap = heap_create();
    Arena arena;
    JsonScan scan;
    SnugError skip_err = { { 0 } }, walk_err = { { 0 } };
    char *text = malloc(n ? n : 1); /* exactly as long: reading past the end is seen */
    FUZZ_CHECK(text);
    if (n) memcpy(text, bytes, n);
    arena_init(&arena, heap, "fuzz");
    json_scan_init(&scan, text, n, "f", "json", &arena, &skip_err);
    (void)json_scan_skip(&scan);
    SnugStatus skipped = json_scan_end(&scan);
    SnugStatus walked = walk(text, n, &arena, &walk_err);
    fuzz_check_status(skipped, &skip_err);
    fuzz_check_status(walked, &walk_err);
    FUZZ_CHECK(skipped == walked || strstr(walk_err.text, "out of range"));
    arena_release(&arena);
    free(text);
    fuzz_check_heap(heap, n);
    return 0;
}
