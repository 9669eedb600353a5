/* SPDX-License-Identifier: MIT */
/*
 * sync/barrier.c: a point that a fixed number of strands pass together.
 *
 * `lock` guards all fields. A strand that comes counts itself, links a record of itself (on its
 * stack) into `waiters` and parks on `round`. The last to come runs
 * the action, under the lock, and ends the round: it writes PASSED into every record, claims all
 * that are parked, releases the lock, and resumes them. Breaking and resetting end the round too,
 * with BROKEN. As each waiter's fate stands in its own record, the next round can begin, break or
 * be reset before they run. Whoever leaves may drop the barrier: it is not touched any more after
 * the lock was released.
 *
 * A wait that ends by itself (deadline, cancellation) takes the lock and looks at its record: if
 * the round has ended meanwhile, that counts; else it breaks the round.
 *
 *   waiting  how many of the current round have come
 *   round    changes when a round ends, in whatever way: the word to park on
 *   broken   waits fail until a reset
 *
 * In shared memory a barrier works otherwise (shared_barrier.c).
 *
 * Semantics: CPython's threading.Barrier.
 */
#include <errno.h>

#include <weft/barrier.h>

#include "base/shared_range.h"
#include "park/park.h"
#include "sync/shared_barrier.h"

enum fate { UNDECIDED, PASSED, BROKEN };

struct weft_barrier_waiter {
    struct weft_barrier_waiter *next;
    weft_barrier *barrier;
    enum fate fate; /* guarded by the lock until the waiter is resumed */
    bool unlocked;  /* own */
};

void weft_barrier_init(weft_barrier *barrier, uint32_t parties, int (*action)(void *ctx), void *ctx)
{
    *barrier = (weft_barrier){ .parties = parties, .action = action, .ctx = ctx };
}

/* Decides the round for those that wait, and releases the lock. */
static void end_round(weft_barrier *barrier, enum fate fate)
{
    for (struct weft_barrier_waiter *it = barrier->waiters; it; it = it->next)
        it->fate = fate;
    barrier->waiters = NULL;
    store_relaxed(&barrier->waiting, 0); /* relaxed: the lock orders it; others only look */
    store_relaxed(&barrier->round, barrier->round + 1); /* relaxed: park looks under its guard */
    struct list parked;
    park_claim(&barrier->round, UINT32_MAX, &parked);
    weft_lock_release(&barrier->lock);
    park_resume(&parked, 0);
}

/* The same, and the barrier is broken. */
static void break_round(weft_barrier *barrier)
{
    store_relaxed(&barrier->broken, 1); /* relaxed: the lock orders it; others only look */
    end_round(barrier, BROKEN);
}

/* The last one has come. Under the lock, which it releases. */
static int pass(weft_barrier *barrier, uint32_t index)
{
    int rc = barrier->action ? barrier->action(barrier->ctx) : 0;
    if (rc < 0) {
        break_round(barrier);
        return rc;
    }
    end_round(barrier, PASSED);
    return (int)index;
}

static void unlock(void *ctx)
{
    struct weft_barrier_waiter *self = ctx;
    self->unlocked = true;
    weft_lock_release(&self->barrier->lock);
}

/* A wait ended by itself: breaks the round, unless it has ended meanwhile. Returns its fate. */
static enum fate give_up(weft_barrier *barrier, struct weft_barrier_waiter *self)
{
    if (self->unlocked)
        weft_lock_lock(&barrier->lock);
    enum fate fate = self->fate;
    if (fate == UNDECIDED)
        break_round(barrier);
    else
        weft_lock_release(&barrier->lock);
    return fate;
}

/* Waits for the others of the round. Under the lock, which it releases. */
static int wait_round(weft_barrier *barrier, uint32_t index, weft_deadline deadline)
{
    struct weft_barrier_waiter self = { .next = barrier->waiters, .barrier = barrier };
    barrier->waiters = &self;
    struct park_node node = { .word = &barrier->round, .value = barrier->round };
    int rc = park_wait_then(&node, 1, deadline, PARK_FOR_BARRIER, unlock, &self);
    if (rc < 0 && give_up(barrier, &self) == UNDECIDED)
        return rc;
    return self.fate == PASSED ? (int)index : -EPIPE;
}

int weft_barrier_wait(weft_barrier *barrier, weft_deadline deadline)
{
    if (!barrier->parties || barrier->parties > INT32_MAX)
        return -EINVAL;
    if (is_shared(barrier))
        return shared_barrier_wait(barrier, deadline);
    weft_lock_lock(&barrier->lock);
    if (barrier->broken) {
        weft_lock_release(&barrier->lock);
        return -EPIPE;
    }
    uint32_t index = barrier->waiting;
    store_relaxed(&barrier->waiting, index + 1); /* relaxed: as in end_round() */
    if (index + 1 < barrier->parties)
        return wait_round(barrier, index, deadline);
    return pass(barrier, index);
}

void weft_barrier_abort(weft_barrier *barrier)
{
    if (is_shared(barrier)) {
        shared_barrier_abort(barrier);
        return;
    }
    weft_lock_lock(&barrier->lock);
    break_round(barrier);
}

void weft_barrier_reset(weft_barrier *barrier)
{
    if (is_shared(barrier)) {
        shared_barrier_reset(barrier);
        return;
    }
    weft_lock_lock(&barrier->lock);
    store_relaxed(&barrier->broken, 0); /* relaxed: the lock orders it; others only look */
    end_round(barrier, BROKEN);
}

/* Relaxed, all three: answers about some moment. */
uint32_t weft_barrier_waiting(const weft_barrier *barrier)
{
    return load_relaxed(&barrier->waiting);
}

uint32_t weft_barrier_parties(const weft_barrier *barrier)
{
    return load_relaxed(&barrier->parties);
}

bool weft_barrier_broken(const weft_barrier *barrier)
{
    return load_relaxed(&barrier->broken);
}
