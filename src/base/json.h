/* json.h  Read-only JSON documents for configuration files: types and ranges are checked where a
 * value is read, and every complaint names file and key path.
 *
 *     JsonDoc *doc;
 *     TRY(json_open(&doc, heap, "transformer/config.json", err));
 *     Json config = json_root(doc);
 *     status = json_int(config, "num_layers", 40, 1, 1024, &layers, err);
 *     // transformer/config.json: json: num_layers: too large: got 1000000000, limit 1024
 *
 * A missing key and a null both mean "use the default"; json_require is for keys without one.
 * Json is a small view, good while the document lives. Reading changes nothing: threads, any.
 * Whole documents are kept in memory (about ten times the text, by jansson, outside the heap's
 * book): for big files see json_scan.h. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/json_scan.h"
#include "snug/status.h"

enum {
    JSON_MAX_BYTES = 16 * 1024 * 1024,
    JSON_MAX_DEPTH = JSON_SCAN_MAX_DEPTH,
    JSON_MAX_VALUES = 1 << 18 /* an empty object takes three bytes of text, but 250 of memory */
};

typedef struct JsonDoc JsonDoc;

/** View of one value; fields are private. A zeroed Json is "absent" and yields defaults. */
typedef struct Json {
    const JsonDoc *doc;
    const void *node, *parent;
    const char *key; /* of the node in its parent; NULL: by index */
    int64_t index;
} Json;

/** Read a file whose root is an object: at most JSON_MAX_BYTES, JSON_MAX_DEPTH levels,
 *  JSON_MAX_VALUES values, no duplicate keys, valid UTF-8. Python's -Infinity reads as null. */
SNUG_MUST_USE SnugStatus json_open(JsonDoc **out, Heap *heap, const char *path, SnugError *err);
/** The same from memory; `name` stands for the path in messages. The text need not stay. */
SNUG_MUST_USE SnugStatus json_parse(JsonDoc **out, Heap *heap, const char *text, size_t n,
                                    const char *name, SnugError *err);
void json_close(JsonDoc *doc);
/** The path or name it was read from. */
const char *json_name(const JsonDoc *doc);
Json json_root(const JsonDoc *doc);

/** JSON_KIND_NONE when absent. */
JsonKind json_kind(Json value);
/** Is the key there, and not null? */
bool json_has(Json object, const char *key);
/** SNUG_ERR_FILE "missing" unless json_has. */
SNUG_MUST_USE SnugStatus json_require(Json object, const char *key, SnugError *err);

/* What is not supported: SNUG_ERR_FILE unless the member is absent, null or, of bools, `only`. */

SNUG_MUST_USE SnugStatus json_only_null(Json object, const char *key, SnugError *err);
/** Absent counts as `otherwise`. */
SNUG_MUST_USE SnugStatus json_only_bool(Json object, const char *key, bool only, bool otherwise,
                                        SnugError *err);

/* Members by key. Absent or null: *out = otherwise. */

SNUG_MUST_USE SnugStatus json_int(Json object, const char *key, int64_t otherwise, int64_t min,
                                  int64_t max, int64_t *out, SnugError *err);
/** Whole numbers are fine too. */
SNUG_MUST_USE SnugStatus json_f64(Json object, const char *key, double otherwise, double min,
                                  double max, double *out, SnugError *err);
SNUG_MUST_USE SnugStatus json_bool(Json object, const char *key, bool otherwise, bool *out,
                                   SnugError *err);
/** *out lives in the document (or is `otherwise`, which may be NULL); it holds no NUL. */
SNUG_MUST_USE SnugStatus json_text(Json object, const char *key, const char *otherwise,
                                   const char **out, SnugError *err);
/** One of `words` (ended by NULL): *out is its index. Other words are "not supported". */
SNUG_MUST_USE SnugStatus json_choice(Json object, const char *key, const char *const *words,
                                     int otherwise, int *out, SnugError *err);
/** Array of at most `room` numbers into out[]; absent: *n = 0 and out untouched. */
SNUG_MUST_USE SnugStatus json_ints(Json object, const char *key, int64_t min, int64_t max,
                                   int64_t *out, int room, int *n, SnugError *err);
SNUG_MUST_USE SnugStatus json_f64s(Json object, const char *key, double min, double max,
                                   double *out, int room, int *n, SnugError *err);
/** A nested object or array; absent: *out is an absent view. */
SNUG_MUST_USE SnugStatus json_get_object(Json object, const char *key, Json *out, SnugError *err);
SNUG_MUST_USE SnugStatus json_get_array(Json object, const char *key, Json *out, SnugError *err);
/** Any value; absent or null gives an absent view. */
Json json_get(Json object, const char *key);

/* Items and members in file order. */

/** Items of an array, members of an object, else 0. */
int64_t json_length(Json value);
/** Item of an array; absent when out of range. */
Json json_item(Json array, int64_t index);

/** Walk an object: for (JsonMember m = { 0 }; json_next(object, &m);) ... m.key, m.value. */
typedef struct JsonMember {
    const char *key;
    Json value; /**< may be of kind JSON_KIND_NULL */
    void *place;
} JsonMember;
bool json_next(Json object, JsonMember *member);

/* One value itself (an item, a member): no default, absent or null is a wrong type. */

SNUG_MUST_USE SnugStatus json_as_int(Json value, int64_t min, int64_t max, int64_t *out,
                                     SnugError *err);
SNUG_MUST_USE SnugStatus json_as_f64(Json value, double min, double max, double *out,
                                     SnugError *err);
SNUG_MUST_USE SnugStatus json_as_bool(Json value, bool *out, SnugError *err);
SNUG_MUST_USE SnugStatus json_as_text(Json value, const char **out, SnugError *err);

/** Complain about a value in the common shape: "<file>: json: <key path>: <fault>: <what>". */
__attribute__((format(printf, 4, 5))) SnugStatus json_fault(Json value, SnugError *err, Fault fault,
                                                            const char *what, ...);

#endif
