/* fuzz_gguf.c  A GGUF header from anywhere. What is accepted lies inside the file, nothing twice. */
#include "fuzz_entries.h"

#include "formats/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    fuzz_entries(bytes, n, gguf_read, DT_COUNT - 1, 8);
    return 0;
}
