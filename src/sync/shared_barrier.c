/* SPDX-License-Identifier: MIT */
/*
 * sync/shared_barrier.c: a point that strands of several processes pass together.
 *
 * `lock` guards all fields. Those that have come are on a ring (shared_waiters.h), and the round is
 * decided for each of them by its fate, PASSED or BROKEN. In shared memory the field `round` is
 * that ring.
 *
 * A party that dies is never going to go on: while it waits its record is on the ring, so that
 * whoever looks after a death, one that waits or one that comes, finds it and breaks the round. One
 * that dies under the lock may have been counted and may have told some of the others of their fate
 * but not all: whoever takes the lock next breaks what is left of the round. One of the others may
 * be neither on the ring nor decided: it finds that itself, as it looks after each death.
 */
#include <errno.h>

#include "sync/shared_barrier.h"
#include "sync/shared_lock.h"
#include "sync/shared_waiters.h"

enum { PASSED = WAITER_WAITS + 1, BROKEN };

static struct waiter_ring *ring_of(weft_barrier *barrier)
{
    return (struct waiter_ring *)&barrier->round;
}

/* ---- under the lock. Others look at `waiting` and `broken` without it: relaxed. */

/* Decides the round for those that wait. */
static void end_round(weft_barrier *barrier, uint32_t fate)
{
    struct shared_waiter *waiter;
    store_relaxed(&barrier->waiting, 0);
    while ((waiter = shared_waiter_take_first(ring_of(barrier))))
        shared_waiter_decide(waiter, fate);
}

static void break_round(weft_barrier *barrier)
{
    store_relaxed(&barrier->broken, 1);
    end_round(barrier, BROKEN);
}

static void enter(weft_barrier *barrier)
{
    /* not shared_lock_enter(): the action, which runs under it, may want what the strand holds */
    bool died = shared_lock_take(&barrier->lock, WEFT_FOREVER, PARK_SHIELDED) == -EOWNERDEAD;
    if (died || shared_waiter_any_dead(ring_of(barrier)))
        break_round(barrier);
    if (died)
        (void)shared_lock_recover(&barrier->lock);
}

static void leave(weft_barrier *barrier)
{
    (void)shared_lock_release(&barrier->lock);
}

/* The last one has come: returns its index, or what the action returned. */
static int pass(weft_barrier *barrier, uint32_t index)
{
    int rc = barrier->action ? barrier->action(barrier->ctx) : 0;
    if (rc < 0)
        break_round(barrier);
    else
        end_round(barrier, PASSED);
    return rc < 0 ? rc : (int)index;
}

/* ---- waiting */

/* A wait ended by itself: breaks the round, unless it has ended meanwhile. */
static void give_up(weft_barrier *barrier, struct shared_waiter *self)
{
    enter(barrier);
    if (shared_waiter_fate(self) == WAITER_WAITS) {
        shared_waiter_remove(ring_of(barrier), self);
        break_round(barrier);
    }
    leave(barrier);
}

/* Whoever has died, if it was of this round or about to end it, is found. */
static void look_after_a_death(weft_barrier *barrier, struct shared_waiter *self)
{
    enter(barrier);
    if (shared_waiter_fate(self) == WAITER_WAITS && !shared_waiter_is_on(ring_of(barrier), self))
        shared_waiter_decide(self, BROKEN);
    leave(barrier);
}

/* Waits for the others of the round. Returns 0: its fate is decided; or an error: it gave up. */
static int wait_round(weft_barrier *barrier, struct shared_waiter *self, uint32_t epoch,
                      weft_deadline deadline)
{
    int rc;
    while ((rc = shared_waiter_sleep(self, epoch, deadline, PARK_FOR_BARRIER)) == -EAGAIN) {
        epoch = death_epoch();
        look_after_a_death(barrier, self);
    }
    if (rc == 0)
        return 0;
    give_up(barrier, self);
    return shared_waiter_fate(self) == WAITER_WAITS ? rc : 0;
}

/* Comes to the barrier, under the lock, which it releases. */
static int come(weft_barrier *barrier, struct shared_waiter *self, uint32_t epoch,
                weft_deadline deadline)
{
    uint32_t index = barrier->waiting;
    if (barrier->broken || index + 1 >= barrier->parties) {
        int rc = barrier->broken ? -EPIPE : pass(barrier, index);
        leave(barrier);
        return rc;
    }
    shared_waiter_append(ring_of(barrier), self);
    store_relaxed(&barrier->waiting, index + 1);
    leave(barrier);
    int rc = wait_round(barrier, self, epoch, deadline);
    if (rc < 0)
        return rc;
    return shared_waiter_fate(self) == PASSED ? (int)index : -EPIPE;
}

int shared_barrier_wait(weft_barrier *barrier, weft_deadline deadline)
{
    struct shared_waiter *self = shared_waiter_new();
    if (!self) {
        shared_barrier_abort(barrier);
        return -ENOMEM;
    }
    uint32_t epoch = death_epoch();
    enter(barrier);
    int rc = come(barrier, self, epoch, deadline);
    shared_waiter_free(self);
    return rc;
}

void shared_barrier_abort(weft_barrier *barrier)
{
    enter(barrier);
    break_round(barrier);
    leave(barrier);
}

void shared_barrier_reset(weft_barrier *barrier)
{
    enter(barrier);
    end_round(barrier, BROKEN);
    store_relaxed(&barrier->broken, 0);
    leave(barrier);
}
