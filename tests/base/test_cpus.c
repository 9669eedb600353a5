/* SPDX-License-Identifier: MIT */
/*
 * The CPU count, against trees of files that look like /proc and /sys/fs/cgroup: each test writes
 * what a kind of machine or container shows, below a directory of its own.
 */
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "cgroups.h"
#include "harness.h"

/* Ends the test's tree with the question that it was made for. */
static unsigned cpus_of_64(void)
{
    unsigned cpus = base_cpus_within_quota(root, 64);
    end();
    return cpus;
}

#define V1 "/sys/fs/cgroup/cpu,cpuacct"

TEST(cpus_are_at_least_one_and_at_most_those_of_the_affinity)
{
    cpu_set_t set;
    EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    EXPECT_GE(base_cpus(), 1);
    EXPECT_LE(base_cpus(), CPU_COUNT(&set));
}

TEST(cpus_follow_the_affinity)
{
    cpu_set_t set;
    EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    EXPECT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    EXPECT_EQ(base_cpus(), 1);
}

TEST(cpus_without_any_cgroup_are_all)
{
    begin("", PROC);
    EXPECT_EQ(cpus_of_64(), 64);
}

TEST(cpus_without_proc_are_all)
{
    EXPECT_EQ(base_cpus_within_quota("/nonexistent", 64), 64);
}

TEST(cpus_are_never_none)
{
    EXPECT_EQ(base_cpus_within_quota("/nonexistent", 0), 1);
}

TEST(cpus_v2_quota_is_rounded_up)
{
    begin("0::/app\n", PROC MOUNT_V2);
    put("/sys/fs/cgroup/app/cpu.max", "250000 100000\n");
    EXPECT_EQ(cpus_of_64(), 3);
}

TEST(cpus_v2_part_of_a_cpu_is_one)
{
    begin("0::/app\n", PROC MOUNT_V2);
    put("/sys/fs/cgroup/app/cpu.max", "1000 100000\n");
    EXPECT_EQ(cpus_of_64(), 1);
}

TEST(cpus_v2_max_is_no_limit)
{
    begin("0::/app\n", PROC MOUNT_V2);
    put("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
    EXPECT_EQ(cpus_of_64(), 64);
}

TEST(cpus_v2_quota_of_more_than_all_is_all)
{
    begin("0::/app\n", PROC MOUNT_V2);
    put("/sys/fs/cgroup/app/cpu.max", "9900000 100000\n");
    EXPECT_EQ(cpus_of_64(), 64);
}

TEST(cpus_v2_nested_least_quota_counts_wherever_it_is)
{
    begin("0::/slice/pod/app\n", PROC MOUNT_V2);
    put("/sys/fs/cgroup/slice/cpu.max", "800000 100000\n");
    put("/sys/fs/cgroup/slice/pod/cpu.max", "200000 50000\n");
    put("/sys/fs/cgroup/slice/pod/app/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/slice/other/cpu.max", "100000 100000\n");
    EXPECT_EQ(cpus_of_64(), 4);
}

TEST(cpus_v2_nested_levels_without_files_are_passed_over)
{
    begin("0::/slice/pod/app\n", PROC MOUNT_V2);
    put("/sys/fs/cgroup/slice/cpu.max", "500000 100000\n");
    EXPECT_EQ(cpus_of_64(), 5);
}

/* In a container with a cgroup namespace, our cgroup is "/" and the mount point has its files. */
TEST(cpus_v2_mount_point_itself_counts)
{
    begin("0::/\n", PROC MOUNT_V2);
    put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    EXPECT_EQ(cpus_of_64(), 2);
}

/* Nothing above the mount point is a cgroup, whatever its name. */
TEST(cpus_v2_stops_at_the_mount_point)
{
    begin("0::/app\n", PROC MOUNT_V2);
    put("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
    put("/sys/fs/cpu.max", "100000 100000\n");
    put("/sys/cpu.max", "100000 100000\n");
    EXPECT_EQ(cpus_of_64(), 64);
}

TEST(cpus_v1_quota_is_rounded_up)
{
    begin("4:memory:/x\n3:cpu,cpuacct:/app\n", PROC MOUNT_V1);
    put(V1 "/app/cpu.cfs_quota_us", "110000\n");
    put(V1 "/app/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cpus_of_64(), 2);
}

TEST(cpus_v1_minus_one_is_no_limit)
{
    begin("3:cpu,cpuacct:/app\n", PROC MOUNT_V1);
    put(V1 "/app/cpu.cfs_quota_us", "-1\n");
    put(V1 "/app/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cpus_of_64(), 64);
}

TEST(cpus_v1_nested_least_quota_counts)
{
    begin("3:cpuacct,cpu:/a/b\n", PROC MOUNT_V1);
    put(V1 "/cpu.cfs_quota_us", "-1\n");
    put(V1 "/cpu.cfs_period_us", "100000\n");
    put(V1 "/a/cpu.cfs_quota_us", "300000\n");
    put(V1 "/a/cpu.cfs_period_us", "100000\n");
    put(V1 "/a/b/cpu.cfs_quota_us", "700000\n");
    put(V1 "/a/b/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cpus_of_64(), 3);
}

/* A container without a cgroup namespace: the path is the host's, the mount shows only its end. */
TEST(cpus_v1_mount_of_a_part_is_understood)
{
    begin("3:cpu:/docker/abc/inner\n",
          PROC "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "400000\n");
    put("/sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cpus_of_64(), 2);
}

TEST(cpus_v1_mount_of_somebody_elses_part_is_passed_over)
{
    begin("3:cpu:/docker/abcdef\n",
          PROC "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cpus_of_64(), 64);
}

TEST(cpus_hybrid_reads_both_versions)
{
    begin("3:cpu,cpuacct:/app\n0::/new\n",
          PROC MOUNT_V1 "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    put(V1 "/app/cpu.cfs_quota_us", "700000\n");
    put(V1 "/app/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/unified/new/cpu.max", "600000 100000\n");
    EXPECT_EQ(cpus_of_64(), 6);
}

TEST(cpus_read_paths_with_spaces)
{
    begin("0::/my app\n", PROC "31 23 0:28 / /cg\\040roup rw - cgroup2 cgroup2 rw\n");
    put("/cg roup/my app/cpu.max", "200000 100000\n");
    EXPECT_EQ(cpus_of_64(), 2);
}

TEST(cpus_survive_garbage)
{
    static const char *const garbage[] = {
        "",
        "\n",
        "x",
        "0 100000\n",
        "1 0\n",
        "100000\n",
        "100000 \n",
        "100000 x\n",
        "-1 5\n",
        "5x 100000\n",
        "100000 100x",
        "99999999999999999999999 1\n",
        "1 99999999999999999999999\n",
    };
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        strcpy(root + sizeof root - 7, "XXXXXX");
        begin("\n:\n0\n0:\n0::\n0:::\n0::/app\n",
              "\n- \nx - cgroup2 \n1 2 - cgroup2 y z\n" MOUNT_V2);
        put("/sys/fs/cgroup/app/cpu.max", garbage[i]);
        EXPECT_EQ(cpus_of_64(), 64);
    }
}

TEST(cpus_survive_a_path_that_is_too_long)
{
    char *cgroup = malloc(3 * PATH_MAX);
    EXPECT_TRUE(cgroup);
    memset(cgroup, 'a', 3 * PATH_MAX);
    memcpy(cgroup, "0::/", 4);
    cgroup[3 * PATH_MAX - 1] = '\0';
    begin(cgroup, PROC MOUNT_V2);
    free(cgroup);
    EXPECT_EQ(cpus_of_64(), 64);
}
