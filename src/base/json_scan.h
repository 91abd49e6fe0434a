/* json_scan.h  Pull parser for JSON too big for a document tree: nothing is built, nothing grows
 * with the nesting, strings without escapes are views of the input.
 *
 *     JsonScan s;
 *     json_scan_init(&s, text, n, path, "tokenizer.json", arena, err);
 *     json_scan_object(&s);
 *     for (TextView key; json_scan_key(&s, &key);) {
 *         if (text_is(key, "version")) json_scan_text(&s, &version);
 *         else if (text_is(key, "vocab")) {
 *             json_scan_array(&s);
 *             while (json_scan_item(&s)) json_scan_u64(&s, &id[n++]);
 *         }                            // a value nobody read is skipped (and still checked)
 *     }
 *     TRY(json_scan_end(&s));          // first failure, if any
 *
 * Errors are sticky: the first one is written to `err` with byte offset and key path, every later
 * call returns false and does nothing, loops end. So values may be used only after the check, or
 * under `if (json_scan_...)`. A JsonScan is a plain value: copy it to bookmark a place, copy it
 * back to read again. Grammar is RFC 8259 exactly; duplicate keys are the caller's business. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/text.h"

enum {
    JSON_SCAN_MAX_DEPTH = 64,
    JSON_SCAN_MAX_NUMBER = 256 /* characters of one number */
};

typedef enum JsonKind {
    JSON_KIND_NONE = 0, /**< nothing here: failed, or absent */
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_NUMBER,
    JSON_KIND_TEXT,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
} JsonKind;

/** "a string", "an object", ... for messages. */
const char *json_kind_words(JsonKind kind);

/** Fields are private. */
typedef struct JsonScan {
    const char *text;
    size_t n, at;
    const char *file, *format;
    Arena *arena;
    SnugError *err;
    SnugStatus status;
    bool value_due; /* after a key or an item, and at the very start */
    int depth;
    struct JsonScanLevel {
        TextView key;  /* raw, of the value in progress */
        int64_t count; /* values begun */
        bool object;
    } level[JSON_SCAN_MAX_DEPTH];
} JsonScan;

/** Begin. `text` must outlive the scan and every view taken from it; it is checked to be UTF-8
 *  here. `file` and `format` begin the messages; strings with escapes go into `arena`. */
void json_scan_init(JsonScan *scan, const char *text, size_t n, const char *file,
                    const char *format, Arena *arena, SnugError *err);

/** Kind of the value that comes next, which stays unread; JSON_KIND_NONE after a failure. */
JsonKind json_scan_peek(JsonScan *scan);

/** Enter an object; then json_scan_key until it returns false, which also leaves it. */
bool json_scan_object(JsonScan *scan);
bool json_scan_key(JsonScan *scan, TextView *key);
/** Enter an array; then json_scan_item until it returns false, which also leaves it. */
bool json_scan_array(JsonScan *scan);
bool json_scan_item(JsonScan *scan);

/** Read one value of exactly that kind. */
bool json_scan_text(JsonScan *scan, TextView *out);
bool json_scan_bool(JsonScan *scan, bool *out);
bool json_scan_null(JsonScan *scan);
/** Whole numbers: no fraction, no exponent (1.0 and 1e3 are refused). */
bool json_scan_u64(JsonScan *scan, uint64_t *out);
bool json_scan_i64(JsonScan *scan, int64_t *out);
/** Correctly rounded; refuses what overflows to infinity. */
bool json_scan_f64(JsonScan *scan, double *out);
/** Read over one value of any kind, checking its grammar. */
bool json_scan_skip(JsonScan *scan);

/** Offset in the text of what was not read yet. */
size_t json_scan_place(const JsonScan *scan);

/** Report a fault of meaning at the current place; sticky like the others. Returns false. */
__attribute__((format(printf, 3, 4))) bool json_scan_fail(JsonScan *scan, Fault fault,
                                                          const char *what, ...);
/** Finish: everything was read and only white space follows. Returns the first failure. */
SNUG_MUST_USE SnugStatus json_scan_end(JsonScan *scan);

#endif
