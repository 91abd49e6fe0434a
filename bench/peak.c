/* peak.c  The limits of the machine: multiply-adds in registers, reads of memory. */
#include "bench.h"

#include "base/size.h"

/* 12 independent chains: the latency of an addition times the units that can begin one. */
enum { PEAK_CHAINS = 12, READ_UNIT = 1 << 20, LINE = 64 };
#define EACH_CHAIN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define BEGIN(i)       vec c##i = one * (float)i;
#define CHAIN(i)       __asm__ volatile(FMA : "+" REG(c##i) : REG_IN(x), REG_IN(one));
#define SUM(i)         one += c##i;

#if defined(__x86_64__)
#define REG(v)    "x"(v)
#define REG_IN(v) "x"(v)
#define FMA       "vfmadd231ps %1, %2, %0"
typedef float vec8 __attribute__((vector_size(32)));
__attribute__((target("avx2,fma"))) static float chains_avx2(int64_t loops)
{
    typedef vec8 vec;
    vec one = { 1, 1, 1, 1, 1, 1, 1, 1 }, x = one * 1e-9f;
    EACH_CHAIN(BEGIN)
    for (int64_t i = 0; i < loops; i++) {
        EACH_CHAIN(CHAIN)
    }
    EACH_CHAIN(SUM)
    return one[0];
}
typedef float vec16 __attribute__((vector_size(64)));
__attribute__((target("avx512f"))) static float chains_avx512(int64_t loops)
{
    typedef vec16 vec;
    vec one = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, x = one * 1e-9f;
    EACH_CHAIN(BEGIN)
    for (int64_t i = 0; i < loops; i++) {
        EACH_CHAIN(CHAIN)
    }
    EACH_CHAIN(SUM)
    return one[0];
}
#elif defined(__aarch64__)
#define REG(v)    "w"(v)
#define REG_IN(v) "w"(v)
#define FMA       "fmla %0.4s, %1.4s, %2.4s"
typedef float vec4 __attribute__((vector_size(16)));
static float chains_neon(int64_t loops)
{
    typedef vec4 vec;
    vec one = { 1, 1, 1, 1 }, x = one * 1e-9f;
    EACH_CHAIN(BEGIN)
    for (int64_t i = 0; i < loops; i++) {
        EACH_CHAIN(CHAIN)
    }
    EACH_CHAIN(SUM)
    return one[0];
}
#endif

/** Lanes of the widest vectors here; 0: not known. */
static int lanes_here(void)
{
    const Isa isa = isa_detect();
    return isa_covers(isa, ISA_AVX512) ? 16
           : isa_covers(isa, ISA_AVX2) ? 8
           : isa_covers(isa, ISA_NEON) ? 4
                                       : 0;
}

typedef struct Peak {
    const Bench *bench;
    int64_t amount; /* loops of a unit, or bytes in all */
    float sink[1024];
} Peak;

static void multiply_unit(void *context, int64_t unit, int worker)
{
    Peak *p = context;
    float *sink = &p->sink[unit % COUNT(p->sink)];
    (void)worker;
#if defined(__x86_64__)
    if (lanes_here() == 16)
        *sink = chains_avx512(p->amount);
    else
        *sink = chains_avx2(p->amount);
#elif defined(__aarch64__)
    *sink = chains_neon(p->amount);
#else
    *sink = 0.0f;
#endif
}

/** One word of every line: as much traffic as all of them. */
static void read_unit(void *context, int64_t unit, int worker)
{
    Peak *p = context;
    const Slab *slab = &p->bench->ahead;
    const size_t at = (size_t)unit * READ_UNIT % slab->bytes;
    uint32_t sum = 0;
    (void)worker;
    for (size_t i = 0; i < READ_UNIT; i += LINE)
        sum += *(const volatile uint32_t *)(const void *)(slab->base + at + i);
    p->sink[unit % COUNT(p->sink)] = (float)sum;
}

void peak_run(Bench *bench, BenchLimit limit, double amount)
{
    static Peak peak;
    const int64_t units = 4 * (int64_t)pool_threads(bench->pool);
    peak.bench = bench;
    if (limit == LIMIT_READ) {
        pool_run(bench->pool, (int64_t)amount / READ_UNIT, read_unit, &peak);
    } else if (lanes_here() > 0) {
        peak.amount = (int64_t)(amount / (2.0 * PEAK_CHAINS * lanes_here() * (double)units));
        pool_run(bench->pool, units, multiply_unit, &peak);
    }
}
