/* SPDX-License-Identifier: MIT */
/*
 * sync/gil.c: a global interpreter lock: taking it, giving it up, waiting for it.
 */
#define weft_gil_check weft_gil_check_inlined /* this file exports it as a function, too */
#include <errno.h>
#include <string.h>

#include "sync/gil.h"
#undef weft_gil_check

enum { SPIN_ROUNDS = 100 };

void weft_gil_init(weft_gil *gil, int64_t switch_ns, bool release_when_blocked)
{
    memset(gil, 0, sizeof *gil);
    gil_of(gil)->switch_ns = switch_ns;
    gil_of(gil)->hold.lets_go = release_when_blocked;
}

static bool is_holder(const struct gil *gil, const struct strand *self)
{
    /* relaxed: only the strand itself writes its id there, or who gave it the GIL */
    return (load_relaxed(&gil->word) & ~(uint64_t)GIL_BITS) == gil_word_of(self);
}

/* What a wait has to give back. */
static void unlock(void *ctx)
{
    struct gil_waiter *waiter = ctx;
    struct gil *gil = waiter->gil;
    waiter->locked = false;
    (void)guard_unlock(&gil->guard);
}

/* Waits until it is granted. Under the guard, which it releases. */
static int wait_for_grant(struct gil *gil, struct gil_waiter *waiter, weft_deadline deadline,
                          unsigned flags)
{
    (void)guard_unlock(&gil->guard);
    int spins = strand_may_spin(waiter->strand) ? SPIN_ROUNDS : 0;
    while (spins-- > 0) {
        if (load_acquire(&waiter->state) == GIL_GRANTED)
            return 0;
        cpu_relax();
    }
    guard_lock(&gil->guard);
    if (load_acquire(&waiter->state) == GIL_GRANTED) {
        (void)guard_unlock(&gil->guard);
        return 0;
    }
    store_relaxed(&waiter->state, GIL_PARKED);
    waiter->locked = true;
    int rc = park_wait_then(&waiter->node, 1, deadline, flags | PARK_KEEPS, unlock, waiter);
    if (rc == 0)
        return 0;
    if (!waiter->locked)
        guard_lock(&gil->guard);
    gil_unqueue(gil, waiter, 0);
    (void)guard_unlock(&gil->guard);
    return rc;
}

static void waiter_init(struct gil_waiter *waiter, struct gil *gil, struct strand *self,
                        int64_t now)
{
    *waiter = (struct gil_waiter){ .gil = gil, .strand = self, .since_ns = now };
    list_init(&waiter->brief);
    if (!gil->waiters.next) {
        list_init(&gil->waiters);
        list_init(&gil->briefs);
    }
}

static int enter_slow(struct gil *gil, struct strand *self, weft_deadline deadline, unsigned flags)
{
    struct gil_waiter waiter;
    int64_t now = weft_now();
    guard_lock(&gil->guard);
    waiter_init(&waiter, gil, self, now);
    uint64_t word = load_relaxed(&gil->word);
    for (;;) {
        if (word < GIL_ID_ONE) {
            if (!cas_acquire(&gil->word, &word, gil_word_of(self) | (word & GIL_BITS)))
                continue;
            (void)guard_unlock(&gil->guard);
            return 0;
        }
        if ((word & GIL_WANTED) || cas_relaxed(&gil->word, &word, word | GIL_WANTED))
            break;
    }
    if (!gil->since_ns)
        gil->since_ns = gil->turn_ns = now;
    gil->counts.waits++;
    gil_queue(gil, &waiter, false);
    return wait_for_grant(gil, &waiter, deadline, flags);
}

static const struct hold_ops gil_hold_ops;

static inline void now_holds(struct gil *gil, struct strand *self)
{
    gil->hold.ops = &gil_hold_ops;
    hold_add(self, &gil->hold);
}

int weft_gil_enter(weft_gil *it, weft_deadline deadline)
{
    struct gil *gil = gil_of(it);
    struct strand *self = strand_self();
    uint64_t word = 0;
    if (self->holds == HOLD_MAX)
        return is_holder(gil, self) ? -EDEADLK : -EMFILE;
    /* acquire: pairs with the release in leave() and gil_pass_on() */
    if (!cas_acquire(&gil->word, &word, gil_word_of(self))) {
        if ((word & ~(uint64_t)GIL_BITS) == gil_word_of(self))
            return -EDEADLK;
        if (deadline.ns <= 0 && word >= GIL_ID_ONE)
            return -ETIMEDOUT;
        int rc = enter_slow(gil, self, deadline, 0);
        if (rc < 0)
            return rc;
    }
    now_holds(gil, self);
    return 0;
}

static void leave_slow(struct gil *gil)
{
    struct list resumed = LIST_INIT(resumed);
    int64_t now = weft_now();
    guard_lock(&gil->guard);
    gil_pass_on(gil, now, &resumed);
    (void)guard_unlock(&gil->guard);
    park_resume(&resumed, 0);
}

/* By its holder, who has taken it off its list. */
static inline void leave(struct gil *gil, struct strand *self)
{
    uint64_t word = gil_word_of(self);
    /* release: pairs with the acquire of whoever enters next */
    if (!cas_release(&gil->word, &word, 0))
        leave_slow(gil);
}

int weft_gil_leave(weft_gil *it)
{
    struct gil *gil = gil_of(it);
    struct strand *self = strand_self();
    if (!is_holder(gil, self))
        return -EPERM;
    hold_remove(self, &gil->hold);
    leave(gil, self);
    return 0;
}

static void let_go(struct hold *hold, struct strand *self)
{
    leave(CONTAINER(hold, struct gil, hold), self);
}

static void take_back(struct hold *hold, struct strand *self)
{
    struct gil *gil = CONTAINER(hold, struct gil, hold);
    uint64_t word = 0;
    if (is_holder(gil, self))
        return; /* what it called meanwhile has taken it, and not left */
    if (!cas_acquire(&gil->word, &word, gil_word_of(self))) /* pairs as in weft_gil_enter() */
        (void)enter_slow(gil, self, WEFT_FOREVER, PARK_SHIELDED);
    now_holds(gil, self);
}

static void abandon(struct hold *hold, struct strand *self)
{
    struct gil *gil = CONTAINER(hold, struct gil, hold);
    guard_lock(&gil->guard);
    gil->counts.abandoned++;
    (void)guard_unlock(&gil->guard);
    leave(gil, self);
}

static const struct hold_ops gil_hold_ops = {
    .let_go = let_go,
    .take_back = take_back,
    .abandon = abandon,
};

int weft_gil_check_waiting(weft_gil *it)
{
    struct gil *gil = gil_of(it);
    struct strand *self = strand_self();
    struct list resumed = LIST_INIT(resumed);
    if (!is_holder(gil, self))
        return -EPERM;
    if (!(load_relaxed(&gil->word) & GIL_URGENT) && gil->looks) {
        gil->looks--;
        return 0;
    }
    struct gil_waiter waiter;
    int64_t now = weft_now();
    guard_lock(&gil->guard);
    waiter_init(&waiter, gil, self, now);
    /* Where it stands on the strand's list, it will stand again. */
    struct hold **place = &self->held, *outer = gil->hold.outer;
    while (*place != &gil->hold)
        place = &(*place)->outer;
    *place = outer;
    if (gil_take_turns(gil, &waiter, now, &resumed)) {
        (void)guard_unlock(&gil->guard);
        park_resume(&resumed, 0);
        guard_lock(&gil->guard);
        (void)wait_for_grant(gil, &waiter, WEFT_FOREVER, PARK_SHIELDED);
    } else {
        (void)guard_unlock(&gil->guard);
    }
    gil->hold.outer = outer;
    *place = &gil->hold;
    return 0;
}

int weft_gil_check(weft_gil *gil);
int weft_gil_check(weft_gil *gil)
{
    return weft_gil_check_inlined(gil);
}

void weft_gil_counters(const weft_gil *it, weft_gil_counts *ret_counts)
{
    struct gil *gil = gil_of(it);
    guard_lock(&gil->guard);
    *ret_counts = gil->counts;
    (void)guard_unlock(&gil->guard);
}
