/* SPDX-License-Identifier: MIT */
/*
 * sync/gil.h: a global interpreter lock from the inside: what gil.c takes and gives, and
 * gil_turns.c decides about.
 *
 * Glossary
 *   turn      the time for which a strand that computes has it while others wait
 *   brief     a strand that gives it up by itself soon: its last hold, as far as it was timed, was
 *             short
 *   lent      it was taken from a strand in the midst of its turn, for a brief one; the lender
 *             waits, first in the queue, and then goes on with its turn
 *   credit    for how long it may be lent: grows with time, and is used up by lending
 */
#ifndef WEFT_SYNC_GIL_H
#define WEFT_SYNC_GIL_H

#include <weft/gil.h>

#include "base/futex.h"
#include "base/list.h"
#include "park/hold.h"
#include "park/park.h"

/*
 * The lowest bits of the word; those above are its holder's id, 0: nobody's. While one is set,
 * somebody waits, and the word changes only under the guard; while none is, the holder may leave,
 * and if there is none anybody enter, by a swap. weft_gil_check() knows these two.
 */
enum { GIL_WANTED = 1, GIL_URGENT = 2, GIL_BITS = 3, GIL_ID_ONE = 4 };

struct gil {
    uint64_t word;       /* first; atomic */
    struct hold hold;    /* the holder's */
    int64_t switch_ns;   /* constant; 0: GIL_SWITCH_NS */
    uint32_t looks;      /* the holder's: at how many checks it need not look at the clock */
    struct guard guard;  /* guards what follows */
    struct list waiters; /* in the order of their turns; zero until first used, as is the next */
    struct list briefs;  /* those of them that are brief, in the order of their coming */
    struct gil_waiter *lender; /* NULL: it is not lent */
    int64_t lent_ns;           /* since when it is */
    int64_t turn_ns;           /* when the present turn began */
    int64_t since_ns; /* when its holder got it, or from when somebody waited; 0: nobody waits */
    int64_t credit_ns, credit_at_ns; /* what it was, and when */
    weft_gil_counts counts;
} __attribute__((may_alias));

_Static_assert(sizeof(struct gil) <= sizeof(weft_gil), "fits the public type");

#define GIL_SWITCH_NS (5 * WEFT_MS)

enum gil_state { GIL_SPINS, GIL_PARKED, GIL_GRANTED };

/* A strand that waits, on its stack. All but node is guarded. */
struct gil_waiter {
    struct park_node node; /* in waiters */
    struct list brief;     /* in briefs, or in none */
    struct gil *gil;       /* constant, as are the next two */
    struct strand *strand;
    int64_t since_ns;
    bool locked;    /* its strand's: it holds the guard */
    uint32_t state; /* atomic, for a look by a strand that spins */
};

static inline struct gil *gil_of(const weft_gil *gil)
{
    return (struct gil *)gil;
}

static inline uint64_t gil_word_of(const struct strand *strand)
{
    return strand->id * GIL_ID_ONE;
}

/* All that follow: under the guard. */

/* Queues a strand that waits, first or last among the turns. */
void gil_queue(struct gil *gil, struct gil_waiter *waiter, bool first);

/* Takes one out that will not get it. */
void gil_unqueue(struct gil *gil, struct gil_waiter *waiter, int64_t now);

/*
 * Gives it to the first that can take it, or to nobody; what is to be resumed goes into the list.
 * By its holder, who leaves.
 */
void gil_pass_on(struct gil *gil, int64_t now, struct list *ret_resumed);

/*
 * Gives it to another if it is time for that, with its present holder queued. By its holder.
 * False: it goes on.
 */
bool gil_take_turns(struct gil *gil, struct gil_waiter *holder, int64_t now,
                    struct list *ret_resumed);

#endif
