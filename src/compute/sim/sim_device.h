/* sim_device.h  A device made of host memory: its own slab, explicit copies at a given speed, and the
 * CPU's kernels. With it, three tiers are tested on any machine, and a small card is tried out. */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "compute/cpu/device.h"

typedef struct SimDevice {
    Device cpu;
    DeviceMemory memory;
} SimDevice;

/**
 * @param cpu               the kernels; borrowed
 * @param bytes             device memory
 * @param bytes_per_second  of copies between host and device; 0: as fast as memory goes
 */
void sim_device_init(SimDevice *sim, CpuDevice *cpu, size_t bytes, double bytes_per_second);
/** Table for a Run; borrows `sim`. */
Device sim_device_table(SimDevice *sim);

#endif
