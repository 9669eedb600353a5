/* SPDX-License-Identifier: MIT */
/*
 * How many CPUs may this process use?
 *
 * Two mechanisms take CPUs away, and the answer is the lesser of them.
 *
 * Affinity (taskset, cpuset cgroups) names the CPUs on which we may run: sched_getaffinity().
 *
 * A cgroup's quota says how much CPU time a group may use per period, whatever CPUs it runs on:
 * "docker run --cpus 2" is a quota. Every level counts: a container without a limit of its own may
 * lie in a slice that has one, so the walk goes from our own cgroup up to the root of what is
 * mounted.
 *
 *     /proc/self/cgroup      which cgroup we are in, per hierarchy    "0::/a/b"
 * "4:cpu,cpuacct:/a/b" /proc/self/mountinfo   where each hierarchy is mounted, and which part of it
 * (the mount's root) MOUNT/a/b/cpu.max                  version 2: "QUOTA PERIOD" or "max PERIOD"
 *     MOUNT/a/b/cpu.cfs_quota_us         version 1: -1 for no limit
 *     MOUNT/a/b/cpu.cfs_period_us
 *
 * Both versions may be mounted at once ("hybrid"), so both are always read. A mount that does not
 * show our cgroup (its root is not above us) is passed over. Whatever cannot be read or understood
 * is no limit: a wrong guess towards more CPUs costs some switching, an error would cost the
 * program.
 *
 * Sources: cgroups(7), proc(5), the kernel's Documentation/admin-guide/cgroup-v2.rst.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpus.h"

/* A quota is in microseconds; more than this is nonsense, and sums of two still fit. */
#define TIME_MAX_US (UINT64_C(1) << 48)

/* One mounted hierarchy, as seen while reading mountinfo. */
struct mount {
    bool v2;
    char root[PATH_MAX];  /* the cgroup that the mount point shows */
    char point[PATH_MAX]; /* where */
};

/* A path below `root`, which stands for "/". False if it is too long to exist. */
static bool join(char path[PATH_MAX], const char *root, const char *rest, const char *name)
{
    int n = snprintf(path, PATH_MAX, "%s%s%s", root, rest, name);
    return n >= 0 && n < PATH_MAX;
}

/* The first line of a small file. False if there is none. */
static bool read_line(const char *root, const char *directory, const char *name, char *line,
                      size_t size)
{
    char path[PATH_MAX];
    if (!join(path, root, directory, name))
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return ok;
}

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

/* What one cgroup directory allows. */
static unsigned quota_of(const char *root, const char *directory, bool v2)
{
    char line[64];
    if (v2)
        return read_line(root, directory, "/cpu.max", line, sizeof line) ? parse_quota(line)
                                                                         : UINT_MAX;
    char period[32];
    if (!read_line(root, directory, "/cpu.cfs_quota_us", line, 32) ||
        !read_line(root, directory, "/cpu.cfs_period_us", period, sizeof period))
        return UINT_MAX;
    size_t n = strcspn(line, "\n");
    line[n++] = ' ';
    memcpy(line + n, period, strlen(period) + 1);
    return parse_quota(line);
}

/* True if `list`, up to one of `ends`, has the item "cpu" between its commas. */
static bool lists_cpu(const char *list, const char *ends)
{
    for (;;) {
        size_t n = strcspn(list, ",:\n ");
        if (n == 3 && memcmp(list, "cpu", 3) == 0)
            return true;
        if (list[n] == '\0' || strchr(ends, list[n]))
            return false;
        list += n + 1;
    }
}

/* Our cgroup in the hierarchy of a mount, from /proc/self/cgroup ("ID:CONTROLLERS:PATH"). */
static bool find_own_cgroup(const char *root, bool v2, char ret_path[PATH_MAX])
{
    char path[PATH_MAX];
    FILE *file = join(path, root, "/proc/self", "/cgroup") ? fopen(path, "re") : NULL;
    if (!file)
        return false;
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, file) > 0) {
        char *controllers = strchr(line, ':');
        char *own = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!own || own[1] != '/')
            continue;
        if (v2 ? strncmp(line, "0::", 3) != 0 : !lists_cpu(controllers + 1, ":"))
            continue;
        own[1 + strcspn(own + 1, "\n")] = '\0';
        found = join(ret_path, own + 1, "", "");
    }
    free(line);
    fclose(file);
    return found;
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        unsigned value;
        if (from[0] == '\\' && sscanf(from + 1, "%3o", &value) == 1) {
            *to = (char)value;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Takes a line of mountinfo apart: "ID PARENT DEV ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPER".
 * False unless it mounts a hierarchy that can limit CPU time. */
static bool parse_mount(char *line, struct mount *ret)
{
    char *type = strstr(line, " - ");
    if (!type)
        return false;
    type += 3;
    ret->v2 = strncmp(type, "cgroup2 ", 8) == 0;
    if (!ret->v2) {
        if (strncmp(type, "cgroup ", 7) != 0)
            return false;
        const char *options = strrchr(type, ' ');
        if (!options || !lists_cpu(options + 1, "\n"))
            return false;
    }
    int at = 0, end_of_root = 0, end_of_point = 0;
    sscanf(line, "%*s %*s %*s %n%*s%n %*s%n", &at, &end_of_root, &end_of_point);
    if (!end_of_point || end_of_point > type - line)
        return false;
    line[end_of_root] = line[end_of_point] = '\0';
    decode(line + at);
    decode(line + end_of_root + 1);
    return join(ret->root, line + at, "", "") && join(ret->point, line + end_of_root + 1, "", "");
}

/* The least quota from our cgroup up to the mount point. */
static unsigned walk(const char *root, const struct mount *mount)
{
    char own[PATH_MAX], directory[PATH_MAX];
    if (!find_own_cgroup(root, mount->v2, own))
        return UINT_MAX;
    size_t above = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);
    if (strncmp(own, mount->root, above) != 0 || (own[above] != '/' && own[above] != '\0'))
        return UINT_MAX;
    const char *below = strcmp(own + above, "/") == 0 ? "" : own + above;
    if (!join(directory, mount->point, below, ""))
        return UINT_MAX;
    size_t top = strlen(mount->point);
    unsigned least = UINT_MAX;
    for (;;) {
        unsigned quota = quota_of(root, directory, mount->v2);
        if (quota < least)
            least = quota;
        char *slash = strrchr(directory, '/');
        if (!slash || (size_t)(slash - directory) < top)
            return least;
        *slash = '\0';
    }
}

unsigned base_quota(const char *root)
{
    char path[PATH_MAX];
    FILE *file = join(path, root, "/proc/self", "/mountinfo") ? fopen(path, "re") : NULL;
    char *line = NULL;
    size_t size = 0;
    struct mount mount;
    unsigned least = UINT_MAX;
    while (file && getline(&line, &size, file) > 0) {
        unsigned quota = parse_mount(line, &mount) ? walk(root, &mount) : UINT_MAX;
        if (quota < least)
            least = quota;
    }
    free(line);
    if (file)
        fclose(file);
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
