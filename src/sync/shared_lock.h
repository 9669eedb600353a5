/* SPDX-License-Identifier: MIT */
/* sync/shared_lock.h: locks in shared memory: what weft_lock_*() does there, and what it is for. */
#ifndef WEFT_SYNC_SHARED_LOCK_H
#define WEFT_SYNC_SHARED_LOCK_H

#include <weft/lock.h>

/*
 * Takes the lock.
 * Returns  0; -EOWNERDEAD: held as well, but a holder has died and nobody has recovered it since;
 *          -ETIMEDOUT, -ECANCELED as park_wait(), which gets the flags.
 */
int shared_lock_take(weft_lock *lock, weft_deadline deadline, unsigned flags);

/*
 * Takes it, whatever it takes: for things that have such a lock inside. True: what it guards may be
 * half done, and the caller puts it in order and then recovers the lock.
 */
bool shared_lock_enter(weft_lock *lock);

/* Returns 0; -EPERM: the calling strand does not hold it. */
int shared_lock_release(weft_lock *lock);

/* Returns 0; -EINVAL: the calling strand does not hold it. */
int shared_lock_recover(weft_lock *lock);

#endif
