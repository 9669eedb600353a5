/* SPDX-License-Identifier: MIT */
/* How much memory cgroups leave, against trees of files that look like those of a machine. */
#include "base/memory.h"
#include "cgroups.h"
#include "harness.h"

#define MIB UINT64_C(1048576)
#define APP "/sys/fs/cgroup/app"
#define V1  "/sys/fs/cgroup/memory"

/* Ends the test's tree with the question that it was made for. */
static uint64_t left(void)
{
    uint64_t bytes = base_memory_left(root);
    end();
    return bytes;
}

/* A cgroup of version 2. */
static void begin_v2(const char *max, const char *current)
{
    begin("0::/app\n", PROC MOUNT_V2);
    put(APP "/memory.max", max);
    put(APP "/memory.current", current);
}

TEST(without_cgroups_there_is_no_limit)
{
    EXPECT_EQ(base_memory_left("/nonexistent"), UINT64_MAX);
    begin("0::/app\n", PROC MOUNT_V2);
    EXPECT_EQ(left(), UINT64_MAX);
}

TEST(what_is_taken_is_not_left)
{
    begin_v2("536870912\n", "104857600\n");
    EXPECT_EQ(left(), 412 * MIB);
}

TEST(max_is_no_limit)
{
    begin_v2("max\n", "104857600\n");
    EXPECT_EQ(left(), UINT64_MAX);
}

TEST(nothing_is_left_of_what_is_exceeded)
{
    begin_v2("1048576\n", "2097152\n");
    EXPECT_EQ(left(), 0);
}

TEST(files_that_nobody_has_read_lately_are_left)
{
    begin_v2("536870912\n", "503316480\n");
    put(APP "/memory.stat", "anon 1048576\nfile 209715200\ninactive_file 104857600\n");
    EXPECT_EQ(left(), 132 * MIB);
}

TEST(a_group_is_slowed_down_before_its_end)
{
    begin_v2("536870912\n", "1048576\n");
    put(APP "/memory.high", "268435456\n");
    EXPECT_EQ(left(), 255 * MIB);
}

TEST(the_group_that_leaves_least_counts_wherever_it_is)
{
    begin("0::/slice/app\n", PROC MOUNT_V2);
    put("/sys/fs/cgroup/slice/memory.max", "104857600\n");
    put("/sys/fs/cgroup/slice/memory.current", "52428800\n");
    put("/sys/fs/cgroup/slice/app/memory.max", "max\n");
    put("/sys/fs/cgroup/slice/app/memory.current", "1048576\n");
    EXPECT_EQ(left(), 50 * MIB);
}

TEST(version_1_has_a_hierarchy_for_it)
{
    begin("4:cpu,cpuacct:/x\n3:memory:/app\n", PROC MOUNT_V1);
    put(V1 "/memory.limit_in_bytes", "9223372036854771712\n");
    put(V1 "/memory.usage_in_bytes", "734003200\n");
    put(V1 "/app/memory.limit_in_bytes", "104857600\n");
    put(V1 "/app/memory.usage_in_bytes", "94371840\n");
    put(V1 "/app/memory.stat", "inactive_file 1\ntotal_inactive_file 20971520\n");
    EXPECT_EQ(left(), 30 * MIB);
}

TEST(garbage_is_no_limit)
{
    begin_v2("-1\n", "x\n");
    EXPECT_EQ(left(), UINT64_MAX);
}
