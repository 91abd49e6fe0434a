/* wan_tokenizer.c  Bytes from wherever they are. */
#include "pipelines/wan_tokenizer.h"

#include "base/error.h"
#include "base/fault.h"
#include "formats/gguf_words.h"

/* The tensor that is a spiece.model, perhaps behind a prefix. */
static const Entry *find_model(const Checkpoint *c)
{
    for (int32_t i = 0; i < checkpoint_count(c); i++) {
        const Entry *e = checkpoint_entry(c, i);
        if (e->dtype == DT_U8 && text_ends(e->name, "spiece_model")) return e;
    }
    return NULL;
}

bool wan_tokenizer_inside(const Checkpoint *text)
{
    return find_model(text) || gguf_words_has(text);
}

static SnugStatus read_model(const Checkpoint *c, const Entry *e, Arena *arena, TextView *out,
                             SnugError *err)
{
    if (e->bytes > TOKENIZER_MAX_FILE_BYTES)
        return fault_set(err, FAULT_TOO_LARGE, checkpoint_path(c), "tokenizer", e->name,
                         "got %zu bytes, limit %d", e->bytes, TOKENIZER_MAX_FILE_BYTES);
    char *bytes = arena_take(arena, e->bytes + 1);
    if (!bytes)
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for its tokenizer",
                         checkpoint_path(c));
    *out = (TextView){ bytes, e->bytes };
    return checkpoint_read(c, e, 0, e->bytes, bytes, err);
}

SnugStatus wan_tokenizer_open(Tokenizer **out, Heap *heap, const WanLayout *l, SnugError *err)
{
    *out = NULL;
    if (!l->tokenizer_inside) return tokenizer_open(out, heap, l->tokenizer, err);
    const Checkpoint *c = l->part[WAN_TEXT_ENCODER].weights;
    const Entry *model = find_model(c);
    TextView bytes = { 0 };
    Arena scratch;
    arena_init(&scratch, heap, "tokenizer");
    SnugStatus status = model ? read_model(c, model, &scratch, &bytes, err)
                              : gguf_words_retell(c, &scratch, &bytes, err);
    if (status == SNUG_OK) status = tokenizer_read(out, heap, bytes, l->tokenizer, err);
    arena_release(&scratch);
    return status;
}
