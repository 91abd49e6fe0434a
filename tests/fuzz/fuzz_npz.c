/* fuzz_npz.c  A NumPy archive from anywhere. What is accepted lies inside the file. */
#include "fuzz_entries.h"

#include "formats/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    fuzz_entries(bytes, n, npz_read, DT_COUNT, 16);
    return 0;
}
