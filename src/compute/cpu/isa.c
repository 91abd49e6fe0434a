/* isa.c  Ask the processor (cpuid) and the operating system (xgetbv) which registers may be used. */
#include "compute/cpu/isa.h"

#include <string.h>

#include "base/size.h"

#if defined(__x86_64__)

#include <cpuid.h>

enum { XCR0_YMM = 0x6, XCR0_ZMM = 0xe6 }; /* state the system saves on a task switch */

static unsigned long long saved_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long long)high << 32 | low;
}

Isa isa_detect(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return ISA_REF;
    const unsigned need = bit_FMA | bit_F16C | bit_AVX | bit_OSXSAVE;
    if ((c & need) != need) return ISA_REF;
    const unsigned long long state = saved_state();
    if ((state & XCR0_YMM) != XCR0_YMM) return ISA_REF;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return ISA_REF;
    const unsigned wide = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    if ((b & wide) != wide || (state & XCR0_ZMM) != XCR0_ZMM) return ISA_AVX2;
    if (!(c & bit_AVX512VNNI)) return ISA_AVX512;
    const unsigned last_leaf = a;
    if (last_leaf < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d)) return ISA_VNNI;
    return a & bit_AVX512BF16 ? ISA_BF16 : ISA_VNNI; /* no processor has it without VNNI */
}

#elif defined(__aarch64__)

Isa isa_detect(void)
{
    return ISA_NEON; /* part of the base architecture */
}

#else

Isa isa_detect(void)
{
    return ISA_REF;
}

#endif

static const struct {
    const char *name;
    Isa isa;
} NAMES[] = { { "ref", ISA_REF },   { "avx2", ISA_AVX2 },       { "avx512", ISA_AVX512 },
              { "neon", ISA_NEON }, { "avx512vnni", ISA_VNNI }, { "avx512bf16", ISA_BF16 } };

const char *isa_name(Isa isa)
{
    for (size_t i = 0; i < COUNT(NAMES); i++)
        if (NAMES[i].isa == isa) return NAMES[i].name;
    return "unknown";
}

bool isa_parse(const char *name, Isa *out)
{
    for (size_t i = 0; i < COUNT(NAMES); i++)
        if (strcmp(NAMES[i].name, name) == 0) {
            *out = NAMES[i].isa;
            return true;
        }
    return false;
}
