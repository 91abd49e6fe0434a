/* test_spiece.c  Malformed sentencepiece models (TK6 of the formats spec 9.5), built byte by byte.
 * That good ones give the right ids is tested in test_tokenizer.c. */
#include "golden.h"

/* ---- writing protobuf ---- */

static void add_varint(TextBuilder *out, uint64_t value)
{
    do {
        char byte = (char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        text_add(out, &byte, 1);
        value >>= 7;
    } while (value);
}

static void add_bytes(TextBuilder *out, unsigned field, const char *bytes, size_t n)
{
    add_varint(out, field << 3 | 2);
    add_varint(out, n);
    text_add(out, bytes, n);
}

static void add_number(TextBuilder *out, unsigned field, uint64_t value)
{
    add_varint(out, field << 3);
    add_varint(out, value);
}

static void add_piece(TextBuilder *out, const char *text, float score, int type)
{
    TextBuilder piece;
    text_init(&piece, out->heap, "test");
    add_bytes(&piece, 1, text, strlen(text));
    add_varint(&piece, 2 << 3 | 5);
    text_add(&piece, (const char *)&score, 4);
    add_number(&piece, 3, (uint64_t)type);
    add_bytes(out, 1, piece.at, piece.n);
    text_release(&piece);
}

/* A message of one number field inside field `outer`. */
static void add_setting(TextBuilder *out, unsigned outer, unsigned field, uint64_t value)
{
    TextBuilder inner;
    text_init(&inner, out->heap, "test");
    add_number(&inner, field, value);
    add_bytes(out, outer, inner.at, inner.n);
    text_release(&inner);
}

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE, TRAINER = 2, RULES = 3 };

typedef struct Model {
    Golden g;
    TextBuilder out;
} Model;

/* <unk> 0, </s> 1, a 2: a good model to begin with. */
static void begin(Model *m)
{
    golden_begin(&m->g);
    text_init(&m->out, m->g.heap, "test");
    add_piece(&m->out, "<unk>", 0.0f, UNKNOWN);
    add_piece(&m->out, "</s>", 0.0f, CONTROL);
    add_piece(&m->out, "a", -1.0f, NORMAL);
    add_setting(&m->out, TRAINER, 42, 1); /* eos_id */
}

static void finish(Model *m)
{
    text_release(&m->out);
    golden_end(&m->g);
}

static SnugStatus open_model(Model *m, Tokenizer **t)
{
    const char *path = golden_write("m.model", (TextView){ m->out.at, m->out.n });
    return tokenizer_open(t, m->g.heap, path, &m->g.err);
}

static void refused(Model *m, const char *word, const char *what)
{
    Tokenizer *t;
    CHECK_INT(open_model(m, &t), SNUG_ERR_FILE);
    CHECK(t == NULL);
    CHECK_HAS(m->g.err.text, "m.model: sentencepiece: ");
    CHECK_HAS(m->g.err.text, word);
    CHECK_HAS(m->g.err.text, what);
    finish(m);
}

static void check_ids(Model *m, const char *text, const int32_t *want, int64_t n_want)
{
    Tokenizer *t;
    int32_t *ids;
    int64_t n;
    golden_ok(&m->g, open_model(m, &t));
    golden_ok(&m->g, tokenizer_encode(t, golden_view(text), 0, &m->g.arena, &ids, &n, &m->g.err));
    CHECK_INT(n, n_want);
    for (int64_t i = 0; i < n; i++)
        CHECK_INT(ids[i], want[i]);
    tokenizer_close(t);
    finish(m);
}

TEST(spiece, a_model_by_hand)
{
    Model m;
    begin(&m);
    add_piece(&m.out, "aa", -1.5f, UNUSED);
    add_piece(&m.out, "ab", -9.0f, USER);
    add_piece(&m.out, "\xe2\x96\x81", -3.0f, NORMAL);
    check_ids(&m, " a aa  abx ", (const int32_t[]){ 5, 2, 5, 2, 2, 5, 4, 0, 1 }, 9);
}

TEST(spiece, unknown_fields_are_passed_over)
{
    Model m;
    begin(&m);
    add_bytes(&m.out, 200, "whatever", 8);
    add_number(&m.out, 201, 7);
    add_varint(&m.out, 202 << 3 | 1);
    text_add(&m.out, "12345678", 8);
    add_setting(&m.out, RULES, 3, 0); /* no dummy prefix */
    check_ids(&m, "</s>a", (const int32_t[]){ 0, 2, 1 }, 3);
}

TEST(spiece, tk6_numbers_and_lengths)
{
    Model m;
    begin(&m);
    text_add(&m.out, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
    refused(&m, "bad value", "64 bits");
    begin(&m);
    text_add(&m.out, "\x08\xff", 2);
    refused(&m, "bad value", "past the end");
    begin(&m);
    text_add(&m.out,
             "\x0a\x7f"
             "abc",
             5);
    refused(&m, "bad value", "longer than what is left");
    begin(&m);
    text_add(&m.out, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    refused(&m, "bad value", "longer than what is left");
    begin(&m);
    text_add(&m.out, "\x0d\x01", 2);
    refused(&m, "bad value", "past the end");
    begin(&m);
    text_add(&m.out, "\x0b", 1);
    refused(&m, "bad value", "group");
    begin(&m);
    text_add(&m.out, "\0\0", 2);
    refused(&m, "bad value", "field number");
    begin(&m);
    add_bytes(&m.out, 1,
              "\x0a\x05"
              "ab",
              4); /* inside a piece */
    refused(&m, "piece 3", "longer than what is left");
    begin(&m);
    add_bytes(&m.out, TRAINER, "\x18", 1);
    refused(&m, "trainer_spec", "past the end");
    begin(&m);
    add_bytes(&m.out, RULES, "\x18", 1);
    refused(&m, "normalizer_spec", "past the end");
}

TEST(spiece, tk6_pieces)
{
    static const float NOT_A_NUMBER = NAN;
    Model m;
    begin(&m);
    add_piece(&m.out, "", 0.0f, NORMAL);
    refused(&m, "piece 3", "empty piece");
    begin(&m);
    add_piece(&m.out, "x", NOT_A_NUMBER, NORMAL);
    refused(&m, "piece 3", "finite");
    begin(&m);
    add_piece(&m.out, "x\xff", 0.0f, NORMAL);
    refused(&m, "bad text", "UTF-8");
    begin(&m);
    add_piece(&m.out, "x", 0.0f, 7);
    refused(&m, "not supported", "type 7");
    begin(&m);
    add_piece(&m.out, "a", 0.0f, CONTROL);
    refused(&m, "duplicate", "'a' twice");
    begin(&m);
    add_piece(&m.out, "?", 0.0f, UNKNOWN);
    refused(&m, "duplicate", "two unknown");
    begin(&m);
    m.out.n = 0;
    add_piece(&m.out, "a", 0.0f, NORMAL);
    refused(&m, "missing", "no unknown piece");
    begin(&m);
    m.out.n = 0;
    add_number(&m.out, 9, 9);
    refused(&m, "missing", "no pieces");
    begin(&m);
    char name[1026];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    add_piece(&m.out, name, 0.0f, NORMAL);
    refused(&m, "too large", "1025");
}

TEST(spiece, tk6_more_pieces_than_the_limit)
{
    Model m;
    begin(&m);
    for (int i = 0; i < 1 << 21; i++)
        text_add(&m.out, "\x0a\x03\x0a\x01x", 5);
    refused(&m, "too large", "2097152");
}

TEST(spiece, tk6_bytes)
{
    Model m;
    begin(&m);
    add_piece(&m.out, "<0x41>", 0.0f, BYTE);
    refused(&m, "bad value", "without byte_fallback");
    begin(&m);
    add_piece(&m.out, "<0x41>", 0.0f, BYTE);
    add_setting(&m.out, TRAINER, 35, 1);
    refused(&m, "missing", "<0x00>");
}

TEST(spiece, other_models_and_broken_tables)
{
    Model m;
    begin(&m);
    add_setting(&m.out, TRAINER, 3, 2);
    refused(&m, "not supported", "model_type 2");
    begin(&m);
    TextBuilder rules;
    text_init(&rules, m.g.heap, "test");
    add_bytes(&rules, 2, "\3\0\0\0abcd", 8);
    add_bytes(&m.out, RULES, rules.at, rules.n);
    text_release(&rules);
    refused(&m, "normalizer_spec", "multiple of 4");
}
