/* SPDX-License-Identifier: MIT */
/*
 * sync/signal.h: "look again": how strands wait for a condition that others make true, without
 * holding a lock while they sleep (an eventcount).
 *
 * The condition is guarded by a lock of the caller's. The waiter arms the signal, looks at the
 * condition under the lock, and parks on the node if it does not hold; others make it true under
 * the lock, then raise, still under it or after it.
 *
 * Nobody sleeps through a raise. If the waiter had the lock first, the raiser finds the signal
 * armed, changes its word, and wakes; who has not parked yet will find another word than it armed.
 * If the raiser had it first, the waiter finds the condition true. So a raise for which nobody
 * waits is a load of a word, without a fence.
 *
 * Source: D. Vyukov's eventcount, with the lock in place of its fences.
 */
#ifndef WEFT_SYNC_SIGNAL_H
#define WEFT_SYNC_SIGNAL_H

#include "park/park.h"

struct signal {
    uint32_t
        word; /* atomic. The lowest bit: somebody may wait; above: changes when it was raised */
};

enum { SIGNAL_ARMED = 1, SIGNAL_RAISED = 2 };

/* Starts to wait: fills a node to park on. Look at the condition after it. Nothing to undo. */
static inline void signal_arm(struct signal *signal, struct park_node *node)
{
    uint32_t word = load_relaxed(&signal->word); /* relaxed, both: the lock orders them */
    while (!(word & SIGNAL_ARMED) && !cas_relaxed(&signal->word, &word, word | SIGNAL_ARMED)) {
    }
    *node = (struct park_node){ .word = &signal->word, .value = word | SIGNAL_ARMED };
}

void signal_raise_armed(struct signal *signal, uint32_t n);

/* Makes up to n waiters look again. The condition is true already. */
static inline void signal_raise(struct signal *signal, uint32_t n)
{
    if (load_relaxed(&signal->word) & SIGNAL_ARMED) /* relaxed: the lock orders it */
        signal_raise_armed(signal, n);
}

/*
 * Waits until attempt(ctx), called again after each raise, gives something other than -EAGAIN. From
 * its second call on it must look under the lock.
 * Returns  that; -ETIMEDOUT, -ECANCELED as park_wait(), which gets the flags.
 */
int signal_wait(struct signal *signal, int (*attempt)(void *ctx), void *ctx, weft_deadline deadline,
                unsigned flags);

#endif
