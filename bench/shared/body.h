/* SPDX-License-Identifier: MIT */
/*
 * The shared-memory benchmark: take zeroed memory, write to each of its pages, free it, again and
 * again, while as many blocks as HELD are held. ALLOC and FREE are the side's.
 *
 * Usage: shared-SIDE BYTES TIMES
 */
#ifndef BENCH_SHARED_BODY_H
#define BENCH_SHARED_BODY_H

#include <stdio.h>

#include "harness/harness.h"

enum { HELD = 16, PAGE = 4096 };

static uint64_t run(size_t bytes, unsigned long times)
{
    char *held[HELD] = { 0 };
    uint64_t start = bench_now();
    for (unsigned long i = 0; i < times; i++) {
        char *block = ALLOC(bytes);
        bench_must(block != NULL, "taking memory");
        for (size_t at = 0; at < bytes; at += PAGE) {
            bench_must(block[at] == 0, "memory is zeroed");
            block[at] = 1;
        }
        FREE(held[i % HELD]);
        held[i % HELD] = block;
    }
    uint64_t took = bench_now() - start;
    for (size_t i = 0; i < HELD; i++)
        FREE(held[i]);
    return took;
}

static int measure(int argc, char **argv)
{
    size_t bytes = bench_argument(argc, argv, 1, "BYTES");
    unsigned long times = bench_argument(argc, argv, 2, "TIMES");
    run(bytes, HELD); /* the memory comes from the system once */
    printf("{\"ns\": %.2f}\n", (double)run(bytes, times) / (double)times);
    return 0;
}

#endif
