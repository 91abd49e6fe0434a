/* fuzz_model_index.c  Documents and the getters that read model_index.json; shard indexes, too. */
#include "fuzz.h"

#include "formats/model_index.h"
#include "formats/shard_index.h"

/* The first byte chooses the parser. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    Heap *heap = heap_create();
    Arena arena;
    SnugError err = { { 0 } };
    arena_init(&arena, heap, "fuzz");
    if (n > 0 && bytes[0] == 's') {
        ShardIndex index;
        const TextView text = { .at = (const char *)bytes + 1, .n = n - 1 };
        fuzz_check_status(shard_index_parse(&index, &arena, text, "f", &err), &err);
    } else {
        JsonDoc *doc;
        ModelIndex index;
        SnugStatus status = json_parse(&doc, heap, (const char *)bytes, n, "f", &err);
        if (status == SNUG_OK) status = model_index_read(&index, &arena, doc, &err);
        fuzz_check_status(status, &err);
        if (status == SNUG_OK) FUZZ_CHECK(index.class_name);
        json_close(doc);
    }
    arena_release(&arena);
    fuzz_check_heap(heap, n);
    return 0;
}
