/* SPDX-License-Identifier: MIT */
/*
 * weft/lock.h: mutual exclusion; Python's Lock.
 *
 *     static weft_lock lock = WEFT_LOCK_INIT;
 *     weft_lock_lock(&lock);
 *     counter++;
 *     weft_lock_release(&lock);
 *
 * A lock has no owner: any strand may release it. It is not reentrant (rlock.h is). Under
 * contention a waiter spins briefly, then sleeps; whoever has waited for a millisecond gets the
 * lock handed over, so that nobody starves. Eight bytes, valid when zeroed, nothing to destroy,
 * even when held. Everything before a release happens before everything after the next acquisition.
 */
#ifndef WEFT_LOCK_H
#define WEFT_LOCK_H

#include <weft/time.h>

WEFT_BEGIN

typedef struct weft_lock {
    uint32_t word, owner; /* private */
} weft_lock;

#define WEFT_LOCK_INIT                                                                             \
    {                                                                                              \
        0, 0                                                                                       \
    }

/* Makes a lock that nobody holds. */
void weft_lock_init(weft_lock *lock);

/*
 * Takes the lock, whatever it takes: ignores cancellation and scopes, so that cleaning up works.
 * Blocks   until nobody else holds it.
 */
void weft_lock_lock(weft_lock *lock);

/*
 * Takes the lock.
 * Returns  0: held; -ETIMEDOUT (WEFT_NOW: somebody else holds it); -ECANCELED.
 * Blocks   until nobody else holds it.
 */
int weft_lock_acquire(weft_lock *lock, weft_deadline deadline) WEFT_USE;

/*
 * Releases the lock. Any strand may.
 * Returns  0; -EPERM: nobody holds it.
 */
int weft_lock_release(weft_lock *lock);

/* Whether anybody holds it, at some moment during the call. */
bool weft_lock_locked(const weft_lock *lock);

WEFT_END
#endif
