/* SPDX-License-Identifier: MIT */
/*
 * The lock benchmark, compiled once for each kind of lock. Whoever includes it has defined
 *
 *     mutex_type              the lock, as a programmer would declare it
 *     MUTEX_INIT              its initialiser
 *     mutex_take(mutex_type *), mutex_give(mutex_type *)
 *
 * single N           N times take, count, give, in the only thread that the process ever had
 * uncontended N      the same in a process that has started another thread: glibc leaves out
 *                    atomic operations before that, which no concurrent program profits from
 * contended THREADS MS INSIDE OUTSIDE
 *                    THREADS threads, for MS milliseconds: take, work of INSIDE rounds, give,
 *                    work of OUTSIDE rounds
 *
 * Contended, thread i is bound to the i-th CPU (and on from the first): left to the scheduler, two
 * threads may share a CPU for the whole run, and then never contend. Every eighth wait of a thread
 * is timed: all waits would lengthen what they measure.
 */
#include "harness/harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    alignas(64) mutex_type mutex;
    alignas(64) volatile uint64_t count;
    alignas(64) bool go;
    bool stop;
    unsigned inside, outside;
} shared = { MUTEX_INIT, 0, false, false, 0, 0 };

struct visitor {
    alignas(64) pthread_t thread;
    uint64_t visits;
    struct bench_waits waits;
};

static void *nothing(void *ctx)
{
    return ctx;
}

static void start_a_thread(void)
{
    pthread_t thread;
    bench_must(pthread_create(&thread, NULL, nothing, NULL) == 0, "pthread_create");
    bench_must(pthread_join(thread, NULL) == 0, "pthread_join");
}

static void run_uncontended(unsigned long n)
{
    uint64_t start = bench_now();
    for (unsigned long i = 0; i < n; i++) {
        mutex_take(&shared.mutex);
        shared.count = shared.count + 1;
        mutex_give(&shared.mutex);
    }
    uint64_t took = bench_now() - start;
    bench_must(shared.count == n, "counting under the lock");
    printf("{\"ns\": %.4f}\n", (double)took / (double)n);
}

static void visit(struct visitor *visitor)
{
    bool timed = visitor->visits % 8 == 0;
    uint64_t start = timed ? bench_ticks() : 0;
    mutex_take(&shared.mutex);
    uint64_t end = timed ? bench_ticks() : 0;
    shared.count = shared.count + 1;
    bench_work(shared.inside);
    mutex_give(&shared.mutex);
    visitor->visits++;
    if (timed)
        bench_waits_add(&visitor->waits, end - start);
    bench_work(shared.outside);
}

static void *visit_often(void *ctx)
{
    struct visitor *visitor = (struct visitor *)ctx;
    while (!__atomic_load_n(&shared.go, __ATOMIC_ACQUIRE))
        sched_yield();
    while (!__atomic_load_n(&shared.stop, __ATOMIC_RELAXED))
        visit(visitor);
    return NULL;
}

static void print_contended(struct visitor *visitors, unsigned long threads, uint64_t took)
{
    struct bench_waits *waits = &visitors[0].waits;
    uint64_t total = 0, least = UINT64_MAX, most = 0;
    for (unsigned long i = 0; i < threads; i++) {
        uint64_t visits = visitors[i].visits;
        total += visits;
        least = visits < least ? visits : least;
        most = visits > most ? visits : most;
        if (i > 0)
            bench_waits_merge(waits, &visitors[i].waits);
    }
    bench_must(shared.count == total, "counting under the lock");
    printf("{\"ns\": %.3f, \"p50_ns\": %.0f, \"p99_ns\": %.0f, \"longest_ns\": %.0f, "
           "\"least\": %llu, \"most\": %llu, \"fairness\": %.4f}\n",
           (double)took / (double)total, bench_waits_percentile(waits, 0.5),
           bench_waits_percentile(waits, 0.99), (double)waits->longest / bench_ticks_per_ns(),
           (unsigned long long)least, (unsigned long long)most, (double)least / (double)most);
}

static void start_visitor(struct visitor *visitor, unsigned long i)
{
    pthread_attr_t attributes;
    cpu_set_t cpu = bench_nth_cpu(i);
    pthread_attr_init(&attributes);
    bench_must(pthread_attr_setaffinity_np(&attributes, sizeof cpu, &cpu) == 0, "affinity");
    bench_must(pthread_create(&visitor->thread, &attributes, visit_often, visitor) == 0,
               "pthread_create");
    pthread_attr_destroy(&attributes);
}

static void run_contended(unsigned long threads, unsigned long ms)
{
    struct visitor *visitors =
        (struct visitor *)aligned_alloc(64, threads * sizeof(struct visitor));
    bench_must(visitors != NULL, "memory");
    memset((void *)visitors, 0, threads * sizeof *visitors);
    for (unsigned long i = 0; i < threads; i++)
        start_visitor(&visitors[i], i);
    uint64_t start = bench_now();
    __atomic_store_n(&shared.go, true, __ATOMIC_RELEASE);
    usleep((useconds_t)(ms * 1000));
    __atomic_store_n(&shared.stop, true, __ATOMIC_RELAXED);
    uint64_t took = bench_now() - start;
    for (unsigned long i = 0; i < threads; i++)
        pthread_join(visitors[i].thread, NULL);
    print_contended(visitors, threads, took);
    free(visitors);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "single") == 0) {
        run_uncontended(bench_argument(argc, argv, 2, "N"));
    } else if (strcmp(what, "uncontended") == 0) {
        start_a_thread();
        run_uncontended(bench_argument(argc, argv, 2, "N"));
    } else if (strcmp(what, "contended") == 0) {
        shared.inside = (unsigned)bench_argument(argc, argv, 4, "INSIDE");
        shared.outside = (unsigned)bench_argument(argc, argv, 5, "OUTSIDE");
        run_contended(bench_argument(argc, argv, 2, "THREADS"),
                      bench_argument(argc, argv, 3, "MS"));
    } else {
        fprintf(stderr,
                "usage: %s single N | uncontended N | contended THREADS MS INSIDE OUTSIDE\n",
                argv[0]);
        return 2;
    }
    return 0;
}
