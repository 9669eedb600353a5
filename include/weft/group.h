/* SPDX-License-Identifier: MIT */
/*
 * weft/group.h: a scope that owns strands. It starts them, waits for them, and cannot be left
 * before all have ended, so that none outlives what it uses.
 *
 *     weft_group *g;
 *     rc = weft_group_open(&g, WEFT_THREADS, NULL);
 *     for (size_t i = 0; rc == 0 && i < n; i++)
 *         rc = weft_group_start(g, fetch_url, urls[i], WEFT_STRING);
 *     if (rc == 0)
 *         rc = weft_group_join(g, WEFT_FOREVER);     -ECHILD: one of them failed; all have ended
 *     weft_group_close(g);
 *
 * The first call that fails cancels the others, unless options.on_failure is WEFT_GO_ON. Groups may
 * be opened inside calls of groups, of the same or another kind.
 *
 * Limits: as many strands at once as the system has threads or processes for (-EAGAIN).
 */
#ifndef WEFT_GROUP_H
#define WEFT_GROUP_H

#include <weft/future.h>
#include <weft/options.h>

WEFT_BEGIN

typedef struct weft_group weft_group;

/*
 * Opens a group whose calls run as the given kind, or on options->pool.
 * Returns  0 and *ret_group, to be closed; -EINVAL: no such kind, reserved words set, a pool of
 *          another kind, a context beside a pool, or an option that makes no sense (a name in
 *          environment without "=", cpus that are no list); -ENOTSUP: a promise that the kind
 *          cannot keep, attempts_max, or one about processes beside a pool, which has its own;
 *          -EFAULT: context could not be seen by the strands; -ENOTCONN: processes without
 *          weft_init(); -EBUSY, -EPIPE, -EAGAIN, -EMFILE: WEFT_START_FORK with several threads, or
 *          without room for it; -ENOMEM.
 */
int weft_group_open(weft_group **ret_group, weft_kind kind, const weft_options *options) WEFT_USE;

/*
 * Starts fn as a strand of the group. The argument is copied.
 * Shape    arg_bytes: a size, WEFT_STRING, WEFT_POINTER or WEFT_BYTES (call.h); arg may be NULL
 *          with 0 bytes.
 * Returns  0; -ECANCELED: the group has been cancelled (by a failure, too); -EFAULT: the strand
 *          could not see fn or arg; -EAGAIN: the system has no room for another; -EMFILE: nor the
 *          program for its descriptors; -EPIPE: the zygote has died; -EMSGSIZE: more than 1 GiB;
 *          -EINVAL; -ENOMEM.
 * Blocks   kind serial: runs the call. Processes: until the process exists. On a pool: until there
 *          is room in its backlog.
 */
int weft_group_start(weft_group *group, weft_fn *fn, const void *arg, size_t arg_bytes) WEFT_USE;

/*
 * The same, for those who want the outcome and the result: as a future at once (ret_future not
 * NULL, to be closed by the caller), and from weft_group_next().
 * Returns  as weft_group_start(); -ETIMEDOUT: on a pool, no room in its backlog by the deadline.
 */
int weft_group_submit(weft_group *group, weft_fn *fn, const void *arg, size_t arg_bytes,
                      weft_future **ret_future, weft_deadline deadline) WEFT_USE;

/*
 * The next submitted call that has ended, in the order of ending: each comes once.
 * Returns  0 and *ret_future, to be closed by the caller; -ENODATA: nothing left, all that were
 *          submitted have ended and been given; -ETIMEDOUT, -ECANCELED.
 * Blocks   yes.
 */
int weft_group_next(weft_group *group, weft_future **ret_future, weft_deadline deadline) WEFT_USE;

/*
 * Waits until all calls of the group have ended.
 * Returns  0: all done; -ECHILD: one failed, weft_group_failure() says how; -ECANCELED: the caller
 *          or the group was cancelled; -ETIMEDOUT: some still run.
 * Blocks   yes. More calls may be started afterwards, unless the group was cancelled.
 */
int weft_group_join(weft_group *group, weft_deadline deadline) WEFT_USE;

/* Copies what happened to the first call that failed; how is WEFT_PENDING if none has. */
void weft_group_failure(weft_group *group, weft_outcome *ret_outcome);

/* Cancels all calls of the group, now and for ever: nothing can be started any more. */
void weft_group_cancel(weft_group *group);

/*
 * A descriptor that is readable whenever weft_group_next() would not wait: for a foreign event
 * loop. Only poll it.
 * Returns  the descriptor, the group's own, closed with it; -EMFILE, -ENFILE, -ENOMEM.
 */
int weft_group_fd(weft_group *group) WEFT_USE;

/*
 * Cancels what still runs, waits until all have ended, and frees the group. Futures that are open
 * stay valid. NULL is allowed.
 * Blocks   yes, and ignores cancellation and scopes. Not from a call of the group itself.
 */
void weft_group_close(weft_group *group);

WEFT_END
#endif
