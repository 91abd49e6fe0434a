/* test_clean.c  Prompts come out as ftfy and Python's html module leave them. */
#include "golden.h"
#include "text/clean.h"
#include "text/negative_prompts.h"

static TextView clean(Golden *g, TextView text)
{
    TextView out = { .n = 0 };
    golden_ok(g, clean_prompt(text, &g->arena, &out, &g->err));
    CHECK(out.at[out.n] == '\0');
    return out;
}

TEST(clean, equals_ftfy_and_html_unescape)
{
    Golden g;
    JsonScan scan;
    TextView in, want;
    int n = 0;
    golden_begin(&g);
    TextView bytes = golden_file(&g, "clean.json");
    json_scan_init(&scan, bytes.at, bytes.n, "clean.json", "json", &g.arena, &g.err);
    (void)json_scan_array(&scan);
    while (json_scan_item(&scan)) {
        CHECK(json_scan_array(&scan) && json_scan_item(&scan) && json_scan_text(&scan, &in));
        CHECK(json_scan_item(&scan) && json_scan_text(&scan, &want) && !json_scan_item(&scan));
        TextView got = clean(&g, in);
        if (!text_equal(got, want))
            fail_msg("case %d: '%.*s' becomes '%s', not '%.*s'", n, (int)in.n, in.at, got.at,
                     (int)want.n, want.at);
        n++;
    }
    golden_ok(&g, json_scan_end(&scan));
    CHECK(n > 500);
    golden_end(&g);
}

TEST(clean, negative_prompts_are_those_of_the_reference)
{
    static const struct {
        const char *name, *text;
    } PROMPTS[] = { { "wan", NEGATIVE_PROMPT_WAN },
                    { "wan21_i2v", NEGATIVE_PROMPT_WAN21_I2V },
                    { "flf2v", NEGATIVE_PROMPT_FLF2V },
                    { "lingbot", NEGATIVE_PROMPT_LINGBOT } };
    Golden g;
    JsonScan scan;
    int n = 0;
    golden_begin(&g);
    TextView bytes = golden_file(&g, "negative.json");
    json_scan_init(&scan, bytes.at, bytes.n, "negative.json", "json", &g.arena, &g.err);
    (void)json_scan_object(&scan);
    for (TextView name, key, text; json_scan_key(&scan, &name);) {
        (void)json_scan_object(&scan);
        while (json_scan_key(&scan, &key)) {
            if (!text_is(key, "text") || !json_scan_text(&scan, &text)) continue;
            for (int i = 0; i < 4; i++)
                if (text_is(name, PROMPTS[i].name)) n += text_is(text, PROMPTS[i].text);
        }
    }
    golden_ok(&g, json_scan_end(&scan));
    CHECK_INT(n, 4);
    for (int i = 0; i < 4; i++) /* cleaning them once more changes nothing */
        CHECK_TEXT(clean(&g, golden_view(PROMPTS[i].text)).at, PROMPTS[i].text);
    golden_end(&g);
}

TEST(clean, mojibake_is_left_alone)
{
    Golden g;
    golden_begin(&g);
    CHECK_TEXT(clean(&g, golden_view("sch\u00c3\u00b6n")).at, "sch\u00c3\u00b6n");
    golden_end(&g);
}

TEST(clean, deep_nesting_ends)
{
    Golden g;
    golden_begin(&g);
    char *text = arena_take(&g.arena, CLEAN_MAX_TEXT_BYTES);
    text[0] = '&';
    for (size_t i = 1; i + 4 <= CLEAN_MAX_TEXT_BYTES; i += 4)
        memcpy(text + i, "amp;", 4);
    TextView out = clean(&g, (TextView){ text, CLEAN_MAX_TEXT_BYTES - 3 });
    CHECK_INT(out.n, CLEAN_MAX_TEXT_BYTES - 3 - 4 * (CLEAN_MAX_PASSES + 2));
    golden_end(&g);
}

TEST(clean, refuses_what_is_no_text)
{
    Golden g;
    TextView out;
    golden_begin(&g);
    CHECK_INT(clean_prompt(golden_view("a\xc0\x80"), &g.arena, &out, &g.err), SNUG_ERR_ARG);
    CHECK_HAS(g.err.text, "byte 1");
    char *text = arena_take(&g.arena, CLEAN_MAX_TEXT_BYTES + 1);
    memset(text, 'a', CLEAN_MAX_TEXT_BYTES + 1);
    TextView more = { text, CLEAN_MAX_TEXT_BYTES + 1 };
    CHECK_INT(clean_prompt(more, &g.arena, &out, &g.err), SNUG_ERR_ARG);
    CHECK_HAS(g.err.text, "1048576");
    golden_end(&g);
}

TEST(clean, any_allocation_may_fail)
{
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int64_t fail = 1; status != SNUG_OK; fail++) {
        Golden g;
        TextView out;
        golden_begin(&g);
        heap_fail_at(g.heap, fail);
        status = clean_prompt(golden_view("e\u0301 &amp; \uff01\n\u201cx\u201d"), &g.arena, &out,
                              &g.err);
        if (status != SNUG_OK) CHECK_INT(status, SNUG_ERR_MEMORY);
        golden_end(&g);
        CHECK(fail < 100);
    }
}
