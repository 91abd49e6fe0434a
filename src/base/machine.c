/* machine.c  Reads /proc and the cgroup tree; every missing file just means "not known". */
#include "base/machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CGROUPS "/sys/fs/cgroup"

enum { MAX_CORES = 1024 };

size_t machine_kib_line(const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    char line[256];
    size_t bytes = 0;
    while (fgets(line, sizeof line, file)) {
        unsigned long long kib;
        if (strncmp(line, key, strlen(key)) == 0 &&
            sscanf(line + strlen(key), ": %llu", &kib) == 1) {
            bytes = (size_t)kib * 1024;
            break;
        }
    }
    (void)fclose(file);
    return bytes;
}

/* ---- processor ------------------------------------------------------------------------------ */

/* "key<tab>: value\n" -> value in place; NULL for another key. */
static char *value_of(char *line, const char *key)
{
    const size_t n = strlen(key);
    if (strncmp(line, key, n) != 0) return NULL;
    char *at = line + n + strspn(line + n, " \t");
    if (*at != ':') return NULL;
    at += strspn(at, ": \t");
    at[strcspn(at, "\n")] = '\0';
    return at;
}

/* What /proc/cpuinfo tells of the first processor, and the cores seen so far. */
typedef struct CpuInfo {
    char name[96], family[16], model[16], implementer[16], part[16];
    int package;
    int seen[MAX_CORES], n_seen; /* package * 65536 + core */
} CpuInfo;

static void keep_first(char *to, size_t room, const char *value)
{
    if (value && !to[0]) (void)snprintf(to, room, "%s", value);
}

static void see_core(CpuInfo *c, int core)
{
    const int id = c->package * 65536 + core;
    for (int i = 0; i < c->n_seen; i++)
        if (c->seen[i] == id) return;
    if (c->n_seen < MAX_CORES) c->seen[c->n_seen++] = id;
}

static void read_cpuinfo(CpuInfo *c, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) return;
    char line[4096];
    while (fgets(line, sizeof line, file)) {
        const char *value;
        keep_first(c->name, sizeof c->name, value_of(line, "model name"));
        keep_first(c->family, sizeof c->family, value_of(line, "cpu family"));
        keep_first(c->model, sizeof c->model, value_of(line, "model"));
        keep_first(c->implementer, sizeof c->implementer, value_of(line, "CPU implementer"));
        keep_first(c->part, sizeof c->part, value_of(line, "CPU part"));
        if ((value = value_of(line, "physical id"))) c->package = (int)strtol(value, NULL, 10);
        if ((value = value_of(line, "core id"))) see_core(c, (int)strtol(value, NULL, 10));
    }
    (void)fclose(file);
}

static void read_cpu(MachineFacts *out, const char *root)
{
    char path[512];
    CpuInfo c = { 0 };
    (void)snprintf(path, sizeof path, "%s/proc/cpuinfo", root);
    read_cpuinfo(&c, path);
    if (c.name[0] && c.family[0])
        (void)snprintf(out->cpu, sizeof out->cpu, "%s (family %s, model %s)", c.name, c.family,
                       c.model);
    else if (c.implementer[0])
        (void)snprintf(out->cpu, sizeof out->cpu, "ARM (implementer %s, part %s)", c.implementer,
                       c.part);
    else
        (void)snprintf(out->cpu, sizeof out->cpu, "%s", c.name[0] ? c.name : "unknown");
    for (char *at = out->cpu; *at; at++)
        if (*at < ' ' || *at > '~') *at = '?'; /* it goes into JSON and messages */
    out->cores = c.n_seen;
    cpu_set_t set;
    out->processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* ---- memory --------------------------------------------------------------------------------- */

static size_t read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) return SIZE_MAX;
    unsigned long long value;
    size_t bytes = fscanf(file, "%llu", &value) == 1 ? (size_t)value : SIZE_MAX; /* "max" */
    (void)fclose(file);
    return bytes;
}

size_t machine_cgroup_room_bytes(const MachineFacts *f)
{
    if (f->cgroup_limit_bytes == SIZE_MAX) return SIZE_MAX;
    return f->cgroup_limit_bytes > f->cgroup_used_bytes
               ? f->cgroup_limit_bytes - f->cgroup_used_bytes
               : 0;
}

/* Where the two versions of the memory controller keep its figures. */
typedef struct CgroupNames {
    const char *line; /* of /proc/self/cgroup, without the number in front */
    const char *mount, *limit, *used;
    const char *caches[2]; /* in memory.stat: pages of files, which the kernel drops when asked */
} CgroupNames;

static const CgroupNames VERSION_1 = { ":memory:",
                                       CGROUPS "/memory",
                                       "memory.limit_in_bytes",
                                       "memory.usage_in_bytes",
                                       { "total_active_file ", "total_inactive_file " } };
static const CgroupNames VERSION_2 = {
    "::", CGROUPS, "memory.max", "memory.current", { "active_file ", "inactive_file " }
};

/* Reading large weight files fills a group to its limit: that is no memory in use. */
static size_t cached_bytes(const char *folder, const CgroupNames *names)
{
    char path[900], line[256];
    size_t sum = 0;
    (void)snprintf(path, sizeof path, "%s/memory.stat", folder);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        for (int i = 0; i < 2; i++) {
            const size_t n = strlen(names->caches[i]);
            if (strncmp(line, names->caches[i], n) == 0) sum += strtoull(line + n, NULL, 10);
        }
    (void)fclose(file);
    return sum;
}

/* Keep this group if it leaves less room than what was found so far. */
static void see_cgroup(MachineFacts *out, const char *folder, const CgroupNames *names)
{
    char path[900];
    MachineFacts here = { 0 };
    (void)snprintf(path, sizeof path, "%s/%s", folder, names->limit);
    here.cgroup_limit_bytes = read_number(path);
    if (here.cgroup_limit_bytes >= SIZE_MAX / 4) return; /* v1 says "no limit" by a huge number */
    (void)snprintf(path, sizeof path, "%s/%s", folder, names->used);
    here.cgroup_used_bytes = read_number(path);
    if (here.cgroup_used_bytes == SIZE_MAX) here.cgroup_used_bytes = 0;
    const size_t cached = cached_bytes(folder, names);
    here.cgroup_used_bytes -= cached < here.cgroup_used_bytes ? cached : here.cgroup_used_bytes;
    if (machine_cgroup_room_bytes(&here) >= machine_cgroup_room_bytes(out)) return;
    out->cgroup_limit_bytes = here.cgroup_limit_bytes;
    out->cgroup_used_bytes = here.cgroup_used_bytes;
    (void)snprintf(out->cgroup, sizeof out->cgroup, "%s", folder);
}

/* The group at `path` below the mount and its parents. */
static void see_parents(MachineFacts *out, const char *root, const char *path,
                        const CgroupNames *names)
{
    char folder[800];
    (void)snprintf(folder, sizeof folder, "%s%s%s", root, names->mount, path);
    const size_t top = strlen(root) + strlen(names->mount);
    while (strlen(folder) >= top) {
        see_cgroup(out, folder, names);
        char *slash = strrchr(folder, '/');
        if (!slash) return;
        *slash = '\0';
    }
}

void machine_read_cgroup(MachineFacts *out, const char *root)
{
    char path[512], line[512];
    out->cgroup[0] = '\0';
    out->cgroup_limit_bytes = SIZE_MAX;
    out->cgroup_used_bytes = 0;
    see_parents(out, root, "", &VERSION_1); /* in a container its own group is mounted there */
    (void)snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        const char *names = strchr(line, ':');
        if (!names) continue;
        if (strncmp(names, VERSION_1.line, strlen(VERSION_1.line)) == 0)
            see_parents(out, root, names + strlen(VERSION_1.line), &VERSION_1);
        else if (strncmp(names, VERSION_2.line, strlen(VERSION_2.line)) == 0)
            see_parents(out, root, names + strlen(VERSION_2.line), &VERSION_2);
    }
    (void)fclose(file);
}

void machine_read(MachineFacts *out, const char *root)
{
    char path[512];
    *out = (MachineFacts){ 0 };
    read_cpu(out, root);
    (void)snprintf(path, sizeof path, "%s/proc/meminfo", root);
    out->ram_bytes = machine_kib_line(path, "MemTotal");
    out->available_bytes = machine_kib_line(path, "MemAvailable");
    out->swap_bytes = machine_kib_line(path, "SwapTotal");
    out->swap_free_bytes = machine_kib_line(path, "SwapFree");
    machine_read_cgroup(out, root);
}
