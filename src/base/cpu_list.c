/* SPDX-License-Identifier: MIT */
/*
 * base/cpu_list.c: sets of CPUs in words, in the form of /sys/devices/system/cpu/online, of
 * taskset -c and of cpusets: "0-3,6".
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cpu_list.h"

/* A number below CPU_LIST_MAX at *text, which moves behind it; -1: there is none. */
static int parse_cpu(const char **text)
{
    int cpu = -1;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        cpu = (cpu < 0 ? 0 : 10 * cpu) + (**text - '0');
        if (cpu >= CPU_LIST_MAX)
            return -1;
    }
    return cpu;
}

/* One CPU or a range of them at *text, which moves behind it. */
static bool parse_range(const char **text, struct cpu_list *ret)
{
    int first = parse_cpu(text), last = first;
    if (first >= 0 && **text == '-') {
        (*text)++;
        last = parse_cpu(text);
    }
    for (int cpu = first; cpu >= 0 && cpu <= last; cpu++)
        CPU_SET_S((size_t)cpu, sizeof ret->set, ret->set);
    return first >= 0 && last >= first;
}

int cpu_list_parse(const char *text, struct cpu_list *ret)
{
    memset(ret, 0, sizeof *ret);
    while (parse_range(&text, ret)) {
        if (*text == '\0')
            return 0;
        if (*text++ != ',')
            break;
    }
    return -EINVAL;
}
