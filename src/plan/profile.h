/* profile.h  How fast this machine is: what `snug doctor --measure` found, and forecasts from it.
 *
 * A profile is a set of rates per class of work (work.h), each a curve over one size, measured on
 * the device's own operations. It belongs to one machine, instruction set and thread count; another
 * thread count scales it and widens the error. Without one the defaults hold, with a wide error. */
#ifndef PLAN_PROFILE_H
#define PLAN_PROFILE_H

#include "base/text.h"
#include "plan/trace.h"

enum { PROFILE_POINTS = 8 };

/** Rate [FLOP/s, bytes/s] over size; between points the time per FLOP is interpolated over
 *  log(size), outside the nearest point holds. n = 0: not measured. */
typedef struct ProfileCurve {
    int n;
    int32_t size[PROFILE_POINTS]; /**< rising */
    double rate[PROFILE_POINTS];
} ProfileCurve;

/** Which machine was measured, with which kernels. */
typedef struct ProfileOwner {
    char cpu[160], isa[16];
    int cores, processors;
} ProfileOwner;

typedef struct MachineProfile {
    bool measured;                 /**< false: defaults */
    int threads;                   /**< that the rates hold for */
    ProfileOwner owner;            /**< of a measured one */
    ProfileCurve work[WORK_COUNT]; /**< with f32 weights; WORK_MOVE unused */
    ProfileCurve gemm[DT_COUNT];   /**< WORK_GEMM by OpWork.dtype; n = 0: as f32 */
    ProfileCurve move[OP_COUNT];   /**< bytes/s of kinds limited by memory, over KiB touched */
    double op_seconds;             /**< what any operation costs, whatever its size */
    double disk_cold;              /**< bytes/s of reading weights from the disk */
    double disk_first;             /**< from the page cache, every value looked at */
    double disk_warm;              /**< from the page cache */
    double cpu_cold, cpu_first, cpu_warm; /**< the same, bytes by second of processor time */
    double error; /**< a forecast f means f / (1 + error) .. f * (1 + error) */
} MachineProfile;

/** Rates of a usual machine of today, for want of better ones. */
MachineProfile profile_default(int threads);
/** The same machine with another number of threads: rates scaled, the error widened. */
void profile_scale_threads(MachineProfile *profile, int threads);

/** Seconds one recorded operation takes when nothing else runs. */
double profile_op_seconds(const MachineProfile *profile, const TraceOp *op);
/** Bytes/s of the first read of weights of which that part (0..1) is in the page cache. */
double profile_first_rate(const MachineProfile *profile, double cached);
/** The same by second of processor time. */
double profile_first_cpu_rate(const MachineProfile *profile, double cached);

/** Text of a profile as profile_read takes it; `when` is a date for people. */
void profile_write(TextBuilder *to, const MachineProfile *profile, const char *when);
/** Read and check a profile; what it lacks is taken from kinds that are near. SNUG_ERR_FILE: not
 *  there, malformed or out of range; *out is then unspecified. */
SNUG_MUST_USE SnugStatus profile_read(MachineProfile *out, Heap *heap, const char *path,
                                      SnugError *err);
/** SNUG_ERR_FILE, saying what differs, unless `profile` was measured on that machine with those
 *  kernels. */
SNUG_MUST_USE SnugStatus profile_check_owner(const MachineProfile *profile,
                                             const ProfileOwner *here, const char *path,
                                             SnugError *err);

#endif
