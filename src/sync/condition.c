/* SPDX-License-Identifier: MIT */
/*
 * sync/condition.c: waiting under a lock.
 *
 * A waiter queues itself while it still holds the lock, then releases it: whoever takes the lock
 * next and notifies finds it. A notify wakes exactly those it takes out of the queue, and a wait
 * returns 0 only if it was taken out, so there are no spurious returns, and a wait that times out
 * or is cancelled has used up no notify (park decides every wait once).
 *
 * The word `waiters` is 1 while there may be waiters, so that a notify without any costs a load. A
 * waiter sets it before it queues, and parks only if it is still set; a notify clears it, under the
 * bucket's guard, when it has taken the last.
 *
 * A condition in shared memory is another (shared_condition.c). It cannot promise as much: a death
 * ends all waits.
 */
#include <errno.h>

#include <weft/condition.h>

#include "base/shared_range.h"
#include "park/park.h"
#include "sync/rlock.h"
#include "sync/shared_condition.h"
#include "sync/shared_lock.h"

void weft_condition_init(weft_condition *condition)
{
    *condition = (weft_condition)WEFT_CONDITION_INIT;
}

/* The lock under which one waits, of either kind. */
struct held {
    weft_lock *lock;
    weft_rlock *rlock;
    uint32_t depth;
    bool released;
};

static void release(void *ctx)
{
    struct held *held = ctx;
    if (held->rlock)
        held->depth = rlock_release_all(held->rlock);
    else
        weft_lock_release(held->lock);
    held->released = true;
}

/* Returns as lock_take_again(). */
static int take_again(struct held *held)
{
    if (!held->released)
        return 0;
    return held->rlock ? rlock_take_all(held->rlock, held->depth) : lock_take_again(held->lock);
}

static int wait_private(weft_condition *condition, struct held *held, weft_deadline deadline)
{
    struct park_node node = { .word = &condition->waiters, .value = 1 };
    int rc;
    do {
        store_relaxed(&condition->waiters, 1); /* relaxed: park looks again under the guard */
        rc = park_wait_then(&node, 1, deadline, PARK_FOR_CONDITION, release, held);
    } while (rc == -EAGAIN); /* a notify found nobody and has cleared it in between */
    return rc;
}

static int wait_held(weft_condition *condition, struct held *held, weft_deadline deadline)
{
    int rc = is_shared(condition) ? shared_condition_wait(condition, release, held, deadline)
                                  : wait_private(condition, held, deadline);
    int taken = take_again(held);
    return taken < 0 ? taken : rc < 0 ? rc : 0;
}

static bool is_held(const weft_lock *lock)
{
    return is_shared(lock) ? shared_lock_is_own(lock) : weft_lock_locked(lock);
}

int weft_condition_wait(weft_condition *condition, weft_lock *lock, weft_deadline deadline)
{
    if (!is_held(lock))
        return -EPERM;
    struct held held = { .lock = lock };
    return wait_held(condition, &held, deadline);
}

int weft_condition_wait_rlock(weft_condition *condition, weft_rlock *rlock, weft_deadline deadline)
{
    if (!weft_rlock_depth(rlock))
        return -EPERM;
    struct held held = { .rlock = rlock };
    return wait_held(condition, &held, deadline);
}

int weft_condition_wait_for(weft_condition *condition, weft_lock *lock, bool (*ready)(void *ctx),
                            void *ctx, weft_deadline deadline)
{
    if (!is_held(lock))
        return -EPERM;
    while (!ready(ctx)) {
        int rc = weft_condition_wait(condition, lock, deadline);
        if (rc == -EOWNERDEAD)
            return rc; /* ready() would find things half done */
        if (rc < 0)
            return ready(ctx) ? 0 : rc; /* it may have become so while the lock was taken again */
    }
    return 0;
}

static void settle(struct park_found *found, void *ctx)
{
    weft_condition *condition = ctx;
    if (!found->more)
        store_relaxed(&condition->waiters, 0); /* relaxed: read again under the guard */
}

void weft_condition_notify(weft_condition *condition, uint32_t n)
{
    if (is_shared(condition))
        shared_condition_notify(condition, n);
    /* relaxed: a waiter that counts as already waiting released the lock before us */
    else if (n && load_relaxed(&condition->waiters))
        park_wake_then(&condition->waiters, n, settle, condition);
}
