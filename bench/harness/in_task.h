/* SPDX-License-Identifier: MIT */
/* What weft's sides of the benchmarks of tasks share. */
#ifndef BENCH_IN_TASK_H
#define BENCH_IN_TASK_H

#include "harness/harness.h"

#include <weft.h>

/* Starts fn in a group, with the pointer that its call will have. */
static inline void bench_start(weft_group *group, weft_fn *fn, void *pointer)
{
    bench_must(weft_group_start(group, fn, pointer, WEFT_POINTER) == 0, "weft_group_start");
}

/* Opens a group of tasks. */
static inline weft_group *bench_open_tasks(void)
{
    weft_group *group;
    bench_must(weft_group_open(&group, WEFT_TASKS, NULL) == 0, "weft_group_open");
    return group;
}

/* Waits for all of a group, none of which may have failed, and closes it. */
static inline void bench_join(weft_group *group)
{
    bench_must(weft_group_join(group, WEFT_FOREVER) == 0, "weft_group_join");
    weft_group_close(group);
}

/* Runs fn in a task and waits for it: what is measured starts and ends inside. */
static inline void bench_in_task(weft_fn *fn, void *pointer)
{
    weft_group *group = bench_open_tasks();
    bench_start(group, fn, pointer);
    bench_join(group);
}

#endif
