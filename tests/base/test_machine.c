/* test_machine.c  Facts from made-up /proc and /sys trees. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/machine.h"

/* Write a file below scratch/<tree>, with its folders. */
static void put(const char *tree, const char *path, const char *text)
{
    char full[1024];
    (void)snprintf(full, sizeof full, "%s/%s%s", test_scratch(), tree, path);
    for (char *slash = full + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(full, 0777);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void read_tree(MachineFacts *out, const char *tree)
{
    char root[1024];
    (void)snprintf(root, sizeof root, "%s/%s", test_scratch(), tree);
    machine_read(out, root);
}

TEST(machine, reads_processor_cores_and_memory)
{
    MachineFacts f;
    put("pc", "/proc/cpuinfo",
        "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n"
        "physical id\t: 0\ncore id\t\t: 0\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n"
        "physical id\t: 0\ncore id\t\t: 0\n\nprocessor\t: 2\nphysical id\t: 1\ncore id\t\t: 0\n");
    put("pc", "/proc/meminfo",
        "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   20000000 kB\n"
        "SwapTotal:       1000 kB\nSwapFree:         10 kB\n");
    read_tree(&f, "pc");
    CHECK_TEXT(f.cpu, "AMD EPYC (family 25, model 1)");
    CHECK_INT(f.cores, 2);
    CHECK(f.processors >= 1);
    CHECK_INT(f.ram_bytes, 24000000ull * 1024);
    CHECK_INT(f.available_bytes, 20000000ull * 1024);
    CHECK_INT(f.swap_bytes, 1000 * 1024);
    CHECK_INT(f.swap_free_bytes, 10 * 1024);
    CHECK(machine_cgroup_room_bytes(&f) == SIZE_MAX);
}

TEST(machine, nothing_there_is_unknown)
{
    MachineFacts f;
    machine_read(&f, "/nonexistent");
    CHECK_TEXT(f.cpu, "unknown");
    CHECK_INT(f.cores, 0);
    CHECK_INT(f.ram_bytes, 0);
    CHECK(f.cgroup_limit_bytes == SIZE_MAX);
}

TEST(machine, arm_is_named_by_numbers)
{
    MachineFacts f;
    put("arm", "/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n");
    read_tree(&f, "arm");
    CHECK_TEXT(f.cpu, "ARM (implementer 0x41, part 0xd0c)");
}

TEST(machine, the_tightest_cgroup_of_all_parents_counts)
{
    MachineFacts f;
    put("v2", "/proc/self/cgroup", "0::/a/b\n");
    put("v2", "/sys/fs/cgroup/a/b/memory.max", "max\n");
    put("v2", "/sys/fs/cgroup/a/b/memory.current", "5\n");
    put("v2", "/sys/fs/cgroup/a/memory.max", "1000\n");
    put("v2", "/sys/fs/cgroup/a/memory.current", "400\n");
    read_tree(&f, "v2");
    CHECK_INT(f.cgroup_limit_bytes, 1000);
    CHECK_INT(machine_cgroup_room_bytes(&f), 600);
    CHECK_HAS(f.cgroup, "/sys/fs/cgroup/a");
    put("v2", "/sys/fs/cgroup/a/b/memory.max", "300\n");
    read_tree(&f, "v2");
    CHECK_INT(machine_cgroup_room_bytes(&f), 295);
    put("v2", "/sys/fs/cgroup/a/memory.current", "1400\n"); /* over its limit: no room */
    read_tree(&f, "v2");
    CHECK_INT(machine_cgroup_room_bytes(&f), 0);
}

TEST(machine, version_one_says_no_limit_by_a_huge_number)
{
    MachineFacts f;
    put("v1", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("v1", "/sys/fs/cgroup/memory/memory.usage_in_bytes", "100\n");
    read_tree(&f, "v1");
    CHECK(machine_cgroup_room_bytes(&f) == SIZE_MAX);
    put("v1", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n");
    read_tree(&f, "v1");
    CHECK_INT(machine_cgroup_room_bytes(&f), 3996);
}

TEST(machine, cached_pages_of_files_are_no_memory_in_use)
{
    MachineFacts f;
    put("cache2", "/proc/self/cgroup", "0::/job\n");
    put("cache2", "/sys/fs/cgroup/job/memory.max", "1000\n");
    put("cache2", "/sys/fs/cgroup/job/memory.current", "990\n");
    put("cache2", "/sys/fs/cgroup/job/memory.stat",
        "anon 90\nfile 900\ninactive_anon 7\nactive_file 300\ninactive_file 600\n");
    read_tree(&f, "cache2");
    CHECK_INT(machine_cgroup_room_bytes(&f), 910);
    put("cache2", "/sys/fs/cgroup/job/memory.stat", "active_file 5000\n"); /* read a moment later */
    read_tree(&f, "cache2");
    CHECK_INT(machine_cgroup_room_bytes(&f), 1000);

    put("cache1", "/proc/self/cgroup", "9:cpu:/\n4:memory:/job/inner\n0::/\n");
    put("cache1", "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "2000\n");
    put("cache1", "/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1900\n");
    put("cache1", "/sys/fs/cgroup/memory/job/memory.stat",
        "active_file 1\ntotal_active_file 500\ntotal_inactive_file 1000\n");
    read_tree(&f, "cache1");
    CHECK_INT(machine_cgroup_room_bytes(&f), 1600);
    CHECK_HAS(f.cgroup, "/memory/job");
}
