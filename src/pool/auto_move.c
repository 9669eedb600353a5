/* SPDX-License-Identifier: MIT */
/*
 * pool/auto_move.c: calls of a pool of kind auto that run in processes after all, as they would
 * only wait for each other in threads.
 *
 * The processes are a pool of their own, which the first one owns and hands calls to. What runs
 * goes on in its thread, and so does each call that a process could not see. A future that was
 * handed over is marked (elsewhere) under the lock of the first pool: until then its queue_link
 * and its end are the threads' affair, from then on the crew's. Slots of a map that has begun stay
 * with the threads (stays), as their arguments and results lie in memory that processes cannot see.
 *
 * A pool does not move back: in processes there is no fight that could be seen to be over.
 */
#include <errno.h>

#include "pool/auto.h"
#include "pool/crew.h"
#include "pool/pool.h"
#include "pool/processes.h"
#include "process/process.h"
#include "sync/lock.h"

weft_pool *auto_processes(weft_pool *pool)
{
    return load_acquire(&pool->pilot->processes); /* pairs with the release in auto_move() */
}

static weft_pool *admit(weft_pool *pool, weft_fn *fn, const void *pointer)
{
    weft_pool *processes = auto_processes(pool);
    return processes && processes_admit(processes->crew, fn, pointer) == 0 ? processes : NULL;
}

weft_pool *auto_processes_for(weft_pool *pool, weft_fn *fn, const void *pointer)
{
    if (!pool->pilot)
        return NULL;
    lock_inner(&pool->lock);
    bool closing = pool->closing;
    weft_lock_release(&pool->lock);
    return closing ? NULL : admit(pool, fn, pointer);
}

static weft_pool *processes_for(weft_pool *pool, const weft_future *future)
{
    return future->stays ? NULL : admit(pool, future->fn, future->call.pub.pointer);
}

/* ---- the runner */

/* Whether a future is the crew's; once it is, it stays so. Does not need the pool, which may be
 * gone if the future has ended. */
static bool is_elsewhere(const weft_future *future)
{
    return load_acquire(&future->elsewhere); /* pairs with the release in mark() */
}

/* Under the lock. */
static void mark(weft_future *future, bool elsewhere)
{
    store_release(&future->elsewhere, elsewhere); /* pairs with is_elsewhere() */
}

/* The pool's processes are closed when it has nothing left that could hand them anything: it says
 * itself that it is closing. */
static int hand_over(weft_pool *pool, weft_pool *processes, weft_future *future,
                     weft_deadline deadline)
{
    lock_inner(&pool->lock);
    int rc = pool->closing ? -EPIPE : 0;
    if (rc == 0)
        mark(future, true);
    weft_lock_release(&pool->lock);
    if (rc < 0)
        return rc;
    rc = processes->runner.ops->start(&processes->runner, future, deadline);
    if (rc == 0)
        return 0;
    lock_inner(&pool->lock);
    mark(future, false);
    weft_lock_release(&pool->lock);
    return rc;
}

static int start(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    weft_pool *pool = (weft_pool *)runner;
    weft_pool *processes = processes_for(pool, future);
    if (processes)
        return hand_over(pool, processes, future, deadline);
    return pool_ops.start(runner, future, deadline);
}

static bool help(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    return pool_ops.help(runner, future, deadline); /* does not find what is elsewhere */
}

static int wait_for(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    if (!is_elsewhere(future))
        return -EAGAIN;
    weft_pool *processes = auto_processes((weft_pool *)runner);
    return processes->runner.ops->wait(&processes->runner, future, deadline);
}

/* Only a future that is elsewhere is assigned to no strand. */
static void hold(struct runner *runner)
{
    weft_pool *processes = auto_processes((weft_pool *)runner);
    processes->runner.ops->hold(&processes->runner);
}

static void cancel(struct runner *runner, weft_future *future)
{
    weft_pool *processes = auto_processes((weft_pool *)runner);
    processes->runner.ops->cancel(&processes->runner, future);
}

static void forget(struct runner *runner, weft_future *future)
{
    if (!is_elsewhere(future)) {
        pool_ops.forget(runner, future);
        return;
    }
    weft_pool *processes = auto_processes((weft_pool *)runner);
    processes->runner.ops->forget(&processes->runner, future);
}

const struct runner_ops auto_ops = {
    .start = start,
    .help = help,
    .wait = wait_for,
    .hold = hold,
    .cancel = cancel,
    .forget = forget,
};

/* ---- moving */

/* Why calls cannot move, for people; NULL: nothing is known to hinder them. */
static const char *why_not(const weft_options *options)
{
    return !process_available()                     ? "weft_init() was not called"
           : options->context_bytes == WEFT_POINTER ? "their context is lent"
                                                    : NULL;
}

static void note(weft_pool *pool, const char *why)
{
    lock_inner(&pool->lock);
    pool->pilot->why_threads = why;
    weft_lock_release(&pool->lock);
}

bool auto_can_move(weft_pool *pool)
{
    const char *why = pool->pilot->why_threads; /* only the pilot writes it, who asks */
    if (!why && (why = why_not(&pool->options)))
        note(pool, why);
    return !why;
}

/* Whether processes could run what runs now, if anything does. */
static bool sees_what_runs(weft_pool *pool, weft_pool *processes)
{
    bool sees = true;
    lock_inner(&pool->lock);
    for (uint32_t i = 0; sees && i < pool->pilot->bound; i++) {
        const struct running *running = pool->workers[i].running;
        const weft_future *future = running ? running->future : NULL;
        sees =
            !future || processes_admit(processes->crew, future->fn, future->call.pub.pointer) == 0;
    }
    weft_lock_release(&pool->lock);
    return sees;
}

/* Takes the first future out of the queue that processes could run, and marks it. */
static weft_future *take_one(weft_pool *pool)
{
    weft_future *found = NULL;
    lock_inner(&pool->lock);
    LIST_FOREACH (link, &pool->queue) {
        weft_future *future = CONTAINER(link, weft_future, queue_link);
        if (!processes_for(pool, future))
            continue;
        list_remove(link);
        pool->queued--; /* the pilot, which does this, needs no signal that it is over */
        mark(future, true);
        found = future;
        break;
    }
    weft_lock_release(&pool->lock);
    return found;
}

/* Hands over what is queued. That the pool is closing meanwhile changes nothing: its processes are
 * closed after the pilot has gone. That it is terminated does. */
static void move_queued(weft_pool *pool)
{
    weft_pool *processes = auto_processes(pool);
    for (weft_future *future; (future = take_one(pool));) {
        if (processes->runner.ops->start(&processes->runner, future, WEFT_FOREVER) < 0) {
            weft_future_cancel(future);
            future_unref(future);
        }
        signal_raise(&pool->room, 1);
    }
}

/* False: the pool is closing. */
static bool put_up(weft_pool *pool, weft_pool *processes)
{
    lock_inner(&pool->lock);
    bool closing = pool->closing;
    if (!closing)
        store_release(&pool->pilot->processes, processes); /* pairs with auto_processes() */
    weft_lock_release(&pool->lock);
    return !closing;
}

void auto_move(weft_pool *pool)
{
    weft_pool *processes;
    weft_options options = pool->options;
    uint32_t cpus = pool->pilot->cpus / 1000;
    if (!options.workers || options.workers > cpus)
        options.workers = cpus;
    if (!auto_can_move(pool))
        return;
    int rc = weft_pool_open(&processes, WEFT_PROCESSES, &options);
    if (rc < 0) {
        note(pool, weft_strerror(rc));
        return;
    }
    if (!sees_what_runs(pool, processes)) {
        note(pool, "processes could not see what they are given");
        weft_pool_close(processes);
    } else if (put_up(pool, processes)) {
        move_queued(pool);
    } else {
        note(pool, "the pool is closing");
        weft_pool_close(processes);
    }
}
