/* test_option.c  Values of options: taken whole or refused with name and range. */
#include "test.h"

#include "base/size.h"
#include "pipelines/option.h"
#include "pipelines/pipeline.h"

typedef struct Values {
    const char *text, *path, *list;
    int64_t whole;
    double number;
    OptionSize size;
    bool flag;
} Values;

static const Option TABLE[] = {
    { { "text", SNUG_OPTION_TEXT, "as it is", 0, 0, "T", "" }, offsetof(Values, text) },
    { { "path", SNUG_OPTION_PATH, NULL, 0, 0, "P", "" }, offsetof(Values, path) },
    { { "list", SNUG_OPTION_LIST, NULL, 0, 0, "L", "" }, offsetof(Values, list) },
    { { "whole", SNUG_OPTION_INT, "-1", -1, 4097, "N", "" }, offsetof(Values, whole) },
    { { "number", SNUG_OPTION_FLOAT, "0.5", -1, 100, "X", "" }, offsetof(Values, number) },
    { { "size", SNUG_OPTION_SIZE, NULL, 8, 16384, "WxH", "" }, offsetof(Values, size) },
    { { "flag", SNUG_OPTION_FLAG, "off", 0, 0, "", "" }, offsetof(Values, flag) },
    { { NULL, SNUG_OPTION_TEXT, NULL, 0, 0, NULL, NULL }, 0 },
};

static Heap *heap;
static Arena arena;

static void begin(Values *values)
{
    heap = heap_create();
    arena_init(&arena, heap, "test");
    *values = (Values){ 0 };
    CHECK(option_defaults(TABLE, values, &arena, NULL) == SNUG_OK);
}

static void end(void)
{
    arena_release(&arena);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static SnugStatus set(Values *values, const char *name, const char *text, SnugError *err)
{
    const Option *o = option_find(TABLE, name);
    CHECK(o != NULL);
    return option_parse(o, values, &arena, text, err);
}

static void check_refused(const char *name, const char *const *texts, size_t n, const char *part)
{
    Values values;
    begin(&values);
    for (size_t i = 0; i < n; i++) {
        SnugError err = { { 0 } };
        const Values before = values;
        if (set(&values, name, texts[i], &err) != SNUG_ERR_ARG)
            fail_msg("--%s '%s' is taken", name, texts[i]);
        CHECK_HAS(err.text, name);
        CHECK_HAS(err.text, part);
        CHECK(memcmp(&before, &values, sizeof values) == 0); /* untouched */
    }
    end();
}

TEST(option, defaults_are_parsed_like_values)
{
    Values v;
    begin(&v);
    CHECK_TEXT(v.text, "as it is");
    CHECK(v.path == NULL);
    CHECK_INT(v.whole, -1);
    CHECK(v.number == 0.5);
    CHECK_INT(v.size.width, 0);
    CHECK(!v.flag);
    CHECK(option_find(TABLE, "tex") == NULL);
    CHECK(option_find(TABLE, "") == NULL);
    end();
}

TEST(option, whole_numbers)
{
    static const char *const BAD[] = {
        "", " ", "x", "1x", "1.5", "1e3", "-2", "4098", "99999999999999999999", "0x10", "--1", "1 "
    };
    Values v;
    begin(&v);
    CHECK(set(&v, "whole", "4097", NULL) == SNUG_OK);
    CHECK_INT(v.whole, 4097);
    CHECK(set(&v, "whole", "-1", NULL) == SNUG_OK);
    CHECK_INT(v.whole, -1);
    end();
    check_refused("whole", BAD, COUNT(BAD), "whole number from -1 to 4097");
}

TEST(option, numbers)
{
    static const char *const BAD[] = { "",      "x",     "nan",   "inf", "-inf",
                                       "1e999", "100.1", "-1.01", "1,5", "5 " };
    Values v;
    begin(&v);
    CHECK(set(&v, "number", "1e2", NULL) == SNUG_OK);
    CHECK(v.number == 100.0);
    CHECK(set(&v, "number", "3.5", NULL) == SNUG_OK);
    CHECK(v.number == 3.5);
    end();
    check_refused("number", BAD, COUNT(BAD), "number from -1 to 100");
}

TEST(option, sizes)
{
    static const char *const GOOD[] = { "832x480", "832X480", "832*480" };
    static const char *const BAD[] = {
        "",      "832",       "832x",     "x480",       "832x480x3",
        "7x480", "832x16385", "-832x480", "832 by 480", "99999999999x480",
        "8.5x9"
    };
    Values v;
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        begin(&v);
        CHECK(set(&v, "size", GOOD[i], NULL) == SNUG_OK);
        CHECK_INT(v.size.width, 832);
        CHECK_INT(v.size.height, 480);
        end();
    }
    check_refused("size", BAD, COUNT(BAD), "832x480");
}

TEST(option, flags)
{
    static const char *const YES[] = { "true", "on", "yes", "1" },
                             *const NO[] = { "false", "off", "no", "0" },
                             *const BAD[] = { "", "TRUE", "2", "y", "true " };
    Values v;
    begin(&v);
    for (size_t i = 0; i < COUNT(YES); i++) {
        CHECK(set(&v, "flag", YES[i], NULL) == SNUG_OK && v.flag);
        CHECK(set(&v, "flag", NO[i], NULL) == SNUG_OK && !v.flag);
    }
    end();
    check_refused("flag", BAD, COUNT(BAD), "neither true nor false");
}

TEST(option, texts_are_copied_whole)
{
    char text[] = "a = b \xc3\xa9\n";
    Values v;
    begin(&v);
    CHECK(set(&v, "text", text, NULL) == SNUG_OK && set(&v, "path", text, NULL) == SNUG_OK);
    text[0] = 'X';
    CHECK_TEXT(v.text, "a = b \xc3\xa9\n");
    CHECK_TEXT(v.path, "a = b \xc3\xa9\n");
    CHECK(set(&v, "text", "", NULL) == SNUG_OK);
    CHECK_TEXT(v.text, "");
    end();
}

TEST(option, lists_grow_until_an_empty_text_clears_them)
{
    Values v;
    SnugError err = { { 0 } };
    begin(&v);
    CHECK(!v.list);
    CHECK(set(&v, "list", "a b", NULL) == SNUG_OK && set(&v, "list", "c", NULL) == SNUG_OK);
    CHECK_TEXT(v.list, "a b\nc");
    CHECK_INT(set(&v, "list", "d\ne", &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "--list: ");
    CHECK(set(&v, "list", "", NULL) == SNUG_OK && !v.list);
    end();
}

TEST(option, amounts_of_memory)
{
    static const struct {
        const char *text;
        double bytes;
    } GOOD[] = { { "8GiB", 8589934592.0 },
                 { "512MiB", 536870912.0 },
                 { "1.5GB", 1.5e9 },
                 { "123456", 123456.0 },
                 { "1k", 1024.0 },
                 { "2 TiB", 2199023255552.0 },
                 { "7b", 7.0 },
                 { "3gib", 3221225472.0 } };
    static const char *const BAD[] = { "",      "8 GBs", "-1GiB", "0",    "0.2",   "GiB",
                                       "8GiB8", "nan",   "inf",   "1e30", "8,5GiB" };
    size_t bytes = 0;
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        CHECK(option_parse_bytes(GOOD[i].text, &bytes, NULL) == SNUG_OK);
        CHECK((double)bytes == GOOD[i].bytes);
    }
    for (size_t i = 0; i < COUNT(BAD); i++) {
        SnugError err = { { 0 } };
        CHECK_INT(option_parse_bytes(BAD[i], &bytes, &err), SNUG_ERR_ARG);
        CHECK_HAS(err.text, "no size of memory");
    }
}

/* Every row of every pipeline: a name for the command line, words for the help, a default that its
 * own parser takes, and no name twice. */
TEST(option, tables_of_the_pipelines_are_sound)
{
    for (int p = 0; pipeline_at(p); p++) {
        const char *name = snug_pipeline_name(p);
        const SnugOption *o;
        for (int i = 0; (o = snug_pipeline_option(name, i)); i++) {
            CHECK(o->name[0] &&
                  strspn(o->name, "abcdefghijklmnopqrstuvwxyz-0123456789") == strlen(o->name));
            CHECK(o->help && o->help[0] && o->value_name);
            const bool number = o->kind == SNUG_OPTION_INT || o->kind == SNUG_OPTION_FLOAT ||
                                o->kind == SNUG_OPTION_SIZE;
            CHECK(!number || o->min < o->max);
            for (int k = 0; k < i; k++)
                CHECK(strcmp(snug_pipeline_option(name, k)->name, o->name) != 0);
        }
    }
}
