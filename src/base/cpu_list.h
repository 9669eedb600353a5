/* SPDX-License-Identifier: MIT */
/* base/cpu_list.h: sets of CPUs, written as the kernel writes them: "0-3,6". */
#ifndef WEFT_BASE_CPU_LIST_H
#define WEFT_BASE_CPU_LIST_H

#include <sched.h>

/* As many as Linux can be built for. */
#define CPU_LIST_MAX 8192

struct cpu_list {
    cpu_set_t set[CPU_LIST_MAX / CPU_SETSIZE];
};

/*
 * Reads a list of numbers and ranges, with commas between them and no blanks.
 * Returns  0; -EINVAL: it is not one, is empty, or names a CPU of CPU_LIST_MAX or more.
 */
int cpu_list_parse(const char *text, struct cpu_list *ret);

#endif
