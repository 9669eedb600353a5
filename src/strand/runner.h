/* SPDX-License-Identifier: MIT */
/*
 * strand/runner.h: the door to whatever runs calls: the caller itself (serial.c), a thread each
 * (thread.c), a task each (task.c), a process each (process/spawn.c), a pool (pool/). Groups know
 * runners, not kinds.
 */
#ifndef WEFT_STRAND_RUNNER_H
#define WEFT_STRAND_RUNNER_H

#include <weft/future.h>
#include <weft/options.h>

struct runner;

struct runner_ops {
    /*
     * Memory for a future that only the runner and its owner refer to, aligned to 16, and what to
     * call instead of free() when the last reference is gone. NULL, as a function or as what it
     * gives: it is allocated as any other.
     */
    weft_future *(*allocate)(struct runner *runner, size_t bytes,
                             void (**ret_release)(weft_future *future));

    /*
     * Takes a pending future and the runner's reference to it, and runs it, now or later; it ends
     * whatever happens. May wait for room until the deadline.
     * Returns  0; an error: the future and its reference are the caller's as before.
     */
    int (*start)(struct runner *runner, weft_future *future, weft_deadline deadline);

    /* Whether what runs could see a function and a lent pointer: 0 or -EFAULT. NULL: always. */
    int (*admit)(struct runner *runner, weft_fn *fn, const void *pointer);

    /*
     * The caller is about to wait for a future of this runner: if the caller is one of the
     * runner's own workers and the future has not started, runs it, unless the wait would end at
     * once. NULL: never.
     * Returns  true: it did.
     */
    bool (*help)(struct runner *runner, weft_future *future, weft_deadline deadline);

    /*
     * The caller is about to wait for futures of this runner: lets one that has not started run
     * first if that is cheaper than to sleep. NULL: it never is.
     */
    void (*let_run)(struct runner *runner);

    /*
     * Waits for a future of this runner in its own way, until the deadline. NULL: as everybody.
     * Returns  0: it has ended; -EAGAIN: wait as everybody; -ETIMEDOUT; -ECANCELED.
     */
    int (*wait)(struct runner *runner, weft_future *future, weft_deadline deadline);

    /*
     * A future that the runner has assigned to no strand is cancelled, in two steps by the
     * canceller, who has a reference. hold: under the future's guard, so it has not ended; the
     * runner must not go away before the second step. cancel: under no lock; by then it may have
     * ended, or be pending again.
     */
    void (*hold)(struct runner *runner);
    void (*cancel)(struct runner *runner, weft_future *future);

    /*
     * A future that start() took was cancelled before anybody began it: whatever room it takes is
     * free. Called by the canceller, who has a reference, before the end. NULL: it takes none.
     */
    void (*forget)(struct runner *runner, weft_future *future);

    /* All futures have ended: ends and waits for what ran them, and frees. NULL: borrowed. */
    void (*close)(struct runner *runner);
};

struct runner {
    const struct runner_ops *ops;
};

/* Makers of runners that a group owns. Options are borrowed until close. */
int serial_runner_open(struct runner **ret, const weft_options *options);
int thread_runner_open(struct runner **ret, const weft_options *options);
int task_runner_open(struct runner **ret, const weft_options *options);
int process_runner_open(struct runner **ret, const weft_options *options);

/* The runner that a pool is (pool/pool.c), and its kind. */
struct runner *pool_runner(weft_pool *pool, weft_kind *ret_kind);

#endif
