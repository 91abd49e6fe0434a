/* json.c  jansson behind checks. The pull parser reads the text first: it bounds the depth and its
 * messages name the place, so jansson only ever sees grammatical text.
 *
 * Views carry no path. When a complaint needs one, the tree is searched for the view's parent:
 * containers are unique nodes, and complaints are rare. */
#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

struct JsonDoc {
    Arena arena;
    json_t *root;
    const char *name;
    bool widened; /* whole numbers were read as doubles, see load() */
};

/* jansson takes non-const pointers in its readers' macros */
static json_t *writable(const void *node)
{
    return (json_t *)(uintptr_t)node;
}

/* ---- documents ---- */

/* Never fewer than there are: each but the first follows one of these, inside strings or not. */
static size_t count_values(TextView text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.at[i] == ',' || text.at[i] == '[' || text.at[i] == '{';
    return n;
}

static SnugStatus check_text(Arena *arena, TextView text, const char *name, SnugError *err)
{
    JsonScan *scan = arena_take(arena, sizeof *scan);
    if (!scan) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to read it", name);
    if (text.n > JSON_MAX_BYTES)
        return fault_set(err, FAULT_TOO_LARGE, name, "json", NULL, "got %zu bytes, limit %d",
                         text.n, JSON_MAX_BYTES);
    size_t values = count_values(text);
    if (values > JSON_MAX_VALUES)
        return fault_set(err, FAULT_TOO_LARGE, name, "json", NULL, "got %zu values, limit %d",
                         values, JSON_MAX_VALUES);
    json_scan_init(scan, text.at, text.n, name, "json", arena, err);
    JsonKind kind = json_scan_peek(scan);
    if (kind != JSON_KIND_NONE && kind != JSON_KIND_OBJECT)
        (void)json_scan_fail(scan, FAULT_BAD_JSON, "wrong type (got %s, expected an object)",
                             json_kind_words(kind));
    return json_scan_end(scan);
}

static SnugStatus load(JsonDoc *doc, TextView text, SnugError *err)
{
    json_error_t fault;
    const size_t flags = JSON_REJECT_DUPLICATES;
    doc->root = json_loadb(text.at, text.n, flags, &fault);
    if (!doc->root && json_error_code(&fault) == json_error_numeric_overflow) {
        /* tokenizer_config.json says "no limit" with 10^30, which fits no integer */
        doc->widened = true;
        doc->root = json_loadb(text.at, text.n, flags | JSON_DECODE_INT_AS_REAL, &fault);
    }
    if (doc->root) return SNUG_OK;
    if (json_error_code(&fault) == json_error_out_of_memory)
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to read it", doc->name);
    bool twice = json_error_code(&fault) == json_error_duplicate_key;
    return fault_set(err, twice ? FAULT_DUPLICATE : FAULT_BAD_JSON, doc->name, "json", NULL,
                     "%s (line %d)", fault.text, fault.line);
}

/* Python writes "no limit" as -Infinity, which is no JSON: null says the same here. A copy is made
 * only where the word stands outside of texts. */
static bool replace_infinities(Arena *arena, TextView *text)
{
    static const char WORD[] = "-Infinity";
    const size_t n = sizeof WORD - 1;
    bool quoted = false;
    char *copy = NULL;
    for (size_t i = 0; i + n <= text->n; i++) {
        if (quoted && text->at[i] == '\\') {
            i++;
        } else if (text->at[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && memcmp(text->at + i, WORD, n) == 0) {
            if (!copy) {
                copy = arena_array(arena, text->n, 1);
                if (!copy) return false;
                memcpy(copy, text->at, text->n);
            }
            memcpy(copy + i, "null     ", n);
        }
    }
    if (copy) text->at = copy;
    return true;
}

SnugStatus json_parse(JsonDoc **out, Heap *heap, const char *text, size_t n, const char *name,
                      SnugError *err)
{
    Arena scratch;
    *out = NULL;
    JsonDoc *doc = heap_take(heap, sizeof *doc, "json");
    if (!doc) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to read it", name);
    arena_init(&doc->arena, heap, "json");
    arena_init(&scratch, heap, "json");
    doc->name = arena_text(&doc->arena, name, strlen(name));
    TextView view = { text, n };
    const bool ready = doc->name && (n > JSON_MAX_BYTES || replace_infinities(&scratch, &view));
    SnugStatus status = ready ? check_text(&scratch, view, name, err)
                              : error_set(err, SNUG_ERR_MEMORY, "%s: no memory to read it", name);
    if (status == SNUG_OK) status = load(doc, view, err);
    arena_release(&scratch);
    if (status == SNUG_OK)
        *out = doc;
    else
        json_close(doc);
    return status;
}

/* The human answers come before the grammar: a pointer file is no JSON, either. */
static SnugStatus refuse_impostor(Heap *heap, const char *path, SnugError *err)
{
    File *file;
    TRY(file_open(&file, heap, path, err));
    SnugStatus status = file_refuse_impostor(file, "json", err);
    file_close(file);
    return status;
}

SnugStatus json_open(JsonDoc **out, Heap *heap, const char *path, SnugError *err)
{
    Arena scratch;
    TextView text;
    *out = NULL;
    TRY(refuse_impostor(heap, path, err));
    arena_init(&scratch, heap, "json");
    SnugStatus status = file_read_text(&scratch, path, JSON_MAX_BYTES, &text, err);
    if (status == SNUG_OK) status = json_parse(out, heap, text.at, text.n, path, err);
    arena_release(&scratch);
    return status;
}

void json_close(JsonDoc *doc)
{
    if (!doc) return;
    Heap *heap = doc->arena.heap;
    json_decref(doc->root);
    arena_release(&doc->arena);
    heap_give(heap, doc);
}

const char *json_name(const JsonDoc *doc)
{
    return doc->name;
}

Json json_root(const JsonDoc *doc)
{
    return (Json){ .doc = doc, .node = doc->root };
}

/* ---- complaints ---- */

typedef struct Path {
    char text[TEXT_ESCAPED];
    size_t used;
} Path;

static void path_add(Path *path, const char *key, int64_t index)
{
    size_t room = sizeof path->text - path->used;
    int n = key ? snprintf(path->text + path->used, room, "%s%s", path->used ? "." : "", key)
                : snprintf(path->text + path->used, room, "[%lld]", (long long)index);
    path->used = n < 0 || (size_t)n >= room ? sizeof path->text - 1 : path->used + (size_t)n;
}

/* Depth is bounded by check_text. */
static bool path_find(Path *path, const json_t *at, const void *wanted)
{
    if (at == wanted) return true;
    const size_t used = path->used;
    const char *key;
    json_t *child;
    size_t i;
    if (json_is_object(at)) {
        json_object_foreach(writable(at), key, child)
        {
            path_add(path, key, 0);
            if (path_find(path, child, wanted)) return true;
            path->used = used;
        }
    } else if (json_is_array(at)) {
        json_array_foreach(at, i, child)
        {
            path_add(path, NULL, (int64_t)i);
            if (path_find(path, child, wanted)) return true;
            path->used = used;
        }
    }
    return false;
}

SnugStatus json_fault(Json value, SnugError *err, Fault fault, const char *what, ...)
{
    char text[512];
    Path path = { .used = 0 };
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof text, what, args);
    va_end(args);
    if (value.doc && value.parent) {
        (void)path_find(&path, value.doc->root, value.parent);
        path_add(&path, value.key, value.index);
    } else if (value.doc && value.node) {
        (void)path_find(&path, value.doc->root, value.node);
    }
    path.text[path.used] = '\0';
    return fault_set(err, fault, value.doc ? value.doc->name : "(no file)", "json",
                     path.used ? path.text : NULL, "%s", text);
}

/* ---- navigation ---- */

JsonKind json_kind(Json value)
{
    static const JsonKind KIND[] = {
        [JSON_OBJECT] = JSON_KIND_OBJECT, [JSON_ARRAY] = JSON_KIND_ARRAY,
        [JSON_STRING] = JSON_KIND_TEXT,   [JSON_INTEGER] = JSON_KIND_NUMBER,
        [JSON_REAL] = JSON_KIND_NUMBER,   [JSON_TRUE] = JSON_KIND_BOOL,
        [JSON_FALSE] = JSON_KIND_BOOL,    [JSON_NULL] = JSON_KIND_NULL,
    };
    const json_t *node = value.node;
    return node ? KIND[json_typeof(node)] : JSON_KIND_NONE;
}

/* The member, also when absent (then only its place is known). */
static Json member(Json object, const char *key)
{
    const json_t *found = json_object_get(object.node, key);
    if (json_is_null(found)) found = NULL;
    return (Json){ .doc = object.doc, .node = found, .parent = object.node, .key = key };
}

Json json_get(Json object, const char *key)
{
    return member(object, key);
}

bool json_has(Json object, const char *key)
{
    return member(object, key).node != NULL;
}

SnugStatus json_require(Json object, const char *key, SnugError *err)
{
    Json value = member(object, key);
    return value.node ? SNUG_OK : json_fault(value, err, FAULT_MISSING, "it is required");
}

int64_t json_length(Json value)
{
    if (json_is_array((const json_t *)value.node)) return (int64_t)json_array_size(value.node);
    return (int64_t)json_object_size(value.node); /* 0 for what is no object */
}

Json json_item(Json array, int64_t index)
{
    const json_t *found = index < 0 ? NULL : json_array_get(array.node, (size_t)index);
    return (Json){ .doc = array.doc, .node = found, .parent = array.node, .index = index };
}

bool json_next(Json object, JsonMember *at)
{
    json_t *node = writable(object.node);
    at->place = at->place ? json_object_iter_next(node, at->place) : json_object_iter(node);
    if (!at->place) return false;
    at->key = json_object_iter_key(at->place);
    at->value = (Json){ .doc = object.doc,
                        .node = json_object_iter_value(at->place),
                        .parent = object.node,
                        .key = at->key };
    return true;
}

/* ---- values ---- */

static SnugStatus wrong_type(Json value, const char *expected, SnugError *err)
{
    return json_fault(value, err, FAULT_BAD_JSON, "wrong type (got %s, expected %s)",
                      json_kind_words(json_kind(value)), expected);
}

/* Whole number of a value. In widened documents those past 2^53, where doubles have gaps, are
 * taken as the largest there is. */
static bool whole_number(Json value, int64_t *out)
{
    static const double GAPS = 9007199254740992.0;
    const json_t *node = value.node;
    *out = json_integer_value(node); /* 0 for what is none */
    if (json_is_integer(node)) return true;
    if (!json_is_real(node) || !value.doc->widened) return false;
    const double real = json_real_value(node);
    *out = real >= GAPS ? INT64_MAX : real <= -GAPS ? INT64_MIN : (int64_t)real;
    return fabs(real) >= GAPS || (double)*out == real;
}

SnugStatus json_as_int(Json value, int64_t min, int64_t max, int64_t *out, SnugError *err)
{
    int64_t got;
    if (!whole_number(value, &got)) return wrong_type(value, "a whole number", err);
    if (got < min)
        return json_fault(value, err, FAULT_BAD, "got %lld, at least %lld expected", (long long)got,
                          (long long)min);
    if (got > max)
        return json_fault(value, err, FAULT_TOO_LARGE, "got %lld, limit %lld", (long long)got,
                          (long long)max);
    *out = got;
    return SNUG_OK;
}

SnugStatus json_as_f64(Json value, double min, double max, double *out, SnugError *err)
{
    const json_t *node = value.node;
    if (!json_is_number(node)) return wrong_type(value, "a number", err);
    double got = json_number_value(node);
    if (!(got >= min && got <= max))
        return json_fault(value, err, FAULT_BAD, "got %g, expected %g to %g", got, min, max);
    *out = got;
    return SNUG_OK;
}

SnugStatus json_as_bool(Json value, bool *out, SnugError *err)
{
    const json_t *node = value.node;
    if (!json_is_boolean(node)) return wrong_type(value, "a boolean", err);
    *out = json_is_true(node);
    return SNUG_OK;
}

SnugStatus json_as_text(Json value, const char **out, SnugError *err)
{
    if (!json_is_string((const json_t *)value.node)) return wrong_type(value, "a string", err);
    *out = json_string_value(value.node); /* jansson refuses \u0000 when it reads */
    return SNUG_OK;
}

/* ---- members ---- */

SnugStatus json_int(Json object, const char *key, int64_t otherwise, int64_t min, int64_t max,
                    int64_t *out, SnugError *err)
{
    Json value = member(object, key);
    if (value.node) return json_as_int(value, min, max, out, err);
    *out = otherwise;
    return SNUG_OK;
}

SnugStatus json_f64(Json object, const char *key, double otherwise, double min, double max,
                    double *out, SnugError *err)
{
    Json value = member(object, key);
    if (value.node) return json_as_f64(value, min, max, out, err);
    *out = otherwise;
    return SNUG_OK;
}

SnugStatus json_bool(Json object, const char *key, bool otherwise, bool *out, SnugError *err)
{
    Json value = member(object, key);
    if (value.node) return json_as_bool(value, out, err);
    *out = otherwise;
    return SNUG_OK;
}

SnugStatus json_text(Json object, const char *key, const char *otherwise, const char **out,
                     SnugError *err)
{
    Json value = member(object, key);
    if (value.node) return json_as_text(value, out, err);
    *out = otherwise;
    return SNUG_OK;
}

SnugStatus json_only_null(Json object, const char *key, SnugError *err)
{
    if (!json_has(object, key)) return SNUG_OK;
    return json_fault(member(object, key), err, FAULT_UNSUPPORTED, "only null is supported");
}

SnugStatus json_only_bool(Json object, const char *key, bool only, bool otherwise, SnugError *err)
{
    bool value = otherwise;
    TRY(json_bool(object, key, otherwise, &value, err));
    if (value == only) return SNUG_OK;
    return json_fault(member(object, key), err, FAULT_UNSUPPORTED, "%s is only supported when %s",
                      key, only ? "true" : "false");
}

SnugStatus json_choice(Json object, const char *key, const char *const *words, int otherwise,
                       int *out, SnugError *err)
{
    const char *got;
    *out = otherwise;
    TRY(json_text(object, key, NULL, &got, err));
    if (!got) return SNUG_OK;
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], got) != 0) continue;
        *out = i;
        return SNUG_OK;
    }
    char shown[TEXT_ESCAPED];
    return json_fault(member(object, key), err, FAULT_UNSUPPORTED, "got '%s'",
                      text_escape(shown, got, strlen(got)));
}

/* An array of at most `room` items. */
static SnugStatus short_array(Json object, const char *key, int room, Json *out, int *n,
                              SnugError *err)
{
    TRY(json_get_array(object, key, out, err));
    int64_t length = json_length(*out);
    if (length > room)
        return json_fault(*out, err, FAULT_TOO_LARGE, "got %lld items, limit %d", (long long)length,
                          room);
    *n = (int)length;
    return SNUG_OK;
}

SnugStatus json_ints(Json object, const char *key, int64_t min, int64_t max, int64_t *out, int room,
                     int *n, SnugError *err)
{
    Json array;
    TRY(short_array(object, key, room, &array, n, err));
    for (int i = 0; i < *n; i++)
        TRY(json_as_int(json_item(array, i), min, max, &out[i], err));
    return SNUG_OK;
}

SnugStatus json_f64s(Json object, const char *key, double min, double max, double *out, int room,
                     int *n, SnugError *err)
{
    Json array;
    TRY(short_array(object, key, room, &array, n, err));
    for (int i = 0; i < *n; i++)
        TRY(json_as_f64(json_item(array, i), min, max, &out[i], err));
    return SNUG_OK;
}

static SnugStatus container(Json object, const char *key, JsonKind kind, Json *out, SnugError *err)
{
    *out = member(object, key);
    if (!out->node || json_kind(*out) == kind) return SNUG_OK;
    return wrong_type(*out, json_kind_words(kind), err);
}

SnugStatus json_get_object(Json object, const char *key, Json *out, SnugError *err)
{
    return container(object, key, JSON_KIND_OBJECT, out, err);
}

SnugStatus json_get_array(Json object, const char *key, Json *out, SnugError *err)
{
    return container(object, key, JSON_KIND_ARRAY, out, err);
}
