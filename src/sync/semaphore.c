/* SPDX-License-Identifier: MIT */
/*
 * sync/semaphore.c: a number of permits.
 *
 * The word holds the free permits and, in its top bit, WAITERS. Invariant: when somebody is parked
 * there are no free permits, and WAITERS is set. A release gives its permits to those that wait,
 * first come first served, and adds to the word only what is left over; so a waiter that was woken
 * has its permit and need not fight for it. A strand that comes takes a free permit, and parks if
 * there is none; it sets WAITERS first, and park checks the word again under the bucket's guard.
 * WAITERS may be set when nobody is parked (waits that ended otherwise); the next release clears
 * it.
 *
 * In shared memory nobody can take a permit for another, who might be dead: a release adds all of
 * them to the word, clears WAITERS, and wakes as many sleepers as there are permits; they take them
 * as everybody does. Whoever takes one after a sleep cannot know whether it was the last sleeper:
 * if it leaves permits it wakes another, else it sets WAITERS again. So there are permits and
 * sleepers at the same time only while somebody who is awake will look; should that one die, the
 * death epoch wakes all, and should its wait end otherwise, it wakes another.
 */
#include <errno.h>

#include <weft/semaphore.h>

#include "base/shared_range.h"
#include "park/park.h"

#define WAITERS UINT32_C(0x80000000)

static uint32_t cut(uint32_t permits)
{
    return permits < WEFT_SEMAPHORE_MAX ? permits : WEFT_SEMAPHORE_MAX;
}

static uint32_t most(const weft_semaphore *semaphore)
{
    return semaphore->bound ? semaphore->bound : WEFT_SEMAPHORE_MAX;
}

void weft_semaphore_init(weft_semaphore *semaphore, uint32_t value, uint32_t bound)
{
    *semaphore = (weft_semaphore){ .bound = cut(bound) };
    semaphore->word = value < most(semaphore) ? value : most(semaphore);
}

/* Takes a free permit. False: there is none, *ret_word has no permits in it. */
static bool take(weft_semaphore *semaphore, uint32_t *ret_word)
{
    uint32_t word = load_relaxed(&semaphore->word); /* a first guess: the swap decides */
    while (word & ~WAITERS)
        /* acquire: pairs with the release in weft_semaphore_release() and give() */
        if (cas_acquire(&semaphore->word, &word, word - 1))
            return true;
    *ret_word = word;
    return false;
}

/* The same after a sleep, as said above. */
static bool take_after_sleep(weft_semaphore *semaphore, uint32_t *ret_word)
{
    uint32_t word = load_relaxed(&semaphore->word); /* a first guess: the swap decides */
    while (word & ~WAITERS) {
        uint32_t left = (word & ~WAITERS) - 1;
        if (!cas_acquire(&semaphore->word, &word, left ? left : WAITERS)) /* as in take() */
            continue;
        if (left)
            park_wake_shared(&semaphore->word, 1);
        return true;
    }
    *ret_word = word;
    return false;
}

/* Sleeps while there is no permit. 0: look again; or an error. */
static int sleep_shared(weft_semaphore *semaphore, uint32_t word, uint32_t epoch,
                        weft_deadline deadline, struct hold_away *away)
{
    /* relaxed: publishes nothing */
    if (!(word & WAITERS) && !cas_relaxed(&semaphore->word, &word, WAITERS))
        return 0;
    struct park_node node = park_shared_node(&semaphore->word, WAITERS, epoch);
    hold_let_go(strand_self(), away);
    int rc = park_wait(&node, 1, deadline, PARK_FOR_SEMAPHORE);
    if (rc >= 0 || rc == -EAGAIN)
        return 0;
    park_wake_shared(&semaphore->word, 1); /* in case that we were woken as well */
    return rc;
}

static int try_until_taken(weft_semaphore *semaphore, weft_deadline deadline,
                           struct hold_away *away)
{
    for (bool slept = false;; slept = true) {
        uint32_t word, epoch = death_epoch();
        if (slept ? take_after_sleep(semaphore, &word) : take(semaphore, &word))
            return 0;
        if (deadline.ns <= 0)
            return -ETIMEDOUT;
        int rc = sleep_shared(semaphore, word, epoch, deadline, away);
        if (rc < 0)
            return rc;
    }
}

/* What the strand lets go of while it sleeps it takes back at the end: others may sleep until it
   has looked. */
static int acquire_shared(weft_semaphore *semaphore, weft_deadline deadline)
{
    struct hold_away away;
    away.n = 0;
    int rc = try_until_taken(semaphore, deadline, &away);
    hold_take_back(strand_self(), &away);
    return rc;
}

int weft_semaphore_acquire(weft_semaphore *semaphore, weft_deadline deadline)
{
    if (is_shared(semaphore))
        return acquire_shared(semaphore, deadline);
    for (uint32_t word; !take(semaphore, &word);) {
        if (deadline.ns <= 0)
            return -ETIMEDOUT;
        /* relaxed: publishes nothing; park checks the word again under the guard */
        if (!(word & WAITERS) && !cas_relaxed(&semaphore->word, &word, WAITERS))
            continue;
        struct park_node node = { .word = &semaphore->word, .value = WAITERS };
        int rc = park_wait(&node, 1, deadline, PARK_FOR_SEMAPHORE);
        if (rc != -EAGAIN)
            return rc < 0 ? rc : 0; /* woken with a permit */
    }
    return 0;
}

struct release {
    weft_semaphore *semaphore;
    uint32_t permits;
    int rc;
};

/* Under the bucket's guard: keeps what the woken waiters did not take. */
static void give(struct park_found *found, void *ctx)
{
    struct release *release = ctx;
    weft_semaphore *semaphore = release->semaphore;
    uint32_t left = release->permits - found->woken;
    uint32_t word = load_relaxed(&semaphore->word); /* a first guess: the swap decides */
    uint32_t next;
    do {
        uint32_t permits = word & ~WAITERS; /* 0 if anybody was woken, by the invariant */
        if (left > most(semaphore) - permits) {
            release->rc = -EOVERFLOW;
            return;
        }
        next = (permits + left) | (found->more ? WAITERS : 0);
    } while (!cas_release(&semaphore->word, &word, next)); /* pairs with take() */
}

static int release_shared(weft_semaphore *semaphore, uint32_t n)
{
    uint32_t word = load_relaxed(&semaphore->word); /* a first guess: the swap decides */
    do
        if (n > most(semaphore) - (word & ~WAITERS))
            return -EOVERFLOW;
    while (!cas_release(&semaphore->word, &word, (word & ~WAITERS) + n)); /* pairs with take() */
    if (word & WAITERS)
        park_wake_shared(&semaphore->word, (int)n);
    return 0;
}

int weft_semaphore_release(weft_semaphore *semaphore, uint32_t n)
{
    if (!n)
        return -EINVAL;
    if (is_shared(semaphore))
        return release_shared(semaphore, n);
    uint32_t word = load_relaxed(&semaphore->word); /* a first guess: the swap decides */
    while (!(word & WAITERS)) {
        if (n > most(semaphore) - word)
            return -EOVERFLOW;
        /* release: pairs with the acquire in take() */
        if (cas_release(&semaphore->word, &word, word + n))
            return 0;
    }
    if (n > most(semaphore))
        return -EOVERFLOW;
    struct release release = { .semaphore = semaphore, .permits = n };
    park_wake_then(&semaphore->word, n, give, &release);
    return release.rc;
}

uint32_t weft_semaphore_value(const weft_semaphore *semaphore)
{
    return load_relaxed(&semaphore->word) & ~WAITERS; /* relaxed: about some moment */
}
