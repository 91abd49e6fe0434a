/* test_tokenizer.c  Ids equal those of the reference libraries, for every kind of tokenizer.json and
 * .model file that is read, on texts in many scripts. */
#include "golden.h"

enum { MAX_IDS = 8192 };

static TextView texts[GOLDEN_MAX_TEXTS];
static int32_t want[MAX_IDS];

/* Every line of the ids file; long texts, which come last, may be left out of it. */
static void check_ids(Golden *g, const Tokenizer *t, const char *ids_name, int64_t max_length)
{
    const int n_texts = golden_texts(g, texts);
    TextView file = golden_file(g, ids_name);
    size_t at = 0;
    int k = 0;
    for (; k < n_texts && at < file.n; k++) {
        int32_t *got;
        int64_t n_got, n_want = golden_ids(file, &at, want, MAX_IDS);
        golden_ok(g, tokenizer_encode(t, texts[k], max_length, &g->arena, &got, &n_got, &g->err));
        for (int64_t i = 0; i < n_want || i < n_got; i++)
            if (i >= n_want || i >= n_got || want[i] != got[i])
                fail_msg("%s, text %d '%.60s': id %lld is %d, not %d (%lld ids, not %lld)",
                         ids_name, k, texts[k].at, (long long)i, i < n_got ? got[i] : -1,
                         i < n_want ? want[i] : -1, (long long)n_got, (long long)n_want);
    }
    CHECK(k > 300);
    CHECK_INT(at, file.n);
}

static void check_file(const char *path, const char *ids_name, int64_t max_length)
{
    Golden g;
    Tokenizer *t;
    golden_begin(&g);
    golden_ok(&g, tokenizer_open(&t, g.heap, path, &g.err));
    check_ids(&g, t, ids_name, max_length);
    tokenizer_close(t);
    golden_end(&g);
}

static void check_json(const char *name, const char *ids_name, int64_t max_length)
{
    Golden g;
    golden_begin(&g);
    const char *path = golden_write("tokenizer.json", golden_json(&g, name));
    golden_end(&g);
    check_file(path, ids_name, max_length);
}

static void check_model(const char *name)
{
    char path[128], ids[128];
    (void)snprintf(path, sizeof path, "golden/text/%s.model", name);
    (void)snprintf(ids, sizeof ids, "%s.model.ids", name);
    check_file(test_path(path), ids, 0);
}

TEST(tokenizer, umt5_folder_cuts_as_the_reference)
{
    check_file(test_path("golden/text/umt5"), "umt5/tokenizer.ids", 0);
}

TEST(tokenizer, saved_by_transformers_5_cuts_as_the_reference)
{
    check_json("saved.json", "saved.ids", 0);
}

TEST(tokenizer, metaspace_always_and_runs_of_spaces)
{
    check_json("always.json", "always.ids", 0);
}

TEST(tokenizer, whitespace_split_and_metaspace_first)
{
    check_json("words.json", "words.ids", 0);
}

TEST(tokenizer, no_pre_tokenizer_and_a_prepended_mark)
{
    check_json("bare.json", "bare.ids", 0);
}

TEST(tokenizer, no_normalizer_and_metaspace_that_does_not_split)
{
    check_json("unsplit.json", "unsplit.ids", 0);
}

TEST(tokenizer, nfkc_lower_case_and_added_tokens_of_every_kind)
{
    check_json("forms.json", "forms.ids", 0);
}

TEST(tokenizer, nfd_strip_left_and_added_tokens_of_every_kind)
{
    check_json("nfd.json", "nfd.ids", 0);
}

TEST(tokenizer, nfkd_and_a_text_that_is_deleted)
{
    check_json("nfkd.json", "nfkd.ids", 0);
}

TEST(tokenizer, nfc_and_a_text_that_is_replaced)
{
    check_json("nfc.json", "nfc.ids", 0);
}

TEST(tokenizer, unknown_characters_become_bytes)
{
    check_json("bytes.json", "bytes.ids", 0);
}

TEST(tokenizer, the_last_bit_of_a_score_decides_as_in_the_reference)
{
    check_json("repeats.json", "repeats.ids", 0);
}

TEST(tokenizer, a_long_text_loses_its_end_but_not_the_template)
{
    check_json("saved.json", "saved_16.ids", 16);
}

TEST(tokenizer, sentencepiece_of_umt5_kind)
{
    check_model("umt5/spiece");
}

TEST(tokenizer, sentencepiece_with_byte_fallback)
{
    check_model("bytes");
}

TEST(tokenizer, sentencepiece_with_user_symbols_own_rules_and_marks_behind)
{
    check_model("users");
}

TEST(tokenizer, sentencepiece_that_keeps_all_spaces)
{
    check_model("spaces");
}

TEST(tokenizer, a_folder_without_json_takes_the_sentencepiece_model)
{
    Golden g;
    char folder[512];
    golden_begin(&g);
    const char *path = golden_write("spiece.model", golden_file(&g, "umt5/spiece.model"));
    (void)snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    char json[600];
    (void)snprintf(json, sizeof json, "%s/tokenizer.json", folder);
    (void)remove(json); /* an earlier test's */
    golden_end(&g);
    check_file(folder, "umt5/spiece.model.ids", 0);
}

TEST(tokenizer, roles_come_from_the_config)
{
    Golden g;
    Tokenizer *t;
    golden_begin(&g);
    golden_ok(&g, tokenizer_open(&t, g.heap, test_path("golden/text/umt5"), &g.err));
    CHECK_INT(tokenizer_pad_id(t), 0);
    CHECK_INT(tokenizer_eos_id(t), 1);
    CHECK_INT(tokenizer_unk_id(t), 3);
    CHECK(tokenizer_n_ids(t) > 1000);
    tokenizer_close(t);
    tokenizer_close(NULL);
    golden_end(&g);
}

/* Four pieces, two special; more behind the vocabulary. */
static const char SMALL[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"</s>\",\"special\":true,"
    "\"normalized\":false},{\"id\":4,\"content\":\"<x>\",\"special\":true,\"normalized\":false},"
    "{\"id\":5,\"content\":\"own\",\"special\":false,\"normalized\":false}],"
    "\"normalizer\":null,\"pre_tokenizer\":null,\"post_processor\":%s,"
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":%s,\"vocab\":[[\"</s>\",0.0],[\"?\",0],[\"a\",-1],"
    "[\"b\",-2.5]]}}";

static Tokenizer *small(Golden *g, const char *post, const char *unk)
{
    char json[1024];
    Tokenizer *t;
    (void)snprintf(json, sizeof json, SMALL, post, unk);
    const char *path = golden_write("small.json", golden_view(json));
    golden_ok(g, tokenizer_open(&t, g->heap, path, &g->err));
    return t;
}

static void check_small(Golden *g, const Tokenizer *t, bool plain, const char *text,
                        const int32_t *ids, int64_t n)
{
    int32_t *got;
    int64_t n_got;
    SnugStatus status =
        plain ? tokenizer_encode_plain(t, golden_view(text), 0, &g->arena, &got, &n_got, &g->err)
              : tokenizer_encode(t, golden_view(text), 0, &g->arena, &got, &n_got, &g->err);
    golden_ok(g, status);
    CHECK_INT(n_got, n);
    for (int64_t i = 0; i < n; i++)
        CHECK_INT(got[i], ids[i]);
}

TEST(tokenizer, plain_text_cannot_name_special_tokens)
{
    Golden g;
    golden_begin(&g);
    Tokenizer *t = small(&g, "null", "1");
    check_small(&g, t, false, "a</s>b<x>own", (const int32_t[]){ 2, 0, 3, 4, 5 }, 5);
    check_small(&g, t, true, "a</s>b<x>own", (const int32_t[]){ 2, 1, 3, 1, 5 }, 5);
    tokenizer_close(t);
    golden_end(&g);
}

TEST(tokenizer, a_template_has_ids_on_both_sides)
{
    static const char POST[] =
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"B\"}},"
        "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"E\"}}],"
        "\"special_tokens\":{\"E\":{\"id\":\"E\",\"ids\":[0,4]},\"B\":{\"id\":\"B\",\"ids\":[5]}}}";
    Golden g;
    int32_t *ids;
    int64_t n;
    golden_begin(&g);
    Tokenizer *t = small(&g, POST, "1");
    check_small(&g, t, false, "ab", (const int32_t[]){ 5, 2, 3, 0, 4 }, 5);
    check_small(&g, t, false, "", (const int32_t[]){ 5, 0, 4 }, 3);
    TextView aaa = golden_view("aaa");
    golden_ok(&g, tokenizer_encode(t, aaa, 3, &g.arena, &ids, &n, &g.err));
    CHECK_INT(n, 3);
    CHECK_INT(ids[0] + ids[1] + ids[2], 9);
    CHECK_INT(tokenizer_encode(t, aaa, 2, &g.arena, &ids, &n, &g.err), SNUG_ERR_ARG);
    CHECK_HAS(g.err.text, "3 special tokens");
    CHECK_INT(tokenizer_encode(t, aaa, -1, &g.arena, &ids, &n, &g.err), SNUG_ERR_ARG);
    tokenizer_close(t);
    golden_end(&g);
}

TEST(tokenizer, a_character_without_any_token_is_the_callers_mistake)
{
    Golden g;
    int32_t *ids;
    int64_t n;
    golden_begin(&g);
    Tokenizer *t = small(&g, "null", "null");
    CHECK_INT(tokenizer_unk_id(t), -1);
    check_small(&g, t, false, "ab", (const int32_t[]){ 2, 3 }, 2);
    CHECK_INT(tokenizer_encode(t, golden_view("a\xc3\xa9"), 0, &g.arena, &ids, &n, &g.err),
              SNUG_ERR_ARG);
    CHECK_HAS(g.err.text, "\xc3\xa9");
    tokenizer_close(t);
    golden_end(&g);
}

TEST(tokenizer, texts_too_long_or_not_utf8_are_refused)
{
    Golden g;
    int32_t *ids;
    int64_t n;
    golden_begin(&g);
    Tokenizer *t = small(&g, "null", "1");
    char *text = arena_take(&g.arena, TOKENIZER_MAX_TEXT_BYTES + 1);
    memset(text, 'a', TOKENIZER_MAX_TEXT_BYTES + 1);
    TextView most = { text, TOKENIZER_MAX_TEXT_BYTES }, more = { text, most.n + 1 };
    golden_ok(&g, tokenizer_encode(t, most, 0, &g.arena, &ids, &n, &g.err));
    CHECK_INT(n, TOKENIZER_MAX_TEXT_BYTES);
    CHECK_INT(tokenizer_encode(t, more, 0, &g.arena, &ids, &n, &g.err), SNUG_ERR_ARG);
    CHECK_HAS(g.err.text, "1048576");
    CHECK_INT(tokenizer_encode(t, golden_view("a\xff"), 0, &g.arena, &ids, &n, &g.err),
              SNUG_ERR_ARG);
    CHECK_HAS(g.err.text, "byte 1");
    tokenizer_close(t);
    golden_end(&g);
}

/* The n-th allocation fails, for every n until all goes well: a clean refusal, nothing leaks. */
static void check_faults(const char *path, const char *text)
{
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int64_t fail = 1; status != SNUG_OK; fail++) {
        Golden g;
        Tokenizer *t = NULL;
        int32_t *ids;
        int64_t n;
        golden_begin(&g);
        heap_fail_at(g.heap, fail);
        status = tokenizer_open(&t, g.heap, path, &g.err);
        CHECK((status == SNUG_OK) == (t != NULL));
        if (t) status = tokenizer_encode(t, golden_view(text), 0, &g.arena, &ids, &n, &g.err);
        if (status != SNUG_OK) CHECK_INT(status, SNUG_ERR_MEMORY);
        if (status != SNUG_OK) CHECK(g.err.text[0]);
        heap_fail_at(g.heap, 0);
        tokenizer_close(t);
        golden_end(&g);
        CHECK(fail < 500);
    }
}

TEST(tokenizer, any_allocation_may_fail)
{
    Golden g;
    golden_begin(&g);
    const char *path = golden_write("fault.json", golden_json(&g, "forms.json"));
    golden_end(&g);
    check_faults(path, "A caf\xc3\xa9 <mark> snug photo of");
    check_faults(test_path("golden/text/users.model"), "hello world <Mark> cat");
    check_faults(test_path("golden/text/umt5"), "A caf\xc3\xa9");
}
