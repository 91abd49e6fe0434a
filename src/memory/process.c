/* process.c  Reads /proc and the cgroup tree; every missing file just means "no limit known". */
#include "memory/process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "VmRSS:   1234 kB" -> bytes. */
static size_t read_kib(const char *path, const char *key)
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

size_t process_rss_bytes(void)
{
    return read_kib("/proc/self/status", "VmRSS");
}

size_t process_peak_rss_bytes(void)
{
    return read_kib("/proc/self/status", "VmHWM");
}

void process_reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (write(fd, "5", 1) != 1) { /* an old kernel: the peak stays as it was */
    }
    (void)close(fd);
}

static size_t read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) return SIZE_MAX;
    unsigned long long value;
    size_t bytes = fscanf(file, "%llu", &value) == 1 ? (size_t)value : SIZE_MAX; /* "max" */
    (void)fclose(file);
    return bytes;
}

/* Room left in one cgroup: limit - usage; SIZE_MAX without a limit. */
static size_t cgroup_room(const char *folder, const char *limit_name, const char *usage_name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, limit_name);
    const size_t limit = read_number(path);
    if (limit == SIZE_MAX || limit >= SIZE_MAX / 4) return SIZE_MAX;
    (void)snprintf(path, sizeof path, "%s/%s", folder, usage_name);
    const size_t usage = read_number(path);
    if (usage == SIZE_MAX) return limit;
    return limit > usage ? limit - usage : 0;
}

/* cgroup v2: this process's group and its parents; v1: the memory controller's mount. */
static size_t all_cgroups_room(void)
{
    size_t room =
        cgroup_room("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes");
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return room;
    char line[256], folder[300];
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::", 3) != 0) continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(folder, sizeof folder, "/sys/fs/cgroup%s", line + 3);
        while (strlen(folder) >= strlen("/sys/fs/cgroup")) {
            size_t here = cgroup_room(folder, "memory.max", "memory.current");
            if (here < room) room = here;
            char *slash = strrchr(folder, '/');
            if (!slash) break;
            *slash = '\0';
        }
    }
    (void)fclose(file);
    return room;
}

size_t process_available_bytes(void)
{
    const size_t free_bytes = read_kib("/proc/meminfo", "MemAvailable");
    const size_t room = all_cgroups_room();
    return free_bytes < room ? free_bytes : room;
}
