/* variants.h  Walk over all variants of one kernel that this machine can run. */
#ifndef TESTS_COMPUTE_VARIANTS_H
#define TESTS_COMPUTE_VARIANTS_H

#include "test.h"

#include "compute/cpu/kernels.h"

typedef struct CpuVariant {
    const char *slot;     /**< as in kernels.def: "gemm_block", "pack[DT_F16]" */
    const char *function; /**< "gemm_block_avx2" */
    Isa need;
    void (*fn)(void); /**< cast to the slot's type */
} CpuVariant;

static const CpuVariant CPU_VARIANTS[] = {
#define KERNEL(slot, Type, need, fn) { #slot, #fn, ISA_##need, (void (*)(void))fn },
#include "compute/cpu/kernels.def"
#undef KERNEL
    { NULL, NULL, ISA_REF, NULL }
};

/** Next variant of `slot` after `at` (NULL: from the start) that runs here; names the others. */
static inline const CpuVariant *next_variant(const char *slot, const CpuVariant *at)
{
    for (at = at ? at + 1 : CPU_VARIANTS; at->slot; at++) {
        if (strcmp(at->slot, slot) != 0) continue;
        if (isa_covers(isa_detect(), at->need)) return at;
        print_message("SKIPPED: %s needs %s\n", at->function, isa_name(at->need));
    }
    return NULL;
}

/** for (EACH_VARIANT(v, "gemm_block")) check((GemmBlock *)v->fn); */
#define EACH_VARIANT(v, slot)                                                                      \
    const CpuVariant *v = next_variant(slot, NULL);                                                \
    v;                                                                                             \
    v = next_variant(slot, v)

#endif
