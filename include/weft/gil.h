/* SPDX-License-Identifier: MIT */
/*
 * weft/gil.h: a global interpreter lock: for an interpreter, or a library, that is not thread-safe
 * and is used by many threads and tasks.
 *
 *     static weft_gil gil = WEFT_GIL_INIT;
 *
 *     if (weft_gil_enter(&gil, WEFT_FOREVER) == 0) {
 *         while (interpret_one(instruction++))
 *             weft_gil_check(&gil);               // others get their turn in here
 *         weft_gil_leave(&gil);
 *     }
 *
 * A strand holds it while it uses what is not thread-safe. One that computes checks all the while,
 * which costs a load as long as nobody waits; when somebody does, it hands the GIL over at the end
 * of its turn, the switch interval, and waits for its next turn. Turns go round: whoever waits gets
 * one within (n + 1) intervals, where n strands compute and all check.
 *
 * A strand that gives the GIL up by itself, before its interval ends, as it does around a system
 * call, gets it back at the next check of whoever computes, and that one goes on with its turn when
 * the other leaves again: so a strand that does I/O does not wait for an interval at each
 * round trip (which is the convoy effect of other interpreters). All that together may take about a
 * 25th part of the time of those who compute; whoever would take more waits for its turn.
 *
 * With release_when_blocked a strand that blocks in one of weft's own calls gives the GIL up before
 * it sleeps, and has it again when the call returns, whatever came of it: also late, also
 * cancelled. Nothing of the interpreter may then be in the midst of a change around such a call. A
 * lock of weft's that is held for a moment only does not count as blocking; a pool's worker that
 * runs another call instead of waiting does. weft_run_once() keeps it: leave it before, so that the
 * tasks can have it. Without release_when_blocked a strand sleeps with the GIL, and a task that
 * does so can keep out the one that it waits for.
 *
 * A strand may hold several, up to WEFT_GILS_MAX. It takes them in the same order everywhere; and
 * waits for the second with the first. When it blocks it gives up those that are released, from the
 * innermost outwards, up to the first that is not; and takes them back in the order in which it had
 * taken them. So what it waits for with one that is not released must need none of its others.
 *
 * It works among threads, made by weft or not, and tasks of one process, in private memory, which
 * must outlive all calls that use it. After a fork the child has it as it was: as with any lock, a
 * child that was forked while another strand held it, or waited for it, cannot rely on it.
 */
#ifndef WEFT_GIL_H
#define WEFT_GIL_H

#include <weft/time.h>

WEFT_BEGIN

typedef struct weft_gil {
    uint64_t opaque[32]; /* private */
} weft_gil;

/* Nobody holds it; intervals of 5 ms; a strand that blocks keeps it. Zeros are the same. */
#define WEFT_GIL_INIT                                                                              \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* How many a strand may hold at a time. */
#define WEFT_GILS_MAX 8

/* What has happened to one. Times in ns. */
typedef struct weft_gil_counts {
    uint64_t switches;       /* how often it went from its holder straight to one who waited */
    uint64_t waits;          /* how often somebody had to wait to enter, or to come back */
    int64_t longest_wait_ns; /* of those who got it, their turns' waiting included */
    int64_t longest_hold_ns; /* of those while somebody waited, and from then on */
    uint64_t abandoned;      /* how often a strand ended while it held it */
} weft_gil_counts;

/*
 * Makes a GIL that nobody holds. switch_ns: how long a turn lasts when others wait; 0: 5 ms.
 * release_when_blocked: whether weft's own blocking calls give it up meanwhile. Nothing to destroy.
 */
void weft_gil_init(weft_gil *gil, int64_t switch_ns, bool release_when_blocked);

/*
 * Takes it.
 * Returns  0: held; -EDEADLK: the caller holds it already; -EMFILE: it holds WEFT_GILS_MAX others;
 *          -ETIMEDOUT (WEFT_NOW: somebody else holds it); -ECANCELED.
 * Blocks   until it is the caller's turn. Keeps other GILs meanwhile.
 */
int weft_gil_enter(weft_gil *gil, weft_deadline deadline) WEFT_USE;

/* Gives it up, to whoever waits. Returns 0; -EPERM: the caller does not hold it. */
int weft_gil_leave(weft_gil *gil);

/*
 * The part of weft_gil_check() that looks: for whom somebody waits. Not to be called by itself.
 */
int weft_gil_check_waiting(weft_gil *gil);

/*
 * Lets others have it if it is their turn, or they need it for a moment; the caller has it again
 * when this returns. For the loop of an interpreter: where nobody waits it is one load. Without
 * effect while the caller holds another GIL that it took later.
 * Returns  0; -EPERM: the caller does not hold it, which is found, if at all, when somebody waits.
 * Blocks   while others have it. Ignores cancellation and scopes.
 */
static inline int weft_gil_check(weft_gil *gil)
{
    /* relaxed: what is seen late is seen at the next check */
    if (!(__atomic_load_n(&gil->opaque[0], __ATOMIC_RELAXED) & 3))
        return 0;
    return weft_gil_check_waiting(gil);
}

/* What has happened up to some moment during the call. */
void weft_gil_counters(const weft_gil *gil, weft_gil_counts *ret_counts);

WEFT_END
#endif
