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
 *          nobody holds the lock.
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
 * Returns  0: ready; -ETIMEDOUT, -ECANCELED: not ready; -EPERM.
 */
int weft_condition_wait_for(weft_condition *condition, weft_lock *lock, bool (*ready)(void *ctx),
                            void *ctx, weft_deadline deadline) WEFT_USE;

/* Wakes n of those that wait (all, if fewer). UINT32_MAX: all. */
void weft_condition_notify(weft_condition *condition, uint32_t n);

WEFT_END
#endif
