/* SPDX-License-Identifier: MIT */
/*
 * base/futex.h: the kernel's wait on words, of this process or shared with others, and a small lock
 * made of it.
 *
 * A guard protects a few instructions of the library's own. It is Drepper's mutex ("Futexes Are
 * Tricky", 2011) with one addition: somebody who must not wait (a signal handler) can leave a note,
 * which the holder finds when it unlocks.
 */
#ifndef WEFT_BASE_FUTEX_H
#define WEFT_BASE_FUTEX_H

#include <stddef.h>

#include <weft/time.h>

#include "base/atomic.h"

/*
 * Sleeps while *word == value, until a wake-up or the deadline.
 * Returns  0: woken, perhaps for no reason, or the value was another; -ETIMEDOUT.
 */
int futex_wait(const uint32_t *word, uint32_t value, weft_deadline deadline);

/* Wakes up to n threads that sleep on the word. Only the address is used, never the memory. */
void futex_wake(const uint32_t *word, int n);

/* The same for a word that processes share, and those of all of them. Signal-safe. */
void futex_wake_shared(const uint32_t *word, int n);

/* One of several words to sleep on, laid out as the kernel wants it (futex_waitv(2)). */
struct futex_place {
    uint64_t value;
    uint64_t word; /* its address */
    uint32_t flags;
    uint32_t reserved;
};

/* The most that one sleep takes. */
enum { FUTEX_PLACES_MAX = 128 };

struct futex_place futex_place(const uint32_t *word, uint32_t value, bool shared);

/* Whether a word of the places no longer has its value. */
bool futex_changed(const struct futex_place *places, size_t n);

/*
 * Sleeps while all words have their values, until one is woken or the deadline. The first is a
 * shared one. Before Linux 5.16 all but that one are looked at every 10 ms only.
 * Returns  0: woken, perhaps for no reason, or a value was another; -ETIMEDOUT.
 */
int futex_wait_any(const struct futex_place *places, size_t n, weft_deadline deadline);

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
