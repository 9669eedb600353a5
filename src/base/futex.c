/* SPDX-License-Identifier: MIT */
/*
 * base/futex.c: the futex system call for words of this process, and the slow halves of guards.
 *
 * A guard is held for tens of nanoseconds, so its waiters spin a little before they sleep. A waiter
 * that has slept takes the guard with SLEEPERS set, as it cannot know whether it was the last.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/futex.h"
#include "base/sanitizer.h"

static int wait_once(const uint32_t *word, uint32_t value, weft_deadline deadline)
{
    struct timespec at, *until = NULL;
    if (deadline.ns != INT64_MAX) {
        int64_t ns = deadline.ns > 0 ? deadline.ns : 0;
        at = (struct timespec){ .tv_sec = ns / WEFT_S, .tv_nsec = ns % WEFT_S };
        until = &at;
    }
    /* The bitset form is the one whose time is absolute, on CLOCK_MONOTONIC. */
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, until, NULL,
                      FUTEX_BITSET_MATCH_ANY);
    return rc < 0 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

int futex_wait(const uint32_t *word, uint32_t value, weft_deadline deadline)
{
    if (!THREAD_SANITIZER)
        return wait_once(word, value, deadline);
    /* ThreadSanitizer holds signal handlers back until the thread makes a call that it knows. A raw
       system call is none, so it gets one, such as nanosleep(), several times a second. */
    weft_deadline slice = weft_sooner(deadline, weft_after(100 * WEFT_MS));
    int rc = wait_once(word, value, slice);
    nanosleep(&(struct timespec){ 0 }, NULL);
    return slice.ns < deadline.ns ? 0 : rc;
}

void futex_wake(const uint32_t *word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
}

enum { SPINS = 64 };

void guard_lock_slow(struct guard *guard)
{
    uint32_t taken = GUARD_HELD; /* the bits to hold it with */
    for (int spins = 0;; spins++) {
        uint32_t word = load_relaxed(&guard->word); /* only a hint: the swaps below decide */
        if (!(word & GUARD_HELD)) {
            /* acquire: pairs with the release in guard_unlock() and guard_unlock_slow() */
            if (cas_acquire(&guard->word, &word, word | taken))
                return;
        } else if (spins < SPINS) {
            cpu_relax();
        } else {
            /* relaxed: publishes nothing, the kernel compares the word again */
            if (!(word & GUARD_SLEEPERS) &&
                !cas_relaxed(&guard->word, &word, word | GUARD_SLEEPERS))
                continue;
            futex_wait(&guard->word, word | GUARD_SLEEPERS, WEFT_FOREVER);
            taken = GUARD_HELD | GUARD_SLEEPERS;
        }
    }
}

bool guard_unlock_slow(struct guard *guard)
{
    uint32_t word = load_relaxed(&guard->word); /* only a first guess for the swaps below */
    for (;;) {
        if (word & GUARD_NOTE) {
            /* acquire: pairs with the release in guard_try_or_note(); its writer's changes show */
            if (cas_acquire(&guard->word, &word, word & ~GUARD_NOTE))
                return false;
        } else if (cas_release(&guard->word, &word, 0)) { /* pairs with the acquire of the next */
            if (word & GUARD_SLEEPERS)
                futex_wake(&guard->word, 1);
            return true;
        }
    }
}

bool guard_try_or_note(struct guard *guard)
{
    uint32_t word = load_relaxed(&guard->word); /* only a first guess for the swaps below */
    for (;;) {
        if (!(word & GUARD_HELD)) {
            if (cas_acq_rel(&guard->word, &word, word | GUARD_HELD)) /* as guard_lock() */
                return true;
        } else if (cas_release(&guard->word, &word, word | GUARD_NOTE)) {
            /* release: pairs with the acquire in guard_unlock_slow() */
            return false;
        }
    }
}
