/* SPDX-License-Identifier: MIT */
/*
 * sync/shared_lock.c: mutual exclusion between processes, any of which may die at any instruction.
 *
 * The word says all that matters, so that no instant is without an owner:
 *
 *   HELD          somebody holds the lock
 *   WAITERS       somebody may sleep: the release wakes one. Set by whoever goes to sleep, and by
 *                 whoever takes the lock after a sleep, as it cannot know whether it was the last;
 *                 set while the lock is held only
 *   INCONSISTENT  a holder has died, and nobody has recovered the lock since. Stays over releases
 *   above         if HELD: the participant who holds it (base/participants.h)
 *
 * `owner` says which strand of that process. It is written by the holder after it has the lock and
 * cleared before the release, so it means something only to strands that ask whether it is them.
 *
 *     free ----one compare-and-swap----> held by A --------release--------> free
 *      ^                                    |
 *      |                             A dies | (the zygote marks it dead)
 *      |                                    v
 *      +--release-- held by B, INCONSISTENT <--compare-and-swap by B, who finds A dead
 *                                  \--recover--> held by B
 *
 * Who sleeps through what. A sleeper watches the word and the death epoch, which it has read before
 * it looked whether the holder is dead. So a holder's death wakes all; so does that of a strand
 * that was about to wake somebody, or had been woken itself and took the wake-up with it: the
 * others look again. A sleeper whose wait ends otherwise (deadline, cancellation) may have been
 * woken as well, and wakes another in its stead.
 *
 * A strand spins a bounded number of times before it sleeps. There is no hand-over: whoever runs
 * may take a free lock before the one that was woken. The kernel wakes in the order of sleeping.
 *
 * After the compare-and-swap that releases it the lock may be gone; waking uses only its address.
 *
 * Sources: U. Drepper, "Futexes Are Tricky" (2011), the third mutex;
 * pthread_mutexattr_setrobust(3).
 */
#include <errno.h>

#include "base/participants.h"
#include "park/park.h"
#include "sync/shared_lock.h"

enum { HELD = 1, WAITERS = 2, INCONSISTENT = 4, PARTICIPANT_SHIFT = 3 };

_Static_assert(PARTICIPANT_SHIFT + PARTICIPANT_BITS == 32, "a word has room for both");

enum { SPIN_ROUNDS = 100 };

/* The calling strand, among those of its process; not 0. */
static uint32_t own_id(void)
{
    uint32_t id = (uint32_t)strand_self()->id;
    return id ? id : UINT32_MAX;
}

/* The word of a lock, free or held by the dead, once the caller has taken it. */
static uint32_t taken(uint32_t word, bool has_slept)
{
    uint32_t kept = word & (WAITERS | INCONSISTENT);
    if (word & HELD)
        kept |= INCONSISTENT;
    if (has_slept)
        kept |= WAITERS;
    return HELD | kept | participant_self << PARTICIPANT_SHIFT;
}

/* Takes a lock whose word is that. 0, -EOWNERDEAD: done; -EAGAIN: the word is another. */
static int take(weft_lock *lock, uint32_t word, bool has_slept)
{
    uint32_t next = taken(word, has_slept);
    /* acquire: pairs with the release in shared_lock_release(); of a dead holder's changes, with
       that in participant_bury() */
    if (!cas_acquire(&lock->word, &word, next))
        return -EAGAIN;
    store_relaxed(&lock->owner, own_id()); /* relaxed: see above */
    return next & INCONSISTENT ? -EOWNERDEAD : 0;
}

/* Sleeps while the word is that of a living holder. 0: look again; or an error. */
static int sleep(weft_lock *lock, uint32_t word, uint32_t epoch, weft_deadline deadline,
                 unsigned flags)
{
    /* relaxed: publishes nothing */
    if (!(word & WAITERS) && !cas_relaxed(&lock->word, &word, word | WAITERS))
        return 0;
    struct park_node node = park_shared_node(&lock->word, word | WAITERS, epoch);
    int rc = park_wait(&node, 1, deadline, flags | PARK_FOR_LOCK);
    if (rc >= 0 || rc == -EAGAIN)
        return 0;
    park_wake_shared(&lock->word, 1); /* in case that we were woken as well */
    return rc;
}

static int take_slow(weft_lock *lock, weft_deadline deadline, unsigned flags)
{
    bool has_slept = false;
    int spins = deadline.ns > 0 && strand_may_spin(strand_self()) ? SPIN_ROUNDS : 0;
    for (;;) {
        uint32_t epoch = death_epoch();            /* before the look at the holder */
        uint32_t word = load_relaxed(&lock->word); /* a first guess: the swaps decide */
        int rc = 0;
        if ((word & HELD) && spins-- > 0) {
            cpu_relax();
            continue;
        }
        if (!(word & HELD) || participant_is_dead(word >> PARTICIPANT_SHIFT)) {
            rc = take(lock, word, has_slept);
            if (rc != -EAGAIN)
                return rc;
            continue;
        }
        if (deadline.ns <= 0)
            return -ETIMEDOUT;
        rc = sleep(lock, word, epoch, deadline, flags);
        if (rc < 0)
            return rc;
        has_slept = true;
    }
}

int shared_lock_take(weft_lock *lock, weft_deadline deadline, unsigned flags)
{
    uint32_t word = load_relaxed(&lock->word); /* a first guess: the swap decides */
    int rc = word & HELD ? -EAGAIN : take(lock, word, false);
    return rc == -EAGAIN ? take_slow(lock, deadline, flags) : rc;
}

bool shared_lock_enter(weft_lock *lock)
{
    return shared_lock_take(lock, WEFT_FOREVER, PARK_SHIELDED | PARK_KEEPS) == -EOWNERDEAD;
}

static bool is_held_by_caller(const weft_lock *lock, uint32_t word)
{
    /* relaxed: the caller sees its own id only if it has written it itself, holding the lock */
    return (word & HELD) && word >> PARTICIPANT_SHIFT == participant_self &&
           load_relaxed(&lock->owner) == own_id();
}

bool shared_lock_is_own(const weft_lock *lock)
{
    return is_held_by_caller(lock, load_relaxed(&lock->word)); /* relaxed: as above */
}

int shared_lock_release(weft_lock *lock)
{
    uint32_t word =
        load_relaxed(&lock->word); /* only WAITERS can change while the caller holds it */
    if (!is_held_by_caller(lock, word))
        return -EPERM;
    store_relaxed(&lock->owner, 0); /* relaxed: see above */
    /* release: pairs with the acquire in take() */
    while (!cas_release(&lock->word, &word, word & INCONSISTENT)) {
    }
    if (word & WAITERS)
        park_wake_shared(&lock->word, 1);
    return 0;
}

int shared_lock_recover(weft_lock *lock)
{
    if (!shared_lock_is_own(lock))
        return -EINVAL;
    and_relaxed(&lock->word, ~(uint32_t)INCONSISTENT); /* relaxed: its release publishes it */
    return 0;
}
