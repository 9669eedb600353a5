/* SPDX-License-Identifier: MIT */
/*
 * sync/shared_waiters.c: a ring of records in shared memory.
 *
 * The ring is kept by its last record, whose `next` is the first. A death may come between any two
 * stores, under the lock; so each store leaves a ring of all records but those that are out:
 *
 *   append  the new one points to the first; the last points to it (now it is on the ring, as the
 *           first); the ring's last is the new one
 *   remove  if it is the last, the ring's last is the one before (now it is the first); the one
 *           before points past it
 *
 * Objects keep a ring in four bytes: a record's position in units of 16 bytes.
 */
#include <errno.h>

#include "base/shared_range.h"
#include "sync/shared_waiters.h"

enum { UNIT = 16 };

static struct shared_waiter *at(uint32_t position)
{
    return (struct shared_waiter *)(shared_begin + (size_t)position * UNIT);
}

static uint32_t position_of(const struct shared_waiter *waiter)
{
    return (uint32_t)((size_t)((const char *)waiter - shared_begin) / UNIT);
}

struct shared_waiter *shared_waiter_new(void)
{
    struct shared_waiter *waiter = shared_alloc(sizeof *waiter);
    if (waiter && at(position_of(waiter)) != waiter) { /* too far away */
        shared_free(waiter);
        waiter = NULL;
    }
    if (waiter)
        waiter->participant = participant_self;
    return waiter;
}

void shared_waiter_free(struct shared_waiter *waiter)
{
    shared_free(waiter);
}

/* Release, all: a death right after the store must not show it without those before it. */

void shared_waiter_append(struct waiter_ring *ring, struct shared_waiter *waiter)
{
    if (ring->last) {
        waiter->next = at(ring->last)->next;
        store_release(&at(ring->last)->next, waiter);
    } else {
        waiter->next = waiter;
    }
    store_release(&ring->last, position_of(waiter));
}

static void take_out(struct waiter_ring *ring, struct shared_waiter *predecessor,
                     struct shared_waiter *waiter)
{
    if (predecessor == waiter) { /* the only one */
        store_release(&ring->last, 0);
        return;
    }
    if (at(ring->last) == waiter)
        store_release(&ring->last, position_of(predecessor));
    store_release(&predecessor->next, waiter->next);
}

/* The record before one on the ring; NULL: that is not there. */
static struct shared_waiter *before(const struct waiter_ring *ring,
                                    const struct shared_waiter *waiter)
{
    if (!ring->last)
        return NULL;
    struct shared_waiter *end = at(ring->last), *it = end;
    while (it->next != waiter) {
        it = it->next;
        if (it == end)
            return NULL;
    }
    return it;
}

void shared_waiter_remove(struct waiter_ring *ring, struct shared_waiter *waiter)
{
    struct shared_waiter *predecessor = before(ring, waiter);
    if (predecessor)
        take_out(ring, predecessor, waiter);
}

bool shared_waiter_is_on(const struct waiter_ring *ring, const struct shared_waiter *waiter)
{
    return before(ring, waiter) != NULL;
}

struct shared_waiter *shared_waiter_take_first(struct waiter_ring *ring)
{
    while (ring->last) {
        struct shared_waiter *end = at(ring->last), *first = end->next;
        take_out(ring, end, first);
        if (!participant_is_dead(first->participant))
            return first;
        shared_waiter_free(first);
    }
    return NULL;
}

bool shared_waiter_any_dead(const struct waiter_ring *ring)
{
    if (!ring->last)
        return false;
    const struct shared_waiter *end = at(ring->last), *it = end;
    do {
        it = it->next;
        if (participant_is_dead(it->participant))
            return true;
    } while (it != end);
    return false;
}

void shared_waiter_decide(struct shared_waiter *waiter, uint32_t fate)
{
    const uint32_t *word = &waiter->fate;
    store_release(&waiter->fate, fate); /* pairs with the acquire in shared_waiter_fate() */
    park_wake_shared(word, 1);          /* by address: the record may be gone */
}

int shared_waiter_sleep(struct shared_waiter *waiter, uint32_t epoch, weft_deadline deadline,
                        unsigned flags)
{
    for (;;) {
        struct park_node node = park_shared_node(&waiter->fate, WAITER_WAITS, epoch);
        int rc = park_wait(&node, 1, deadline, flags);
        if (shared_waiter_fate(waiter) != WAITER_WAITS)
            return 0;
        if (rc < 0 && rc != -EAGAIN)
            return rc;
        if (death_epoch() != epoch)
            return -EAGAIN;
    }
}
