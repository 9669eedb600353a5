/* SPDX-License-Identifier: MIT */
/* Trees of files that look like /proc and /sys/fs/cgroup: what a kind of machine or container
 * shows, below a directory of the test's own. */
#ifndef TESTS_BASE_CGROUPS_H
#define TESTS_BASE_CGROUPS_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static char root[] = "/tmp/weft-cgroups-XXXXXX";

/* Writes root/PATH, making its directories. */
static inline void put(const char *path, const char *text)
{
    char full[PATH_MAX];
    int n = snprintf(full, sizeof full, "%s%s", root, path);
    EXPECT_LT(n, (int)sizeof full);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(full, 0700);
    }
    FILE *file = fopen(full, "we");
    EXPECT_TRUE(file);
    fputs(text, file);
    fclose(file);
}

static inline void begin(const char *cgroup, const char *mountinfo)
{
    EXPECT_TRUE(mkdtemp(root));
    put("/proc/self/cgroup", cgroup);
    put("/proc/self/mountinfo", mountinfo);
}

static inline int drop(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

static inline void end(void)
{
    nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS);
}

#define PROC     "20 1 0:5 / /proc rw,nosuid - proc proc rw\n"
#define MOUNT_V2 "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define MOUNT_V1                                                                                   \
    "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"                            \
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"                            \
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"

#endif
