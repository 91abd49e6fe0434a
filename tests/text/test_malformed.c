/* test_malformed.c  Every way in which tokenizer.json can be wrong is refused, saying what it is.
 * TKn: the rows of the formats spec 9.5. */
#include "golden.h"
#include "text/charsmap.h"

/* A whole file from its parts; NULL: a good one. */
typedef struct Parts {
    const char *version, *added, *normalizer, *pretokenizer, *post, *model;
} Parts;

static const char MODEL[] = "{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":"
                            "[[\"</s>\",0.0],[\"<unk>\",0],[\"a\",-1.5]],\"byte_fallback\":false}";

static TextView file_of(Golden *g, Parts p)
{
    char *text = arena_printf(
        &g->arena,
        "{\"version\":%s,\"truncation\":null,\"padding\":null,\"added_tokens\":%s,"
        "\"normalizer\":%s,\"pre_tokenizer\":%s,\"post_processor\":%s,\"decoder\":null,"
        "\"model\":%s}",
        p.version ? p.version : "\"1.0\"", p.added ? p.added : "[]",
        p.normalizer ? p.normalizer : "null", p.pretokenizer ? p.pretokenizer : "null",
        p.post ? p.post : "null", p.model ? p.model : MODEL);
    return golden_view(text);
}

static void check_refused(Golden *g, TextView file, const char *word, const char *what)
{
    Tokenizer *t;
    const char *path = golden_write("bad.json", file);
    SnugStatus status = tokenizer_open(&t, g->heap, path, &g->err);
    if (status != SNUG_ERR_FILE) fail_msg("status %d for %.*s", status, (int)file.n, file.at);
    CHECK(t == NULL);
    CHECK_HAS(g->err.text, "bad.json");
    CHECK_HAS(g->err.text, word);
    CHECK_HAS(g->err.text, what);
}

static void refused(Parts parts, const char *word, const char *what)
{
    Golden g;
    golden_begin(&g);
    check_refused(&g, file_of(&g, parts), word, what);
    golden_end(&g);
}

static void accepted(Parts parts)
{
    Golden g;
    Tokenizer *t;
    golden_begin(&g);
    const char *path = golden_write("good.json", file_of(&g, parts));
    golden_ok(&g, tokenizer_open(&t, g.heap, path, &g.err));
    tokenizer_close(t);
    golden_end(&g);
}

#define MODEL_OF(vocab) "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":" vocab "}"

TEST(malformed, the_good_parts_are_good)
{
    accepted((Parts){ 0 });
    accepted((Parts){ .model = "{\"unk_id\":null,\"vocab\":[[\"a\",1e-3]]}" }); /* early version */
    accepted((Parts){ .pretokenizer = "{\"type\":\"Metaspace\",\"replacement\":\"_\","
                                      "\"add_prefix_space\":true,\"str_rep\":\"_\"}" });
    accepted((Parts){ .pretokenizer = "{\"replacement\":\"_\",\"add_prefix_space\":false,"
                                      "\"prepend_scheme\":\"never\",\"type\":\"Metaspace\"}" });
}

TEST(malformed, tk1_normalisation_tables)
{
    static const struct {
        size_t n;
        const char *blob, *what;
    } BLOBS[] = {
        { 3, "\4\0\0", "shorter" },
        { 8, "\3\0\0\0abcd", "multiple of 4" },
        { 8, "\0\0\0\0abcd", "multiple of 4" },
        { 8, "\4\0\0\0abcd", "longer" },
        { 9, "\xfc\xff\xff\xff\1\2\3\4\5", "longer" },
        { 10, "\4\0\0\0\0\0\0\0\xff\0", "UTF-8" },
    };
    Charsmap map;
    for (size_t i = 0; i < sizeof BLOBS / sizeof BLOBS[0]; i++) {
        const char *wrong = charsmap_init(&map, (TextView){ BLOBS[i].blob, BLOBS[i].n });
        CHECK(wrong);
        CHECK_HAS(wrong, BLOBS[i].what);
    }
    refused(
        (Parts){ .normalizer = "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AwAAAA==\"}" },
        "bad value", "multiple of 4");
}

/* Two units: the root leads to where 'a' is its own node, marked as a leaf with value `value`. */
static CharsmapHit match_a(uint32_t root_offset, uint32_t leaf_offset, uint32_t value)
{
    unsigned char blob[4 + 4 * 128 + 3] = { 0, 2, 0, 0 };
    const uint32_t units[3] = { root_offset << 10, 'a' | 0x100 | leaf_offset << 10,
                                value | 0x80000000u };
    const size_t place[3] = { 0, 'a' ^ 0, 1 };
    for (int u = 0; u < 3; u++)
        for (int k = 0; k < 4; k++)
            blob[4 + 4 * place[u] + (size_t)k] = (unsigned char)(units[u] >> (8 * k));
    memcpy(blob + 4 + 4 * 128, "b\0", 3);
    Charsmap map;
    TextView to = { .n = 0 };
    size_t from = 0;
    CHECK(!charsmap_init(&map, (TextView){ (const char *)blob, sizeof blob }));
    CharsmapHit hit = charsmap_match(&map, (TextView){ "a", 1 }, CHARSMAP_SHORTEST, &from, &to);
    if (hit == CHARSMAP_HIT) CHECK(from == 1 && text_is(to, "b"));
    return hit;
}

TEST(malformed, tk1_tables_that_lead_out_of_themselves)
{
    CHECK_INT(match_a(0, 'a' ^ 1, 0), CHARSMAP_HIT);
    CHECK_INT(match_a(0, 'a' ^ 1, 3), CHARSMAP_BROKEN);       /* value behind the pool */
    CHECK_INT(match_a(0, 'a' ^ 500, 0), CHARSMAP_BROKEN);     /* leaf behind the array */
    CHECK_INT(match_a(1 << 20, 'a' ^ 1, 0), CHARSMAP_BROKEN); /* node behind the array */
    CHECK_INT(match_a(2, 'a' ^ 1, 0), CHARSMAP_MISS);         /* an empty node */
}

/* A broken table is only met by a text that walks there. */
TEST(malformed, tk1_a_broken_table_is_refused_when_a_text_meets_it)
{
    static const char NORMALIZER[] = /* one unit: the root, whose children lie behind the array */
        "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAABABiAA==\"}";
    Golden g;
    Tokenizer *t;
    int32_t *ids;
    int64_t n;
    golden_begin(&g);
    const char *path =
        golden_write("broken.json", file_of(&g, (Parts){ .normalizer = NORMALIZER }));
    golden_ok(&g, tokenizer_open(&t, g.heap, path, &g.err));
    CHECK_INT(tokenizer_encode(t, golden_view("a"), 0, &g.arena, &ids, &n, &g.err), SNUG_ERR_FILE);
    CHECK_HAS(g.err.text, "table");
    tokenizer_close(t);
    golden_end(&g);
}

TEST(malformed, tk2_base64)
{
    static const char *const BAD[] = { "", "A", "AAA", "AA*A", "A===", "AA=A", "====", "AAAA=AAA" };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        char part[128];
        (void)snprintf(part, sizeof part,
                       "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"%s\"}", BAD[i]);
        refused((Parts){ .normalizer = part }, "bad value", "base64");
    }
}

TEST(malformed, tk3_vocabulary)
{
    refused((Parts){ .model = MODEL_OF("[]") }, "missing", "empty");
    refused((Parts){ .model = MODEL_OF("[[\"a\"]]") }, "bad value", "[piece, score]");
    refused((Parts){ .model = MODEL_OF("[[\"a\",1,2]]") }, "bad value", "[piece, score]");
    refused((Parts){ .model = MODEL_OF("[\"a\"]") }, "bad JSON", "expected an array");
    refused((Parts){ .model = MODEL_OF("[[1,\"a\"]]") }, "bad JSON", "expected a string");
    refused((Parts){ .model = MODEL_OF("[[\"a\",\"b\"]]") }, "bad JSON", "expected a number");
    refused((Parts){ .model = MODEL_OF("[[\"a\",NaN]]") }, "bad JSON", "unexpected character");
    refused((Parts){ .model = MODEL_OF("[[\"a\",1e999]]") }, "bad JSON", "out of range");
    refused((Parts){ .model = MODEL_OF("[[\"\",0]]") }, "bad value", "empty piece");
    refused((Parts){ .model = MODEL_OF("[[\"a\",0],[\"b\",0],[\"a\",1]]") }, "duplicate", "'a'");
    refused((Parts){ .model = "{\"type\":\"Unigram\",\"unk_id\":3,\"vocab\":[[\"a\",0]]}" },
            "bad value", "unk_id 3");
    refused((Parts){ .model = "{\"type\":\"Unigram\",\"unk_id\":-1,\"vocab\":[[\"a\",0]]}" },
            "bad JSON", "negative");
    refused((Parts){ .model = "{\"type\":\"Unigram\",\"unk_id\":0}" }, "missing", "vocab");
    refused((Parts){ .model = "null" }, "bad JSON", "expected an object");
}

TEST(malformed, tk3_pieces_and_vocabularies_over_the_limits)
{
    Golden g;
    golden_begin(&g);
    TextBuilder out;
    text_init(&out, g.heap, "test");
    text_addf(&out, "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"%0*d\",0]]}}",
              1025, 0);
    check_refused(&g, (TextView){ out.at, out.n }, "too large", "1025");
    out.n = 0;
    text_addf(&out, "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",0]");
    for (int i = 0; i < 1 << 21; i++)
        text_add(&out, ",[\"a\",0]", 8);
    text_addf(&out, "]}}");
    check_refused(&g, (TextView){ out.at, out.n }, "too large", "2097152");
    text_release(&out);
    golden_end(&g);
}

TEST(malformed, tk5_added_tokens)
{
#define TOKEN(id, content) "{\"id\":" id ",\"content\":\"" content "\",\"normalized\":false}"
    accepted(
        (Parts){ .added = "[" TOKEN("0", "</s>") "," TOKEN("3", "x") "," TOKEN("4", "y") "]" });
    refused((Parts){ .added = "[" TOKEN("1", "</s>") "]" }, "mismatch", "'</s>' has id 1");
    refused((Parts){ .added = "[" TOKEN("2", "x") "]" }, "mismatch", "expected 3");
    refused((Parts){ .added = "[" TOKEN("4", "x") "]" }, "mismatch", "expected 3");
    refused((Parts){ .added = "[" TOKEN("3", "x") "," TOKEN("4", "x") "]" }, "duplicate", "same");
    refused((Parts){ .added = "[" TOKEN("3", "") "]" }, "bad value", "without content");
    refused((Parts){ .added = "[" TOKEN("99999999999", "x") "]" }, "bad value", "id");
    refused((Parts){ .added = "[{\"content\":\"x\"}]" }, "bad value", "id");
    refused((Parts){ .added = "{}" }, "bad JSON", "expected an array");
    refused((Parts){ .normalizer = "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}",
                     .added = "[{\"id\":3,\"content\":\" \",\"normalized\":true}]" },
            "bad value", "once normalised");
    refused((Parts){ .normalizer = "{\"type\":\"Lowercase\"}",
                     .added = "[{\"id\":3,\"content\":\"X\"},{\"id\":4,\"content\":\"x\"}]" },
            "duplicate", "look the same");
#undef TOKEN
}

TEST(malformed, tk8_parts_that_are_not_implemented_are_named)
{
    refused((Parts){ .normalizer = "{\"type\":\"StripAccents\"}" }, "not supported",
            "normalizer of type 'StripAccents'");
    refused((Parts){ .normalizer = "{\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Bert\"}],"
                                   "\"type\":\"Sequence\"}" },
            "not supported", "'Bert'");
    refused((Parts){ .normalizer = "{\"lowercase\":true}" }, "not supported", "without a type");
    refused((Parts){ .normalizer = "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[a-z]+\"},"
                                   "\"content\":\"\"}" },
            "not supported", "[a-z]+");
    refused((Parts){ .normalizer = "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},"
                                   "\"content\":\"x\"}" },
            "not supported", "pattern");
    refused((Parts){ .pretokenizer = "{\"type\":\"Digits\",\"individual_digits\":false}" },
            "not supported", "pre_tokenizer of type 'Digits'");
    refused((Parts){ .pretokenizer = "{\"type\":\"Metaspace\",\"replacement\":\"_\","
                                     "\"prepend_scheme\":\"last\"}" },
            "not supported", "'last'");
    refused((Parts){ .post = "{\"type\":\"BertProcessing\"}" }, "not supported",
            "'BertProcessing'");
    refused((Parts){ .model = "{\"type\":\"WordPiece\",\"vocab\":{}}" }, "not supported",
            "model of type 'WordPiece'");
    refused((Parts){ .model = "{\"vocab\":{\"a\":0}}" }, "not supported", "model without a type");
    refused((Parts){ .version = "\"2.0\"" }, "bad version", "2.0");
}

TEST(malformed, parts_that_lack_something)
{
    refused((Parts){ .normalizer = "{\"type\":\"Strip\",\"strip_left\":true}" }, "missing",
            "Strip");
    refused((Parts){ .normalizer = "{\"type\":\"Precompiled\"}" }, "missing", "Precompiled");
    refused((Parts){ .normalizer = "{\"type\":\"Prepend\"}" }, "missing", "Prepend");
    refused((Parts){ .normalizer = "{\"type\":\"Replace\",\"content\":\"x\"}" }, "missing",
            "Replace");
    refused((Parts){ .normalizer = "{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"}}" },
            "missing", "Replace");
    refused((Parts){ .normalizer = "{\"type\":\"Sequence\"}" }, "missing", "Sequence");
    refused((Parts){ .normalizer = "7" }, "bad JSON", "expected an object");
    refused((Parts){ .pretokenizer = "{\"type\":\"Sequence\"}" }, "missing", "Sequence");
    refused((Parts){ .pretokenizer = "{\"type\":\"Metaspace\"}" }, "missing", "replacement");
    refused((Parts){ .pretokenizer = "{\"type\":\"Metaspace\",\"replacement\":\"ab\"}" },
            "bad value", "one character");
    refused((Parts){ .pretokenizer = "{\"type\":\"Metaspace\",\"replacement\":\"_\","
                                     "\"add_prefix_space\":false,\"prepend_scheme\":\"first\"}" },
            "bad value", "contradict");
}

TEST(malformed, templates)
{
#define POST(single, specials)                                                                     \
    "{\"type\":\"TemplateProcessing\",\"single\":" single ",\"special_tokens\":" specials "}"
#define A "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define E "{\"SpecialToken\":{\"id\":\"E\",\"type_id\":0}}"
    accepted((Parts){ .post = POST("[" A "," E "]", "{\"E\":{\"ids\":[0]}}") });
    refused((Parts){ .post = POST("[" A "," E "]", "{}") }, "missing", "'E'");
    refused((Parts){ .post = POST("[" A "," E "]", "{\"E\":{\"ids\":[3]}}") }, "bad value", "id 3");
    refused((Parts){ .post = POST("[" A "," E "]", "{\"E\":{\"ids\":[9999999999]}}") }, "bad value",
            "too great");
    refused((Parts){ .post = POST("[" E "]", "{\"E\":{\"ids\":[0]}}") }, "not supported", "text");
    refused((Parts){ .post = POST("[" A "," A "]", "{}") }, "not supported", "one A");
    refused((Parts){ .post = POST("[{\"Sequence\":{\"id\":\"B\"}}]", "{}") }, "not supported", "A");
    refused((Parts){ .post = "{\"type\":\"TemplateProcessing\"}" }, "missing", "single");
    accepted((Parts){ .post = "{\"type\":\"RobertaProcessing\",\"cls\":[\"a\",2],"
                              "\"sep\":[\"</s>\",0]}" });
    refused((Parts){ .post = "{\"type\":\"RobertaProcessing\",\"cls\":[\"a\",2]}" }, "missing",
            "sep");
    refused((Parts){ .post = "{\"type\":\"RobertaProcessing\",\"cls\":[2],\"sep\":[2]}" },
            "bad JSON", "cls");
    refused((Parts){ .post = "{\"type\":\"RobertaProcessing\",\"cls\":[\"a\",9],"
                             "\"sep\":[\"</s>\",0]}" },
            "bad value", "id 9");
#undef POST
#undef A
#undef E
}

TEST(malformed, files_that_are_something_else)
{
    Golden g;
    Tokenizer *t;
    golden_begin(&g);
    check_refused(&g, golden_view(""), "wrong kind of file", "empty");
    check_refused(&g, golden_view("<!DOCTYPE html><html>"), "wrong kind of file", "HTML");
    check_refused(&g, golden_view("version https://git-lfs.github.com/spec/v1\n"),
                  "wrong kind of file", "LFS");
    check_refused(&g, golden_view("{\"model\":"), "bad JSON", "ends early");
    check_refused(&g, golden_view("{}"), "missing", "model");
    check_refused(&g, golden_view("{\"model\":{},\"model\":{}}"), "duplicate", "twice");
    check_refused(&g, golden_view("{\"model\":\"\xff\"}"), "bad text", "UTF-8");
    CHECK_INT(tokenizer_open(&t, g.heap, "/nowhere/at/all", &g.err) != SNUG_OK, true);
    golden_end(&g);
}

TEST(malformed, folders_without_a_tokenizer)
{
    Golden g;
    Tokenizer *t;
    char folder[512];
    golden_begin(&g);
    (void)snprintf(folder, sizeof folder, "%s",
                   golden_write("merges.txt", golden_view("#version")));
    *strrchr(folder, '/') = '\0';
    CHECK_INT(tokenizer_open(&t, g.heap, folder, &g.err), SNUG_ERR_FILE);
    CHECK_HAS(g.err.text, "vocab.json with merges.txt");
    (void)snprintf(folder + strlen(folder), 16, "/merges.txt");
    CHECK_INT(remove(folder), 0);
    CHECK_INT(tokenizer_open(&t, g.heap, test_path("text"), &g.err), SNUG_ERR_FILE);
    CHECK_HAS(g.err.text, "no tokenizer.json, no spiece.model");
    golden_end(&g);
}
