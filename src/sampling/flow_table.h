/* flow_table.h  Noise levels and timesteps, in the arithmetic of numpy that the references use:
 * timesteps are cut to integers, so a last bit can decide which one the network is told. */
#ifndef SAMPLING_FLOW_TABLE_H
#define SAMPLING_FLOW_TABLE_H

#include "sampling/scheduler.h"

/** y[i] = numpy.linspace(start, stop, num)[i] for i < keep <= num, bit for bit. */
void flow_table_linspace(double *y, int keep, double start, double stop, int num);

/** Fill s->sigmas and s->timesteps; s->config, s->n and s->first are set and checked. */
SnugStatus flow_table_unipc(Scheduler *s, const SchedulerRun *run, SnugError *err);
SnugStatus flow_table_unipc_orig(Scheduler *s, const SchedulerRun *run, SnugError *err);
SnugStatus flow_table_euler(Scheduler *s, const SchedulerRun *run, SnugError *err);
SnugStatus flow_table_dpmpp(Scheduler *s, const SchedulerRun *run, SnugError *err);
SnugStatus flow_table_dpmpp_orig(Scheduler *s, const SchedulerRun *run, SnugError *err);

#endif
