/* fuzz_lora.c  A LoRA file from anywhere: names, ranks, scales, metadata. */
#include "fuzz.h"

#include "nn/lora.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    Heap *heap = heap_create();
    LoraSet *set;
    SnugError err = { { 0 } };
    char path[64], warnings[512] = "";
    int fd = fuzz_file(bytes, n, path);
    const LoraRequest request = { .path = path, .strength = 0.5, .experts = LORA_BOTH };
    const SnugStatus status = lora_open(&set, heap, &request, 1, &err);
    fuzz_check_status(status, &err);
    FUZZ_CHECK((status == SNUG_OK) == (set != NULL));
    if (set) {
        LoraModule *m;
        err.text[0] = '\0';
        fuzz_check_status(
            lora_find(set, 0, LORA_DENOISER, LORA_HIGH, "blocks.0.a", "x.0.a", &m, &err), &err);
        err.text[0] = '\0';
        fuzz_check_status(lora_check(set, false, warnings, sizeof warnings, &err), &err);
    }
    lora_close(set);
    (void)close(fd);
    fuzz_check_heap(heap, 64 * n);
    return 0;
}
