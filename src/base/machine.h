/* machine.h  What the system says about this machine: processor, memory, limits. Linux' /proc and
 * /sys; what cannot be read is unknown, never an error. */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include <stddef.h>

/** Sizes in bytes. */
typedef struct MachineFacts {
    char cpu[160];  /**< "AMD EPYC 7763 (family 25, model 1)"; "unknown" */
    int cores;      /**< physical ones, 0 unknown */
    int processors; /**< logical ones that this process may use */
    size_t ram_bytes, available_bytes, swap_bytes, swap_free_bytes; /**< 0 unknown */
    char cgroup[256]; /**< folder of the memory cgroup with the least room; "" no limit */
    /** limit SIZE_MAX: none; used: without cached pages of files */
    size_t cgroup_limit_bytes, cgroup_used_bytes;
} MachineFacts;

/** `root` is put before /proc and /sys: "" outside tests. */
void machine_read(MachineFacts *out, const char *root);
/** Bytes left under the tightest memory cgroup; SIZE_MAX without a limit. */
size_t machine_cgroup_room_bytes(const MachineFacts *facts);
/** Only the cgroup's fields of machine_read. */
void machine_read_cgroup(MachineFacts *out, const char *root);

/** "VmRSS:   1234 kB" in a file of /proc -> bytes; 0 when it is not there. */
size_t machine_kib_line(const char *path, const char *key);

#endif
