/* SPDX-License-Identifier: MIT */
/* sync/shared_lock.h: locks in shared memory: what weft_lock_*() does there, and what it is for. */
#ifndef WEFT_SYNC_SHARED_LOCK_H
#define WEFT_SYNC_SHARED_LOCK_H

#include <weft/lock.h>

#include "base/shared_range.h"
#include "park/park.h"

/*
 * Takes the lock.
 * Returns  0; -EOWNERDEAD: held as well, but a holder has died and nobody has recovered it since;
 *          -ETIMEDOUT, -ECANCELED as park_wait(), which gets the flags.
 */
int shared_lock_take(weft_lock *lock, weft_deadline deadline, unsigned flags);

/*
 * Takes it, whatever it takes: for things that have such a lock inside (lock.h has what that
 * means). True: what it guards may be half done, and the caller puts it in order and then recovers
 * the lock.
 */
bool shared_lock_enter(weft_lock *lock);

/* Whether the calling strand holds it. */
bool shared_lock_is_own(const weft_lock *lock);

/* Returns 0; -EPERM: the calling strand does not hold it. */
int shared_lock_release(weft_lock *lock);

/* Returns 0; -EINVAL: the calling strand does not hold it. */
int shared_lock_recover(weft_lock *lock);

/* weft_lock_lock() that says so: 0; -EOWNERDEAD: held as well, but see weft_lock_acquire(). */
static inline int lock_take_again(weft_lock *lock)
{
    if (is_shared(lock))
        return shared_lock_take(lock, WEFT_FOREVER, PARK_SHIELDED);
    weft_lock_lock(lock);
    return 0;
}

#endif
