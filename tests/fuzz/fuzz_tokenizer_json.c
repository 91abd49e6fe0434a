/* fuzz_tokenizer_json.c  Any bytes as tokenizer.json; what can be read must also cut texts. */
#include "fuzz.h"

#include "text/tokenizer.h"

static const char *const TEXTS[] = { "", "a", " A  cat\t</s> e\xcc\x81 <x>\n\xe2\x96\x81 b",
                                     "\xc2\xa8 \xef\xac\x81 \xe3\x80\x80 \xf0\x9f\x99\x82 ab" };

static void encode_all(const Tokenizer *t, Heap *heap)
{
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        Arena arena;
        SnugError err = { { 0 } };
        int32_t *ids;
        int64_t n;
        TextView text = { TEXTS[i], strlen(TEXTS[i]) };
        arena_init(&arena, heap, "fuzz");
        SnugStatus status = i % 2 ? tokenizer_encode(t, text, 64, &arena, &ids, &n, &err)
                                  : tokenizer_encode_plain(t, text, 0, &arena, &ids, &n, &err);
        /* a file without an unknown token makes an unknown character the caller's mistake */
        if (status != SNUG_ERR_ARG) fuzz_check_status(status, &err);
        for (int64_t k = 0; status == SNUG_OK && k < n; k++)
            FUZZ_CHECK(ids[k] >= 0 && ids[k] < tokenizer_n_ids(t));
        arena_release(&arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char path[64];
    Heap *heap = heap_create();
    SnugError err = { { 0 } };
    Tokenizer *t;
    int fd = fuzz_file(bytes, n, path);
    SnugStatus status = tokenizer_open(&t, heap, path, &err);
    fuzz_check_status(status, &err);
    FUZZ_CHECK((t != NULL) == (status == SNUG_OK));
    if (t) encode_all(t, heap);
    tokenizer_close(t);
    (void)close(fd);
    fuzz_check_heap(heap, n);
    return 0;
}
