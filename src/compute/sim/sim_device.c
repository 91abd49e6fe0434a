/* sim_device.c  Copies take as long as the link would: the rest of the time is slept. */
#include "compute/sim/sim_device.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "memory/slab.h"

/* Assumed where no speed is given, for forecasts. */
static const double MEMORY_BYTES_PER_SECOND = 8e9;

/* A card's memory is its own from the moment it is taken. Resident from the start, it can be told
 * from the rest of the process. */
static void make_resident(unsigned char *base, size_t bytes)
{
    const size_t page = 4096;
    for (size_t at = 0; at < bytes; at += page)
        *(volatile unsigned char *)(base + at) = 0;
}

static SnugStatus sim_open(void *self, size_t bytes, unsigned char **base, SnugError *err)
{
    (void)self;
    Slab slab;
    *base = NULL;
    TRY(slab_open(&slab, bytes, err));
    make_resident(slab.base, bytes);
    *base = slab.base;
    return SNUG_OK;
}

static void sim_close(void *self, unsigned char *base, size_t bytes)
{
    (void)self;
    Slab slab = { .base = base, .bytes = bytes };
    slab_close(&slab);
}

static void add_seconds(struct timespec *t, double seconds)
{
    const double whole = (double)(time_t)seconds;
    t->tv_sec += (time_t)seconds;
    t->tv_nsec += (long)((seconds - whole) * 1e9);
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
}

static SnugStatus sim_copy(void *self, void *to, const void *from, size_t bytes, SnugError *err)
{
    const SimDevice *sim = self;
    (void)err;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    memcpy(to, from, bytes);
    add_seconds(&until, (double)bytes / sim->memory.bytes_per_second);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
    return SNUG_OK;
}

static size_t sim_workspace(const void *self, const Op *op)
{
    const SimDevice *sim = self;
    return sim->cpu.workspace_bytes(sim->cpu.self, op);
}

static SnugStatus sim_execute(void *self, const Op *op, const OpPlaces *places, SnugError *err)
{
    SimDevice *sim = self;
    if (op->kind == OP_OUTPUT)
        return sim_copy(sim, places->staging, places->in[0], tensor_bytes(op->in[0]), err);
    if (op->kind != OP_INPUT && op->kind != OP_EMBED)
        return sim->cpu.execute(sim->cpu.self, op, places, err);
    OpPlaces on_host = *places;
    on_host.out = places->staging;
    TRY(sim->cpu.execute(sim->cpu.self, op, &on_host, err));
    return sim_copy(sim, places->out, places->staging, tensor_bytes(op->out), err);
}

void sim_device_init(SimDevice *sim, CpuDevice *cpu, size_t bytes, double bytes_per_second)
{
    *sim = (SimDevice){
        .cpu = cpu_device_table(cpu),
        .memory = { .bytes = bytes,
                    .in_process = true,
                    .bytes_per_second =
                        bytes_per_second > 0 ? bytes_per_second : MEMORY_BYTES_PER_SECOND,
                    .open = sim_open,
                    .close = sim_close,
                    .copy = sim_copy },
    };
}

Device sim_device_table(SimDevice *sim)
{
    return (Device){ .name = "sim",
                     .self = sim,
                     .workspace_bytes = sim_workspace,
                     .memory = &sim->memory,
                     .execute = sim_execute };
}
