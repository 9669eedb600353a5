/* SPDX-License-Identifier: MIT */
/*
 * weft/future.h: the handle on something that will end: a strand of a group, a call of a pool, or a
 * promise that your own code keeps.
 *
 *     if (weft_future_wait(f, weft_after(WEFT_S)) == 0)
 *         puts(weft_future_result(f, NULL));
 *     weft_future_close(f);
 *
 * Three layers are never mixed: what became of the wait (the return value), that the call did not
 * succeed (-ECHILD), and what happened to it (weft_future_outcome).
 */
#ifndef WEFT_FUTURE_H
#define WEFT_FUTURE_H

#include <weft/call.h>
#include <weft/time.h>

WEFT_BEGIN

typedef struct weft_future weft_future;

/*
 * Waits until it has ended.
 * Returns  0: done; -ECHILD: it ended otherwise, the outcome says how; -ETIMEDOUT, -ECANCELED: the
 *          wait ended, the call goes on.
 * Blocks   yes. In a worker of a pool of threads, a call of the same pool that has not started is
 *          run by the waiter itself, so that workers never wait for each other in a circle.
 */
int weft_future_wait(weft_future *future, weft_deadline deadline) WEFT_USE;

/*
 * What happened to it, or how it stands: WEFT_PENDING or WEFT_RUNNING with no other field set.
 * Owns     valid until the future is closed; constant once it has ended.
 */
const weft_outcome *weft_future_outcome(const weft_future *future);

/*
 * The bytes it returned, 16-aligned and followed by a NUL.
 * Returns  NULL: none, or not ended. *ret_bytes (may be NULL) is their number, 0 with NULL.
 * Owns     valid until the future is closed.
 */
const void *weft_future_result(const weft_future *future, size_t *ret_bytes);

/* The how-manieth call of its group or pool it is, from 0; 0 for a promise. */
uint64_t weft_future_index(const weft_future *future);

/*
 * Asks it to end: what has not started never will, what runs is cancelled (self.h), a process is
 * asked by SIGTERM and killed after grace_ns, a promise ends as WEFT_CANCELLED. Nothing happens if
 * it has ended.
 */
void weft_future_cancel(weft_future *future);

/* Gives the handle back; what it stands for goes on. NULL is allowed. */
void weft_future_close(weft_future *future);

/*
 * Opens a promise: a future that weft_future_finish() ends.
 * Returns  0 and *ret_future, to be closed; -ENOMEM.
 */
int weft_future_open(weft_future **ret_future) WEFT_USE;

/*
 * Keeps a promise: it ends as WEFT_DONE (status >= 0) or WEFT_FAILED, with a copy of n bytes.
 * Returns  0; -EALREADY: it has ended, perhaps by cancellation; -EINVAL: not a promise; -ENOMEM: it
 *          has not ended.
 */
int weft_future_finish(weft_future *future, int status, const void *bytes, size_t n);

WEFT_END
#endif
