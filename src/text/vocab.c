/* vocab.c  A sorted list is the tree. */
#include "text/vocab.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

bool vocab_init(Vocab *vocab, uint32_t n, size_t text_bytes, Arena *arena)
{
    *vocab = (Vocab){ .room = n, .text_room = text_bytes };
    vocab->text = arena_take(arena, text_bytes);
    vocab->at = arena_array(arena, (size_t)n + 1, sizeof *vocab->at);
    vocab->score = arena_array(arena, n, sizeof *vocab->score);
    vocab->kind = arena_array(arena, n, sizeof *vocab->kind);
    vocab->sorted = arena_array(arena, n, sizeof *vocab->sorted);
    return vocab->text && vocab->at && vocab->score && vocab->kind && vocab->sorted;
}

void vocab_push(Vocab *vocab, TextView piece, double score, VocabKind kind)
{
    uint32_t used = vocab->at[vocab->n];
    if (vocab->n == vocab->room || piece.n > vocab->text_room - used) return;
    if (piece.n) memcpy(vocab->text + used, piece.at, piece.n);
    vocab->score[vocab->n] = score;
    vocab->kind[vocab->n] = (uint8_t)kind;
    vocab->sorted[vocab->n] = vocab->n;
    vocab->at[++vocab->n] = used + (uint32_t)piece.n;
}

TextView vocab_piece(const Vocab *vocab, uint32_t id)
{
    return (TextView){ vocab->text + vocab->at[id], vocab->at[id + 1] - vocab->at[id] };
}

static int compare(const Vocab *vocab, uint32_t a, uint32_t b)
{
    return text_compare(vocab_piece(vocab, a), vocab_piece(vocab, b));
}

/* Merge from[low, middle) and from[middle, high) into to[low, high). */
static void merge(const Vocab *vocab, const uint32_t *from, uint32_t *to, size_t low, size_t middle,
                  size_t high)
{
    size_t a = low, b = middle;
    for (size_t i = low; i < high; i++) {
        bool left = b == high || (a < middle && compare(vocab, from[a], from[b]) <= 0);
        to[i] = left ? from[a++] : from[b++];
    }
}

/* Bottom-up merge sort: no recursion, no bad case, counted memory (qsort would malloc). */
static bool sort(Vocab *vocab, Heap *heap)
{
    const size_t n = vocab->n, bytes = n * sizeof(uint32_t);
    uint32_t *spare = heap_take(heap, bytes, "text"), *from = vocab->sorted, *to = spare;
    if (!spare) return false;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t low = 0; low < n; low += 2 * run) {
            size_t middle = low + run < n ? low + run : n;
            size_t high = low + 2 * run < n ? low + 2 * run : n;
            merge(vocab, from, to, low, middle, high);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != vocab->sorted) memcpy(vocab->sorted, from, bytes);
    heap_give(heap, spare);
    return true;
}

bool vocab_seal(Vocab *vocab, Heap *heap, int32_t *twin)
{
    *twin = -1;
    if (!sort(vocab, heap)) return false;
    for (uint32_t i = 0; i < vocab->n; i++) {
        TextView piece = vocab_piece(vocab, vocab->sorted[i]);
        if (i && text_equal(piece, vocab_piece(vocab, vocab->sorted[i - 1])))
            *twin = (int32_t)vocab->sorted[i];
        if (piece.n) vocab->first[(unsigned char)piece.at[0] + 1] = i + 1;
    }
    for (int b = 1; b <= 256; b++) /* bytes that begin no piece: an empty range */
        if (vocab->first[b] < vocab->first[b - 1]) vocab->first[b] = vocab->first[b - 1];
    return true;
}

VocabWalk vocab_walk(const Vocab *vocab)
{
    return (VocabWalk){ .low = 0, .high = vocab->n };
}

/* First place in [low, high) whose piece has a byte >= `byte` at `depth` (short pieces sort
 * before). */
static uint32_t bound(const Vocab *vocab, uint32_t low, uint32_t high, uint32_t depth, int byte)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        TextView piece = vocab_piece(vocab, vocab->sorted[middle]);
        int here = piece.n > depth ? (unsigned char)piece.at[depth] : -1;
        if (here < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool vocab_step(const Vocab *vocab, VocabWalk *walk, unsigned char byte, int32_t *id)
{
    *id = -1;
    if (walk->depth == 0) {
        walk->low = vocab->first[byte];
        walk->high = vocab->first[byte + 1];
    } else {
        walk->low = bound(vocab, walk->low, walk->high, walk->depth, byte);
        walk->high = bound(vocab, walk->low, walk->high, walk->depth, byte + 1);
    }
    walk->depth++;
    if (walk->low >= walk->high) return false;
    uint32_t shortest = vocab->sorted[walk->low];
    if (vocab_piece(vocab, shortest).n == walk->depth) *id = (int32_t)shortest;
    return true;
}

int32_t vocab_find(const Vocab *vocab, TextView piece)
{
    uint32_t low = 0, high = vocab->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, id = vocab->sorted[middle];
        int order = text_compare(vocab_piece(vocab, id), piece);
        if (order == 0) return (int32_t)id;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

void vocab_find_bytes(const Vocab *vocab, int32_t ids[256])
{
    for (int b = 0; b < 256; b++) {
        char name[8];
        int n = snprintf(name, sizeof name, "<0x%02X>", (unsigned)b);
        ids[b] = vocab_find(vocab, (TextView){ name, (size_t)n });
    }
}
