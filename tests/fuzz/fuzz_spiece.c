/* fuzz_spiece.c  Any bytes as a sentencepiece model; what can be read must also cut texts. */
#include "fuzz.h"

#include "text/spiece.h"

static const char *const TEXTS[] = { "", "a", " A  cat\t</s> e\xcc\x81 <x>\n\xe2\x96\x81 b",
                                     "\xc2\xa8 \xef\xac\x81 \xe3\x80\x80 \xf0\x9f\x99\x82 ab" };

static void encode_all(const Spiece *spiece, Heap *heap)
{
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        List ids;
        SnugError err = { { 0 } };
        list_init(&ids, heap, sizeof(int32_t));
        SnugStatus status =
            spiece_encode(spiece, (TextView){ TEXTS[i], strlen(TEXTS[i]) }, &ids, &err);
        fuzz_check_status(status, &err);
        const int32_t *id = ids.at;
        for (size_t k = 0; k < ids.n; k++)
            FUZZ_CHECK(id[k] >= 0 && (uint32_t)id[k] < spiece->vocab.n);
        list_release(&ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    Heap *heap = heap_create();
    Arena arena;
    SnugError err = { { 0 } };
    Spiece spiece;
    arena_init(&arena, heap, "fuzz");
    TextView view = { (const char *)bytes, n };
    SnugStatus status = spiece_read(&spiece, view, "f", &arena, &err);
    fuzz_check_status(status, &err);
    if (status == SNUG_OK) encode_all(&spiece, heap);
    arena_release(&arena);
    fuzz_check_heap(heap, n);
    return 0;
}
