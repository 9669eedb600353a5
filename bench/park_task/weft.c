/* SPDX-License-Identifier: MIT */
/*
 * Starts N tasks that all wait for one event, then sets it and waits for all of them to end. What
 * an idle task holds is what the process grew by while all waited.
 */
#include "harness/in_task.h"

#include <stdio.h>

static weft_event over = WEFT_EVENT_INIT;
static unsigned long parked, ended;
static struct {
    uint64_t start_ns, end_ns, bytes;
} total;

static int wait_for_it(weft_call *call)
{
    (void)call;
    parked++;
    int rc = weft_event_wait(&over, WEFT_FOREVER);
    ended++;
    return rc;
}

static int root(weft_call *call)
{
    unsigned long n = *(unsigned long *)call->pointer;
    weft_group *group = bench_open_tasks();
    uint64_t held = bench_memory_bytes(), began = bench_now();
    for (unsigned long i = 0; i < n; i++)
        bench_start(group, wait_for_it, NULL);
    while (parked < n)
        bench_must(weft_yield() == 0, "weft_yield");
    total.start_ns = bench_now() - began;
    total.bytes = bench_memory_bytes() - held;
    began = bench_now();
    weft_event_set(&over);
    bench_join(group);
    total.end_ns = bench_now() - began;
    bench_must(ended == n, "every task ended");
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long n = bench_argument(argc, argv, 1, "N");
    bench_in_task(root, &n);
    printf("{\"ns\": %.1f, \"start_ns\": %.1f, \"bytes\": %.0f}\n",
           (double)(total.start_ns + total.end_ns) / (double)n, (double)total.start_ns / (double)n,
           (double)total.bytes / (double)n);
    return 0;
}
