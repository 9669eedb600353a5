/* SPDX-License-Identifier: MIT */
/*
 * sync/shared_condition.c: waiting under a lock, between processes.
 *
 * Those that wait are on a ring (shared_waiters.h), on which a waiter puts itself while it still
 * holds the caller's lock, and from which a notify takes exactly those that it wakes. The ring is
 * guarded by a lock inside the condition, held for a few instructions and taken after the caller's.
 *
 * A waiter that was notified and dies takes the notify with it, and one may die between taking a
 * waiter out and telling it so. So after each death all waits return as if they had been notified:
 * a caller looks anyway whether what it waits for is so.
 */
#include <errno.h>

#include "base/shared_range.h"
#include "sync/shared_condition.h"
#include "sync/shared_lock.h"
#include "sync/shared_waiters.h"

enum { NOTIFIED = WAITER_WAITS + 1 };

/* What a weft_condition in shared memory is. */
struct shared_condition {
    weft_lock lock; /* guards what follows */
    struct waiter_ring ring;
    uint32_t unused;
};

_Static_assert(sizeof(struct shared_condition) == sizeof(weft_condition), "the same memory");

static void enter(struct shared_condition *self)
{
    if (shared_lock_enter(&self->lock))
        (void)shared_lock_recover(&self->lock); /* a ring is always in order */
}

static void leave(struct shared_condition *self)
{
    (void)shared_lock_release(&self->lock);
}

/* A wait ends by itself. Whether it had been notified, or could have been but for a death. */
static bool end_wait(struct shared_condition *self, struct shared_waiter *waiter, bool death)
{
    enter(self);
    bool notified = shared_waiter_fate(waiter) == NOTIFIED;
    if (!notified)
        shared_waiter_remove(&self->ring, waiter);
    leave(self);
    return notified || death;
}

int shared_condition_wait(weft_condition *condition, void (*release)(void *ctx), void *ctx,
                          weft_deadline deadline)
{
    struct shared_condition *self = (struct shared_condition *)condition;
    struct shared_waiter *waiter = shared_waiter_new();
    if (!waiter)
        return -ENOMEM;
    uint32_t epoch = death_epoch();
    enter(self);
    shared_waiter_append(&self->ring, waiter);
    leave(self);
    release(ctx);
    int rc = shared_waiter_sleep(waiter, epoch, deadline, PARK_FOR_CONDITION);
    if (rc < 0 && end_wait(self, waiter, rc == -EAGAIN))
        rc = 0;
    shared_waiter_free(waiter);
    return rc;
}

void shared_condition_notify(weft_condition *condition, uint32_t n)
{
    struct shared_condition *self = (struct shared_condition *)condition;
    struct shared_waiter *waiter;
    if (!load_relaxed(&self->ring.last)) /* relaxed: as in weft_condition_notify() */
        return;
    enter(self);
    while (n-- && (waiter = shared_waiter_take_first(&self->ring)))
        shared_waiter_decide(waiter, NOTIFIED);
    leave(self);
}
