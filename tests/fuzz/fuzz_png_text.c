/* fuzz_png_text.c  Chunks of a PNG file, and what the text says of how the picture was made. */
#include "fuzz.h"

#include "media/png_text.h"
#include "pipelines/infotext.h"

static void take(void *context, const char *option, const char *value)
{
    (void)context;
    FUZZ_CHECK(option[0] && strlen(value) <= PNG_TEXT_MAX_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char *const KEYS[] = { "parameters", "snug", "k" };
    char path[64];
    int fd = fuzz_file(bytes, n, path);
    for (int i = 0; i < 3; i++) {
        Heap *heap = heap_create();
        Arena arena;
        SnugError err = { { 0 } };
        const char *text = NULL;
        arena_init(&arena, heap, "fuzz");
        SnugStatus status = png_text_read(&arena, path, KEYS[i], &text, &err);
        fuzz_check_status(status, &err);
        if (text) (void)infotext_read(text, &arena, take, NULL);
        arena_release(&arena);
        fuzz_check_heap(heap, n);
    }
    (void)close(fd);
    return 0;
}
