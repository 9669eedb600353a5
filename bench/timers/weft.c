/* SPDX-License-Identifier: MIT */
/*
 * N tasks each sleep until a random moment between SPAN and five SPANs of milliseconds from the
 * start, and say how late they woke.
 */
#include "harness/in_task.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned long n;
static uint64_t *moments; /* in ns on CLOCK_MONOTONIC; then how late each was */
static unsigned long woken;

static int sleep_once(weft_call *call)
{
    uint64_t *moment = &moments[call->index];
    int rc = weft_sleep_until((weft_deadline){ (int64_t)*moment });
    uint64_t now = bench_now();
    bench_must(rc == 0 && now >= *moment, "nobody wakes early");
    *moment = now - *moment;
    __atomic_fetch_add(&woken, 1, __ATOMIC_RELAXED);
    return 0;
}

static int root(weft_call *call)
{
    (void)call;
    weft_group *group = bench_open_tasks();
    for (unsigned long i = 0; i < n; i++)
        bench_start(group, sleep_once, NULL);
    bench_join(group);
    return 0;
}

int main(int argc, char **argv)
{
    n = bench_argument(argc, argv, 1, "N");
    uint64_t span = bench_argument(argc, argv, 2, "SPAN") * 1000000, seed = 1;
    moments = malloc(n * sizeof *moments);
    bench_must(moments != NULL, "memory");
    uint64_t began = bench_now();
    for (unsigned long i = 0; i < n; i++)
        moments[i] = began + span + bench_random(&seed) % (4 * span);
    bench_in_task(root, NULL);
    bench_must(woken == n, "everybody woke");
    double p50 = (double)bench_percentile(moments, n, 0.5) / 1e6;
    printf("{\"p50_ms\": %.4f, \"p99_ms\": %.4f}\n", p50,
           (double)bench_percentile(moments, n, 0.99) / 1e6);
    free(moments);
    return 0;
}
