/* isa.h  Instruction set levels: what the machine can run, and their names for --isa. */
#ifndef CPU_ISA_H
#define CPU_ISA_H

#include <stdbool.h>

/** Mask of capabilities; a level includes what it builds on. */
typedef enum Isa {
    ISA_REF = 0,              /**< plain C: the meaning every variant is held to */
    ISA_AVX2 = 1,             /**< avx2, fma, f16c */
    ISA_AVX512 = 2 | 1,       /**< and avx512 f, bw, vl, dq */
    ISA_NEON = 4,             /**< AArch64 */
    ISA_VNNI = 8 | 2 | 1,     /**< and avx512 vnni: for products in int8 alone */
    ISA_BF16 = 16 | 8 | 2 | 1 /**< and avx512 bf16: for products in bf16 alone */
} Isa;

/** Best level that this processor and operating system can run. */
Isa isa_detect(void);
/** True when `have` can run kernels that need `need`. */
static inline bool isa_covers(Isa have, Isa need)
{
    return ((unsigned)have & (unsigned)need) == (unsigned)need;
}

/** "ref", "avx2", "avx512", "avx512vnni", "avx512bf16" or "neon". */
const char *isa_name(Isa isa);
/** Level of that name; false when unknown. It may not run here: compare with isa_detect. */
bool isa_parse(const char *name, Isa *out);

#endif
