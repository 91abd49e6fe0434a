/* slab.c  Anonymous mapping, with huge pages where the system offers them. */
#include "memory/slab.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_PAGE_BYTES = 2 << 20 };

SnugStatus slab_open(Slab *slab, size_t bytes, SnugError *err)
{
    *slab = (Slab){ 0 };
    if (!bytes) return SNUG_OK;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return error_set(err, SNUG_ERR_MEMORY, "the system refused a slab of %zu MiB: %s",
                         bytes >> 20, strerror(errno));
    /* Whole huge pages only: rounding up past the end would not be ours to count. */
    if (bytes >= HUGE_PAGE_BYTES)
        (void)madvise(base, bytes & ~(size_t)(HUGE_PAGE_BYTES - 1), MADV_HUGEPAGE);
    slab->base = base;
    slab->bytes = bytes;
    return SNUG_OK;
}

void slab_close(Slab *slab)
{
    if (slab->base) (void)munmap(slab->base, slab->bytes);
    *slab = (Slab){ 0 };
}

size_t slab_resident_bytes(const Slab *slab)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char in_core[1024];
    size_t pages = 0;
    for (size_t at = 0; slab->base && at < slab->bytes; at += page * sizeof in_core) {
        const size_t rest = slab->bytes - at, all = page * sizeof in_core;
        const size_t span = rest < all ? rest : all;
        if (mincore(slab->base + at, span, in_core) != 0) return 0;
        for (size_t i = 0; i * page < span; i++)
            pages += in_core[i] & 1;
    }
    return pages * page;
}

size_t slab_touched_bytes(const Slab *slab)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char in_core[1024];
    size_t touched = 0;
    for (size_t at = 0; at < slab->bytes; at += page * sizeof in_core) {
        size_t span =
            slab->bytes - at < page * sizeof in_core ? slab->bytes - at : page * sizeof in_core;
        if (mincore(slab->base + at, span, in_core) != 0) return 0;
        for (size_t i = 0; i * page < span; i++)
            if (in_core[i] & 1) touched = at + (i + 1) * page;
    }
    return touched < slab->bytes ? touched : slab->bytes;
}
