/* process.h  What the system says about this process and machine: RSS, free memory, limits. */
#ifndef MEMORY_PROCESS_H
#define MEMORY_PROCESS_H

#include <stddef.h>

/** Resident bytes now, and the highest since the start (VmRSS, VmHWM); 0 if unknown. */
size_t process_rss_bytes(void);
size_t process_peak_rss_bytes(void);
/** Start VmHWM anew at the present RSS where the system allows it. */
void process_reset_peak(void);

/** Bytes this process could still take: MemAvailable, cut by the memory cgroup's limit. */
size_t process_available_bytes(void);
/** The same and free swap: beyond it the system kills. 0 if unknown. */
size_t process_room_bytes(void);

#endif
