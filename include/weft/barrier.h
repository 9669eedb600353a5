/* SPDX-License-Identifier: MIT */
/*
 * weft/barrier.h: a point that a fixed number of strands pass together; Python's Barrier.
 *
 *     weft_barrier_init(&step, 4, NULL, NULL);
 *     ...
 *     rc = weft_barrier_wait(&step, WEFT_FOREVER);      0 to 3: all four are here
 *
 * It serves any number of rounds. When a wait is given up (deadline, cancellation) the others could
 * wait for ever, so the barrier breaks: all waits, those to come included, return -EPIPE until it
 * is reset. Nothing to destroy.
 *
 * In shared memory (weft_shared_alloc) the parties may be strands of several processes. If one of
 * them dies while the others wait for its round, having come already, the barrier breaks, too. Of a
 * round that a process dies in the middle of completing some may have passed already. One that dies
 * before it comes is not known to the barrier: use deadlines, or weft_barrier_abort().
 */
#ifndef WEFT_BARRIER_H
#define WEFT_BARRIER_H

#include <weft/lock.h>

WEFT_BEGIN

typedef struct weft_barrier {
    weft_lock lock; /* private, all of it */
    uint32_t parties, waiting, round, broken;
    int (*action)(void *ctx);
    void *ctx;
    struct weft_barrier_waiter *waiters;
} weft_barrier;

/*
 * Makes a barrier for so many parties (at least 1). action, if not NULL, is run in each round by
 * the last one to come, before the others go on; if it returns a negative value the barrier breaks.
 * It must not use the barrier. In shared memory all processes must see action and ctx.
 */
void weft_barrier_init(weft_barrier *barrier, uint32_t parties, int (*action)(void *ctx),
                       void *ctx);

/*
 * Waits until all parties have come.
 * Returns  0 to parties - 1, each to one of them in the order of coming; -EPIPE: broken or reset;
 *          -ETIMEDOUT, -ECANCELED: given up, and the barrier is broken; what action returned: to
 *          the one that ran it; -EINVAL: no parties; -ENOMEM (only in shared memory): given up,
 *          and the barrier is broken.
 * Blocks   yes.
 */
int weft_barrier_wait(weft_barrier *barrier, weft_deadline deadline) WEFT_USE;

/* Breaks the barrier. */
void weft_barrier_abort(weft_barrier *barrier);

/* Makes it whole and empty again; those that wait return -EPIPE. */
void weft_barrier_reset(weft_barrier *barrier);

/* How many wait, at some moment during the call. */
uint32_t weft_barrier_waiting(const weft_barrier *barrier);

/* How many there must be. */
uint32_t weft_barrier_parties(const weft_barrier *barrier);

/* Whether it is broken, at some moment during the call. */
bool weft_barrier_broken(const weft_barrier *barrier);

WEFT_END
#endif
