/* process.c  This process in /proc; what cannot be read is 0, "not known". */
#include "memory/process.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/machine.h"

size_t process_rss_bytes(void)
{
    return machine_kib_line("/proc/self/status", "VmRSS");
}

size_t process_peak_rss_bytes(void)
{
    return machine_kib_line("/proc/self/status", "VmHWM");
}

void process_reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (write(fd, "5", 1) != 1) { /* an old kernel: the peak stays as it was */
    }
    (void)close(fd);
}

static size_t cut_by_cgroup(size_t bytes)
{
    MachineFacts facts;
    machine_read_cgroup(&facts, "");
    const size_t room = machine_cgroup_room_bytes(&facts);
    return bytes < room ? bytes : room;
}

size_t process_available_bytes(void)
{
    return cut_by_cgroup(machine_kib_line("/proc/meminfo", "MemAvailable"));
}

size_t process_room_bytes(void)
{
    const size_t free_bytes = machine_kib_line("/proc/meminfo", "MemAvailable");
    return free_bytes ? cut_by_cgroup(free_bytes + machine_kib_line("/proc/meminfo", "SwapFree"))
                      : 0;
}
