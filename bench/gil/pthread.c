/* SPDX-License-Identifier: MIT */
/* gil-pthread N: locks and unlocks a mutex that nobody else wants, in a program with two threads.
 */
#include "harness/harness.h"

#include <pthread.h>
#include <stdio.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *nothing(void *arg)
{
    return arg;
}

int main(int argc, char **argv)
{
    unsigned long n = bench_argument(argc, argv, 1, "N");
    pthread_t thread;
    /* glibc leaves out its atomic operations in a process that never had a second one */
    bench_must(pthread_create(&thread, NULL, nothing, NULL) == 0, "a thread");
    pthread_join(thread, NULL);
    uint64_t start = bench_now();
    for (unsigned long i = 0; i < n; i++) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
    printf("{\"ns\": %.4f}\n", (double)(bench_now() - start) / (double)n);
    return 0;
}
