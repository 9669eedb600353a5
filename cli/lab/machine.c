/* SPDX-License-Identifier: MIT */
/* Facts about the machine, from /proc and the cgroups above this process.
 *
 * Limits hold at every level, so the walk goes from this cgroup up to what is mounted as the root.
 * A container mostly sees its own cgroup as the root, and version 2 under /sys/fs/cgroup; version 1
 * has a mount for each controller. What is not there is no limit. Sources: cgroups(7), proc(5). */
#include "machine.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, LINE_BYTES = 1024 };

static void read_model(struct lab_machine *machine)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[LINE_BYTES];

    if (file == NULL)
        return;
    while (machine->cpu[0] == '\0' && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL)
            (void)sscanf(strchr(line, ':'), ": %127[^\n]", machine->cpu);
    fclose(file);
}

static uint32_t usable_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than a cpu_set_t has bits */
    return online > 0 ? (uint32_t)online : 1;
}

/* Whether a name is one of a list with commas: "cpu" is in "cpu,cpuacct", and not in "cpuset". */
static bool lists(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (;;) {
        size_t n = strcspn(list, ",");
        if (n == length && memcmp(list, name, n) == 0)
            return true;
        if (list[n] == '\0')
            return false;
        list += n + 1;
    }
}

/* This process's cgroup of version 2, or of a controller of version 1: "/a/b". */
static bool cgroup_path(const char *controller, char path[PATH_BYTES])
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_BYTES];
    char found[PATH_BYTES] = "";

    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        char *names = strchr(line, ':');
        char *rest = names != NULL ? strchr(names + 1, ':') : NULL;
        if (rest == NULL)
            continue;
        *rest = '\0';
        rest[1 + strcspn(rest + 1, "\n")] = '\0';
        bool ours = controller == NULL ? names[1] == '\0' : lists(names + 1, controller);
        if (ours)
            snprintf(found, sizeof found, "%s", rest + 1);
    }
    fclose(file);
    memcpy(path, found, sizeof found);
    return found[0] == '/';
}

static bool read_file(const char *mount, const char *path, const char *name, char line[LINE_BYTES])
{
    char whole[2 * PATH_BYTES];

    snprintf(whole, sizeof whole, "%s%s/%s", mount, path, name);
    FILE *file = fopen(whole, "re");
    if (file == NULL)
        return false;
    bool read = fgets(line, LINE_BYTES, file) != NULL;
    fclose(file);
    return read;
}

/* Calls see() with a file of each cgroup from this process's up to the root. */
static void walk(const char *controller, const char *mount, const char *name,
                 void (*see)(const char *path, const char *line, struct lab_machine *machine),
                 struct lab_machine *machine)
{
    char path[PATH_BYTES];
    char line[LINE_BYTES];

    if (!cgroup_path(controller, path))
        return;
    for (;;) {
        if (read_file(mount, path, name, line))
            see(path, line, machine);
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
}

static void see_quota(double quota_us, double period_us, struct lab_machine *machine)
{
    double cpus = quota_us / period_us;

    if (quota_us > 0 && period_us > 0 && (machine->quota <= 0 || cpus < machine->quota))
        machine->quota = cpus;
}

static void see_cpu_max(const char *path, const char *line, struct lab_machine *machine)
{
    double quota_us;
    double period_us;

    (void)path;
    if (sscanf(line, "%lf %lf", &quota_us, &period_us) == 2)
        see_quota(quota_us, period_us, machine);
}

static void see_cfs_quota(const char *path, const char *line, struct lab_machine *machine)
{
    char period[LINE_BYTES];

    if (read_file("/sys/fs/cgroup/cpu", path, "cpu.cfs_period_us", period))
        see_quota(strtod(line, NULL), strtod(period, NULL), machine);
}

static void see_memory(const char *path, const char *line, struct lab_machine *machine)
{
    uint64_t bytes;

    (void)path;
    if (sscanf(line, "%" SCNu64, &bytes) == 1 && bytes > 0 && bytes < machine->memory_bytes)
        machine->memory_bytes = bytes;
}

void machine_read(struct lab_machine *ret)
{
    struct utsname name;

    *ret = (struct lab_machine){ .cpus = usable_cpus() };
    read_model(ret);
    if (uname(&name) == 0)
        snprintf(ret->kernel, sizeof ret->kernel, "%.40s %.40s %.40s", name.sysname, name.release,
                 name.machine);
    ret->memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    walk(NULL, "/sys/fs/cgroup", "cpu.max", see_cpu_max, ret);
    walk("cpu", "/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", see_cfs_quota, ret);
    walk(NULL, "/sys/fs/cgroup", "memory.max", see_memory, ret);
    walk("memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", see_memory, ret);
}

/* A line such as "cpu1 4705 356 584 3699 23 23 0 4 0 0", in ticks: user, nice, system, idle,
 * iowait, irq, softirq, steal. False: the line is not about a CPU of ours. */
static bool busy_ticks(const char *line, const cpu_set_t *ours, double *ret_ticks)
{
    int cpu;
    double t[8] = { 0 };

    if (sscanf(line, "cpu%d %lf %lf %lf %lf %lf %lf %lf %lf", &cpu, &t[0], &t[1], &t[2], &t[3],
               &t[4], &t[5], &t[6], &t[7]) < 4 ||
        cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, ours))
        return false;
    *ret_ticks = t[0] + t[1] + t[2] + t[5] + t[6] + t[7];
    return true;
}

double machine_busy_s(void)
{
    FILE *file = fopen("/proc/stat", "re");
    char line[LINE_BYTES];
    cpu_set_t ours;
    double ticks;
    double sum = -1;

    if (file == NULL)
        return -1;
    if (sched_getaffinity(0, sizeof ours, &ours) < 0)
        CPU_ZERO(&ours);
    while (fgets(line, sizeof line, file) != NULL)
        if (busy_ticks(line, &ours, &ticks))
            sum = (sum < 0 ? 0 : sum) + ticks;
    fclose(file);
    return sum < 0 ? -1 : sum / (double)sysconf(_SC_CLK_TCK);
}

double machine_cpus(const struct lab_machine *machine)
{
    return machine->quota > 0 ? fmin(machine->quota, machine->cpus) : machine->cpus;
}

bool machine_is_full(int error)
{
    return error == -EAGAIN || error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}
