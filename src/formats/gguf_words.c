/* gguf_words.c  Source: llama.cpp's metadata keys; google/sentencepiece src/sentencepiece_model.proto. */
#include "formats/gguf_words.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "formats/gguf_cursor.h"

/* Types of elements in GGUF. */
enum { TYPE_U8 = 0, TYPE_I8 = 1, TYPE_I32 = 5, TYPE_F32 = 6, TYPE_STRING = 8 };
/* Wire types of protobuf. */
enum { WIRE_VARINT = 0, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

#define KEY(name) "tokenizer.ggml." name

bool gguf_words_has(const Checkpoint *c)
{
    const File *file;
    const char *model = checkpoint_metadata(c, KEY("model"));
    return model && strcmp(model, "t5") == 0 && checkpoint_array(c, KEY("tokens"), &file);
}

static SnugStatus no_memory(const Checkpoint *c, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for its vocabulary", checkpoint_path(c));
}

static SnugStatus refuse(const Checkpoint *c, Fault fault, const char *key, const char *what,
                         SnugError *err)
{
    return fault_set(err, fault, checkpoint_path(c), "gguf", key, "%s", what);
}

/* ---- protobuf ------------------------------------------------------------------------------- */

static void put_varint(TextBuilder *b, uint64_t value)
{
    do {
        const char byte = (char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        text_add(b, &byte, 1);
        value >>= 7;
    } while (value);
}

static void put_number(TextBuilder *b, unsigned field, uint64_t value)
{
    put_varint(b, field << 3 | WIRE_VARINT);
    put_varint(b, value);
}

static size_t varint_bytes(uint64_t value)
{
    size_t n = 1;
    while (value >>= 7)
        n++;
    return n;
}

static void put_bytes(TextBuilder *b, unsigned field, const char *at, size_t n)
{
    put_varint(b, field << 3 | WIRE_BYTES);
    put_varint(b, n);
    text_add(b, at, n);
}

/* ModelProto.pieces: piece, score, type. */
static void put_piece(TextBuilder *b, TextView piece, const unsigned char score[4], uint32_t kind)
{
    const size_t n = 1 + varint_bytes(piece.n) + piece.n + 1 + 4 + 1 + varint_bytes(kind);
    put_varint(b, 1 << 3 | WIRE_BYTES);
    put_varint(b, n);
    put_bytes(b, 1, piece.at, piece.n);
    put_varint(b, 2 << 3 | WIRE_FIXED32);
    text_add(b, (const char *)score, 4); /* little-endian on both sides */
    put_number(b, 3, kind);
}

/* ---- arrays --------------------------------------------------------------------------------- */

/* An array of `n` elements of 1 or 4 bytes, whole; NULL when it is not there. */
static SnugStatus read_array(const Checkpoint *c, const char *key, uint32_t type, uint64_t n,
                             Arena *arena, unsigned char **out, SnugError *err)
{
    const File *file;
    const EntryArray *a = checkpoint_array(c, key, &file);
    const size_t width = type == TYPE_I8 ? 1 : 4;
    *out = NULL;
    if (!a) return SNUG_OK;
    if (a->type != type && !(type == TYPE_I8 && a->type == TYPE_U8))
        return refuse(c, FAULT_BAD, key, "elements of another type than llama.cpp writes", err);
    if (a->n != n)
        return refuse(c, FAULT_MISMATCH, key, "another number of elements than there are tokens",
                      err);
    *out = arena_take(arena, (size_t)n * width + 1);
    if (!*out) return no_memory(c, err);
    return file_pread_all(file, a->offset, *out, (size_t)n * width, err);
}

static SnugStatus put_pieces(const Checkpoint *c, Arena *scratch, TextBuilder *b, SnugError *err)
{
    const File *file;
    unsigned char *scores, *kinds;
    const EntryArray *tokens = checkpoint_array(c, KEY("tokens"), &file);
    if (tokens->type != TYPE_STRING) return refuse(c, FAULT_BAD, KEY("tokens"), "no strings", err);
    if (tokens->n > GGUF_WORDS_MAX)
        return refuse(c, FAULT_TOO_LARGE, KEY("tokens"), "more than 2097152 tokens", err);
    TRY(read_array(c, KEY("scores"), TYPE_F32, tokens->n, scratch, &scores, err));
    TRY(read_array(c, KEY("token_type"), TYPE_I32, tokens->n, scratch, &kinds, err));
    if (!scores || !kinds)
        return refuse(c, FAULT_MISSING, scores ? KEY("token_type") : KEY("scores"),
                      "the array is not there", err);
    GgufCursor *cursor = arena_take(scratch, sizeof *cursor);
    if (!cursor) return no_memory(c, err);
    cursor->file = file;
    cursor->err = err;
    cursor->at = tokens->offset;
    char piece[GGUF_WORDS_MAX_PIECE];
    for (uint64_t i = 0; i < tokens->n; i++) {
        const uint64_t n = gguf_cursor_number(cursor, 8);
        if (cursor->status == SNUG_OK && n > sizeof piece)
            return refuse(c, FAULT_TOO_LARGE, KEY("tokens"), "a token of more than 1024 bytes",
                          err);
        if (!gguf_cursor_bytes(cursor, piece, (size_t)n)) return cursor->status;
        uint32_t kind;
        memcpy(&kind, kinds + 4 * i, sizeof kind);
        put_piece(b, (TextView){ piece, (size_t)n }, scores + 4 * i, kind);
        if (b->n > GGUF_WORDS_MAX_BYTES)
            return refuse(c, FAULT_TOO_LARGE, KEY("tokens"), "more than 64 MiB of text", err);
    }
    return SNUG_OK;
}

/* ---- the other messages --------------------------------------------------------------------- */

static bool is_set(const Checkpoint *c, const char *key, bool otherwise)
{
    const char *text = checkpoint_metadata(c, key);
    return text ? strcmp(text, "0") != 0 : otherwise;
}

static void put_id(const Checkpoint *c, const char *key, unsigned field, TextBuilder *b)
{
    const char *text = checkpoint_metadata(c, key);
    if (text) put_number(b, field, strtoull(text, NULL, 10));
}

/* TrainerSpec: unigram; ids of </s> and <pad>. */
static void put_trainer(const Checkpoint *c, Heap *heap, TextBuilder *b)
{
    TextBuilder spec;
    text_init(&spec, heap, "vocabulary");
    put_number(&spec, 3, 1);
    put_id(c, KEY("eos_token_id"), 42, &spec);
    put_id(c, KEY("padding_token_id"), 43, &spec);
    put_bytes(b, 2, spec.at, spec.n);
    b->failed |= spec.failed;
    text_release(&spec);
}

static SnugStatus put_rules(const Checkpoint *c, Arena *scratch, TextBuilder *b, SnugError *err)
{
    const File *file;
    unsigned char *map = NULL;
    const EntryArray *a = checkpoint_array(c, KEY("precompiled_charsmap"), &file);
    if (a && a->n > GGUF_WORDS_MAX_BYTES)
        return refuse(c, FAULT_TOO_LARGE, a->key, "more than 64 MiB", err);
    if (a) TRY(read_array(c, a->key, TYPE_I8, a->n, scratch, &map, err));
    TextBuilder spec;
    text_init(&spec, scratch->heap, "vocabulary");
    if (a) put_bytes(&spec, 2, (const char *)map, (size_t)a->n);
    put_number(&spec, 3, is_set(c, KEY("add_space_prefix"), true));
    put_number(&spec, 4, is_set(c, KEY("remove_extra_whitespaces"), true));
    put_bytes(b, 3, spec.at, spec.n);
    b->failed |= spec.failed;
    text_release(&spec);
    return SNUG_OK;
}

static SnugStatus retell(const Checkpoint *c, Arena *scratch, Arena *arena, TextView *out,
                         SnugError *err)
{
    TextBuilder b;
    text_init(&b, scratch->heap, "vocabulary");
    SnugStatus status = put_pieces(c, scratch, &b, err);
    put_trainer(c, scratch->heap, &b);
    if (status == SNUG_OK) status = put_rules(c, scratch, &b, err);
    const char *kept = status == SNUG_OK && !b.failed ? arena_text(arena, b.at, b.n) : NULL;
    *out = (TextView){ kept, b.n };
    text_release(&b);
    if (status == SNUG_OK && !kept) return no_memory(c, err);
    return status;
}

SnugStatus gguf_words_retell(const Checkpoint *c, Arena *arena, TextView *out, SnugError *err)
{
    Arena scratch;
    arena_init(&scratch, arena->heap, "vocabulary");
    const SnugStatus status = retell(c, &scratch, arena, out, err);
    arena_release(&scratch);
    return status;
}
