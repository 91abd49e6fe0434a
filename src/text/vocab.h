/* vocab.h  The pieces of a vocabulary, compact, and the search for those that begin a text.
 *
 * 256,000 pieces take about 6 MB: one block of bytes, one of offsets, one of scores and one of ids
 * sorted by the bytes. There is no tree: all pieces with a common prefix are neighbours in the
 * sorted list, so a walk along the text narrows a range, one binary search per byte.
 *
 *     vocab_init(&v, n, bytes, arena) -> n times vocab_push -> vocab_seal -> search */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"

enum {
    VOCAB_MAX_PIECES = 1 << 21,
    VOCAB_MAX_PIECE_BYTES = 1024 /* bounds the work per character of a text */
};

/** What a piece is for; the numbers are those of sentencepiece's model files. */
typedef enum VocabKind {
    VOCAB_NORMAL = 1,
    VOCAB_UNKNOWN = 2,
    VOCAB_CONTROL = 3,
    VOCAB_USER = 4,    /**< user-defined symbol: never cut */
    VOCAB_UNUSED = 5,  /**< in the table, never produced */
    VOCAB_BYTE = 6,    /**< stands for one byte of an unknown character */
    VOCAB_SPECIAL = 7, /**< tokenizer.json: a normal piece that is also a special token */
} VocabKind;

/** Id i is the i-th piece pushed. Fields are for reading. */
typedef struct Vocab {
    uint32_t n, room;
    size_t text_room;
    char *text;
    uint32_t *at;        /**< piece i is text[at[i]] .. text[at[i + 1] - 1] */
    double *score;       /**< f32 values where the file has those */
    uint8_t *kind;       /**< VocabKind */
    uint32_t *sorted;    /**< ids by the bytes of their pieces */
    uint32_t first[257]; /**< sorted[first[b]] is the first piece that begins with byte >= b */
} Vocab;

/** Reserve for exactly `n` pieces of together `text_bytes` bytes; false without memory. */
bool vocab_init(Vocab *vocab, uint32_t n, size_t text_bytes, Arena *arena);
/** Add the next piece. More than was reserved is a bug of the caller and is dropped. */
void vocab_push(Vocab *vocab, TextView piece, double score, VocabKind kind);
/** Sort. *twin is the id of a piece that is there twice, -1 if there is none. False: no memory. */
bool vocab_seal(Vocab *vocab, Heap *heap, int32_t *twin);

TextView vocab_piece(const Vocab *vocab, uint32_t id);
/** Id of exactly this piece, -1 if there is none. */
int32_t vocab_find(const Vocab *vocab, TextView piece);
/** Ids of the pieces <0x00> .. <0xFF>, -1 where one is missing. */
void vocab_find_bytes(const Vocab *vocab, int32_t ids[256]);

/** A walk: all pieces that begin with the bytes stepped over so far. */
typedef struct VocabWalk {
    uint32_t low, high; /**< range of sorted[] */
    uint32_t depth;
} VocabWalk;

VocabWalk vocab_walk(const Vocab *vocab);
/** Step over one byte; false when no piece goes on that way. *id: the piece that ends here, or -1. */
bool vocab_step(const Vocab *vocab, VocabWalk *walk, unsigned char byte, int32_t *id);

#endif
