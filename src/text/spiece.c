/* spiece.c  Source: formats spec 9.4; google/sentencepiece src/sentencepiece_model.proto,
 * src/normalizer.cc, src/model_interface.cc. */
#include "text/spiece.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "text/protobuf.h"

static const char FORMAT[] = "sentencepiece";
static const char MARK[] = "\xe2\x96\x81"; /* U+2581, what stands for a space */
enum { MARK_BYTES = sizeof MARK - 1, MODEL_UNIGRAM = 1, NO_ID = -1 };

/* ---- reading ---- */

/** Where reading stands; everything the helpers need. */
typedef struct Reader {
    Spiece *spiece;
    Arena *arena;
    const char *file;
    SnugError *err;
    uint64_t model_type;
    bool byte_fallback;
    int64_t eos_id, pad_id; /* as the trainer_spec says */
} Reader;

__attribute__((format(printf, 4, 5))) static SnugStatus
refuse(const Reader *reader, Fault fault, const char *where, const char *what, ...)
{
    char text[256];
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof text, what, args);
    va_end(args);
    return fault_set(reader->err, fault, reader->file, FORMAT, where, "%s", text);
}

/* The end of a walk: was all of the message well formed? */
static SnugStatus check(const Reader *reader, const Protobuf *walk, const char *where)
{
    if (!walk->fault) return SNUG_OK;
    return refuse(reader, FAULT_BAD, where, "%s (byte %zu)", walk->fault, walk->at);
}

static SnugStatus read_trainer(Reader *reader, TextView message)
{
    Protobuf walk = { .bytes = message };
    for (ProtobufField f; protobuf_next(&walk, &f);) {
        if (f.wire != PROTOBUF_VARINT) continue;
        /* enum and int32 values are 64 bits wide in the file, negative ones sign-extended */
        if (f.number == 3) reader->model_type = f.value;
        if (f.number == 24) reader->spiece->suffix = f.value != 0;
        if (f.number == 35) reader->byte_fallback = f.value != 0;
        if (f.number == 42) reader->eos_id = (int64_t)f.value;
        if (f.number == 43) reader->pad_id = (int64_t)f.value;
    }
    return check(reader, &walk, "trainer_spec");
}

static SnugStatus read_rules(Reader *reader, TextView message)
{
    Spiece *spiece = reader->spiece;
    Protobuf walk = { .bytes = message };
    for (ProtobufField f; protobuf_next(&walk, &f);) {
        if (f.number == 2 && f.wire == PROTOBUF_BYTES && f.bytes.n) {
            const char *kept = arena_text(reader->arena, f.bytes.at, f.bytes.n);
            if (!kept)
                return error_set(reader->err, SNUG_ERR_MEMORY, "%s: no memory", reader->file);
            const char *wrong = charsmap_init(&spiece->map, (TextView){ kept, f.bytes.n });
            if (wrong) return refuse(reader, FAULT_BAD, "normalizer_spec", "%s", wrong);
            spiece->has_map = true;
        }
        if (f.wire != PROTOBUF_VARINT) continue;
        if (f.number == 3) spiece->dummy_prefix = f.value != 0;
        if (f.number == 4) spiece->remove_extra = f.value != 0;
        if (f.number == 5) spiece->escape = f.value != 0;
    }
    return check(reader, &walk, "normalizer_spec");
}

typedef struct SpiecePiece {
    TextView text;
    float score;
    uint64_t kind;
} SpiecePiece;

static SnugStatus read_piece(const Reader *reader, TextView message, uint32_t id, SpiecePiece *out)
{
    char where[32];
    Protobuf walk = { .bytes = message };
    *out = (SpiecePiece){ .kind = VOCAB_NORMAL };
    for (ProtobufField f; protobuf_next(&walk, &f);) {
        if (f.number == 1 && f.wire == PROTOBUF_BYTES) out->text = f.bytes;
        if (f.number == 2 && f.wire == PROTOBUF_FIXED32) out->score = protobuf_float(&f);
        if (f.number == 3 && f.wire == PROTOBUF_VARINT) out->kind = f.value;
    }
    (void)snprintf(where, sizeof where, "piece %u", id);
    TRY(check(reader, &walk, where));
    if (out->text.n == 0) return refuse(reader, FAULT_BAD, where, "empty piece");
    if (out->text.n > VOCAB_MAX_PIECE_BYTES)
        return refuse(reader, FAULT_TOO_LARGE, where, "got %zu bytes, limit %d", out->text.n,
                      VOCAB_MAX_PIECE_BYTES);
    if (text_utf8_check(out->text.at, out->text.n) < out->text.n)
        return refuse(reader, FAULT_BAD_TEXT, where, "invalid UTF-8");
    if (!isfinite(out->score)) return refuse(reader, FAULT_BAD, where, "score is no finite number");
    if (out->kind < VOCAB_NORMAL || out->kind > VOCAB_BYTE)
        return refuse(reader, FAULT_UNSUPPORTED, where, "piece of type %llu",
                      (unsigned long long)out->kind);
    return SNUG_OK;
}

/* Everything but the pieces, and how many pieces of together how many bytes there are. */
static SnugStatus survey(Reader *reader, TextView bytes, uint32_t *n, size_t *text_bytes)
{
    Protobuf walk = { .bytes = bytes };
    *n = 0;
    *text_bytes = 0;
    for (ProtobufField f; protobuf_next(&walk, &f);) {
        if (f.wire != PROTOBUF_BYTES) continue;
        if (f.number == 1) {
            SpiecePiece piece;
            if (*n == VOCAB_MAX_PIECES)
                return refuse(reader, FAULT_TOO_LARGE, NULL, "more than %d pieces",
                              VOCAB_MAX_PIECES);
            TRY(read_piece(reader, f.bytes, (*n)++, &piece));
            *text_bytes += piece.text.n;
        }
        if (f.number == 2) TRY(read_trainer(reader, f.bytes));
        if (f.number == 3) TRY(read_rules(reader, f.bytes));
    }
    TRY(check(reader, &walk, NULL));
    if (*n == 0) return refuse(reader, FAULT_MISSING, NULL, "no pieces: not a sentencepiece model");
    if (reader->model_type != MODEL_UNIGRAM)
        return refuse(reader, FAULT_UNSUPPORTED, "trainer_spec",
                      "model_type %llu (1, unigram, is what is read)",
                      (unsigned long long)reader->model_type);
    return SNUG_OK;
}

static SnugStatus fill(const Reader *reader, TextView bytes, uint32_t n, size_t text_bytes)
{
    Spiece *spiece = reader->spiece;
    int32_t twin;
    if (!vocab_init(&spiece->vocab, n, text_bytes, reader->arena))
        return error_set(reader->err, SNUG_ERR_MEMORY, "%s: no memory for %u pieces", reader->file,
                         n);
    Protobuf walk = { .bytes = bytes };
    for (ProtobufField f; protobuf_next(&walk, &f);) {
        SpiecePiece piece;
        if (f.number != 1 || f.wire != PROTOBUF_BYTES) continue;
        TRY(read_piece(reader, f.bytes, spiece->vocab.n, &piece));
        vocab_push(&spiece->vocab, piece.text, (double)piece.score, (VocabKind)piece.kind);
    }
    if (!vocab_seal(&spiece->vocab, reader->arena->heap, &twin))
        return error_set(reader->err, SNUG_ERR_MEMORY, "%s: no memory to sort", reader->file);
    if (twin >= 0) {
        char shown[TEXT_ESCAPED];
        TextView piece = vocab_piece(&spiece->vocab, (uint32_t)twin);
        return refuse(reader, FAULT_DUPLICATE, NULL, "piece '%.80s' twice",
                      text_escape(shown, piece.at, piece.n));
    }
    return SNUG_OK;
}

/* Scores, the unknown piece and the user-defined symbols. */
static SnugStatus settle_kinds(const Reader *reader)
{
    Spiece *spiece = reader->spiece;
    const Vocab *vocab = &spiece->vocab;
    float min = FLT_MAX;
    uint32_t n_users = 0;
    size_t user_bytes = 0;
    for (uint32_t i = 0; i < vocab->n; i++) {
        const float score = (float)vocab->score[i];
        if (vocab->kind[i] == VOCAB_NORMAL && score < min) min = score;
        if (vocab->kind[i] == VOCAB_UNKNOWN && spiece->unk_id >= 0)
            return refuse(reader, FAULT_DUPLICATE, NULL, "two unknown pieces (%d and %u)",
                          spiece->unk_id, i);
        if (vocab->kind[i] == VOCAB_UNKNOWN) spiece->unk_id = (int32_t)i;
        if (vocab->kind[i] != VOCAB_USER) continue;
        n_users++;
        user_bytes += vocab_piece(vocab, i).n;
    }
    if (spiece->unk_id < 0) return refuse(reader, FAULT_MISSING, NULL, "no unknown piece");
    spiece->unigram.unk_score = (double)(min - 10.0f);
    int32_t twin;
    bool good = vocab_init(&spiece->users, n_users, user_bytes, reader->arena);
    for (uint32_t i = 0; good && i < vocab->n; i++)
        if (vocab->kind[i] == VOCAB_USER)
            vocab_push(&spiece->users, vocab_piece(vocab, i), 0, VOCAB_USER);
    if (!good || !vocab_seal(&spiece->users, reader->arena->heap, &twin))
        return error_set(reader->err, SNUG_ERR_MEMORY, "%s: no memory", reader->file);
    spiece->has_users = n_users > 0;
    return SNUG_OK;
}

static SnugStatus settle_bytes(const Reader *reader)
{
    Spiece *spiece = reader->spiece;
    const Vocab *vocab = &spiece->vocab;
    Unigram *unigram = &spiece->unigram;
    vocab_find_bytes(vocab, unigram->byte_id);
    for (int b = 0; reader->byte_fallback && b < 256; b++)
        if (unigram->byte_id[b] < 0 || vocab->kind[unigram->byte_id[b]] != VOCAB_BYTE)
            return refuse(reader, FAULT_MISSING, NULL, "byte_fallback without the piece <0x%02X>",
                          (unsigned)b);
    for (uint32_t i = 0; i < vocab->n; i++) {
        if (vocab->kind[i] != VOCAB_BYTE) continue;
        bool known = false;
        for (int b = 0; b < 256 && !known; b++)
            known = unigram->byte_id[b] == (int32_t)i;
        if (!known || !reader->byte_fallback)
            return refuse(reader, FAULT_BAD, NULL, "byte piece %u %s", i,
                          known ? "without byte_fallback" : "that stands for no byte");
    }
    unigram->byte_fallback = reader->byte_fallback;
    return SNUG_OK;
}

/* An id of the trainer_spec: a control piece, or none. */
static int32_t control_id(const Vocab *vocab, int64_t id, const char *name)
{
    if (id >= 0 && id < vocab->n && vocab->kind[id] == VOCAB_CONTROL) return (int32_t)id;
    int32_t named = vocab_find(vocab, (TextView){ name, strlen(name) });
    return named >= 0 && vocab->kind[named] == VOCAB_CONTROL ? named : NO_ID;
}

SnugStatus spiece_read(Spiece *spiece, TextView bytes, const char *file, Arena *arena,
                       SnugError *err)
{
    uint32_t n;
    size_t text_bytes;
    Reader reader = { .spiece = spiece,
                      .arena = arena,
                      .file = file,
                      .err = err,
                      .model_type = MODEL_UNIGRAM,
                      .eos_id = 2,
                      .pad_id = NO_ID };
    *spiece =
        (Spiece){ .dummy_prefix = true, .remove_extra = true, .escape = true, .unk_id = NO_ID };
    TRY(survey(&reader, bytes, &n, &text_bytes));
    TRY(fill(&reader, bytes, n, text_bytes));
    spiece->unigram = (Unigram){
        .vocab = &spiece->vocab,
        .sentencepiece = true,
        .skip = 1u << VOCAB_UNKNOWN | 1u << VOCAB_CONTROL | 1u << VOCAB_UNUSED | 1u << VOCAB_BYTE,
    };
    TRY(settle_kinds(&reader));
    TRY(settle_bytes(&reader));
    spiece->unigram.unk_id = spiece->unk_id;
    spiece->eos_id = control_id(&spiece->vocab, reader.eos_id, "</s>");
    spiece->pad_id = control_id(&spiece->vocab, reader.pad_id, "<pad>");
    return SNUG_OK;
}

/* ---- encoding ---- */

/* What the front of `text` becomes: a user symbol itself, what the longest rule says, or one
 * character. Returns how many bytes were read, 0 when the table is broken. */
static size_t next_chunk(const Spiece *spiece, TextView text, TextView *to)
{
    size_t n = 0;
    if (spiece->has_users) {
        VocabWalk walk = vocab_walk(&spiece->users);
        int32_t id;
        for (size_t i = 0; i < text.n; i++) {
            if (!vocab_step(&spiece->users, &walk, (unsigned char)text.at[i], &id)) break;
            if (id >= 0) n = i + 1;
        }
        *to = (TextView){ text.at, n };
        if (n) return n;
    }
    CharsmapHit hit = CHARSMAP_MISS;
    if (spiece->has_map) hit = charsmap_match(&spiece->map, text, CHARSMAP_LONGEST, &n, to);
    if (hit == CHARSMAP_BROKEN) return 0;
    if (hit == CHARSMAP_HIT) return n;
    (void)text_utf8_next(text.at, text.n, &n);
    *to = (TextView){ text.at, n };
    return n;
}

static void add_escaped(const Spiece *spiece, TextView chunk, TextBuilder *out)
{
    for (size_t i = 0; i < chunk.n; i++) {
        bool space = spiece->escape && chunk.at[i] == ' ';
        text_add(out, space ? MARK : chunk.at + i, space ? MARK_BYTES : 1);
    }
}

static void drop_trailing_marks(const Spiece *spiece, TextBuilder *out)
{
    const char *mark = spiece->escape ? MARK : " ";
    const size_t n = strlen(mark);
    while (out->n >= n && memcmp(out->at + out->n - n, mark, n) == 0)
        out->n -= n;
}

/* False: the table is broken. */
static bool normalise(const Spiece *spiece, TextView text, TextBuilder *out)
{
    const TextView space = { " ", 1 };
    bool after_space = spiece->remove_extra;
    TextView chunk;
    size_t n = 0;
    while (text.n && spiece->remove_extra) { /* chunks that are just a space, at the front */
        n = next_chunk(spiece, text, &chunk);
        if (n == 0) return false;
        if (!text_equal(chunk, space)) break;
        text = (TextView){ text.at + n, text.n - n };
    }
    if (text.n == 0) return true;
    if (spiece->dummy_prefix && !spiece->suffix) add_escaped(spiece, space, out);
    for (; text.n; text = (TextView){ text.at + n, text.n - n }) {
        n = next_chunk(spiece, text, &chunk);
        if (n == 0) return false;
        while (after_space && chunk.n && chunk.at[0] == ' ')
            chunk = (TextView){ chunk.at + 1, chunk.n - 1 };
        add_escaped(spiece, chunk, out);
        if (chunk.n) after_space = chunk.at[chunk.n - 1] == ' ';
        after_space &= spiece->remove_extra;
    }
    if (spiece->remove_extra) drop_trailing_marks(spiece, out);
    if (spiece->dummy_prefix && spiece->suffix) add_escaped(spiece, space, out);
    return true;
}

SnugStatus spiece_encode(const Spiece *spiece, TextView text, List *ids, SnugError *err)
{
    TextBuilder normal;
    SnugStatus status;
    text_init(&normal, ids->heap, "text");
    if (!normalise(spiece, text, &normal))
        status =
            error_set(err, SNUG_ERR_FILE, "tokenizer: the normalisation table leads out of itself");
    else if (normal.failed)
        status = error_set(err, SNUG_ERR_MEMORY, "tokenizer: no memory for text");
    else
        status = unigram_encode(&spiece->unigram, (TextView){ normal.at, normal.n }, 0, ids, err);
    text_release(&normal);
    return status;
}
