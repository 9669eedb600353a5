/* SPDX-License-Identifier: MIT */
/*
 * sync/shared_waiters.h: who waits for something in shared memory, in the order of coming.
 *
 * Each waiter has a record in shared memory and sleeps on a word of its own there, its fate. The
 * records form a ring, of which the object keeps the last, under a robust lock of its own. Every
 * step that changes the ring leaves one, so a death under the lock costs the order at most.
 *
 *   on the ring, WAITING --taken out, then fate set, by somebody else--> its own again, and freed
 *          \---taken out by its own strand, which has given up--/
 *
 * Whoever takes a record out and sets its fate does not touch it any more. Records of the dead are
 * taken out and freed by whoever finds them on the ring.
 */
#ifndef WEFT_SYNC_SHARED_WAITERS_H
#define WEFT_SYNC_SHARED_WAITERS_H

#include <weft/time.h>

#include "park/park.h"

enum { WAITER_WAITS }; /* other fates are the object's own */

struct shared_waiter {
    struct shared_waiter *next; /* on the ring */
    uint32_t participant;       /* constant: whose it is */
    uint32_t fate;              /* atomic */
};

/* A ring: where its last record is, in units of the shared range; 0: it is empty. */
struct waiter_ring {
    uint32_t last;
};

/* The caller's own. NULL: no memory. */
struct shared_waiter *shared_waiter_new(void);
void shared_waiter_free(struct shared_waiter *waiter);

/* All under the object's lock: */
void shared_waiter_append(struct waiter_ring *ring, struct shared_waiter *waiter);

/* Takes it out, if it is there. */
void shared_waiter_remove(struct waiter_ring *ring, struct shared_waiter *waiter);

/* False: somebody has taken it out, and if its fate is undecided, died. */
bool shared_waiter_is_on(const struct waiter_ring *ring, const struct shared_waiter *waiter);

/* Takes the first living one out; NULL: there is none. */
struct shared_waiter *shared_waiter_take_first(struct waiter_ring *ring);

/* Whether one of those on the ring is dead. */
bool shared_waiter_any_dead(const struct waiter_ring *ring);

/* Lets one that was taken out go. */
void shared_waiter_decide(struct shared_waiter *waiter, uint32_t fate);

/*
 * Sleeps until the fate is decided, without the lock.
 * Returns  0: it is; -EAGAIN: a process has died since the epoch; -ETIMEDOUT, -ECANCELED.
 */
int shared_waiter_sleep(struct shared_waiter *waiter, uint32_t epoch, weft_deadline deadline,
                        unsigned flags);

/* Its fate; WAITER_WAITS: undecided. */
static inline uint32_t shared_waiter_fate(const struct shared_waiter *waiter)
{
    return load_acquire(&waiter->fate); /* pairs with the release in shared_waiter_decide() */
}

#endif
