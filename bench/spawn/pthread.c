/* SPDX-License-Identifier: MIT */
/* Starts and joins N threads, one after the other, with pthreads. */
#include "harness/harness.h"

#include <pthread.h>
#include <stdio.h>

static void *nothing(void *ctx)
{
    return ctx;
}

int main(int argc, char **argv)
{
    unsigned long n = bench_argument(argc, argv, 1, "N");
    uint64_t start = bench_now();
    for (unsigned long i = 0; i < n; i++) {
        pthread_t thread;
        bench_must(pthread_create(&thread, NULL, nothing, NULL) == 0, "pthread_create");
        bench_must(pthread_join(thread, NULL) == 0, "pthread_join");
    }
    uint64_t took = bench_now() - start;
    printf("{\"ns\": %.1f}\n", (double)took / (double)n);
    return 0;
}
