/* doctor.c  Looking and judging. Advice only where snug itself would gain or fail. */
#include "cli/doctor.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const double GIB = 1073741824.0;

/* ---- looking -------------------------------------------------------------------------------- */

/* First line of a file below the root; "" when it cannot be read. */
static void read_line(const Doctor *d, const char *path, char *to, size_t room)
{
    char full[600];
    to[0] = '\0';
    (void)snprintf(full, sizeof full, "%s%s", d->root, path);
    FILE *file = fopen(full, "re");
    if (!file) return;
    if (!fgets(to, (int)room, file)) to[0] = '\0';
    to[strcspn(to, "\n")] = '\0';
    (void)fclose(file);
}

void doctor_look(Doctor *d, const char *root)
{
    *d = (Doctor){ .root = root };
    machine_read(&d->facts, root);
    read_line(d, "/proc/sys/kernel/osrelease", d->kernel, sizeof d->kernel);
    read_line(d, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", d->governor,
              sizeof d->governor);
    read_line(d, "/sys/kernel/mm/transparent_hugepage/enabled", d->huge_pages,
              sizeof d->huge_pages);
    if (!*root) d->gpu_answer = gpu_list(d->gpus, &d->n_gpus, d->gpu_why);
}

/* ---- judging -------------------------------------------------------------------------------- */

void doctor_advise(Doctor *d, const char *command, const char *format, ...)
{
    if (d->n_wrong == DOCTOR_ADVICE) return;
    DoctorAdvice *a = &d->wrong[d->n_wrong++];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(a->what, sizeof a->what, format, args);
    va_end(args);
    (void)snprintf(a->command, sizeof a->command, "%s", command ? command : "");
}

static void judge_memory(Doctor *d)
{
    const MachineFacts *f = &d->facts;
    const size_t swapped = f->swap_bytes - f->swap_free_bytes;
    if (f->swap_bytes && swapped > f->swap_bytes / 4)
        doctor_advise(
            d, "sudo swapoff -a && sudo swapon -a",
            "%.1f of %.1f GiB of swap are in use: memory that is paged out makes a budget "
            "as slow as the disk",
            (double)swapped / GIB, (double)f->swap_bytes / GIB);
    if (f->ram_bytes && f->available_bytes < f->ram_bytes / 4)
        doctor_advise(
            d, "ps aux --sort=-rss | head",
            "only %.1f of %.1f GiB of memory are available; other processes hold the rest",
            (double)f->available_bytes / GIB, (double)f->ram_bytes / GIB);
    const size_t room = machine_cgroup_room_bytes(f);
    if (room != SIZE_MAX && room < f->available_bytes / 2)
        doctor_advise(
            d, "systemd-run --user --scope -p MemoryMax=SIZE snug ...",
            "the memory cgroup %s leaves %.1f GiB although %.1f are available; the default "
            "budget keeps to it",
            f->cgroup, (double)room / GIB, (double)f->available_bytes / GIB);
    char text[32];
    read_line(d, "/proc/sys/vm/overcommit_memory", text, sizeof text);
    if (strcmp(text, "2") == 0)
        doctor_advise(d, "sudo sysctl vm.overcommit_memory=0",
                      "strict overcommit is on: reserving a large slab may be refused although the "
                      "memory is there");
    if (strstr(d->huge_pages, "[never]"))
        doctor_advise(d, "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
                      "huge pages are off: walking large tensors costs more address translation");
}

static void judge_processor(Doctor *d)
{
    if (d->governor[0] && strcmp(d->governor, "performance") != 0 &&
        strcmp(d->governor, "schedutil") != 0)
        doctor_advise(d, "sudo cpupower frequency-set -g performance",
                      "the frequency governor is \"%s\": cores may not reach their full clock",
                      d->governor);
    struct rlimit limit;
    if (!*d->root && getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        doctor_advise(d, "ulimit -v unlimited",
                      "the address space is limited to %.1f GiB; --ram is the limit to set instead",
                      (double)limit.rlim_cur / GIB);
}

static void judge_gpu(Doctor *d, int i)
{
    const Gpu *g = &d->gpus[i];
    char command[64];
    if (g->persistence == 0) {
        (void)snprintf(command, sizeof command, "sudo nvidia-smi -i %d -pm 1", i);
        doctor_advise(d, command,
                      "GPU %d: persistence mode is off: each start loads the driver anew", i);
    }
    if (g->limit_w > 0 && g->default_limit_w > 0 && g->limit_w < 0.98 * g->default_limit_w) {
        (void)snprintf(command, sizeof command, "sudo nvidia-smi -i %d -pl %.0f", i,
                       g->default_limit_w);
        doctor_advise(d, command, "GPU %d: the power limit is %.0f W, its default is %.0f W", i,
                      g->limit_w, g->default_limit_w);
    }
    if (g->memory_mib > 0 && g->used_mib > 0.1 * g->memory_mib)
        doctor_advise(d, "nvidia-smi", "GPU %d: other processes hold %.0f of %.0f MiB", i,
                      g->used_mib, g->memory_mib);
}

static void judge_gpus(Doctor *d)
{
    char text[128];
    read_line(d, "/proc/driver/nvidia/version", text, sizeof text);
    if (d->gpu_answer == GPU_FAILED)
        doctor_advise(d, "sudo dmesg | grep -i nvidia", "nvidia-smi fails: %s", d->gpu_why);
    else if (d->gpu_answer == GPU_NONE && text[0])
        doctor_advise(d, "sudo apt-get install nvidia-smi",
                      "the NVIDIA driver is loaded, but nvidia-smi shows no card");
    for (int i = 0; i < d->n_gpus; i++)
        judge_gpu(d, i);
}

/* Settings of the stacks that the supported models come with, and what is their like here. */
typedef struct Known {
    const char *name, *here, *command;
} Known;
static const Known KNOWN[] = {
    { "WAN_FORCE_FP16",
      "the original converts the whole model to fp16; here weights keep their stored type in "
      "memory "
      "and kernels widen them while computing, so nothing is to be set. To halve f32 files on "
      "disk, "
      "store them as f16 or bf16",
      "snug convert MODEL MODEL-f16/ --to f16" },
    { "WAN_COMPILE",
      "the original compiles the model by torch.compile; here kernels are compiled already and "
      "chosen "
      "at start by the instruction set",
      "snug run ... --isa NAME" },
    { "PYTORCH_CUDA_ALLOC_CONF",
      "tunes torch's allocator against fragmentation; here every tensor has a planned place in one "
      "slab, nothing is allocated while running, and the limit is one number",
      "snug run ... --ram SIZE" },
    { "PYTORCH_ALLOC_CONF", "the newer name of PYTORCH_CUDA_ALLOC_CONF: as there",
      "snug run ... --ram SIZE" },
    { "OMP_NUM_THREADS", "limits the threads of other tools; not read here", "--threads N" },
    { "MKL_NUM_THREADS", "limits the threads of other tools; not read here", "--threads N" },
};

static void judge_environment(Doctor *d)
{
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
        const char *value = getenv(KNOWN[i].name);
        if (!value) continue;
        DoctorAdvice *a = &d->settings[d->n_settings++];
        (void)snprintf(a->what, sizeof a->what, "%s=%.60s: %s", KNOWN[i].name, value,
                       KNOWN[i].here);
        (void)snprintf(a->command, sizeof a->command, "%s", KNOWN[i].command);
    }
}

void doctor_judge(Doctor *d)
{
    judge_memory(d);
    judge_processor(d);
    judge_gpus(d);
    judge_environment(d);
}
