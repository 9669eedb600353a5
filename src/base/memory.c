/* SPDX-License-Identifier: MIT */
/*
 * base/memory.c: how much memory the cgroups around this process leave to it: "docker run
 * --memory 512m" is a limit of one. The least of all counts (cgroup.h).
 *
 *     memory.max, memory.high    version 2: where it ends; above which it is slowed down
 *     memory.current             what is taken, with the pages of files that it has read
 *     memory.limit_in_bytes      version 1; a very large number for no limit
 *     memory.usage_in_bytes
 *     memory.stat                "inactive_file BYTES" (version 1: "total_..."), which the kernel
 *                                takes back before anything else, and so are as good as free
 *
 * The last is a long file that costs the kernel a sum over all CPUs: it is read only where more
 * than half of a limit is taken. Whatever cannot be read is no limit.
 *
 * Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
 */
#include "base/cgroup.h"
#include "base/memory.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t limit_of(const struct cgroup *cgroup)
{
    if (!cgroup->v2)
        return cgroup_read_number(cgroup, "/memory.limit_in_bytes", "");
    return least(cgroup_read_number(cgroup, "/memory.max", ""),
                 cgroup_read_number(cgroup, "/memory.high", ""));
}

static uint64_t taken_of(const struct cgroup *cgroup, uint64_t limit)
{
    const char *name = cgroup->v2 ? "/memory.current" : "/memory.usage_in_bytes";
    const char *word = cgroup->v2 ? "inactive_file " : "total_inactive_file ";
    uint64_t taken = cgroup_read_number(cgroup, name, "");
    if (taken == UINT64_MAX || taken < limit / 2)
        return taken;
    uint64_t files = cgroup_read_number(cgroup, "/memory.stat", word);
    return files == UINT64_MAX ? taken : taken - least(files, taken);
}

static void take_least(const struct cgroup *cgroup, void *ctx)
{
    uint64_t *left = ctx, limit = limit_of(cgroup);
    if (limit == UINT64_MAX)
        return;
    uint64_t taken = taken_of(cgroup, limit);
    if (taken != UINT64_MAX)
        *left = least(*left, limit - least(taken, limit));
}

uint64_t base_memory_left(const char *root)
{
    uint64_t left = UINT64_MAX;
    cgroup_each(root, "memory", take_least, &left);
    return left;
}
