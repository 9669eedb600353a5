/* SPDX-License-Identifier: MIT */
/*
 * base/futex.h: the kernel's wait on a word of this process, and a small lock made of it.
 *
 * A guard protects a few instructions of the library's own. It is Drepper's mutex ("Futexes Are
 * Tricky", 2011) with one addition: somebody who must not wait (a signal handler) can leave a note,
 * which the holder finds when it unlocks.
 */
#ifndef WEFT_BASE_FUTEX_H
#define WEFT_BASE_FUTEX_H

#include <weft/time.h>

#include "base/atomic.h"

/*
 * Sleeps while *word == value, until a wake-up or the deadline.
 * Returns  0: woken, perhaps for no reason, or the value was another; -ETIMEDOUT.
 */
int futex_wait(const uint32_t *word, uint32_t value, weft_deadline deadline);

/* Wakes up to n threads that sleep on the word. Only the address is used, never the memory. */
void futex_wake(const uint32_t *word, int n);

struct guard {
    uint32_t word; /* bits below; 0: free */
};

enum {
    GUARD_HELD = 1,
    GUARD_SLEEPERS = 2, /* may be set when nobody sleeps, must be when somebody does */
    GUARD_NOTE = 4,     /* set by guard_try_or_note(), only while held */
};

void guard_lock_slow(struct guard *guard);
bool guard_unlock_slow(struct guard *guard);

static inline void guard_lock(struct guard *guard)
{
    uint32_t unheld = 0;
    /* acquire: pairs with the release in guard_unlock() and guard_unlock_slow() */
    if (!cas_acquire(&guard->word, &unheld, GUARD_HELD))
        guard_lock_slow(guard);
}

/* True: unlocked. False: a note was left and is hereby taken; the guard is still held. */
static inline bool guard_unlock(struct guard *guard)
{
    uint32_t held = GUARD_HELD;
    /* release: pairs with the acquire of whoever locks next */
    return cas_release(&guard->word, &held, 0) || guard_unlock_slow(guard);
}

/* True: locked. False: somebody holds it and will find a note. Never waits, signal-safe. */
bool guard_try_or_note(struct guard *guard);

#endif
