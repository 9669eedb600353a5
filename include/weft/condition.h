/* SPDX-License-Identifier: MIT */
/*
 * weft/condition.h: waiting, under a lock, for something that others change; Python's Condition.
 *
 *     weft_lock_lock(&lock);
 *     rc = weft_condition_wait_for(&changed, &lock, has_items, &list, weft_after(WEFT_S));
 *     ...
 *     weft_lock_release(&lock);
 *
 * A notify wakes exactly n of those that already wait, in the order of their coming; none returns
 * without one. Notifying does not need the lock, but then the notifier must not be surprised by
 * a waiter that comes a moment later. Valid when zeroed, nothing to destroy.
 *
 * In shared memory (weft_shared_alloc), with a lock that lies there too, it works between
 * processes, with one difference: when a process of the program dies, whichever it is, all waits on
 * conditions in shared memory return 0 without a notify, since the dead one may have swallowed one.
 * So look again, or use weft_condition_wait_for(), which does.
 */
#ifndef WEFT_CONDITION_H
#define WEFT_CONDITION_H

#include <weft/rlock.h>

WEFT_BEGIN

typedef struct weft_condition {
    uint32_t waiters, reserved[3]; /* private */
} weft_condition;

#define WEFT_CONDITION_INIT                                                                        \
    {                                                                                              \
        0,                                                                                         \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }

/* Makes a condition on which nobody waits. */
void weft_condition_init(weft_condition *condition);

/*
 * Releases the lock, waits for a notify, takes the lock again.
 * Shape    lock is held by the caller; it is held again whatever is returned, except -EPERM.
 * Returns  0: notified; -ETIMEDOUT, -ECANCELED: not notified, and no notify was used up; -EPERM:
 *          nobody holds the lock. In shared memory also -EOWNERDEAD: however the wait ended, the
 *          lock was held by one that died (lock.h); -ENOMEM: there was no wait.
 * Blocks   yes; taking the lock again ignores deadline, cancellation and scopes.
 */
int weft_condition_wait(weft_condition *condition, weft_lock *lock,
                        weft_deadline deadline) WEFT_USE;

/* The same with an rlock, which is released fully and taken again to the same depth. */
int weft_condition_wait_rlock(weft_condition *condition, weft_rlock *rlock,
                              weft_deadline deadline) WEFT_USE;

/*
 * Waits until ready(ctx), called under the lock, returns true: looks first, and again after each
 * notify, under one deadline.
 * Returns  0: ready; -ETIMEDOUT, -ECANCELED: not ready; -EPERM; -EOWNERDEAD: recover the lock, and
 *          ask again; -ENOMEM.
 */
int weft_condition_wait_for(weft_condition *condition, weft_lock *lock, bool (*ready)(void *ctx),
                            void *ctx, weft_deadline deadline) WEFT_USE;

/* Wakes n of those that wait (all, if fewer). UINT32_MAX: all. */
void weft_condition_notify(weft_condition *condition, uint32_t n);

WEFT_END
#endif
