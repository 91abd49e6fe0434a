/* doctor.h  What `snug doctor` looks at, and what it has to say about it. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "base/machine.h"
#include "cli/gpu.h"

enum { DOCTOR_ADVICE = 48 };

/** Something misconfigured, or a setting of another tool that was recognised. */
typedef struct DoctorAdvice {
    char what[512];
    char command[256]; /**< that mends it; "" none */
} DoctorAdvice;

typedef struct Doctor {
    const char *root; /**< before /proc and /sys */
    MachineFacts facts;
    char kernel[128], governor[32], huge_pages[64]; /**< "" unknown */
    Gpu gpus[GPU_MAX];
    int n_gpus;
    GpuAnswer gpu_answer;
    char gpu_why[256];
    DoctorAdvice wrong[DOCTOR_ADVICE], settings[DOCTOR_ADVICE];
    int n_wrong, n_settings;
} Doctor;

/** Look at the machine; asks for graphics cards only when `root` is "". */
void doctor_look(Doctor *doctor, const char *root);
/** Fill `wrong` from what was seen, and `settings` from the environment. */
void doctor_judge(Doctor *doctor);
/** One more piece of advice; `command` may be NULL. */
__attribute__((format(printf, 3, 4))) void doctor_advise(Doctor *doctor, const char *command,
                                                         const char *format, ...);

#endif
