/* SPDX-License-Identifier: MIT */
/*
 * The pool benchmarks with a weft_pool of processes.
 *
 * Usage: pool-weft map WORKERS CALLS BYTES TIMES     maps over ordinary memory
 *        pool-weft place WORKERS CALLS BYTES TIMES   maps whose arrays lie in shared memory
 *        pool-weft one WORKERS CALLS BYTES TIMES     one call after the other
 *        pool-weft start WORKERS                     from nothing until all workers have run
 *        pool-weft death TIMES                       kills of a worker of two
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <weft.h>

#include "pool/private_memory.h"
#include "pool/work.h"

/* With shared memory that every call sees; or NULL. */
static weft_pool *open_pool(unsigned long workers, void *shared)
{
    weft_pool *pool;
    weft_options options = { .workers = (uint32_t)workers,
                             .context = shared,
                             .context_bytes = shared ? WEFT_POINTER : 0 };
    bench_must(weft_pool_open(&pool, WEFT_PROCESSES, &options) == 0, "weft_pool_open");
    return pool;
}

/* ---- map, place, one */

static int call_in_place(weft_call *call)
{
    work(call->ret, call->arg, call->ret_bytes);
    return 0;
}

static void run_map(const struct job *job, void *pool)
{
    weft_map map = { .in = job->in,
                     .count = job->count,
                     .in_bytes = job->bytes,
                     .out = job->out,
                     .out_bytes = job->bytes };
    bench_must(weft_pool_map(pool, call_in_place, &map, WEFT_FOREVER) == 0, "weft_pool_map");
}

static int call_alone(weft_call *call)
{
    char result[256];
    if (call->arg_bytes > sizeof result)
        return -EMSGSIZE;
    work(result, call->arg, call->arg_bytes);
    return weft_call_return(call, result, call->arg_bytes);
}

static void run_one_by_one(const struct job *job, void *pool)
{
    for (size_t i = 0; i < job->count; i++) {
        weft_future *future;
        size_t bytes;
        bench_must(weft_pool_submit(pool, call_alone, job->in + i * job->bytes, job->bytes, &future,
                                    WEFT_FOREVER) == 0 &&
                       weft_future_wait(future, WEFT_FOREVER) == 0,
                   "a call");
        const void *result = weft_future_result(future, &bytes);
        bench_must(bytes == job->bytes, "a result has its size");
        memcpy(job->out + i * job->bytes, result, bytes);
        weft_future_close(future);
    }
}

static void measure_job(int argc, char **argv, bool shared, void (*run)(const struct job *, void *))
{
    unsigned long workers = bench_argument(argc, argv, 2, "WORKERS");
    struct job job = { .count = bench_argument(argc, argv, 3, "CALLS"),
                       .bytes = bench_argument(argc, argv, 4, "BYTES") };
    unsigned long times = bench_argument(argc, argv, 5, "TIMES");
    size_t bytes = job.count * job.bytes;
    job.in = shared ? weft_shared_alloc(bytes) : malloc(bytes);
    job.out = shared ? weft_shared_alloc(bytes) : malloc(bytes);
    bench_must(job.in && job.out, "memory");
    weft_pool *pool = open_pool(workers, NULL);
    job_measure(&job, times, run, pool);
    weft_pool_close(pool);
    (shared ? weft_shared_free : free)(job.in);
    (shared ? weft_shared_free : free)(job.out);
}

/* ---- start */

/* In shared memory. */
struct meeting {
    uint32_t here, all;
};

/* Calls that wait for each other, so that each runs in a worker of its own. */
static int meet(weft_call *call)
{
    struct meeting *meeting = call->context;
    pid_t pid = getpid();
    __atomic_fetch_add(&meeting->here, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&meeting->here, __ATOMIC_ACQUIRE) < meeting->all)
        usleep(50);
    return weft_call_return(call, &pid, sizeof pid);
}

static void measure_start(int argc, char **argv)
{
    enum { WORKERS_MAX = 256 };
    unsigned long workers = bench_argument(argc, argv, 2, "WORKERS");
    bench_must(workers <= WORKERS_MAX, "few workers");
    uint64_t start = bench_now();
    bench_must(weft_init() == 0, "weft_init");
    struct meeting *meeting = weft_shared_alloc(sizeof *meeting);
    bench_must(meeting != NULL, "weft_shared_alloc");
    meeting->all = (uint32_t)workers;
    weft_pool *pool = open_pool(workers, meeting);
    pid_t pids[WORKERS_MAX];
    char items[WORKERS_MAX] = { 0 };
    weft_map map = {
        .in = items, .count = workers, .in_bytes = 1, .out = pids, .out_bytes = sizeof *pids
    };
    bench_must(weft_pool_map(pool, meet, &map, WEFT_FOREVER) == 0, "weft_pool_map");
    uint64_t took = bench_now() - start;
    printf("{\"ms\": %.3f, \"kib\": %.1f}\n", (double)took / 1e6,
           private_memory_kib(pids, workers));
    weft_pool_close(pool);
}

/* ---- death */

/* In shared memory. */
struct scene {
    uint32_t pids[2]; /* of the calls that hold both workers; 0: not there yet */
    uint32_t over;    /* the second may end */
};

static int hold_worker(weft_call *call)
{
    unsigned which = *(const unsigned *)call->arg;
    struct scene *scene = call->context;
    __atomic_store_n(&scene->pids[which], (uint32_t)getpid(), __ATOMIC_RELEASE);
    while (!__atomic_load_n(&scene->over, __ATOMIC_ACQUIRE))
        usleep(1000);
    return 0;
}

static int say_pid(weft_call *call)
{
    pid_t pid = getpid();
    return weft_call_return(call, &pid, sizeof pid);
}

static weft_future *submit(weft_pool *pool, weft_fn *fn, unsigned which)
{
    weft_future *future;
    bench_must(weft_pool_submit(pool, fn, &which, sizeof which, &future, WEFT_FOREVER) == 0,
               "weft_pool_submit");
    return future;
}

/* Both workers are held; one of them is killed. Only the one in its place can run a call then. */
static void kill_one(weft_pool *pool, struct scene *scene, uint64_t *outcome_ns, uint64_t *again_ns)
{
    weft_future *held[2];
    memset(scene, 0, sizeof *scene);
    for (unsigned i = 0; i < 2; i++) {
        held[i] = submit(pool, hold_worker, i);
        while (!__atomic_load_n(&scene->pids[i], __ATOMIC_ACQUIRE))
            usleep(100);
    }
    uint64_t start = bench_now();
    bench_must(kill((pid_t)scene->pids[0], SIGKILL) == 0, "kill");
    bench_must(weft_future_wait(held[0], WEFT_FOREVER) == -ECHILD, "the call is told to be dead");
    *outcome_ns = bench_now() - start;
    const weft_outcome *outcome = weft_future_outcome(held[0]);
    bench_must(outcome->how == WEFT_CRASHED && outcome->signal == SIGKILL, "and how it died");
    weft_future *next = submit(pool, say_pid, 0);
    bench_must(weft_future_wait(next, WEFT_FOREVER) == 0, "the worker is replaced");
    *again_ns = bench_now() - start;
    const pid_t *pid = weft_future_result(next, NULL);
    bench_must((uint32_t)*pid != scene->pids[0] && (uint32_t)*pid != scene->pids[1],
               "by a process of its own");
    __atomic_store_n(&scene->over, 1, __ATOMIC_RELEASE);
    bench_must(weft_future_wait(held[1], WEFT_FOREVER) == 0, "the other call goes on");
    weft_future_close(held[0]);
    weft_future_close(held[1]);
    weft_future_close(next);
}

static void measure_death(int argc, char **argv)
{
    unsigned long times = bench_argument(argc, argv, 2, "TIMES");
    uint64_t *outcome_ns = calloc(times, sizeof *outcome_ns);
    uint64_t *again_ns = calloc(times, sizeof *again_ns);
    struct scene *scene = weft_shared_alloc(sizeof *scene);
    bench_must(outcome_ns && again_ns && scene, "memory");
    weft_pool *pool = open_pool(2, scene);
    for (unsigned long i = 0; i < times; i++)
        kill_one(pool, scene, &outcome_ns[i], &again_ns[i]);
    printf("{\"outcome_ms\": %.4f, \"again_ms\": %.4f}\n",
           (double)bench_percentile(outcome_ns, times, 0.5) / 1e6,
           (double)bench_percentile(again_ns, times, 0.5) / 1e6);
    weft_pool_close(pool);
    free(outcome_ns);
    free(again_ns);
    weft_shared_free(scene);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "start") == 0) {
        measure_start(argc, argv);
        return 0;
    }
    bench_must(weft_init() == 0, "weft_init");
    if (strcmp(mode, "map") == 0)
        measure_job(argc, argv, false, run_map);
    else if (strcmp(mode, "place") == 0)
        measure_job(argc, argv, true, run_map);
    else if (strcmp(mode, "one") == 0)
        measure_job(argc, argv, false, run_one_by_one);
    else if (strcmp(mode, "death") == 0)
        measure_death(argc, argv);
    else
        bench_failed("a mode: map, place, one, start or death");
    return 0;
}
