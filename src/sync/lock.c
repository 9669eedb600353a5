/* SPDX-License-Identifier: MIT */
/*
 * sync/lock.c: mutual exclusion.
 *
 * The word has three bits and a number:
 *
 *   HELD     somebody holds the lock
 *   SWAPS    and will release it by a swap, not by a store. Set and cleared with HELD
 *   AWAKE    a waiter is awake and on its way to the lock, woken or spinning: a release need not
 *            wake another. Set by the releaser that wakes one, or by a spinner when others are
 *            parked; cleared by that strand when it takes the lock or parks. While it is set
 *            somebody owns it; two may believe so for a moment, or it may get lost, which costs a
 *            wake-up too many, never one too few
 *   the rest (RUSH) counts down: how many more of those who take the lock set SWAPS. Changed only
 *            by taking it, and by a holder who releases it to a waiter
 *
 * That somebody is parked is not said in the word but by park: the bucket that the lock's address
 * hashes to has nodes queued, perhaps another word's.
 *
 * Taking a free lock is one compare-and-swap. Releasing it is a plain store, which costs a fraction
 * of another swap. For that a releaser and a waiter must not miss each other:
 *
 *   the releaser  clears HELD, light fence, looks whether anybody is queued (and wakes it)
 *   the waiter    queues, heavy fence, looks whether the lock is still held (else wakes the first)
 *
 * The heavy fence costs as much as a thousand swaps (base/fence.h), so a lock that is fought over
 * does without: whoever had to wait sets RUSH, and so does who wakes a waiter, as others may take
 * the lock before that one, again and again; and the next thousand holders release by a swap, which
 * is a full fence, so that an ordinary one will do for the waiter. It hands over faster, too: a
 * store lingers in the CPU's buffer. What counts is SWAPS of the present holder, which nobody else
 * changes: a releaser may have read the word long ago.
 *
 * Once HELD is clear others may take the lock, release it and free the memory it lies in. So the
 * releaser looks at the bucket, by address, and touches the lock again only if it finds a waiter
 * of a lock there, this one or by now another: then the lock exists, and its waiter will find that
 * it was woken for nothing.
 *
 * A strand that finds the lock held spins a bounded number of times, then parks. It does not spin
 * where the holder cannot run meanwhile (on one CPU, or a task of the only worker), nor a task that
 * keeps others from running with that. A release wakes at most one waiter, and does not give it the
 * lock: whoever is running may take it first, which is what makes a busy lock fast. So that the
 * waiter does not starve, a release that finds that the first waiter has waited for HANDOFF_NS
 * gives it the lock: HELD stays set and the token says so.
 *
 * Until such a waiter runs, the lock is of no use to anybody. With more strands than CPUs that may
 * be milliseconds, in which more come to wait, each for longer than HANDOFF_NS: if all of them were
 * handed the lock, it would go round at the pace of the scheduler (a convoy). So whoever is handed
 * a lock notes how long that took, and for PAUSE_FACTOR times as long the lock is not handed over
 * again, at most for PAUSE_MAX_NS. Meanwhile waiters are woken one after the other as ever.
 *
 * A strand with a global interpreter lock that it gives up when it blocks does so only when it has
 * waited for KEEP_NS, as locks are most often held for less. It takes it back when it has the lock:
 * a designated waiter must not be busy with another wait. For a lock inside of the library it keeps
 * it (lock.h).
 *
 * A task that is woken runs when its worker has nothing else to run, which another task may
 * compute on for long. A program that has its own locks taken by tasks lives with that; but a pool
 * or a queue must not stand still because of it. So a task that waits for a lock inside of the
 * library is loose: it is neither handed the lock nor relied upon once it is woken.
 *
 * All of this is for a lock in private memory; one in shared memory is another (shared_lock.c).
 *
 * Sources: Go's sync.Mutex (spinners that hold off wake-ups, hand-over after 1 ms), nsync
 * (designated waker), WebKit's WTF::Lock (release under the bucket's guard), Dice, Huang and Yang,
 * "Asymmetric Dekker Synchronization" (2001).
 */
#include <errno.h>

#include <weft/lock.h>
#include <weft/scope.h>

#include "base/fence.h"
#include "base/shared_range.h"
#include "park/park.h"
#include "sync/lock.h"
#include "sync/shared_lock.h"

enum { HELD = 1, SWAPS = 2, AWAKE = 4, RUSH_ONE = 8, RUSH_MAX = 1023 * RUSH_ONE /* all bits */ };

/* What a waiter is told when it is woken, and what the word says meanwhile. */
enum { TOKEN_TRY, TOKEN_HANDED_OVER, TOKEN_LOOSE };
static const uint32_t bits_of[] = {
    [TOKEN_TRY] = AWAKE,
    [TOKEN_HANDED_OVER] = HELD | SWAPS,
    [TOKEN_LOOSE] = 0,
};

#define HANDOFF_NS   WEFT_MS
#define PAUSE_MAX_NS WEFT_S
#define KEEP_NS      (50 * WEFT_US)

enum { SPIN_ROUNDS = 100, LOOK_EVERY = 32, PAUSE_FACTOR = 4 };

void weft_lock_init(weft_lock *lock)
{
    *lock = (weft_lock)WEFT_LOCK_INIT;
}

/* The word of a free lock, after it has been taken by somebody who had to wait, or had not. */
static uint32_t taken(uint32_t word, bool waited, bool owns_awake)
{
    uint32_t rush = word & ~(RUSH_ONE - 1u);
    uint32_t awake = owns_awake ? 0 : word & AWAKE;
    if (waited)
        return HELD | SWAPS | awake | RUSH_MAX;
    return rush ? HELD | SWAPS | awake | (rush - RUSH_ONE) : HELD | awake;
}

static bool take_free(weft_lock *lock)
{
    uint32_t word = load_relaxed(&lock->word); /* a first guess: the swap decides */
    /* acquire: pairs with the release in weft_lock_release() and release_decide() */
    return !(word & HELD) && cas_acquire(&lock->word, &word, taken(word, false, false));
}

/* A strand on its way to the lock. */
struct attempt {
    weft_lock *lock;
    struct strand *self;
    bool owns_awake;
    bool waited;
    int spins_left;
    bool has_kept; /* it has waited with what it lets go of when it blocks */
    struct hold_away away;
    struct park_node node;
};

static int spins(struct strand *self)
{
    return strand_may_spin(self) ? SPIN_ROUNDS : 0;
}

/* Spins a little. False: no spins left. */
static bool spin(weft_lock *lock, struct attempt *attempt, uint32_t word)
{
    if (attempt->spins_left <= 0)
        return false;
    attempt->spins_left--;
    if (!attempt->owns_awake && !(word & AWAKE) && park_maybe_waited_for(&lock->word))
        /* relaxed: keeps releasers from waking somebody, publishes nothing */
        attempt->owns_awake = cas_relaxed(&lock->word, &word, word | AWAKE);
    cpu_relax();
    return true;
}

/* Under the bucket's guard, for a lock that has been released: who is woken is on its way to it. */
static void wake_decide(struct park_found *found, void *ctx)
{
    weft_lock *lock = ctx; /* there as long as one of its waiters is */
    if (!found->first)
        return;
    found->token = found->first->loose ? TOKEN_LOOSE : TOKEN_TRY;
    or_relaxed(&lock->word, bits_of[found->token]); /* relaxed: see park() */
}

/* The waiter, queued: makes sure that it does not sleep through a release that did not see it. */
static void look_again(void *ctx)
{
    weft_lock *lock = ctx;
    /* seq_cst: in one order with queueing and the swap in weft_lock_release(). If SWAPS is set,
       the present holder's release comes after this look, so it finds the node. */
    uint32_t word = load_seq_cst(&lock->word);
    if ((word & (HELD | SWAPS)) == HELD) {
        fence_heavy();                    /* pairs with the light fence in weft_lock_release() */
        word = load_relaxed(&lock->word); /* relaxed: the fence orders it */
    }
    if (!(word & HELD))
        park_nudge(&lock->word, wake_decide, lock);
}

/* Queued: lets go of what is not to be kept any longer. */
static void look_again_blocked(void *ctx)
{
    struct attempt *attempt = ctx;
    look_again(attempt->lock);
    hold_let_go(attempt->self, &attempt->away);
}

/* Sleeps in the queue, at first for KEEP_NS only if there is something to let go of after that. */
static int sleep(struct attempt *attempt, weft_deadline deadline, unsigned flags)
{
    struct strand *self = attempt->self;
    struct park_node *node = &attempt->node;
    if ((flags & PARK_KEEPS) || !self->hold || !self->hold->lets_go)
        return park_wait_then(node, 1, deadline, flags, look_again, attempt->lock);
    if (attempt->has_kept)
        return park_wait_then(node, 1, deadline, flags, look_again_blocked, attempt);
    weft_deadline soon = weft_after(KEEP_NS);
    bool last =
        deadline.ns <= soon.ns || (!(flags & PARK_SHIELDED) && weft_scope_deadline().ns < soon.ns);
    int rc = park_wait_then(node, 1, weft_sooner(deadline, soon), flags | PARK_KEEPS, look_again,
                            attempt->lock);
    attempt->has_kept = true;
    return rc == -ETIMEDOUT && !last ? -EAGAIN : rc;
}

/* Moments as the lock's second word keeps them, by its holder: units of 1,024 ns, modulo 2^32. */
static uint32_t moment(int64_t ns)
{
    return (uint32_t)((uint64_t)ns >> 10);
}

/* By the holder: whether the lock may be handed over. What lies far ahead is long past. */
static bool may_hand_over(const weft_lock *lock, int64_t now_ns)
{
    uint32_t left = lock->owner - moment(now_ns);
    return left == 0 || left > moment(PAUSE_MAX_NS);
}

/* By whoever was handed the lock, at the moment that the second word still says. */
static void begin_pause(weft_lock *lock)
{
    int64_t now_ns = weft_now();
    uint64_t took = moment(now_ns) - lock->owner;
    uint64_t pause = took * PAUSE_FACTOR, most = moment(PAUSE_MAX_NS);
    lock->owner = moment(now_ns) + (uint32_t)(pause < most ? pause : most);
}

/* The strand, which has waited, does so no more: a pool of kind auto wants to know. */
static void note_wait(struct strand *self, int64_t since_ns)
{
    uint64_t waited = (uint64_t)(weft_now() - since_ns);
    store_relaxed(&self->lock_since_ns, 0); /* relaxed, all: statistics, of one writer */
    store_relaxed(&self->lock_wait_ns, load_relaxed(&self->lock_wait_ns) + waited);
}

/* Parks while the lock is held. Returns 1: lock handed over; 0: try again; or an error. */
static int park(weft_lock *lock, struct attempt *attempt, uint32_t word, weft_deadline deadline,
                unsigned flags)
{
    uint32_t parked = word & ~(attempt->owns_awake ? AWAKE : 0u);
    /* relaxed: publishes nothing; parking checks the word again under the bucket's guard */
    if (parked != word && !cas_relaxed(&lock->word, &word, parked))
        return 0;
    attempt->owns_awake = false;
    attempt->node.word = &lock->word;
    attempt->node.value = parked;
    attempt->node.retries = true;
    attempt->node.loose = (flags & PARK_KEEPS) && attempt->self->ops != &thread_ops;
    if (!attempt->node.since_ns) {
        attempt->node.since_ns = weft_now();
        /* relaxed: as in note_wait() */
        store_relaxed(&attempt->self->lock_since_ns, attempt->node.since_ns);
    }
    int rc = sleep(attempt, deadline, flags | PARK_FOR_LOCK);
    if (rc < 0)
        return rc == -EAGAIN ? 0 : rc;
    if (attempt->node.token == TOKEN_HANDED_OVER) {
        begin_pause(lock);
        return 1;
    }
    attempt->owns_awake = attempt->node.token == TOKEN_TRY; /* the releaser has set AWAKE for us */
    attempt->spins_left = spins(attempt->self);
    return 0;
}

static int try_until_taken(weft_lock *lock, struct attempt *attempt, weft_deadline deadline,
                           unsigned flags)
{
    for (;;) {
        uint32_t word = load_relaxed(&lock->word); /* a first guess: the swaps decide */
        if (!(word & HELD)) {
            uint32_t next = taken(word, attempt->waited, attempt->owns_awake);
            if (cas_acquire(&lock->word, &word, next)) /* pairs as in take_free() */
                return 0;
            continue;
        }
        attempt->waited = true;
        if (!spin(lock, attempt, word)) {
            int rc = park(lock, attempt, word, deadline, flags);
            if (rc)
                return rc < 0 ? rc : 0;
        }
    }
}

static int lock_slow(weft_lock *lock, weft_deadline deadline, unsigned flags)
{
    struct strand *self = strand_self();
    struct attempt attempt = { .lock = lock, .self = self, .spins_left = spins(self) };
    int rc = try_until_taken(lock, &attempt, deadline, flags);
    if (attempt.node.since_ns)
        note_wait(self, attempt.node.since_ns);
    hold_take_back(self, &attempt.away);
    return rc;
}

void weft_lock_lock(weft_lock *lock)
{
    if (is_shared(lock))
        (void)shared_lock_take(lock, WEFT_FOREVER, PARK_SHIELDED);
    else if (!take_free(lock))
        (void)lock_slow(lock, WEFT_FOREVER, PARK_SHIELDED);
}

void lock_inner(weft_lock *lock)
{
    if (!take_free(lock))
        (void)lock_slow(lock, WEFT_FOREVER, PARK_SHIELDED | PARK_KEEPS);
}

int weft_lock_acquire(weft_lock *lock, weft_deadline deadline)
{
    if (is_shared(lock))
        return shared_lock_take(lock, deadline, 0);
    if (take_free(lock))
        return 0;
    if (deadline.ns > 0)
        return lock_slow(lock, deadline, 0);
    uint32_t word = load_relaxed(&lock->word); /* a first guess: the swap decides */
    while (!(word & HELD))
        if (cas_acquire(&lock->word, &word, taken(word, false, false))) /* as in take_free() */
            return 0;
    return -ETIMEDOUT;
}

/* What a releaser says to the waiter that it has found. */
static uint32_t token_for(const struct park_node *waiter, weft_lock *lock)
{
    if (waiter->loose)
        return TOKEN_LOOSE;
    int64_t now_ns = weft_now();
    if (now_ns - waiter->since_ns < HANDOFF_NS || !may_hand_over(lock, now_ns))
        return TOKEN_TRY;
    lock->owner = moment(now_ns);
    return TOKEN_HANDED_OVER;
}

/* Under the bucket's guard: releases the lock, or hands it over to the waiter that was found. */
static void release_decide(struct park_found *found, void *ctx)
{
    weft_lock *lock = ctx;
    if (found->first)
        found->token = token_for(found->first, lock);
    uint32_t word = load_relaxed(&lock->word); /* a first guess: the swap decides */
    uint32_t next;
    do {
        next = word & ~(HELD | SWAPS);
        if (found->first) /* who may find the lock taken again */
            next |= RUSH_MAX | bits_of[found->token];
        /* release: pairs with the acquire of whoever takes the lock */
    } while (!cas_release(&lock->word, &word, next));
}

/*
 * Whether the first waiter must be handed the lock although somebody is awake: spinners that come
 * one after the other could keep it asleep for ever. Looked at now and then, as it takes a guard.
 */
static bool is_overdue(const weft_lock *lock)
{
    static __thread uint32_t releases __attribute__((tls_model("initial-exec")));
    if (++releases % LOOK_EVERY)
        return false;
    int64_t now_ns = weft_now(), since_ns = 0;
    if (may_hand_over(lock, now_ns))
        since_ns = park_first_since(&lock->word);
    return since_ns && now_ns - since_ns >= HANDOFF_NS;
}

static int release_slow(weft_lock *lock, uint32_t word)
{
    while (word & HELD) {
        if (!(word & AWAKE) || is_overdue(lock)) {
            park_wake_then(&lock->word, 1, release_decide, lock);
            return 0;
        }
        /* release: pairs with the acquire of whoever takes the lock */
        if (cas_release(&lock->word, &word, word & ~(HELD | SWAPS)))
            return 0;
    }
    return -EPERM;
}

int weft_lock_release(weft_lock *lock)
{
    if (is_shared(lock))
        return shared_lock_release(lock);
    uint32_t word = load_relaxed(&lock->word); /* HELD cannot vanish: the caller holds it */
    if (!(word & HELD) || (word & AWAKE) || park_maybe_waited_for(&lock->word))
        return release_slow(lock, word);
    /* Both release: that pairs with the acquire of whoever takes the lock. The store may lose
       AWAKE; seq_cst: in one order with the waiter's queueing and its look at the word. */
    if (!(word & SWAPS))
        store_release(&lock->word, 0);
    else if (!cas_seq_cst(&lock->word, &word, word & ~(HELD | SWAPS)))
        return release_slow(lock, word);
    fence_light(); /* pairs with the heavy fence in look_again() */
    if (park_maybe_waited_for(&lock->word))
        park_nudge(&lock->word, wake_decide, lock);
    return 0;
}

int weft_lock_recover(weft_lock *lock)
{
    if (is_shared(lock))
        return shared_lock_recover(lock);
    return weft_lock_locked(lock) ? 0 : -EINVAL;
}

bool weft_lock_locked(const weft_lock *lock)
{
    return load_relaxed(&lock->word) & HELD; /* relaxed: some moment's. The bit of both kinds */
}
