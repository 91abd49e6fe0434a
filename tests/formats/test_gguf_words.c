/* test_gguf_words.c  Vocabularies inside GGUF files: retold for the tokenizer, and malformed ones. */
#include "files.h"

#include "base/size.h"
#include "formats/gguf_words.h"
#include "text/tokenizer.h"

static SnugError err;
static unsigned char made[1 << 16];
static size_t n_made;

static void number(uint64_t value, int width)
{
    for (int i = 0; i < width; i++)
        made[n_made++] = (unsigned char)(value >> 8 * i & 255);
}

static void string(const char *text)
{
    number(strlen(text), 8);
    memcpy(made + n_made, text, strlen(text));
    n_made += strlen(text);
}

static void array(const char *key, uint32_t type, uint64_t n)
{
    string(key);
    number(9, 4);
    number(type, 4);
    number(n, 8);
}

/** What to write; zeros are a sound file of five pieces. */
typedef struct Words {
    const char *model, *long_piece;
    uint32_t tokens_type, scores_type;
    int n_scores, n_kinds; /* -1: the array is not there */
} Words;

static const char *put(const Words *w)
{
    static const char *const PIECES[] = { "<pad>", "</s>", "<unk>", "\xe2\x96\x81", "a" };
    static const int KINDS[] = { 3, 3, 2, 1, 1 };
    const int n_scores = w->n_scores ? w->n_scores : 5, n_kinds = w->n_kinds ? w->n_kinds : 5;
    n_made = 0;
    memcpy(made, "GGUF", n_made = 4);
    number(3, 4);
    number(0, 8);
    number((uint64_t)(4 + (n_scores > 0) + (n_kinds > 0)), 8);
    string("tokenizer.ggml.model");
    number(8, 4);
    string(w->model ? w->model : "t5");
    array("tokenizer.ggml.tokens", w->tokens_type ? w->tokens_type : 8, 5);
    for (int i = 0; i < 5; i++)
        if (w->tokens_type)
            number(0, 4);
        else
            string(i == 4 && w->long_piece ? w->long_piece : PIECES[i]);
    if (n_scores > 0)
        array("tokenizer.ggml.scores", w->scores_type ? w->scores_type : 6, (uint64_t)n_scores);
    for (int i = 0; i < n_scores; i++)
        number(0xbf800000, 4); /* -1.0f */
    if (n_kinds > 0) array("tokenizer.ggml.token_type", 5, (uint64_t)n_kinds);
    for (int i = 0; i < n_kinds; i++)
        number((uint64_t)KINDS[i], 4);
    string("tokenizer.ggml.eos_token_id");
    number(4, 4);
    number(1, 4);
    string("tokenizer.ggml.padding_token_id");
    number(4, 4);
    number(0, 4);
    return files_put("words.gguf", made, n_made);
}

static SnugStatus retell(Heap *heap, const Words *w, Arena *arena, TextView *out)
{
    Checkpoint *c;
    if (checkpoint_open(&c, heap, put(w), NULL, &err) != SNUG_OK) fail_msg("%s", err.text);
    CHECK(gguf_words_has(c));
    const SnugStatus status = gguf_words_retell(c, arena, out, &err);
    checkpoint_close(c);
    return status;
}

static void refuse(const Words *w, const char *part)
{
    Heap *heap = heap_create();
    TextView bytes;
    Arena arena;
    arena_init(&arena, heap, "test");
    CHECK_INT(retell(heap, w, &arena, &bytes), SNUG_ERR_FILE);
    CHECK_HAS(err.text, part);
    CHECK_HAS(err.text, "words.gguf");
    arena_release(&arena);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(gguf_words, a_tokenizer_comes_out)
{
    Heap *heap = heap_create();
    const Words good = { 0 };
    TextView bytes;
    Tokenizer *t;
    Arena arena;
    int32_t *ids;
    int64_t n;
    arena_init(&arena, heap, "test");
    CHECK_INT(retell(heap, &good, &arena, &bytes), SNUG_OK);
    if (tokenizer_read(&t, heap, bytes, "words", &err) != SNUG_OK) fail_msg("%s", err.text);
    CHECK_INT(tokenizer_eos_id(t), 1);
    CHECK_INT(tokenizer_pad_id(t), 0);
    CHECK_INT(tokenizer_unk_id(t), 2);
    CHECK_INT(tokenizer_encode(t, (TextView){ "a  ab", 5 }, 0, &arena, &ids, &n, &err), SNUG_OK);
    static const int32_t WANT[] = { 3, 4, 3, 4, 2, 1 };
    CHECK_INT(n, COUNT(WANT));
    CHECK(memcmp(ids, WANT, sizeof WANT) == 0);
    tokenizer_close(t);
    arena_release(&arena);
    heap_free(heap);
}

TEST(gguf_words, malformed_arrays_are_named)
{
    static char piece[1100];
    memset(piece, 'x', sizeof piece - 1);
    refuse(&(Words){ .n_scores = -1 }, "scores");
    refuse(&(Words){ .n_kinds = -1 }, "token_type");
    refuse(&(Words){ .n_scores = 4 }, "another number of elements");
    refuse(&(Words){ .n_kinds = 4 }, "another number of elements");
    refuse(&(Words){ .scores_type = 5 }, "another type");
    refuse(&(Words){ .tokens_type = 5 }, "no strings");
    refuse(&(Words){ .long_piece = piece }, "more than 1024 bytes");
}

TEST(gguf_words, other_vocabularies_are_not_taken)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    if (checkpoint_open(&c, heap, put(&(Words){ .model = "gpt2" }), NULL, &err) != SNUG_OK)
        fail_msg("%s", err.text);
    CHECK(!gguf_words_has(c));
    checkpoint_close(c);
    heap_free(heap);
}
