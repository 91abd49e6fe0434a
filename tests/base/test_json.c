/* test_json.c  Documents: typed getters, ranges, key paths in complaints, hostile texts. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

static SnugError err;

static JsonDoc *parse(Heap *heap, const char *text)
{
    JsonDoc *doc;
    if (json_parse(&doc, heap, text, strlen(text), "c.json", &err) != SNUG_OK)
        fail_msg("%s", err.text);
    return doc;
}

/* Parse must fail and say so. */
static void refuse(const char *text, size_t n, const char *part)
{
    Heap *heap = heap_create();
    JsonDoc *doc;
    CHECK_INT(json_parse(&doc, heap, text, n, "c.json", &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, part);
    CHECK(!doc);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(json, members_have_types_ranges_and_defaults)
{
    Heap *heap = heap_create();
    JsonDoc *doc = parse(heap, "{\"i\":-3,\"f\":0.5,\"b\":true,\"s\":\"x\",\"n\":null,"
                               "\"a\":[1,2,3],\"fa\":[1,0.5],\"o\":{\"k\":{\"deep\":7}}}");
    Json root = json_root(doc), o, k;
    int64_t i, ints[3];
    double f, f64s[2];
    bool b;
    const char *s;
    int n, choice;
    CHECK_INT(json_int(root, "i", 0, -5, 5, &i, &err), SNUG_OK);
    CHECK_INT(i, -3);
    CHECK(json_int(root, "absent", 9, 0, 1, &i, &err) == SNUG_OK && i == 9);
    CHECK(json_int(root, "n", 8, 0, 1, &i, &err) == SNUG_OK && i == 8);
    CHECK(json_f64(root, "f", 0, 0, 1, &f, &err) == SNUG_OK && f == 0.5);
    CHECK(json_f64(root, "i", 0, -9, 1, &f, &err) == SNUG_OK && f == -3.0);
    CHECK(json_f64(root, "n", 2.5, 0, 1, &f, &err) == SNUG_OK && f == 2.5);
    CHECK(json_bool(root, "b", false, &b, &err) == SNUG_OK && b);
    CHECK(json_bool(root, "c", true, &b, &err) == SNUG_OK && b);
    CHECK(json_text(root, "s", NULL, &s, &err) == SNUG_OK && strcmp(s, "x") == 0);
    CHECK(json_text(root, "t", NULL, &s, &err) == SNUG_OK && !s);
    static const char *const WORDS[] = { "w", "x", NULL };
    CHECK(json_choice(root, "s", WORDS, 0, &choice, &err) == SNUG_OK && choice == 1);
    CHECK(json_choice(root, "t", WORDS, 0, &choice, &err) == SNUG_OK && choice == 0);
    CHECK(json_ints(root, "a", 0, 9, ints, 3, &n, &err) == SNUG_OK && n == 3 && ints[2] == 3);
    CHECK(json_f64s(root, "fa", 0, 9, f64s, 2, &n, &err) == SNUG_OK && n == 2 && f64s[1] == 0.5);
    CHECK(json_ints(root, "none", 0, 9, ints, 3, &n, &err) == SNUG_OK && n == 0);
    CHECK_INT(json_get_object(root, "o", &o, &err), SNUG_OK);
    CHECK_INT(json_get_object(o, "k", &k, &err), SNUG_OK);
    CHECK(json_int(k, "deep", 0, 0, 9, &i, &err) == SNUG_OK && i == 7);
    CHECK_INT(json_get_object(root, "absent", &o, &err), SNUG_OK);
    CHECK_INT(json_kind(o), JSON_KIND_NONE);
    CHECK(json_int(o, "deep", 4, 0, 9, &i, &err) == SNUG_OK && i == 4);
    CHECK(json_has(root, "b") && !json_has(root, "n") && !json_has(root, "zz"));
    CHECK_TEXT(json_name(doc), "c.json");
    json_close(doc);
    json_close(NULL);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(json, members_that_may_only_be_one_thing)
{
    Heap *heap = heap_create();
    JsonDoc *doc = parse(heap, "{\"yes\":true,\"no\":false,\"null\":null,\"n\":1}");
    const Json root = json_root(doc);
    CHECK_INT(json_only_null(root, "null", &err), SNUG_OK);
    CHECK_INT(json_only_null(root, "absent", &err), SNUG_OK);
    CHECK_INT(json_only_null(root, "no", &err), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "c.json: json: no: not supported: only null is supported");
    CHECK_INT(json_only_bool(root, "yes", true, false, &err), SNUG_OK);
    CHECK_INT(json_only_bool(root, "absent", false, false, &err), SNUG_OK);
    CHECK_INT(json_only_bool(root, "yes", false, false, &err), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "c.json: json: yes: not supported: yes is only supported when false");
    CHECK_INT(json_only_bool(root, "absent", true, false, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "absent: not supported: absent is only supported when true");
    CHECK_INT(json_only_bool(root, "n", true, true, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "wrong type");
    json_close(doc);
    heap_free(heap);
}

/* MD3: the wrong type is "bad JSON" with the key path; MD6: ranges before anything is sized */
TEST(json, complaints_name_file_and_key_path)
{
    Heap *heap = heap_create();
    JsonDoc *doc = parse(heap, "{\"model\":{\"layers\":1000000000,\"zero\":0,\"x\":\"s\","
                               "\"dims\":[1,2,\"q\"],\"l\":[[],[{\"b\":true}]],\"r\":1.0}}");
    Json model, at;
    int64_t i = 0, ints[3];
    double f;
    bool b;
    const char *s;
    int n;
    static const char *const WORDS[] = { "gelu", NULL };
    CHECK_INT(json_get_object(json_root(doc), "model", &model, &err), SNUG_OK);
    CHECK_INT(json_int(model, "layers", 1, 1, 1024, &i, &err), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "c.json: json: model.layers: too large: got 1000000000, limit 1024");
    CHECK_INT(json_int(model, "zero", 1, 1, 1024, &i, &err), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "c.json: json: model.zero: bad value: got 0, at least 1 expected");
    CHECK_INT(json_int(model, "x", 1, 1, 1024, &i, &err), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "c.json: json: model.x: bad JSON: wrong type (got a string, expected a "
                         "whole number)");
    CHECK_INT(json_int(model, "r", 1, 1, 1024, &i, &err), SNUG_ERR_FILE);
    CHECK_INT(json_f64(model, "zero", 1, 1, 2, &f, &err), SNUG_ERR_FILE);
    CHECK_INT(json_f64(model, "x", 1, 1, 2, &f, &err), SNUG_ERR_FILE);
    CHECK_INT(json_bool(model, "zero", 1, &b, &err), SNUG_ERR_FILE);
    CHECK_INT(json_text(model, "zero", NULL, &s, &err), SNUG_ERR_FILE);
    CHECK_INT(json_choice(model, "x", WORDS, 0, &n, &err), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "c.json: json: model.x: not supported: got 's'");
    CHECK_INT(json_ints(model, "dims", 0, 9, ints, 3, &n, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "model.dims[2]: bad JSON");
    CHECK_INT(json_ints(model, "dims", 0, 9, ints, 2, &n, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "model.dims: too large: got 3 items, limit 2");
    CHECK_INT(json_get_object(model, "dims", &at, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "got an array, expected an object");
    CHECK_INT(json_get_array(model, "l", &at, &err), SNUG_OK);
    CHECK_INT(json_as_int(json_get(json_item(json_item(at, 1), 0), "b"), 0, 1, &i, &err),
              SNUG_ERR_FILE);
    CHECK_HAS(err.text, "model.l[1][0].b: bad JSON");
    CHECK_INT(json_require(model, "gone", &err), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "c.json: json: model.gone: missing: it is required");
    CHECK_INT(json_as_int(json_item(at, 99), 0, 1, &i, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "got nothing");
    CHECK_INT(json_require((Json){ 0 }, "k", &err), SNUG_ERR_FILE);
    CHECK_INT(i, 0);
    json_close(doc);
    heap_free(heap);
}

TEST(json, walks_objects_in_file_order)
{
    Heap *heap = heap_create();
    JsonDoc *doc = parse(heap, "{\"z\":1,\"a\":null,\"m\":[]}");
    char keys[8] = "";
    int kinds = 0;
    for (JsonMember m = { 0 }; json_next(json_root(doc), &m);) {
        strcat(keys, m.key);
        kinds = kinds * 10 + (int)json_kind(m.value);
    }
    CHECK_TEXT(keys, "zam");
    CHECK_INT(kinds, JSON_KIND_NUMBER * 100 + JSON_KIND_NULL * 10 + JSON_KIND_ARRAY);
    CHECK_INT(json_length(json_root(doc)), 3);
    JsonMember none = { 0 };
    CHECK(!json_next((Json){ 0 }, &none));
    json_close(doc);
    heap_free(heap);
}

/* tokenizer_config.json says "no limit" this way */
TEST(json, survives_integers_past_64_bits)
{
    Heap *heap = heap_create();
    JsonDoc *doc = parse(heap, "{\"model_max_length\":1000000000000000019884624838656,\"n\":77,"
                               "\"f\":1.5}");
    int64_t n;
    CHECK(json_int(json_root(doc), "n", 0, 0, 100, &n, &err) == SNUG_OK && n == 77);
    CHECK(json_int(json_root(doc), "model_max_length", 0, 0, INT64_MAX, &n, &err) == SNUG_OK);
    CHECK(n == INT64_MAX);
    CHECK_INT(json_int(json_root(doc), "model_max_length", 0, 0, 1 << 20, &n, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "too large");
    CHECK_INT(json_int(json_root(doc), "f", 0, 0, 9, &n, &err), SNUG_ERR_FILE);
    json_close(doc);
    heap_free(heap);
}

TEST(json, minus_infinity_of_python_is_no_limit)
{
    Heap *heap = heap_create();
    JsonDoc *doc = parse(heap, "{\"a\": -Infinity, \"t\": \"\\\"-Infinity\", \"b\":[-Infinity]}");
    const char *text;
    CHECK(!json_has(json_root(doc), "a"));
    CHECK_INT(json_text(json_root(doc), "t", NULL, &text, &err), SNUG_OK);
    CHECK_TEXT(text, "\"-Infinity");
    CHECK_INT(json_length(json_get(json_root(doc), "b")), 1);
    json_close(doc);
    heap_free(heap);
    refuse("{\"a\":-Infinit", 13, "");
    refuse("{\"a\":-Infinityx}", 17, "");
}

TEST(json, refuses_hostile_texts)
{
    refuse("[1]", 3, "got an array, expected an object");
    refuse("", 0, "text ends early");
    refuse("{\"a\":1,}", 8, "c.json: json: byte 7");
    refuse("{\"a\":1} x", 9, "bad JSON");
    refuse("{\"a\":\"\xff\"}", 8, "bad text");
    refuse("{\"a\":1,\"a\":2}", 13, "duplicate");
    refuse("{\"a\":{\"b\":1,\"b\":1}}", 19, "duplicate");
    refuse("{\"a\":\"\\u0000\"}", 14, "bad JSON");
    refuse("{\"a\":1e999}", 11, "bad JSON");
    enum { MANY = 1 << 20 };
    char *text = malloc(MANY);
    memset(text, '[', MANY);
    memcpy(text, "{\"a\":", 5);
    refuse(text, 100000, "too deep");
    for (int i = 5; i < MANY; i += 3)
        memcpy(text + i, "{},", MANY - i < 3 ? (size_t)(MANY - i) : 3);
    text[5] = '[';
    refuse(text, MANY, "values, limit 262144");
    free(text);
}

TEST(json, opens_files_and_answers_a_human)
{
    Heap *heap = heap_create();
    JsonDoc *doc;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/config.json", test_scratch());
    FILE *f = fopen(path, "wb");
    CHECK(f && fputs("{\"x\": 5}\n", f) >= 0 && fclose(f) == 0);
    CHECK_INT(json_open(&doc, heap, path, &err), SNUG_OK);
    CHECK_TEXT(json_name(doc), path);
    json_close(doc);
    f = fopen(path, "wb");
    CHECK(f && fputs("version https://git-lfs.github.com/spec/v1\n", f) >= 0 && fclose(f) == 0);
    CHECK_INT(json_open(&doc, heap, path, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "Git LFS pointer");
    f = fopen(path, "wb");
    CHECK(f && fseek(f, JSON_MAX_BYTES, SEEK_SET) == 0 && fputs("x", f) >= 0 && fclose(f) == 0);
    CHECK_INT(json_open(&doc, heap, path, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "too large");
    CHECK_INT(json_open(&doc, heap, "/no/such/file", &err), SNUG_ERR_IO);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(json, frees_all_under_every_refused_block)
{
    for (int n = 1; n < 20; n++) {
        Heap *heap = heap_create();
        JsonDoc *doc;
        heap_fail_at(heap, n);
        SnugStatus status = json_parse(&doc, heap, "{\"\\n\":1}", 8, "x", &err);
        CHECK(status == SNUG_ERR_MEMORY || status == SNUG_OK);
        json_close(doc);
        CHECK_INT(heap_now_bytes(heap), 0);
        heap_free(heap);
    }
}
