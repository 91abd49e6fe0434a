/* unigram.c  One forward pass over the characters, one walk back.
 * Source: formats spec 9.2 and 9.4; huggingface/tokenizers src/models/unigram/model.rs
 * (encode_optimized), google/sentencepiece src/unigram_model.cc (EncodeOptimized). */
#include "text/unigram.h"

#include "base/error.h"
#include "base/size.h"

/* The best path that ends before byte i. */
typedef struct Node {
    double score;
    uint32_t from; /* where its last piece begins */
    int32_t id;    /* of its last piece; NONE: nothing ends here */
} Node;

enum { NONE = -2 };

/* Where sentencepiece moves its sums back to 0, lest they lose their fractions. */
static const float FAR = 100000.0f;

static double sum(const Unigram *unigram, double a, double b)
{
    return unigram->sentencepiece ? (double)((float)a + (float)b) : a + b;
}

/* Earlier (shorter paths first, then shorter pieces) wins ties: strictly greater only. */
static void offer(Node *node, double score, size_t from, int32_t id)
{
    if (node->id != NONE && !(score > node->score)) return;
    node->score = score;
    node->from = (uint32_t)from;
    node->id = id;
}

/* All pieces that begin at `at`; true if one of them is exactly one character long. */
static bool offer_pieces(const Unigram *unigram, TextView text, size_t at, size_t char_bytes,
                         uint32_t skip, Node *nodes)
{
    const Vocab *vocab = unigram->vocab;
    bool single = false;
    VocabWalk walk = vocab_walk(vocab);
    int32_t id;
    for (size_t end = at; end < text.n; end++) {
        if (!vocab_step(vocab, &walk, (unsigned char)text.at[end], &id)) break;
        if (id < 0 || (skip >> vocab->kind[id] & 1)) continue;
        double score = vocab->score[id];
        if (vocab->kind[id] == VOCAB_USER) /* not negative: always taken, in as few as possible */
            score = 0.1 * ((double)walk.depth - 1.0);
        offer(&nodes[end + 1], sum(unigram, score, nodes[at].score), at, id);
        single |= walk.depth == char_bytes;
    }
    return single;
}

/* Everything that a path from here on can be compared with moves together. */
static void bring_near(const Unigram *unigram, Node *nodes, size_t at, size_t n)
{
    const double far = nodes[at].score;
    if (!unigram->sentencepiece || (far >= (double)-FAR && far <= (double)FAR)) return;
    const size_t last = n - at < VOCAB_MAX_PIECE_BYTES ? n : at + VOCAB_MAX_PIECE_BYTES;
    for (size_t i = at; i <= last; i++)
        if (nodes[i].id != NONE) nodes[i].score = sum(unigram, nodes[i].score, -far);
}

static SnugStatus forward(const Unigram *unigram, TextView text, uint32_t skip, Node *nodes,
                          SnugError *err)
{
    for (size_t i = 1; i <= text.n; i++)
        nodes[i].id = NONE;
    for (size_t at = 0, next = 0; at < text.n; at = next) {
        (void)text_utf8_next(text.at, text.n, &next);
        bring_near(unigram, nodes, at, text.n);
        if (offer_pieces(unigram, text, at, next - at, skip, nodes)) continue;
        double score = sum(unigram, unigram->unk_score, nodes[at].score);
        if (unigram->unk_id < 0 && (nodes[next].id == NONE || score > nodes[next].score)) {
            char shown[TEXT_ESCAPED];
            return error_set(err, SNUG_ERR_ARG,
                             "the tokenizer has no unknown token for the character '%s'",
                             text_escape(shown, text.at + at, next - at));
        }
        offer(&nodes[next], score, at, unigram->unk_id);
    }
    return SNUG_OK;
}

/* A run of unknown characters: one id, or the ids of its bytes if all of them exist. The reference
 * also looks the whole run up, as it does every piece: a literal "<unk>" comes through here. */
static void push_unknown(const Unigram *unigram, TextView run, uint32_t skip, List *ids)
{
    int32_t known = unigram->sentencepiece ? -1 : vocab_find(unigram->vocab, run);
    if (known >= 0 && (skip >> unigram->vocab->kind[known] & 1)) known = -1;
    bool bytes = known < 0 && unigram->byte_fallback;
    for (size_t i = 0; bytes && i < run.n; i++)
        bytes = unigram->byte_id[(unsigned char)run.at[i]] >= 0;
    for (size_t i = 0; bytes && i < run.n; i++)
        list_push(ids, &unigram->byte_id[(unsigned char)run.at[i]]);
    if (!bytes) list_push(ids, known >= 0 ? &known : &unigram->unk_id);
}

/* The path runs backwards: turn each link around, then walk forwards. */
static void backward(const Unigram *unigram, TextView text, uint32_t skip, Node *nodes, List *ids)
{
    uint32_t to = (uint32_t)text.n;
    for (uint32_t at = to; at > 0;) {
        uint32_t from = nodes[at].from;
        nodes[at].from = to; /* where the piece after this one ends */
        to = at;
        at = from;
    }
    for (uint32_t at = 0; at < text.n;) {
        uint32_t end = to;
        int32_t id = nodes[end].id;
        to = nodes[end].from;
        while (id == unigram->unk_id && end < text.n && nodes[to].id == id) {
            end = to;
            to = nodes[end].from;
        }
        if (id == unigram->unk_id)
            push_unknown(unigram, (TextView){ text.at + at, end - at }, skip, ids);
        else
            list_push(ids, &id);
        at = end;
    }
}

SnugStatus unigram_encode(const Unigram *unigram, TextView text, uint32_t more_skip, List *ids,
                          SnugError *err)
{
    size_t bytes;
    if (text.n == 0) return SNUG_OK;
    Node *nodes = NULL;
    if (size_mul(text.n + 1, sizeof *nodes, &bytes)) nodes = heap_take(ids->heap, bytes, "text");
    if (!nodes) return error_set(err, SNUG_ERR_MEMORY, "tokenizer: no memory for the search");
    const uint32_t skip = unigram->skip | more_skip;
    SnugStatus status = forward(unigram, text, skip, nodes, err);
    if (status == SNUG_OK) backward(unigram, text, skip, nodes, ids);
    heap_give(ids->heap, nodes);
    if (status == SNUG_OK && ids->failed)
        status = error_set(err, SNUG_ERR_MEMORY, "tokenizer: no memory for the ids");
    return status;
}
