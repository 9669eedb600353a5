/* SPDX-License-Identifier: MIT */
/*
 * pool/auto.c: pools of kind auto: threads, as many as their calls turn out to need.
 *
 * Such a pool is one of threads (pool.c) with a pilot (auto_pilot.c): a thread that measures the
 * workers and says how many there are to be. This file is what the workers and the pool's users do
 * for it.
 *
 * Workers keep their numbers dense. Those from pilot->bound on are one too many, and end when they
 * are next without a call:
 *
 *     NONE ---start---> AT_WORK ---number >= bound, and no call---> LEAVING ---gone---> NONE
 *                          |
 *                          +------could not be opened-------------> GIVEN_UP
 *
 * One that is leaving is inside of options.leave, and cannot be called back: when the pool grows
 * meanwhile, its number is given to another thread when it has gone. A thread that the system
 * refuses is a limit for a while; one that could not be entered is, for good.
 *
 * A pool whose options only processes can fulfil has no pilot: it is a crew, like one of kind
 * processes. Calls that fight over a GIL move to a crew beside the threads (auto_move.c).
 *
 * Lock order: pool.c's. What is the pilot's own needs none.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cpus.h"
#include "pool/auto.h"
#include "pool/pool.h"
#include "strand/self.h"
#include "sync/lock.h"

const char *auto_isolates(const weft_options *options)
{
    return options->call_timeout_ns    ? "call_timeout_ns must hold"
           : options->memory_bytes_max ? "memory_bytes_max must hold"
           : options->attempts_max > 1 ? "attempts_max is for calls that crash"
           : options->environment      ? "environment is a process's"
           : options->directory        ? "directory is a process's"
           : options->cpus             ? "cpus are a process's"
           : options->niceness         ? "niceness is a process's"
                                       : NULL;
}

/* ---- what workers tell */

void auto_worker_begins(struct worker *worker)
{
    weft_pool *pool = worker->pool;
    struct gauge *gauge = &worker->gauge;
    clockid_t clock;
    if (pthread_getcpuclockid(pthread_self(), &clock) != 0)
        return; /* it is not measured: others stand for it */
    lock_inner(&pool->lock);
    gauge->tid = (int)syscall(SYS_gettid);
    gauge->clock = clock;
    gauge->strand = strand_self();
    weft_lock_release(&pool->lock);
}

void auto_worker_ends(struct worker *worker)
{
    weft_pool *pool = worker->pool;
    lock_inner(&pool->lock);
    worker->gauge.tid = 0;
    if (worker->gauge.state != GAUGE_GIVEN_UP)
        worker->gauge.state = GAUGE_NONE;
    weft_lock_release(&pool->lock);
}

bool auto_retires(struct worker *worker)
{
    weft_pool *pool = worker->pool;
    if (worker->number < pool->pilot->bound || pool->closing || pool->usable == 1)
        return false;
    worker->gauge.state = GAUGE_LEAVING;
    pool->usable--;
    if (pool->queued)
        signal_raise(&pool->work, 1); /* it may have been woken for what it leaves to others */
    return true;
}

void auto_worker_given_up(struct worker *worker)
{
    weft_pool *pool = worker->pool;
    struct pilot *pilot = pool->pilot;
    lock_inner(&pool->lock);
    worker->gauge.state = GAUGE_GIVEN_UP;
    if (worker->number < pilot->bound) { /* else it says nothing of those that there are to be */
        pilot->given_up++;
        pilot->opened = pilot_size(pilot);
    }
    weft_lock_release(&pool->lock);
}

void auto_call_begins(struct worker *worker)
{
    worker->gauge.since_ns = weft_now();
    worker->pool->pilot->running++;
}

void auto_call_ends(struct worker *worker)
{
    worker->gauge.busy_ns += weft_now() - worker->gauge.since_ns;
    worker->gauge.since_ns = 0;
    worker->pool->pilot->running--;
}

/* ---- the pool */

/* Whether there is more to do than the first workers can, or than those that there are, as CPUs may
 * have gone and come back; or more workers than the first. */
static bool needs_pilot(const weft_pool *pool)
{
    const struct pilot *pilot = pool->pilot;
    uint32_t there = pool->usable < pilot->base ? pool->usable : pilot->base;
    return pilot->running + pool->queued > there || pilot_size(pilot) > pilot->base;
}

bool auto_needs_pilot(weft_pool *pool)
{
    lock_inner(&pool->lock);
    bool needs = needs_pilot(pool);
    weft_lock_release(&pool->lock);
    return needs;
}

void auto_queued(weft_pool *pool)
{
    if (needs_pilot(pool))
        signal_raise(&pool->pilot->attention, 1);
}

bool auto_is_over(const weft_pool *pool)
{
    return pool->closing && !pool->queued;
}

void auto_unqueued(weft_pool *pool)
{
    if (!auto_is_over(pool))
        return;
    signal_raise(&pool->pilot->attention, UINT32_MAX);
    signal_raise(&pool->pilot->over, UINT32_MAX);
}

/* As a pool of processes, one for each CPU. */
static int open_processes(weft_pool *pool)
{
    uint32_t cpus = base_cpus();
    if (!pool->options.workers || pool->options.workers > cpus)
        pool->options.workers = cpus;
    return pool_processes_open(pool);
}

int auto_open(weft_pool *pool)
{
    if (auto_isolates(&pool->options))
        return open_processes(pool);
    struct pilot *pilot = calloc(1, sizeof *pilot);
    if (!pilot)
        return -ENOMEM;
    pilot->cpus = base_cpu_thousandths(&pilot->quota);
    pilot->preset = !pool->options.workers;
    if (pilot->preset) {
        uint32_t base = auto_base(pilot->cpus, POOL_WORKERS_MAX);
        pool->options.workers = base > AUTO_WORKERS ? base : AUTO_WORKERS;
    }
    pilot->base = pilot->bound = auto_base(pilot->cpus, pool->options.workers);
    snprintf(pilot->name, sizeof pilot->name, "%.20s-pilot", pool->options.name);
    thread_set_init(&pilot->thread, pilot->name, 0);
    pool->pilot = pilot;
    pool->runner.ops = &auto_ops;
    int rc = pool_start_workers(pool);
    if (rc == 0) {
        rc = thread_start(&pilot->thread, auto_pilot_main, pool);
        if (rc < 0)
            pool_abandon_workers(pool);
    }
    if (rc < 0)
        free(pilot);
    return rc;
}

void auto_stop(weft_pool *pool)
{
    thread_set_join(&pool->pilot->thread);
}

void auto_close(weft_pool *pool)
{
    weft_pool_close(pool->pilot->processes);
    free(pool->pilot);
}
