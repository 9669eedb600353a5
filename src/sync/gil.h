/* SPDX-License-Identifier: MIT */
/*
 * sync/gil.h: a global interpreter lock from the inside: gil.c takes it, gives it up and waits for
 * it, gil_turns.c decides whose turn it is.
 *
 * Glossary
 *   turn      the time for which a strand that computes has it while others wait
 *   brief     a strand that gives it up by itself soon: its last hold was short, as far as it was
 *             timed
 *   lent      it was taken from a strand in the midst of its turn, for a brief one; the lender
 *             waits, first in the queue, and then goes on with its turn
 *   credit    for how long it may be lent: grows with time, and is used up by lending
 */
#ifndef WEFT_SYNC_GIL_H
#define WEFT_SYNC_GIL_H

#include <weft/gil.h>

#include "base/futex.h"
#include "park/hold.h"
#include "park/park.h"

/*
 * The lowest bits of the word; those above are its holder's id, 0: nobody's. weft_gil_check() knows
 * them.
 *
 *   WANTED  somebody waits, and the word changes only under the guard. While it is clear the holder
 *           may leave, and if there is none anybody enter, by a swap
 *   URGENT  the holder shall lend it at its next check. Only while WANTED
 */
enum { GIL_WANTED = 1, GIL_URGENT = 2, GIL_BITS = 3, GIL_ID_ONE = 4 };

struct gil {
    uint64_t word;              /* first; atomic */
    struct hold hold;           /* the holder's */
    int64_t switch_ns;          /* constant; 0: 5 ms */
    uint32_t looks, looks_plan; /* the holder's, and of the first who waits: how many checks go by
                                   without a look at the clock; and how many that were at first */
    int64_t looked_ns;          /* the holder's: when it looked last */
    int64_t woke_ns;            /* the holder's: how long after it was granted it went on */
    struct guard guard;         /* guards what follows */
    bool spent;                 /* credit was used up, and has not grown enough since */
    struct list waiters;        /* in the order of their turns; zero until first used */
    struct list briefs;         /* the brief ones among them, in the order of their coming; zero */
    struct gil_waiter *lender;  /* NULL: it is not lent */
    int64_t lent_ns;            /* since when it is */
    int64_t late_ns;  /* atomic: how long after the last loan its lender went on; 0: paid */
    int64_t turn_ns;  /* when the present turn began */
    int64_t since_ns; /* when its holder got it, or from when somebody waited; 0: nobody waits */
    int64_t due_ns;   /* when the holder has to look at what is here; atomic, read without guard */
    int64_t credit_ns, credit_at_ns; /* the credit at that time */
    weft_gil_counts counts;
} __attribute__((may_alias));

_Static_assert(sizeof(struct gil) <= sizeof(weft_gil), "fits the public type");

/* GRANTED is final: it is the strand's. */
enum gil_state { GIL_SPINS, GIL_PARKED, GIL_GRANTED };

/* A strand that waits; on its stack. Guarded, but for what is constant. */
struct gil_waiter {
    struct park_node node; /* in waiters, by its link */
    struct list brief;     /* in briefs, or in none */
    struct gil *gil;       /* constant, as are the next two */
    struct strand *strand;
    int64_t since_ns;
    int64_t granted_ns; /* when it was granted */
    uint32_t state;     /* atomic: a strand that spins looks without the guard */
    bool locked;        /* its strand's: it holds the guard */
};

static inline struct gil *gil_of(const weft_gil *gil)
{
    return (struct gil *)gil;
}

static inline uint64_t gil_word_of(const struct strand *strand)
{
    return strand->id * GIL_ID_ONE;
}

/* All that follow: under the guard. What is granted to parked strands goes into a list, to be
 * resumed without the guard. */

/* Queues a strand that waits, last. WANTED is set. */
void gil_queue(struct gil *gil, struct gil_waiter *waiter);

/* Gives one that nobody has to a strand that has just come. WANTED is set. */
void gil_take_free(struct gil *gil, struct strand *strand, int64_t now);

/* Takes one out that will not get it. */
void gil_unqueue(struct gil *gil, struct gil_waiter *waiter, int64_t now);

/* By its holder, who leaves: gives it to the next, or to nobody. */
void gil_pass_on(struct gil *gil, struct strand *holder, int64_t now, struct list *ret_resumed);

/*
 * By its holder, at a check: gives it to another if it is time for that, and queues the holder.
 * False: the holder goes on.
 */
bool gil_take_turns(struct gil *gil, struct gil_waiter *holder, int64_t now,
                    struct list *ret_resumed);

/* By its holder, also without the guard: plans how many checks may go by until it looks again. */
void gil_plan(struct gil *gil, int64_t now);

#endif
