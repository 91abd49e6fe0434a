/* bpe.c  Symbols in a linked list, candidates in a heap ordered by rank, then by place: long words
 * of one letter must not cost the square of their length.
 * Source: formats spec 9.3; huggingface/tokenizers src/models/bpe/word.rs, whose treatment of stale
 * candidates this follows. */
#include "text/bpe.h"

#include <string.h>

#include "base/error.h"

typedef struct Symbol {
    int32_t id;
    int32_t prev, next; /* -1: none */
    bool gone;          /* merged into the one before */
} Symbol;

/** A pair that may be merged. */
typedef struct Candidate {
    uint32_t rank;
    int32_t at, id;
} Candidate;

typedef struct Work {
    const Bpe *bpe;
    List symbols;    /* Symbol */
    List candidates; /* Candidate, a binary heap */
} Work;

static bool before(const Candidate *a, const Candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void swap(Candidate *a, Candidate *b)
{
    const Candidate c = *a;
    *a = *b;
    *b = c;
}

static void heap_push(List *heap, Candidate c)
{
    list_push(heap, &c);
    if (heap->failed) return;
    Candidate *at = heap->at;
    for (size_t i = heap->n - 1; i > 0 && before(&at[i], &at[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&at[i], &at[(i - 1) / 2]);
}

static Candidate heap_pop(List *heap)
{
    Candidate *at = heap->at;
    const Candidate top = at[0];
    at[0] = at[--heap->n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < heap->n; child++)
            if (before(&at[child], &at[least])) least = child;
        if (least == i) return top;
        swap(&at[i], &at[least]);
        i = least;
    }
}

static const BpeMerge *find_merge(const Bpe *bpe, int32_t left, int32_t right)
{
    uint32_t low = 0, high = bpe->n_merges;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const BpeMerge *m = &bpe->merge[middle];
        if (m->left == left && m->right == right) return m;
        if (m->left < left || (m->left == left && m->right < right))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void propose(Work *work, int32_t at)
{
    const Symbol *symbol = work->symbols.at;
    const int32_t next = symbol[at].next;
    const BpeMerge *m = next < 0 ? NULL : find_merge(work->bpe, symbol[at].id, symbol[next].id);
    if (m) heap_push(&work->candidates, (Candidate){ m->rank, at, m->id });
}

/* The characters as symbols; the last one carries the suffix. */
static void split(Work *work, TextView word)
{
    const Bpe *bpe = work->bpe;
    char ending[4 + BPE_MAX_SUFFIX];
    bool fused = false;
    for (size_t at = 0, end = 0; at < word.n; at = end) {
        (void)text_utf8_next(word.at, word.n, &end);
        TextView piece = { word.at + at, end - at };
        if (end == word.n && bpe->suffix.n) {
            memcpy(ending, piece.at, piece.n);
            memcpy(ending + piece.n, bpe->suffix.at, bpe->suffix.n);
            piece = (TextView){ ending, piece.n + bpe->suffix.n };
        }
        int32_t id = vocab_find(bpe->vocab, piece);
        const bool unknown = id < 0;
        if (unknown) id = bpe->unk_id;
        const int32_t i = (int32_t)work->symbols.n;
        if (id >= 0 && !(unknown && fused && bpe->fuse_unk)) {
            const Symbol symbol = { .id = id, .prev = i - 1, .next = i + 1 };
            list_push(&work->symbols, &symbol);
        }
        fused = unknown;
    }
    if (work->symbols.n && !work->symbols.failed)
        ((Symbol *)work->symbols.at)[work->symbols.n - 1].next = -1;
}

static void merge_all(Work *work)
{
    Symbol *symbol = work->symbols.at;
    for (size_t i = 0; i < work->symbols.n; i++)
        propose(work, (int32_t)i);
    while (work->candidates.n && !work->candidates.failed) {
        const Candidate top = heap_pop(&work->candidates);
        Symbol *here = &symbol[top.at];
        if (here->gone || here->next < 0) continue;
        Symbol *right = &symbol[here->next];
        const BpeMerge *m = find_merge(work->bpe, here->id, right->id);
        if (!m || m->id != top.id) continue; /* a neighbour has changed since */
        here->id = m->id;
        here->next = right->next;
        right->gone = true;
        if (right->next >= 0) symbol[right->next].prev = top.at;
        if (here->prev >= 0) propose(work, here->prev);
        propose(work, top.at);
    }
}

SnugStatus bpe_encode(const Bpe *bpe, TextView word, List *ids, SnugError *err)
{
    if (word.n == 0) return SNUG_OK;
    if (bpe->ignore_merges) {
        const int32_t id = vocab_find(bpe->vocab, word);
        if (id >= 0) {
            list_push(ids, &id);
            return SNUG_OK; /* the caller looks at ids->failed */
        }
    }
    Work work = { .bpe = bpe };
    list_init(&work.symbols, ids->heap, sizeof(Symbol));
    list_init(&work.candidates, ids->heap, sizeof(Candidate));
    split(&work, word);
    if (!work.symbols.failed) merge_all(&work);
    const bool failed = work.symbols.failed || work.candidates.failed;
    const Symbol *symbol = work.symbols.at;
    for (size_t i = 0; i < work.symbols.n && !failed; i++)
        if (!symbol[i].gone) list_push(ids, &symbol[i].id);
    list_release(&work.symbols);
    list_release(&work.candidates);
    if (failed) return error_set(err, SNUG_ERR_MEMORY, "tokenizer: no memory for a word");
    return SNUG_OK;
}
