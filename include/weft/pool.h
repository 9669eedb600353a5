/* SPDX-License-Identifier: MIT */
/*
 * weft/pool.h: strands that are used again and again for many calls.
 *
 *     weft_pool *pool;
 *     rc = weft_pool_open(&pool, WEFT_PROCESSES, &(weft_options){ .workers = 5 });
 *     rc = weft_pool_map(pool, fetch_url, &(weft_map){ .in = urls, .count = 10,
 *                        .in_bytes = WEFT_STRING, .out = status, .out_bytes = sizeof *status },
 *                        WEFT_FOREVER);
 *     weft_pool_close(pool);
 *
 * For results in the order of ending, open a group on the pool (options.pool) and use
 * weft_group_next().
 *
 * A worker process that exits, crashes or is killed costs the one call that it was running, which
 * ends as WEFT_CRASHED, saying how (or is tried again, see attempts_max). The worker is replaced
 * and everything else goes on. A worker that cannot be opened (enter fails, the system has no room
 * for a process, it dies at once) is tried again up to 8 times in a row and then given up; when the
 * last one is, calls fail with what it said instead of waiting for ever.
 *
 * Pools may be opened inside calls of pools, of the same or another kind. Calls may also wait for
 * calls of their own pool (kinds threads and tasks), and those for others, to any depth: a worker
 * that would wait for one that has not started runs it itself, inside of its own call. A call that
 * runs like that has at least half of a worker's stack: where less is left, another strand of the
 * pool runs it in the worker's stead; if none can be made, it fails with -ENOMEM or -EAGAIN.
 *
 * A pool of kind auto measures its calls and has as many workers as they need (WEFT_AUTO below).
 *
 * A pool of processes belongs to the process that opened it. Its calls, and forks of the program,
 * are other processes: they may open pools of their own. What they ask of a copy of the handle is
 * refused (-ENOTCONN) or, as closing and terminating it, does nothing.
 */
#ifndef WEFT_POOL_H
#define WEFT_POOL_H

#include <weft/future.h>
#include <weft/options.h>

WEFT_BEGIN

/*
 * WEFT_AUTO: threads or processes, and how many?
 *
 * A pool of kind auto begins with a thread for each CPU that it may use. While calls wait for a
 * worker it measures those that run, and has about CPUs / (share of their time that they are on a
 * CPU) workers within a few tenths of a second: calls that wait nine tenths of their time get ten
 * threads per CPU, calls that compute one. It has no more than options.workers (if that is 0: 256,
 * or one for each CPU where these are more), nor than the system has room for (processes, memory,
 * address space, descriptors); enter and leave are called as threads come and go. A pool that has
 * nothing to do does not wake up.
 *
 * It is a pool of as many processes as CPUs from the start if an option asks for what only a
 * process can do: call_timeout_ns, memory_bytes_max, attempts_max, environment, directory, cpus or
 * niceness. Then everything is as with WEFT_PROCESSES, weft_init() included.
 *
 * Threads that fight over a weft_gil while they compute are of no use to each other. If that is
 * seen, calls that come from then on run in processes, where each has the lock to itself, as long
 * as processes could see them: the program called weft_init(), function and options are of an image
 * that was loaded before it, and nothing is lent (WEFT_POINTER). A program that uses a lock like
 * that in a pool of kind auto must therefore make what it guards in enter, or before weft_init();
 * one that cannot lends its context, or has WEFT_THREADS.
 */

/*
 * Opens a pool. Kind serial has no workers: each call runs at once in the strand that submits it,
 * one at a time.
 * Returns  0 and *ret_pool, to be closed; -EINVAL: no such kind, more than 4096 workers, reserved
 *          words set, or an option that makes no sense (a name in environment without "=", cpus
 *          that are no list); -ENOTSUP: a promise that the kind cannot keep; -EFAULT: enter, leave
 *          or context could not be seen by the workers; -ENOTCONN: processes without weft_init();
 *          -EAGAIN: the system has no room for the workers' threads; -EMSGSIZE: a context of more
 *          than 1 GiB; -EBUSY, -EPIPE, -EMFILE: WEFT_START_FORK with several threads, or without
 *          room for it; -ENOMEM.
 * Blocks   no: workers open on their own.
 */
int weft_pool_open(weft_pool **ret_pool, weft_kind kind, const weft_options *options) WEFT_USE;

/*
 * Hands fn to the pool. The argument is copied (call.h has the sizes that are words).
 * Returns  0 and *ret_future (may be NULL: nobody asks), to be closed; -ETIMEDOUT: no room in the
 *          backlog by the deadline; -ECANCELED; -EPIPE: the pool is closing or terminated; -EFAULT:
 *          a worker could not see fn or arg; -EMSGSIZE: more than 1 GiB; -ENOTCONN: another
 *          process opened the pool; -EINVAL, -ENOMEM.
 * Blocks   while the backlog is full; a worker of a pool of threads or tasks that submits to its
 * own full pool runs a waiting call itself instead. Kind serial: runs the call.
 */
int weft_pool_submit(weft_pool *pool, weft_fn *fn, const void *arg, size_t arg_bytes,
                     weft_future **ret_future, weft_deadline deadline) WEFT_USE;

/*
 * A call for each item of an array, results in the order of the items.
 *
 * in: count items of in_bytes each; with WEFT_STRING an array of const char *, with WEFT_BYTES an
 * array of weft_bytes. Read while the map runs, by kinds that share memory in place.
 *
 * out: NULL for none, or room for count results of out_bytes each, zeroed first; with WEFT_BYTES an
 * array of weft_bytes, to be freed by weft_bytes_free(); with WEFT_STRING an array of char *, each
 * to be freed by free(). A call that gave no result leaves zeroes, or NULL. Results of fixed size
 * whose array lies in shared memory (program.h) are different: no kind clears them, so that
 * call->ret holds what the array held, and what a call leaves there stays, however it ends.
 *
 * Arrays that lie in shared memory are worked on in place by processes, too: nothing is copied.
 * There each worker begins with a part of the items of its own, the same in each map over as many;
 * other maps begin with the first items.
 *
 * outcomes: NULL, or room for count outcomes.
 */
typedef struct weft_map {
    const void *in;
    size_t count, in_bytes;
    void *out;
    size_t out_bytes;
    weft_outcome *outcomes;
    weft_failure on_failure; /* 0: WEFT_CANCEL_REST */
    uint64_t reserved[7];    /* zero */
} weft_map;

/*
 * Runs a map and waits for it. out and outcomes are written whatever it returns, except after
 * -EINVAL and -EFAULT.
 * Returns  0: all done; -ECHILD: at least one call did not succeed, outcomes say which and how;
 *          -ETIMEDOUT, -ECANCELED: what had not started was cancelled; -EPIPE: the pool is closing
 *          or was terminated; -EINVAL, -EFAULT, -ENOTCONN as weft_pool_submit(); -ENOMEM: some were
 *          not run.
 * Blocks   yes. The arrays are the caller's again when it returns: after the deadline it cancels
 *          and still waits for calls that are running, so a call in a thread that never looks at
 *          cancellation delays it.
 */
int weft_pool_map(weft_pool *pool, weft_fn *fn, const weft_map *spec,
                  weft_deadline deadline) WEFT_USE;

/*
 * Says in a line of plain words what the pool has seen of its calls, and what workers it has:
 *
 *     87 % waiting: I/O-bound; 64 threads on 2 CPUs
 *     2 % waiting: CPU-bound; 2 threads on 2 CPUs
 *     97 % waiting: I/O-bound; 100 threads on 2 CPUs, the most that options.workers allows
 *     not measured yet; 2 threads on 2 CPUs
 *     call_timeout_ns must hold; 2 processes on 2 CPUs
 *     calls fight over a GIL; 2 processes on 2 CPUs
 *     as opened; 256 tasks on 2 CPUs
 *
 * The last is what the kinds say that do not decide anything. The wording is for people: it may
 * change.
 * Shape    buffer: gets the line, cut to size and with a NUL behind it; may be NULL if size is 0.
 * Returns  the length of the whole line, without the NUL; -EINVAL: no buffer.
 * Blocks   no.
 */
int weft_pool_explain(weft_pool *pool, char *buffer, size_t size);

/* Drops what waits (WEFT_CANCELLED), cancels what runs, refuses what comes. Close it afterwards. */
void weft_pool_terminate(weft_pool *pool);

/*
 * Refuses what comes, waits until every call has ended (unless terminated, their results too), ends
 * the workers and frees the pool. Futures that are open stay valid. NULL is allowed.
 * Blocks   yes, and ignores cancellation and scopes. Not from a call of the pool itself.
 */
void weft_pool_close(weft_pool *pool);

WEFT_END
#endif
