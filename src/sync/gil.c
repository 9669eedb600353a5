/* SPDX-License-Identifier: MIT */
/*
 * sync/gil.c: a global interpreter lock: taking it, giving it up, and waiting for it.
 *
 * The word says who holds it and whether somebody waits. While nobody does, to enter and to leave
 * are a compare-and-swap each, and a check is a load. Else all happens under a guard, and there is
 * no moment at which anybody could push in: a strand that leaves, or whose turn is over, gives the
 * GIL to a waiter (gil_turns.c says to which), who has it from then on, awake or not.
 *
 *   the waiter   sets WANTED and queues, under the guard; spins for a moment, as a brief strand
 *                leaves soon, and as the one that computes checks soon; then parks. A strand that
 *                has lent it spins longer: a sleep and a wake-up at each loan would cost more than
 *                all else
 *   the granter  under the guard takes the waiter out and writes its id into the word; then, to one
 *                that spins, GRANTED, to one that has parked, a token
 *
 *     SPINS --the waiter, under the guard--> PARKED --+--> its wait is over: late, cancelled
 *        \                                            |
 *         '--granter--> GRANTED                       '--granter, if it can decide the wait-->
 * woken
 *
 * What the holder did happens before what the next one does: by the swaps of the word, by GRANTED,
 * by the token. A strand knows whether it is the holder from the word alone, since nobody else
 * writes its id there.
 *
 * What a strand holds is on a list of its own (park/hold.h), so that a wait of any kind can let go
 * of it, and the end of the strand abandon it.
 */
#define weft_gil_check gil_check_inlined /* this file exports it as a function, too */
#include <errno.h>
#include <string.h>

#include "sync/gil.h"
#undef weft_gil_check

/* How long a waiter spins: for its turn, for a loan or the holder's end, for the end of a loan. */
#define SPIN_NS      (2 * WEFT_US)
#define SPIN_SOON_NS (10 * WEFT_US)
#define SPIN_LENT_NS (30 * WEFT_US)

enum { SPINS_PER_LOOK = 16 };

void weft_gil_init(weft_gil *gil, int64_t switch_ns, bool release_when_blocked)
{
    memset(gil, 0, sizeof *gil);
    gil_of(gil)->switch_ns = switch_ns;
    gil_of(gil)->hold.lets_go = release_when_blocked;
}

static bool is_holder(uint64_t word, const struct strand *self)
{
    return (word & ~(uint64_t)GIL_BITS) == gil_word_of(self);
}

/* ---- waiting */

static void waiter_init(struct gil_waiter *waiter, struct gil *gil, struct strand *self)
{
    *waiter = (struct gil_waiter){ .gil = gil, .strand = self, .since_ns = weft_now() };
    list_init(&waiter->brief);
    list_init(&waiter->node.link);
}

static void lock(struct gil *gil)
{
    guard_lock(&gil->guard);
    if (gil->waiters.next)
        return;
    list_init(&gil->waiters);
    list_init(&gil->briefs);
}

static void unlock(struct gil *gil)
{
    (void)guard_unlock(&gil->guard); /* nobody leaves notes */
}

/* True: it was granted meanwhile. */
static bool spin(struct gil_waiter *waiter, int64_t ns)
{
    if (!strand_may_spin(waiter->strand))
        return false;
    int64_t until = weft_now() + ns;
    do
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (load_acquire(&waiter->state) == GIL_GRANTED) /* pairs with grant()'s release */
                return true;
            cpu_relax();
        }
    while (weft_now() < until);
    return false;
}

/* When the wait has begun: whoever grants decides it from now on. */
static void now_parked(void *ctx)
{
    struct gil_waiter *waiter = ctx;
    waiter->locked = false;
    unlock(waiter->gil);
}

static int spin_or_park(struct gil_waiter *waiter, int64_t spin_ns, weft_deadline deadline,
                        unsigned flags)
{
    struct gil *gil = waiter->gil;
    if (spin(waiter, spin_ns))
        return 0;
    lock(gil);
    if (waiter->state == GIL_GRANTED) {
        unlock(gil);
        return 0;
    }
    waiter->state = GIL_PARKED;
    waiter->locked = true;
    int rc = park_wait_then(&waiter->node, 1, deadline, flags | PARK_KEEPS | PARK_FOR_GIL,
                            now_parked, waiter);
    if (rc == 0) {
        gil->woke_ns = weft_now() - waiter->granted_ns;
        return 0;
    }
    if (!waiter->locked)
        lock(gil);
    gil_unqueue(gil, waiter, weft_now());
    unlock(gil);
    return rc;
}

/* Waits until it is granted. The waiter is queued. */
static int wait_for_grant(struct gil_waiter *waiter, int64_t spin_ns, weft_deadline deadline,
                          unsigned flags)
{
    uint64_t *waited = &waiter->strand->gil_wait_ns;
    int rc = spin_or_park(waiter, spin_ns, deadline, flags);
    /* relaxed, both: a statistic, which only its strand changes */
    store_relaxed(waited, load_relaxed(waited) + (uint64_t)(weft_now() - waiter->since_ns));
    return rc;
}

/* ---- entering and leaving */

/* Under the guard: makes sure that the holder will see that somebody waits. False: there is none.
 */
static bool announce_waiter(struct gil *gil)
{
    uint64_t word = load_relaxed(&gil->word); /* a first guess: the swap decides */
    while (!(word & GIL_WANTED))
        /* acquire: pairs with the release in leave(), for one who finds it free by now */
        if (cas_acquire(&gil->word, &word, word | GIL_WANTED))
            break;
    return word >= GIL_ID_ONE;
}

static int enter_slow(struct gil *gil, struct strand *self, weft_deadline deadline, unsigned flags)
{
    struct gil_waiter waiter;
    waiter_init(&waiter, gil, self);
    lock(gil);
    if (!announce_waiter(gil)) {
        gil_take_free(gil, self, waiter.since_ns);
        unlock(gil);
        return 0;
    }
    gil->counts.waits++;
    gil_queue(gil, &waiter);
    bool soon = load_relaxed(&gil->word) & GIL_URGENT || gil->lender; /* relaxed: guarded */
    unlock(gil);
    return wait_for_grant(&waiter, soon ? SPIN_SOON_NS : SPIN_NS, deadline, flags);
}

static const struct hold_ops gil_hold_ops;

static inline void now_holds(struct gil *gil, struct strand *self)
{
    store_relaxed(&gil->hold.ops, &gil_hold_ops); /* relaxed: always the same */
    hold_add(self, &gil->hold);
}

int weft_gil_enter(weft_gil *gil, weft_deadline deadline)
{
    struct gil *inner = gil_of(gil);
    struct strand *self = strand_self();
    uint64_t word = 0;
    if (self->holds >= HOLD_MAX)
        return is_holder(load_relaxed(&inner->word), self) ? -EDEADLK : -EMFILE;
    /* acquire: pairs with the release in leave() and announce() */
    if (!cas_acquire(&inner->word, &word, gil_word_of(self))) {
        if (is_holder(word, self))
            return -EDEADLK;
        if (deadline.ns <= 0 && word >= GIL_ID_ONE)
            return -ETIMEDOUT;
        int rc = enter_slow(inner, self, deadline, 0);
        if (rc < 0)
            return rc;
    }
    now_holds(inner, self);
    return 0;
}

static void leave_slow(struct gil *gil, struct strand *self)
{
    struct list resumed = LIST_INIT(resumed);
    lock(gil);
    gil_pass_on(gil, self, weft_now(), &resumed);
    unlock(gil);
    park_resume(&resumed, 0);
}

/* By its holder, who has taken it off its list. */
static inline void leave(struct gil *gil, struct strand *self)
{
    uint64_t word = gil_word_of(self);
    /* release: pairs with the acquire of whoever enters next */
    if (!cas_release(&gil->word, &word, 0))
        leave_slow(gil, self);
}

int weft_gil_leave(weft_gil *gil)
{
    struct gil *inner = gil_of(gil);
    struct strand *self = strand_self();
    if (!is_holder(load_relaxed(&inner->word), self)) /* relaxed: nobody else writes its id */
        return -EPERM;
    hold_remove(self, &inner->hold);
    leave(inner, self);
    return 0;
}

/* ---- while its strand blocks, and when it ends */

static struct gil *gil_of_hold(struct hold *hold)
{
    return CONTAINER(hold, struct gil, hold);
}

static void let_go(struct hold *hold, struct strand *self)
{
    leave(gil_of_hold(hold), self);
}

static void take_back(struct hold *hold, struct strand *self)
{
    struct gil *gil = gil_of_hold(hold);
    uint64_t word = 0;
    if (is_holder(load_relaxed(&gil->word), self)) /* relaxed: as in weft_gil_leave() */
        return; /* what ran meanwhile has taken it, and not left */
    if (!cas_acquire(&gil->word, &word, gil_word_of(self))) /* pairs as in weft_gil_enter() */
        (void)enter_slow(gil, self, WEFT_FOREVER, PARK_SHIELDED);
    now_holds(gil, self);
}

static void abandon(struct hold *hold, struct strand *self)
{
    struct gil *gil = gil_of_hold(hold);
    lock(gil);
    gil->counts.abandoned++;
    unlock(gil);
    leave(gil, self);
}

static const struct hold_ops gil_hold_ops = {
    .let_go = let_go,
    .take_back = take_back,
    .abandon = abandon,
};

/* ---- checking */

/*
 * Gives it to another, if that is due, and waits for it. Not if the strand has taken another one
 * since: it would wait for the first with the second, and another strand the other way round.
 */
static void take_turns(struct gil *gil, struct strand *self)
{
    struct list resumed = LIST_INIT(resumed);
    struct gil_waiter waiter;
    if (self->hold != &gil->hold)
        return;
    hold_remove(self, &gil->hold);
    waiter_init(&waiter, gil, self);
    lock(gil);
    bool gone = gil_take_turns(gil, &waiter, waiter.since_ns, &resumed);
    bool lent = gil->lender == &waiter;
    unlock(gil);
    park_resume(&resumed, 0);
    if (gone)
        (void)wait_for_grant(&waiter, lent ? SPIN_LENT_NS : SPIN_NS, WEFT_FOREVER, PARK_SHIELDED);
    if (gone && lent) /* relaxed: for whoever has the guard next. It may have taken long to wake */
        store_relaxed(&gil->late_ns, weft_now() - waiter.granted_ns);
    now_holds(gil, self);
}

/* Mostly called for nothing: while somebody waits for the end of the holder's turn. */
int weft_gil_check_waiting(weft_gil *gil)
{
    struct gil *inner = gil_of(gil);
    uint64_t word = load_relaxed(&inner->word); /* relaxed: as in weft_gil_leave() */
    uint32_t looks = load_relaxed(&inner->looks);
    if (!(word & GIL_URGENT) && looks) {
        store_relaxed(&inner->looks, looks - 1); /* relaxed: the holder's; or a mistake's */
        return 0;
    }
    struct strand *self = strand_self();
    if (!is_holder(word, self))
        return -EPERM;
    int64_t now = weft_now();
    /* relaxed: seen late, it costs a little time */
    if (!(word & GIL_URGENT) && now < load_relaxed(&inner->due_ns))
        gil_plan(inner, now);
    else
        take_turns(inner, self);
    return 0;
}

/* For those who cannot inline it. */
__attribute__((visibility("default"))) int weft_gil_check(weft_gil *gil);
int weft_gil_check(weft_gil *gil)
{
    return gil_check_inlined(gil);
}

void weft_gil_counters(const weft_gil *gil, weft_gil_counts *ret_counts)
{
    struct gil *inner = gil_of(gil);
    lock(inner);
    *ret_counts = inner->counts;
    unlock(inner);
}
