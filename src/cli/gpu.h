/* gpu.h  Graphics cards as nvidia-smi tells them; the command needs no driver to be built or run. */
#ifndef CLI_GPU_H
#define CLI_GPU_H

#include <stdbool.h>

enum { GPU_MAX = 32 };

/** Numbers < 0: not known. */
typedef struct Gpu {
    char name[96], driver[32];
    double memory_mib, used_mib;
    double power_w, limit_w, default_limit_w, most_limit_w; /**< drawn now; limits */
    double load_percent, temperature_c;
    int persistence; /**< 1 on, 0 off, -1 unknown */
} Gpu;

typedef enum GpuAnswer {
    GPU_NONE = 0, /**< no nvidia-smi, or it sees no card */
    GPU_FOUND,
    GPU_FAILED /**< nvidia-smi is there but fails or does not answer; see `why` */
} GpuAnswer;

/** Ask nvidia-smi, 10 s at most. */
GpuAnswer gpu_list(Gpu out[GPU_MAX], int *n, char why[256]);

#endif
