/* SPDX-License-Identifier: MIT */
/*
 * weft/rlock.h: a lock that its owner may take again; Python's RLock.
 *
 * It counts: as many releases as acquisitions set it free, and only its owner may release it. Valid
 * when zeroed, nothing to destroy, even when held. In shared memory it works between processes, and
 * tells of the death of an owner's process as a lock does (lock.h).
 */
#ifndef WEFT_RLOCK_H
#define WEFT_RLOCK_H

#include <weft/lock.h>

WEFT_BEGIN

typedef struct weft_rlock {
    weft_lock lock; /* private, all of it */
    uint64_t owner;
    uint32_t depth, reserved;
} weft_rlock;

#define WEFT_RLOCK_INIT                                                                            \
    {                                                                                              \
        WEFT_LOCK_INIT, 0, 0, 0                                                                    \
    }

/* Makes an rlock that nobody owns. */
void weft_rlock_init(weft_rlock *rlock);

/* Takes it once more, whatever it takes; as weft_lock_lock(). */
void weft_rlock_lock(weft_rlock *rlock);

/*
 * Takes it once more.
 * Returns  0: owned; -EOWNERDEAD: owned, once, but not recovered since an owner has died (only in
 *          shared memory); -ETIMEDOUT; -ECANCELED; -EOVERFLOW: taken 4294967295 times already.
 * Blocks   until nobody else owns it; never for its owner.
 */
int weft_rlock_acquire(weft_rlock *rlock, weft_deadline deadline) WEFT_USE;

/* Gives it back once. Returns 0; -EPERM: the caller does not own it. */
int weft_rlock_release(weft_rlock *rlock);

/* Says that what it guards is in order again, as weft_lock_recover(). Returns 0; -EINVAL: the
 * caller does not own it. */
int weft_rlock_recover(weft_rlock *rlock);

/* How often the caller has to release it; 0 unless the caller owns it. */
uint32_t weft_rlock_depth(const weft_rlock *rlock);

/* Whether anybody owns it, at some moment during the call. */
bool weft_rlock_locked(const weft_rlock *rlock);

WEFT_END
#endif
