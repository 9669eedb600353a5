/* SPDX-License-Identifier: MIT */
/*
 * sync/gil_turns.c: whose turn it is to hold a global interpreter lock.
 *
 * The problem. If strands that compute hand it over only at the end of their turns, a strand that
 * does I/O waits for a whole turn after each call, though it wants no more than a microsecond: the
 * convoy effect (cpython gh-89977). If they hand it over to whoever comes, they get nowhere.
 *
 * So there are turns, and loans. A strand whose holds are short is brief. When it comes while
 * another is in the midst of its turn, that one lends it the GIL at its next check, waits for it,
 * first in the queue, and goes on with its turn. The time that this takes, as the lender sees it,
 * switching included, is paid from a credit that grows by 1/25 of the time that goes by; so
 * all loans together take no more than that from those who compute. Once it is used up, it must
 * have grown to CHUNK before the next loan: one loan costs far more than the next when the other
 * strand sleeps by then, so they had better come in bunches. Meanwhile brief ones wait for their
 * turns, in the order of their coming, like all others; so nobody starves, neither they nor those
 * who compute:
 *
 *     at most n strands are before one that waits, each for one interval at most
 *
 *            take a free one                      check, turn over, or leave: the first waiter's
 *     free ------------------> in its own turn <----------------------------------------------.
 *                                 |     ^  '------------------------------------------------->'
 *               check, URGENT     |     |  leave, or check after BRIEF_NS: the lender's
 *                                 v     |
 *                                 lent -'  <--.
 *                                    '--------' leave: another brief one's, while there is credit
 *
 * Who is brief is known from the last hold that was timed: those during which somebody waited. A
 * strand that went on to the end of its turn is not, nor is one that was lent the GIL and did not
 * give it up for BRIEF_NS: it waits for its turn next time, and so long as it lingers. What counts
 * is when it went on: where many want the CPUs, it may wake long after it was granted.
 *
 * The holder looks at the clock now and then only, when somebody waits and it is not URGENT: from
 * the time between two looks it plans how many checks to let go by until the next, no more than
 * LOOKS_MAX, as the time between checks may change.
 */
#include "sync/gil.h"

#define SWITCH_NS     (5 * WEFT_MS)
#define SWITCH_MAX_NS (365 * 24 * 3600 * WEFT_S) /* a year: sums of times do not overflow */

enum { CREDIT_GROWS = 25, CREDIT_MOST = 8, LOOKS_MAX = 63 };

static int64_t interval(const struct gil *gil)
{
    int64_t ns = gil->switch_ns > 0 ? gil->switch_ns : SWITCH_NS;
    return ns < SWITCH_MAX_NS ? ns : SWITCH_MAX_NS;
}

/* What a brief hold may last. */
static int64_t brief_ns(const struct gil *gil)
{
    return interval(gil) / 32;
}

/* ---- credit */

static int64_t credit_max(const struct gil *gil)
{
    return interval(gil) / CREDIT_MOST;
}

/* What there is; less than 0: what more than that has been lent. */
static int64_t credit(const struct gil *gil, int64_t now)
{
    int64_t most = credit_max(gil);
    int64_t ns = gil->credit_ns + (now - gil->credit_at_ns) / CREDIT_GROWS;
    if (ns > most)
        ns = most;
    if (gil->lender)
        ns -= now - gil->lent_ns;
    return ns;
}

/* Takes from the credit what has been used up; not too much, so that it can grow again. */
static void pay(struct gil *gil, int64_t ns, int64_t now)
{
    int64_t least = -interval(gil); /* one who blocked while it had it: not all pay */
    gil->credit_ns = ns > least ? ns : least;
    gil->credit_at_ns = now;
}

/* A loan is over. */
static void settle(struct gil *gil, int64_t now)
{
    pay(gil, credit(gil, now), now);
    gil->lender = NULL;
}

/* And its lender may have been late to go on. */
static void pay_for_lateness(struct gil *gil, int64_t now)
{
    if (gil->lender || !load_relaxed(&gil->late_ns)) /* relaxed: seen late, it counts later */
        return;
    pay(gil, credit(gil, now) - swap_acq_rel(&gil->late_ns, 0), now);
}

/* Whether it may be lent; if not, *ret_again says when to look again. */
static bool may_lend(struct gil *gil, int64_t now, int64_t *ret_again)
{
    pay_for_lateness(gil, now);
    int64_t chunk = credit_max(gil) / 2, ns = credit(gil, now);
    gil->spent = gil->spent ? ns < chunk : ns <= 0;
    *ret_again = now + (chunk - ns) * CREDIT_GROWS;
    return !gil->spent;
}

/* ---- the queue */

static uint64_t holder_of(const struct gil *gil)
{
    return load_relaxed(&gil->word) & ~(uint64_t)GIL_BITS; /* relaxed: the guard's */
}

/*
 * Says in the word who holds it (0: nobody) and what that one has to know of those who wait; and
 * when it has to look. By one store: where the word is 0, whoever comes takes it by a swap.
 */
static void announce(struct gil *gil, uint64_t word, int64_t now)
{
    int64_t due = gil->turn_ns + interval(gil), again = 0;
    bool urgent = false;
    if (list_empty(&gil->waiters)) {
        gil->since_ns = 0;
    } else {
        word |= GIL_WANTED;
        if (gil->lender) {
            due = gil->since_ns + brief_ns(gil);
        } else if (!list_empty(&gil->briefs)) {
            urgent = may_lend(gil, now, &again);
            due = !urgent && again < due ? again : due;
        }
    }
    store_relaxed(&gil->due_ns, due); /* relaxed: seen late, it costs a little time */
    /* release: pairs with the acquire of whoever enters when it is free */
    store_release(&gil->word, urgent ? word | GIL_URGENT : word);
}

/* In front of all others, or behind. */
static void add(struct gil *gil, struct gil_waiter *waiter, bool first)
{
    list_push_back(first ? gil->waiters.next : &gil->waiters, &waiter->node.link);
    waiter->node.queued = true;
}

void gil_queue(struct gil *gil, struct gil_waiter *waiter)
{
    if (!gil->since_ns) {
        gil->since_ns = gil->turn_ns = waiter->since_ns;
        store_relaxed(&gil->looks, 0); /* relaxed: as in gil_plan(). An earlier holder's plan */
    }
    add(gil, waiter, false);
    if (!waiter->strand->lingers)
        list_push_back(&gil->briefs, &waiter->brief);
    announce(gil, holder_of(gil), waiter->since_ns);
}

static void take_out(struct gil_waiter *waiter)
{
    list_remove(&waiter->node.link);
    list_remove(&waiter->brief);
    waiter->node.queued = false;
}

void gil_take_free(struct gil *gil, struct strand *strand, int64_t now)
{
    gil->since_ns = gil->turn_ns = now;
    announce(gil, gil_word_of(strand), now);
}

void gil_unqueue(struct gil *gil, struct gil_waiter *waiter, int64_t now)
{
    take_out(waiter);
    announce(gil, holder_of(gil), now);
}

/* ---- giving it to another */

static void end_hold(struct gil *gil, int64_t now)
{
    int64_t ns = gil->since_ns ? now - gil->since_ns : 0;
    if (ns > gil->counts.longest_hold_ns)
        gil->counts.longest_hold_ns = ns;
}

static void count_switch(struct gil *gil, int64_t waited_ns)
{
    gil->counts.switches++;
    if (waited_ns > gil->counts.longest_wait_ns)
        gil->counts.longest_wait_ns = waited_ns;
}

/* Gives it to a waiter. False: that one's wait has just ended otherwise. */
static bool grant(struct gil *gil, struct gil_waiter *waiter, int64_t now, struct list *ret_resumed)
{
    if (waiter->state == GIL_PARKED && !park_decide_woken(&waiter->node))
        return false;
    take_out(waiter);
    if (holder_of(gil) != gil_word_of(waiter->strand))
        count_switch(gil, now - waiter->since_ns);
    gil->since_ns = waiter->granted_ns = now;
    gil->woke_ns = 0;
    if (waiter == gil->lender)
        settle(gil, now);
    else if (!gil->lender)
        gil->turn_ns = now;
    store_relaxed(&gil->looks, 0); /* relaxed: the holder's, as in gil_plan() */
    gil->looks_plan = 0;
    gil->looked_ns = now;
    announce(gil, gil_word_of(waiter->strand), now);
    if (waiter->state == GIL_PARKED)
        list_push_back(ret_resumed, &waiter->node.link);
    else
        /* release: pairs with the acquire in spin(); from here on the waiter may be gone */
        store_release(&waiter->state, GIL_GRANTED);
    return true;
}

static bool grant_first(struct gil *gil, int64_t now, struct list *ret_resumed)
{
    for (struct list *it = gil->waiters.next; it != &gil->waiters;) {
        struct gil_waiter *waiter = CONTAINER(it, struct gil_waiter, node.link);
        it = it->next;
        if (grant(gil, waiter, now, ret_resumed))
            return true;
    }
    return false;
}

static bool grant_brief(struct gil *gil, int64_t now, struct list *ret_resumed)
{
    for (struct list *it = gil->briefs.next; it != &gil->briefs;) {
        struct gil_waiter *waiter = CONTAINER(it, struct gil_waiter, brief);
        it = it->next;
        if (grant(gil, waiter, now, ret_resumed))
            return true;
    }
    return false;
}

void gil_pass_on(struct gil *gil, struct strand *holder, int64_t now, struct list *ret_resumed)
{
    int64_t again;
    int64_t held_ns = now - (gil->lender ? gil->since_ns : gil->turn_ns) - gil->woke_ns;
    if (gil->since_ns)
        holder->lingers = held_ns > brief_ns(gil);
    end_hold(gil, now);
    if (gil->lender && !list_empty(&gil->briefs) && may_lend(gil, now, &again) &&
        grant_brief(gil, now, ret_resumed))
        return;
    if (grant_first(gil, now, ret_resumed))
        return;
    announce(gil, 0, now); /* who still waits is about to go */
}

void gil_plan(struct gil *gil, int64_t now)
{
    int64_t per_check = (now - gil->looked_ns) / ((int64_t)gil->looks_plan + 1);
    int64_t checks = interval(gil) / 64 / (per_check > 0 ? per_check : 1);
    gil->looks_plan = checks < LOOKS_MAX ? (uint32_t)checks : LOOKS_MAX;
    store_relaxed(&gil->looks, gil->looks_plan);
    gil->looked_ns = now;
}

static bool is_over(const struct gil *gil, int64_t now)
{
    return gil->lender ? now - gil->since_ns - gil->woke_ns >= brief_ns(gil)
                       : now - gil->turn_ns >= interval(gil);
}

/* The holder is queued first, as nobody must be able to leave while it is in no place. */
static void end_turn(struct gil *gil, struct gil_waiter *holder, int64_t now,
                     struct list *ret_resumed)
{
    end_hold(gil, now);
    holder->strand->lingers = true;
    add(gil, holder, false);
    (void)grant_first(gil, now, ret_resumed); /* which is the holder itself if all others go */
}

static bool lend(struct gil *gil, struct gil_waiter *holder, int64_t now, struct list *ret_resumed)
{
    end_hold(gil, now);
    gil->lender = holder;
    gil->lent_ns = now;
    add(gil, holder, true);
    if (grant_brief(gil, now, ret_resumed))
        return true;
    gil->lender = NULL;
    take_out(holder);
    return false;
}

bool gil_take_turns(struct gil *gil, struct gil_waiter *holder, int64_t now,
                    struct list *ret_resumed)
{
    int64_t again;
    if (is_over(gil, now)) {
        end_turn(gil, holder, now, ret_resumed);
        return true;
    }
    if (!gil->lender && !list_empty(&gil->briefs) && may_lend(gil, now, &again) &&
        lend(gil, holder, now, ret_resumed))
        return true;
    announce(gil, holder_of(gil), now);
    gil_plan(gil, now);
    return false;
}
