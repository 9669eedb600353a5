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
 * lock handed over, so that nobody starves: each of them, as long as that keeps the lock out of use
 * for no more than a fifth of the time. Eight bytes, valid when zeroed, nothing to destroy,
 * even when held. Everything before a release happens before everything after the next acquisition.
 *
 * In shared memory (weft_shared_alloc) a lock works between processes, and has an owner: the strand
 * that took it, which alone may release it. When a process dies while one of its strands holds the
 * lock, the next to take it gets -EOWNERDEAD: it has the lock, but what the lock guards may be half
 * done. It puts that in order and calls weft_lock_recover(); until somebody does, each who takes
 * the lock gets -EOWNERDEAD:
 *
 *     rc = weft_lock_acquire(&table->lock, WEFT_FOREVER);
 *     if (rc == -EOWNERDEAD) {
 *         rebuild(table);
 *         rc = weft_lock_recover(&table->lock);
 *     }
 *
 * There is no handing over between processes: whoever runs may take a free lock before one that has
 * waited for long.
 */
#ifndef WEFT_LOCK_H
#define WEFT_LOCK_H

#include <weft/time.h>

WEFT_BEGIN

typedef struct weft_lock {
    uint32_t word, owner; /* private; the second: in private memory a time */
} weft_lock;

#define WEFT_LOCK_INIT                                                                             \
    {                                                                                              \
        0, 0                                                                                       \
    }

/* Makes a lock that nobody holds. */
void weft_lock_init(weft_lock *lock);

/*
 * Takes the lock, whatever it takes: ignores cancellation and scopes, so that cleaning up works. It
 * cannot say -EOWNERDEAD: in shared memory it is for what is never half done; else use acquire.
 * Blocks   until nobody else holds it.
 */
void weft_lock_lock(weft_lock *lock);

/*
 * Takes the lock.
 * Returns  0: held; -EOWNERDEAD: held, but not recovered since a holder has died (only in shared
 *          memory); -ETIMEDOUT (WEFT_NOW: somebody else holds it); -ECANCELED.
 * Blocks   until nobody else holds it.
 */
int weft_lock_acquire(weft_lock *lock, weft_deadline deadline) WEFT_USE;

/*
 * Releases the lock. Any strand may; in shared memory only the one that took it.
 * Returns  0; -EPERM: nobody holds it, or in shared memory: another strand does.
 */
int weft_lock_release(weft_lock *lock);

/*
 * Says that what the lock guards is in order again: the next to take it gets 0. By its holder.
 * Returns  0, also if nobody has died; -EINVAL: the caller does not hold it (in private memory:
 *          nobody does).
 */
int weft_lock_recover(weft_lock *lock);

/* Whether anybody holds it, the dead included, at some moment during the call. */
bool weft_lock_locked(const weft_lock *lock);

WEFT_END
#endif
