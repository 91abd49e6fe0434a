/* profile.c  Seconds from rates. */
#include "plan/profile.h"

#include <math.h>

/* Of one thread with AVX2: f32 work, memory, disk; for machines that were never measured. */
static const double THREAD_FLOPS = 40e9, THREAD_BYTES = 4e9, MEMORY_BYTES = 16e9, DISK_BYTES = 1e9;

enum { DEFAULT_ERROR_PERCENT = 100, THREADS_ERROR_PERCENT = 25 };

static ProfileCurve flat(double rate)
{
    return (ProfileCurve){ .n = 1, .size = { 1 }, .rate = { rate } };
}

MachineProfile profile_default(int threads)
{
    const double flops = THREAD_FLOPS * threads;
    MachineProfile p = { .threads = threads,
                         .op_seconds = 5e-6,
                         .disk_cold = DISK_BYTES,
                         .disk_first = 2 * DISK_BYTES,
                         .disk_warm = 4 * DISK_BYTES,
                         .cpu_cold = 2 * DISK_BYTES,
                         .cpu_first = 2 * DISK_BYTES,
                         .cpu_warm = 4 * DISK_BYTES,
                         .error = DEFAULT_ERROR_PERCENT / 100.0 };
    for (int i = 0; i < WORK_COUNT; i++)
        p.work[i] = flat(flops);
    /* Few rows are limited by reading the weights, 4 bytes for 2 FLOPs a row, and by widening them. */
    p.work[WORK_GEMM] =
        (ProfileCurve){ .n = 5,
                        .size = { 1, 16, 64, 256, 1024 },
                        .rate = { flops / 20, flops / 2, 0.8 * flops, 0.95 * flops, flops } };
    p.work[WORK_GEMM_NARROW] = p.work[WORK_GEMM];
    const double bytes = THREAD_BYTES * threads;
    for (int i = 0; i < OP_COUNT; i++)
        p.move[i] = flat(bytes < MEMORY_BYTES ? bytes : MEMORY_BYTES);
    return p;
}

static void scale(ProfileCurve *c, double by)
{
    for (int i = 0; i < c->n; i++)
        c->rate[i] *= by;
}

void profile_scale_threads(MachineProfile *p, int threads)
{
    if (threads == p->threads) return;
    const double by = (double)threads / p->threads;
    for (int i = 0; i < WORK_COUNT; i++)
        scale(&p->work[i], by);
    for (int i = 0; i < DT_COUNT; i++)
        scale(&p->gemm[i], by);
    for (int i = 0; i < OP_COUNT; i++)
        scale(&p->move[i], by);
    p->threads = threads;
    p->error += THREADS_ERROR_PERCENT / 100.0;
}

/* Seconds per FLOP or byte at `size`. */
static double cost(const ProfileCurve *c, int32_t size)
{
    if (size <= c->size[0]) return 1.0 / c->rate[0];
    for (int i = 1; i < c->n; i++) {
        if (size > c->size[i]) continue;
        const double part =
            log((double)size / c->size[i - 1]) / log((double)c->size[i] / c->size[i - 1]);
        return (1.0 - part) / c->rate[i - 1] + part / c->rate[i];
    }
    return 1.0 / c->rate[c->n - 1];
}

static int32_t kib(double bytes)
{
    const double n = bytes / 1024;
    return n < 1 ? 1 : n > INT32_MAX ? INT32_MAX : (int32_t)n;
}

/* Stored types that are not measured widen as these do. */
static DType measured_type(DType type)
{
    switch (type) {
    case DT_FP4:
        return DT_NF4;
    case DT_Q4_1:
        return DT_Q4_0;
    case DT_Q5_0:
    case DT_Q5_1:
        return DT_Q5_K;
    case DT_Q2_K:
    case DT_Q3_K:
        return DT_Q4_K;
    default:
        return type;
    }
}

double profile_op_seconds(const MachineProfile *p, const TraceOp *op)
{
    const OpWork w = op->work;
    if (w.class == WORK_MOVE)
        return p->op_seconds + op->bytes * cost(&p->move[op->kind], kib(op->bytes));
    double per_flop = cost(&p->work[w.class], w.size);
    const bool gemm = w.class == WORK_GEMM || w.class == WORK_GEMM_NARROW;
    const ProfileCurve *stored = &p->gemm[measured_type((DType)w.dtype)];
    if (gemm && stored->n && w.dtype != DT_F32)
        per_flop *= cost(stored, w.size) / cost(&p->work[WORK_GEMM], w.size);
    return p->op_seconds + op->flops * per_flop;
}

/* What comes from the disk waits for it, and costs the rest all the same. */
double profile_first_rate(const MachineProfile *p, double cached)
{
    const double from_disk = p->disk_cold < p->disk_first ? p->disk_cold : p->disk_first;
    return 1.0 / (cached / p->disk_first + (1.0 - cached) / from_disk);
}

/* What comes from the disk takes its reading and the look at every value. */
double profile_first_cpu_rate(const MachineProfile *p, double cached)
{
    const double look = 1.0 / p->cpu_first - 1.0 / p->cpu_warm;
    return 1.0 /
           (cached / p->cpu_first + (1.0 - cached) * (1.0 / p->cpu_cold + (look > 0 ? look : 0.0)));
}
