/* SPDX-License-Identifier: MIT */
/*
 * How many CPUs may this process use?
 *
 * Two mechanisms take CPUs away, and the answer is the lesser of them.
 *
 * Affinity (taskset, cpuset cgroups) names the CPUs on which we may run: sched_getaffinity().
 *
 * A cgroup's quota says how much CPU time a group may use per period, whatever CPUs it runs on:
 * "docker run --cpus 2" is a quota. The least of all cgroups around us counts (cgroup.h):
 *
 *     cpu.max              version 2: "QUOTA PERIOD" or "max PERIOD"
 *     cpu.cfs_quota_us     version 1: -1 for no limit
 *     cpu.cfs_period_us
 *
 * Whatever cannot be read or understood is no limit: a wrong guess towards more CPUs costs some
 * switching, an error would cost the program.
 *
 * Sources: cgroups(7), the kernel's Documentation/admin-guide/cgroup-v2.rst.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cpus.h"

/* A quota is in microseconds; more than this is nonsense, and sums of two still fit. */
#define TIME_MAX_US (UINT64_C(1) << 48)

/* A positive decimal number up to TIME_MAX_US at *text, which moves behind it; else 0. */
static uint64_t parse_us(const char **text)
{
    const char *at = *text;
    if (*at < '0' || *at > '9')
        return 0;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(at, &end, 10);
    if (errno || value > TIME_MAX_US || (*end != '\0' && *end != ' ' && *end != '\n'))
        return 0;
    *text = end;
    return value;
}

/* "QUOTA PERIOD" in thousandths of a CPU, rounded up; UINT_MAX for "max PERIOD" and for anything
 * else. */
static unsigned parse_quota(const char *text)
{
    uint64_t quota = parse_us(&text);
    if (!quota || *text != ' ')
        return UINT_MAX;
    text++;
    uint64_t period = parse_us(&text);
    if (!period)
        return UINT_MAX;
    uint64_t cpus = (quota * 1000 + period - 1) / period;
    return cpus < UINT_MAX ? (unsigned)cpus : UINT_MAX;
}

/* What one cgroup allows. */
static unsigned quota_of(const struct cgroup *cgroup)
{
    char line[64];
    if (cgroup->v2)
        return cgroup_read_line(cgroup, "/cpu.max", line, sizeof line) ? parse_quota(line)
                                                                       : UINT_MAX;
    char period[32];
    if (!cgroup_read_line(cgroup, "/cpu.cfs_quota_us", line, 32) ||
        !cgroup_read_line(cgroup, "/cpu.cfs_period_us", period, sizeof period))
        return UINT_MAX;
    size_t n = strcspn(line, "\n");
    line[n++] = ' ';
    memcpy(line + n, period, strlen(period) + 1);
    return parse_quota(line);
}

static void take_least(const struct cgroup *cgroup, void *least)
{
    unsigned quota = quota_of(cgroup);
    if (quota < *(unsigned *)least)
        *(unsigned *)least = quota;
}

unsigned base_quota(const char *root)
{
    unsigned least = UINT_MAX;
    cgroup_each(root, "cpu", take_least, &least);
    return least;
}

unsigned base_cpus_within_quota(const char *root, unsigned most)
{
    unsigned quota = base_quota(root);
    unsigned cpus = quota / 1000 + (quota % 1000 != 0); /* UINT_MAX: no quota that is less */
    if (cpus < most)
        most = cpus;
    return most ? most : 1;
}

/* The kernel refuses a set that is smaller than its own, and does not say how large that is. */
static unsigned affine_cpus(void)
{
    for (int cpus = CPU_SETSIZE; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (!set)
            break;
        size_t bytes = CPU_ALLOC_SIZE((size_t)cpus);
        int rc = sched_getaffinity(0, bytes, set);
        int error = rc ? errno : 0;
        int count = rc ? 0 : CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
        if (count > 0)
            return (unsigned)count;
        if (error != EINVAL)
            break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

unsigned base_cpus(void)
{
    return base_cpus_within_quota("", affine_cpus());
}

unsigned base_cpu_thousandths(bool *ret_quota)
{
    unsigned cpus = affine_cpus(), quota = base_quota("");
    *ret_quota = quota / 1000 < cpus;
    return *ret_quota ? quota + !quota : cpus * 1000;
}
