/* SPDX-License-Identifier: MIT */
/*
 * sync/lock.c: mutual exclusion.
 *
 * The word has three bits:
 *
 *   HELD     somebody holds the lock
 *   WAITERS  set by a waiter before it parks, and checked again by park: may be set when nobody is
 *            parked, must be set when somebody is. Cleared only under the bucket's guard, by the
 *            releaser that finds the last waiter, or none
 *   AWAKE    a waiter is awake and on its way to the lock, woken or spinning: a release need not
 *            wake another. Set by the releaser that wakes one, or by a spinner; cleared by that
 *            strand when it takes the lock or parks. While it is set somebody owns it; two may
 *            believe so for a moment, which costs a wake-up too many, never one too few
 *
 * Uncontended, taking and releasing are one compare-and-swap each. A strand that finds the lock
 * held spins a bounded number of times (on one CPU, not at all), then parks. A release wakes at
 * most one waiter, and does not give it the lock: whoever is running may take it first, which is
 * what makes a busy lock fast. So that the waiter does not starve, a release that finds that the
 * first waiter has waited for HANDOFF_NS gives it the lock: HELD stays set and the token says so.
 *
 * Sources: Go's sync.Mutex (spinners that hold off wake-ups, hand-over after 1 ms), nsync
 * (designated waker), WebKit's WTF::Lock (release under the bucket's guard).
 */
#include <errno.h>

#include <weft/lock.h>

#include "base/cpus.h"
#include "park/park.h"

enum { HELD = 1, WAITERS = 2, AWAKE = 4 };

enum { TOKEN_TRY, TOKEN_HANDED_OVER };

#define HANDOFF_NS WEFT_MS

enum { SPIN_ROUNDS = 10, SPIN_PAUSES = 20 };

void weft_lock_init(weft_lock *lock)
{
    *lock = (weft_lock)WEFT_LOCK_INIT;
}

static bool take_free(weft_lock *lock)
{
    uint32_t word = 0;
    /* acquire: pairs with the release in weft_lock_release() and release_decide() */
    return cas_acquire(&lock->word, &word, HELD);
}

/* Whether spinning can help: the holder must be running on another CPU meanwhile. */
static bool worth_spinning(void)
{
    static uint32_t cpus;
    uint32_t n = load_relaxed(&cpus); /* relaxed: whoever computes it gets the same */
    if (!n)
        store_relaxed(&cpus, n = base_cpus());
    return n > 1;
}

/* A strand on its way to the lock. */
struct attempt {
    bool owns_awake;
    int spins_left;
    struct park_node node;
};

/* Spins a little. False: no spins left. */
static bool spin(weft_lock *lock, struct attempt *attempt, uint32_t word)
{
    if (attempt->spins_left <= 0)
        return false;
    attempt->spins_left--;
    if (!attempt->owns_awake && (word & WAITERS) && !(word & AWAKE))
        /* relaxed: keeps releasers from waking somebody, publishes nothing */
        attempt->owns_awake = cas_relaxed(&lock->word, &word, word | AWAKE);
    for (int i = 0; i < SPIN_PAUSES; i++)
        cpu_relax();
    return true;
}

/* Parks while the word stays as it is. Returns 1: lock handed over; 0: try again; or an error. */
static int park(weft_lock *lock, struct attempt *attempt, uint32_t word, weft_deadline deadline,
                unsigned flags)
{
    uint32_t parked = (word | WAITERS) & ~(attempt->owns_awake ? AWAKE : 0u);
    /* relaxed: publishes nothing; parking checks the word again under the bucket's guard */
    if (parked != word && !cas_relaxed(&lock->word, &word, parked))
        return 0;
    attempt->owns_awake = false;
    attempt->node.word = &lock->word;
    attempt->node.value = parked;
    if (!attempt->node.since_ns)
        attempt->node.since_ns = weft_now();
    int rc = park_wait(&attempt->node, 1, deadline, flags);
    if (rc < 0)
        return rc == -EAGAIN ? 0 : rc;
    if (attempt->node.token == TOKEN_HANDED_OVER)
        return 1;
    attempt->owns_awake = true; /* the releaser has set AWAKE for us */
    attempt->spins_left = SPIN_ROUNDS;
    return 0;
}

static int lock_slow(weft_lock *lock, weft_deadline deadline, unsigned flags)
{
    struct attempt attempt = { .spins_left = worth_spinning() ? SPIN_ROUNDS : 0 };
    for (;;) {
        uint32_t word = load_relaxed(&lock->word); /* a first guess: the swaps decide */
        if (!(word & HELD)) {
            uint32_t taken = (word | HELD) & ~(attempt.owns_awake ? AWAKE : 0u);
            if (cas_acquire(&lock->word, &word, taken)) /* pairs as in take_free() */
                return 0;
        } else if (!spin(lock, &attempt, word)) {
            int rc = park(lock, &attempt, word, deadline, flags);
            if (rc)
                return rc < 0 ? rc : 0;
        }
    }
}

void weft_lock_lock(weft_lock *lock)
{
    if (!take_free(lock))
        (void)lock_slow(lock, WEFT_FOREVER, PARK_SHIELDED);
}

int weft_lock_acquire(weft_lock *lock, weft_deadline deadline)
{
    if (take_free(lock))
        return 0;
    if (deadline.ns > 0)
        return lock_slow(lock, deadline, 0);
    uint32_t word = load_relaxed(&lock->word); /* a first guess: the swap decides */
    while (!(word & HELD))
        if (cas_acquire(&lock->word, &word, word | HELD)) /* pairs as in take_free() */
            return 0;
    return -ETIMEDOUT;
}

/* Under the bucket's guard: settles the word, so that a parked waiter's bits are right. */
static void release_decide(struct park_found *found, void *ctx)
{
    weft_lock *lock = ctx;
    uint32_t waiters = found->more ? WAITERS : 0;
    bool hand_over = found->first && weft_now() - found->first->since_ns >= HANDOFF_NS;
    uint32_t word = load_relaxed(&lock->word); /* a first guess: the swap decides */
    uint32_t next;
    do {
        next = (word & AWAKE) | waiters;
        if (hand_over)
            next |= HELD;
        else if (found->first)
            next |= AWAKE;
        /* release: pairs with the acquire of whoever takes the lock */
    } while (!cas_release(&lock->word, &word, next));
    found->token = hand_over ? TOKEN_HANDED_OVER : TOKEN_TRY;
}

int weft_lock_release(weft_lock *lock)
{
    uint32_t word = HELD;
    /* release, here and below: pairs with the acquire of whoever takes the lock */
    if (cas_release(&lock->word, &word, 0))
        return 0;
    while (word & HELD) {
        if ((word & WAITERS) && !(word & AWAKE)) {
            park_wake_then(&lock->word, 1, release_decide, lock);
            return 0;
        }
        if (cas_release(&lock->word, &word, word & ~HELD))
            return 0;
    }
    return -EPERM;
}

bool weft_lock_locked(const weft_lock *lock)
{
    return load_relaxed(&lock->word) & HELD; /* relaxed: an answer about some moment */
}
