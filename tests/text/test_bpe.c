/* test_bpe.c  CLIP's tokenizer and ByteLevel BPE give the ids of the reference libraries, from every
 * kind of file they come in (tools/oracle/golden_bpe.py); broken ones are refused, saying why. */
#include "golden.h"

enum { MAX_IDS = 8192 };

static TextView texts[GOLDEN_MAX_TEXTS];
static int32_t want[MAX_IDS];

/* The texts of all tokenizers, then those for byte pairs. */
static int read_texts(Golden *g)
{
    JsonScan scan;
    TextView bytes = golden_file(g, "../bpe/more.json");
    int n = golden_texts(g, texts);
    json_scan_init(&scan, bytes.at, bytes.n, "more.json", "json", &g->arena, &g->err);
    (void)json_scan_array(&scan);
    while (json_scan_item(&scan) && n < GOLDEN_MAX_TEXTS && json_scan_text(&scan, &texts[n]))
        n++;
    golden_ok(g, json_scan_end(&scan));
    return n;
}

static void check(const char *below_bpe, const char *ids_name, int64_t max_length)
{
    Golden g;
    Tokenizer *t;
    char path[128], ids[128];
    golden_begin(&g);
    (void)snprintf(path, sizeof path, "golden/bpe/%s", below_bpe);
    (void)snprintf(ids, sizeof ids, "../bpe/%s", ids_name);
    golden_ok(&g, tokenizer_open(&t, g.heap, test_path(path), &g.err));
    const int n_texts = read_texts(&g);
    const TextView file = golden_file(&g, ids);
    size_t at = 0;
    for (int k = 0; k < n_texts; k++) {
        int32_t *got;
        int64_t n_got, n_want = golden_ids(file, &at, want, MAX_IDS);
        golden_ok(&g, tokenizer_encode(t, texts[k], max_length, &g.arena, &got, &n_got, &g.err));
        for (int64_t i = 0; i < n_want || i < n_got; i++)
            if (i >= n_want || i >= n_got || want[i] != got[i])
                fail_msg("%s, text %d '%.60s': id %lld is %d, not %d (%lld ids, not %lld)",
                         ids_name, k, texts[k].at, (long long)i, i < n_got ? got[i] : -1,
                         i < n_want ? want[i] : -1, (long long)n_got, (long long)n_want);
    }
    CHECK_INT(at, file.n);
    tokenizer_close(t);
    golden_end(&g);
}

TEST(bpe, vocab_and_merges_with_a_list_of_added_tokens)
{
    check("flux", "flux.ids", 0);
}

TEST(bpe, a_long_text_loses_its_end_but_not_the_template)
{
    check("flux", "flux_77.ids", 77);
}

TEST(bpe, vocab_and_merges_with_a_map_of_special_tokens)
{
    check("sdxl2", "sdxl2.ids", 0);
}

TEST(bpe, saved_by_transformers_5_cuts_as_the_reference)
{
    check("saved", "saved.ids", 0);
}

TEST(bpe, byte_level_alone_keeps_spaces)
{
    check("gpt2.json", "gpt2.ids", 0);
}

TEST(bpe, roles_come_from_the_configuration)
{
    Golden g;
    Tokenizer *t;
    golden_begin(&g);
    golden_ok(&g, tokenizer_open(&t, g.heap, test_path("golden/bpe/flux"), &g.err));
    CHECK_INT(tokenizer_pad_id(t), 1546);
    CHECK_INT(tokenizer_eos_id(t), 1546);
    CHECK_INT(tokenizer_n_ids(t), 1547);
    tokenizer_close(t);
    golden_ok(&g, tokenizer_open(&t, g.heap, test_path("golden/bpe/sdxl2"), &g.err));
    CHECK_INT(tokenizer_pad_id(t), 0);
    tokenizer_close(t);
    golden_end(&g);
}

/* ---- refusals ---- */

static void refuse(const char *model, const char *pretokenizer, const char *word, const char *what)
{
    Golden g;
    Tokenizer *t;
    golden_begin(&g);
    const char *text = arena_printf(
        &g.arena,
        "{\"version\":\"1.0\",\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":%s,"
        "\"post_processor\":null,\"model\":%s}",
        pretokenizer, model);
    const char *path = golden_write("bad.json", golden_view(text));
    CHECK_INT(tokenizer_open(&t, g.heap, path, &g.err), SNUG_ERR_FILE);
    CHECK(t == NULL);
    CHECK_HAS(g.err.text, word);
    CHECK_HAS(g.err.text, what);
    golden_end(&g);
}

#define BPE_OF(vocab, merges, more)                                                                \
    "{\"type\":\"BPE\",\"vocab\":" vocab ",\"merges\":" merges more "}"

TEST(bpe, tk4_vocabularies_and_merges_that_do_not_fit)
{
    static const struct {
        const char *model, *word, *what;
    } BAD[] = {
        { BPE_OF("{\"a\":0,\"b\":2}", "[]", ""), "bad value", "gaps" },
        { BPE_OF("{\"a\":0,\"b\":0}", "[]", ""), "duplicate", "id 0 twice" },
        { BPE_OF("{\"a\":0,\"a\":1}", "[]", ""), "duplicate", "'a' twice" },
        { BPE_OF("{\"\":0}", "[]", ""), "bad value", "empty piece" },
        { BPE_OF("{}", "[]", ""), "missing", "empty" },
        { BPE_OF("{\"a\":-1}", "[]", ""), "bad JSON", "vocab" },
        { BPE_OF("{\"a\":0,\"b\":1}", "[\"a\"]", ""), "bad value", "one space" },
        { BPE_OF("{\"a\":0,\"b\":1}", "[\"a b c\"]", ""), "bad value", "one space" },
        { BPE_OF("{\"a\":0,\"b\":1}", "[[\"a\"]]", ""), "bad value", "[left, right]" },
        { BPE_OF("{\"a\":0,\"b\":1}", "[\"a b\"]", ""), "bad value", "'ab'" },
        { BPE_OF("{\"a\":0,\"ab\":1}", "[\"a b\"]", ""), "bad value", "'b'" },
        { BPE_OF("{\"a\":0}", "[]", ",\"unk_token\":\"x\""), "bad value", "unk_token" },
        { BPE_OF("{\"a\":0}", "[]", ",\"byte_fallback\":true"), "not supported", "byte_fallback" },
        { BPE_OF("{\"a\":0}", "[]", ",\"dropout\":0.1"), "not supported", "dropout" },
        { BPE_OF("{\"a\":0}", "[]", ",\"continuing_subword_prefix\":\"##\""), "not supported",
          "prefix" },
        { BPE_OF("{\"a\":0}", "[]",
                 ",\"end_of_word_suffix\":\"12345678901234567890123456789012x\""),
          "too large", "suffix" },
        { "{\"type\":\"BPE\",\"vocab\":{\"a\":0}}", "missing", "merges" },
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        refuse(BAD[i].model, "null", BAD[i].word, BAD[i].what);
}

TEST(bpe, tk8_splits_that_are_not_known)
{
    static const char GOOD[] = BPE_OF("{\"a\":0}", "[]", "");
    refuse(GOOD, "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x+\"},\"behavior\":\"Removed\"}",
           "not supported", "'x+'");
    refuse(GOOD, "{\"type\":\"Split\",\"behavior\":\"Removed\"}", "missing", "pattern");
    refuse(GOOD,
           "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|["
           "\\\\p{N}]"
           "|[^\\\\s\\\\p{L}\\\\p{N}]+\"},\"behavior\":\"Isolated\",\"invert\":false}",
           "not supported", "keep its matches");
}

/* A folder of the older form from its three files. */
static void refuse_folder(const char *vocab, const char *merges, const char *config,
                          const char *what)
{
    Golden g;
    Tokenizer *t;
    golden_begin(&g);
    (void)golden_write("vocab.json", golden_view(vocab));
    (void)golden_write("merges.txt", golden_view(merges));
    (void)golden_write("tokenizer_config.json", golden_view(config));
    CHECK_INT(tokenizer_open(&t, g.heap, test_scratch(), &g.err), SNUG_ERR_FILE);
    CHECK_HAS(g.err.text, what);
    golden_end(&g);
}

TEST(bpe, folders_of_another_kind_are_refused)
{
    static const char VOCAB[] = "{\"a\":0,\"<|startoftext|>\":1,\"<|endoftext|>\":2}";
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tokenizer.json", test_scratch());
    (void)remove(path);
    refuse_folder(VOCAB, "", "{\"tokenizer_class\":\"GPT2Tokenizer\"}", "GPT2Tokenizer");
    refuse_folder(VOCAB, "\xff\xfe", "{}", "UTF-8");
    refuse_folder(VOCAB, "#version\na b\n", "{}", "'b'");
    refuse_folder("{\"a\":0}", "", "{}", "<|startoftext|>");
    refuse_folder(VOCAB, "", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}", "number");
    refuse_folder(VOCAB, "", "{\"added_tokens_decoder\":{\"7\":{\"content\":\"a\"}}}",
                  "expected 0");
    refuse_folder(VOCAB, "", "{\"added_tokens_decoder\":{\"0\":{}}}", "content");
    refuse_folder(VOCAB, "", "{\"pad_token\":\"x\"}", "lacks");
    refuse_folder("[1]", "", "{}", "vocab.json");
}
