/* SPDX-License-Identifier: MIT */
/* The memory that processes have for themselves: /proc/PID/smaps_rollup, Private_*. */
#ifndef BENCH_POOL_PRIVATE_MEMORY_H
#define BENCH_POOL_PRIVATE_MEMORY_H

#include <stdio.h>
#include <sys/types.h>

#include "harness/harness.h"

static inline unsigned long private_kib(pid_t pid)
{
    char path[64], line[256];
    unsigned long kib, sum = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    bench_must(file != NULL, "the worker lives");
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Private_Clean: %lu", &kib) == 1 ||
            sscanf(line, "Private_Dirty: %lu", &kib) == 1)
            sum += kib;
    fclose(file);
    return sum;
}

/* The mean of several processes, which differ. */
static inline double private_memory_kib(const pid_t *pids, size_t n)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++)
            bench_must(pids[i] != pids[j], "every worker has run a call");
        sum += private_kib(pids[i]);
    }
    return (double)sum / (double)n;
}

#endif
