/* SPDX-License-Identifier: MIT */
/* Starts and joins N threads, one after the other, in a weft group. */
#include "harness/harness.h"

#include <stdio.h>
#include <weft.h>

static int nothing(weft_call *call)
{
    (void)call;
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long n = bench_argument(argc, argv, 1, "N");
    weft_group *group;
    bench_must(weft_group_open(&group, WEFT_THREADS, NULL) == 0, "weft_group_open");
    uint64_t start = bench_now();
    for (unsigned long i = 0; i < n; i++) {
        bench_must(weft_group_start(group, nothing, NULL, 0) == 0, "weft_group_start");
        bench_must(weft_group_join(group, WEFT_FOREVER) == 0, "weft_group_join");
    }
    uint64_t took = bench_now() - start;
    weft_group_close(group);
    printf("{\"ns\": %.1f}\n", (double)took / (double)n);
    return 0;
}
