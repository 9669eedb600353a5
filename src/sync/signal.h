/* SPDX-License-Identifier: MIT */
/*
 * sync/signal.h: "look again": how strands wait for a condition that others make true, without
 * holding a lock while they sleep (an eventcount).
 *
 * A signal is two words: a counter that changes whenever somebody should look again, and how many
 * may be waiting for that. The waiter arms, looks at its condition, parks on the node if it does
 * not hold, and disarms; others make the condition true, then raise.
 *
 * Nobody sleeps through a raise: arming counts the waiter and then reads the counter; raising
 * changes the counter and then reads the count, all in one (seq_cst) order. So either the raiser
 * sees the waiter, or the waiter has read the new counter, and with it finds the condition true. A
 * raise in between makes parking return at once.
 *
 * Source: D. Vyukov's eventcount.
 */
#ifndef WEFT_SYNC_SIGNAL_H
#define WEFT_SYNC_SIGNAL_H

#include "park/park.h"

struct signal {
    uint32_t word, waiters;
};

/* Starts to wait: fills a node to park on. Look at the condition after it. */
static inline void signal_arm(struct signal *signal, struct park_node *node)
{
    add_seq_cst(&signal->waiters, 1); /* seq_cst, both: see above */
    *node = (struct park_node){ .word = &signal->word, .value = load_seq_cst(&signal->word) };
}

static inline void signal_disarm(struct signal *signal)
{
    sub_relaxed(&signal->waiters, 1); /* relaxed: a raiser that sees it late wakes nobody */
}

/* Makes up to n waiters look again. The condition is true already. */
static inline void signal_raise(struct signal *signal, uint32_t n)
{
    add_seq_cst(&signal->word, 1); /* seq_cst, both: see above */
    if (load_seq_cst(&signal->waiters))
        park_wake(&signal->word, n, 0);
}

/*
 * Waits until attempt(ctx), called again after each raise, gives something other than -EAGAIN.
 * Returns  that; -ETIMEDOUT, -ECANCELED as park_wait(), which gets the flags.
 */
int signal_wait(struct signal *signal, int (*attempt)(void *ctx), void *ctx, weft_deadline deadline,
                unsigned flags);

#endif
