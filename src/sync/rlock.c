/* SPDX-License-Identifier: MIT */
/*
 * sync/rlock.c: a lock that its owner may take again.
 *
 * A lock, and beside it the owner's id and how often it has to be released. depth is the owner's
 * alone; owner is read by others, who only ever find out that it is not them: a strand sees its own
 * id there only if it wrote it itself.
 *
 * In shared memory the id of a strand is told apart from those of other processes by that of its
 * process, dead ones included (base/participants.h). What is beside the lock needs no recovery: the
 * next owner writes both.
 */
#include <errno.h>

#include <weft/rlock.h>

#include "base/participants.h"
#include "base/shared_range.h"
#include "park/strand.h"
#include "sync/rlock.h"
#include "sync/shared_lock.h"

void weft_rlock_init(weft_rlock *rlock)
{
    *rlock = (weft_rlock)WEFT_RLOCK_INIT;
}

/* The calling strand, among all that can see the rlock. */
static uint64_t own_id(const weft_rlock *rlock)
{
    uint64_t id = strand_self()->id;
    if (!is_shared(rlock))
        return id;
    return (id << PARTICIPANT_BITS) | participant_self;
}

static bool owned(const weft_rlock *rlock)
{
    /* relaxed: see above; what the lock protects is ordered by the lock */
    return load_relaxed(&rlock->owner) == own_id(rlock);
}

static void become_owner(weft_rlock *rlock, uint32_t depth)
{
    store_relaxed(&rlock->owner, own_id(rlock)); /* relaxed: see above */
    rlock->depth = depth;
}

void weft_rlock_lock(weft_rlock *rlock)
{
    if (owned(rlock)) {
        rlock->depth++;
        return;
    }
    weft_lock_lock(&rlock->lock);
    become_owner(rlock, 1);
}

int weft_rlock_acquire(weft_rlock *rlock, weft_deadline deadline)
{
    if (owned(rlock)) {
        if (rlock->depth == UINT32_MAX)
            return -EOVERFLOW;
        rlock->depth++;
        return 0;
    }
    int rc = weft_lock_acquire(&rlock->lock, deadline);
    if (rc == 0 || rc == -EOWNERDEAD)
        become_owner(rlock, 1);
    return rc;
}

int weft_rlock_recover(weft_rlock *rlock)
{
    return owned(rlock) ? weft_lock_recover(&rlock->lock) : -EINVAL;
}

int weft_rlock_release(weft_rlock *rlock)
{
    if (!owned(rlock))
        return -EPERM;
    if (--rlock->depth == 0)
        (void)rlock_release_all(rlock);
    return 0;
}

uint32_t rlock_release_all(weft_rlock *rlock)
{
    uint32_t depth = rlock->depth;
    rlock->depth = 0;
    store_relaxed(&rlock->owner, 0); /* relaxed: see above */
    weft_lock_release(&rlock->lock);
    return depth;
}

int rlock_take_all(weft_rlock *rlock, uint32_t depth)
{
    int rc = lock_take_again(&rlock->lock);
    become_owner(rlock, depth);
    return rc;
}

uint32_t weft_rlock_depth(const weft_rlock *rlock)
{
    return owned(rlock) ? rlock->depth : 0;
}

bool weft_rlock_locked(const weft_rlock *rlock)
{
    return weft_lock_locked(&rlock->lock);
}
