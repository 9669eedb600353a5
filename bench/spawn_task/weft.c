/* SPDX-License-Identifier: MIT */
/*
 * Starts and finishes N tasks, one alive at a time: a task starts a child and waits for it. First
 * by yielding until it has run, which is all that a scheduler can be asked for, then by joining it.
 */
#include "harness/in_task.h"

#include <stdio.h>

static unsigned long children, ran;
static uint64_t yield_ns, join_ns;

static int child(weft_call *call)
{
    (void)call;
    ran++;
    return 0;
}

static void start_and_yield(weft_group *group)
{
    for (unsigned long i = 1; i <= children; i++) {
        bench_start(group, child, NULL);
        while (ran < i)
            bench_must(weft_yield() == 0, "weft_yield");
    }
}

static void start_and_join(weft_group *group)
{
    for (unsigned long i = 0; i < children; i++) {
        bench_start(group, child, NULL);
        bench_must(weft_group_join(group, WEFT_FOREVER) == 0, "weft_group_join");
    }
}

static uint64_t timed(void (*start_all)(weft_group *))
{
    weft_group *group = bench_open_tasks();
    ran = 0;
    uint64_t began = bench_now();
    start_all(group);
    uint64_t took = bench_now() - began;
    bench_join(group);
    bench_must(ran == children, "every child ran");
    return took;
}

static int root(weft_call *call)
{
    (void)call;
    yield_ns = timed(start_and_yield);
    join_ns = timed(start_and_join);
    return 0;
}

int main(int argc, char **argv)
{
    children = bench_argument(argc, argv, 1, "N");
    bench_in_task(root, NULL);
    printf("{\"yield_ns\": %.2f, \"join_ns\": %.2f}\n", (double)yield_ns / (double)children,
           (double)join_ns / (double)children);
    return 0;
}
