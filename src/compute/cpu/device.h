/* device.h  The CPU as a device: every operation of the table on all threads of a pool. */
#ifndef CPU_DEVICE_H
#define CPU_DEVICE_H

#include "base/pool.h"
#include "compute/cpu/kernels.h"
#include "compute/run.h"

typedef struct CpuDevice {
    Kernels kernels;
    Pool *pool; /**< borrowed */
} CpuDevice;

/** `isa` must be covered by isa_detect(). Allocates nothing; the device borrows `pool`. */
void cpu_device_init(CpuDevice *cpu, Pool *pool, Isa isa);
/** Table for a Run; borrows `cpu`. */
Device cpu_device_table(CpuDevice *cpu);

#endif
