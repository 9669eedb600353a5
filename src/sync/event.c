/* SPDX-License-Identifier: MIT */
/*
 * sync/event.c: something that everybody waits for.
 *
 * word[0] has three parts; word[1] is in reserve.
 *
 *   SET      the lowest bit
 *   WAITERS  set by a waiter before it parks, and checked again by park: may be set when nobody is
 *            parked, must be set when somebody is. Cleared by the next set
 *   above    the number of times the event was set, so that a wait that began before a set ends
 *            even if the event is cleared before the waiter runs: the word never goes back to what
 *            the waiter saw
 *
 * Setting is one compare-and-swap, and the last time that the setter touches the event: whoever
 * finds it set may return and drop it. So if there may be waiters, they are claimed first, and the
 * swap is made under the bucket's guard. Only a signal handler, which may not wait for that guard,
 * sets the event and then looks for waiters, by its address, waking those whose word has changed.
 * In shared memory that is how all set it: the kernel wakes by address. If the setter dies before,
 * the death epoch wakes all who wait, and each looks whether its word has changed.
 */
#include <errno.h>

#include "base/shared_range.h"
#include "sync/event.h"

enum { SET = 1, WAITERS = 2, ONE_SET = 4 };

void weft_event_init(weft_event *event)
{
    *event = (weft_event)WEFT_EVENT_INIT;
}

/* The word of an event that has been set. */
static uint32_t after_set(uint32_t word)
{
    return word & SET ? word : ((word & ~(uint32_t)WAITERS) + ONE_SET) | SET;
}

/*
 * Each swap below is seq_cst: in one order with the looks of park_post(). It also releases: pairs
 * with the acquires in weft_event_wait() and weft_event_is_set(); so it is made even if the event
 * is set already.
 */

/* Under the bucket's guard, when all that wait have been claimed. */
static void set_decide(struct park_found *found, void *ctx)
{
    weft_event *event = ctx;
    (void)found;
    uint32_t word = load_relaxed(&event->word[0]); /* a first guess: the swap decides */
    while (!cas_seq_cst(&event->word[0], &word, after_set(word))) {
    }
}

/* Sets it. True: somebody may wait. */
static bool set_word(weft_event *event)
{
    uint32_t word = load_relaxed(&event->word[0]); /* a first guess: the swap decides */
    while (!cas_seq_cst(&event->word[0], &word, after_set(word))) {
    }
    return word & WAITERS;
}

/* In shared memory, signal-safe. */
static void set_shared(weft_event *event)
{
    if (set_word(event))
        park_wake_shared(&event->word[0], INT32_MAX);
}

void weft_event_set(weft_event *event)
{
    if (is_shared(event)) {
        set_shared(event);
        return;
    }
    uint32_t word = load_relaxed(&event->word[0]); /* a first guess: the swap decides */
    while (!(word & WAITERS))
        if (cas_seq_cst(&event->word[0], &word, after_set(word)))
            return;
    park_wake_then(&event->word[0], UINT32_MAX, set_decide, event);
}

void weft_event_post(weft_event *event)
{
    int saved = errno;
    if (is_shared(event))
        set_shared(event);
    else if (set_word(event))
        park_post(&event->word[0]);
    errno = saved;
}

void weft_event_clear(weft_event *event)
{
    and_relaxed(&event->word[0], ~(uint32_t)SET); /* relaxed: a clear says nothing to anybody */
}

bool weft_event_is_set(const weft_event *event)
{
    return load_acquire(&event->word[0]) & SET; /* pairs with the release in set() */
}

bool event_arm(weft_event *event, struct park_node *node)
{
    uint32_t epoch = death_epoch();
    uint32_t word = load_acquire(&event->word[0]); /* pairs with the release in set() */
    /* relaxed: publishes nothing; park checks the word again under the guard */
    while (!(word & (SET | WAITERS)) && !cas_relaxed(&event->word[0], &word, word | WAITERS))
        word = load_acquire(&event->word[0]); /* as above */
    *node = (struct park_node){ .word = &event->word[0], .value = word, .postable = true };
    node->shared = is_shared(event);
    node->epoch = epoch;
    if (word & SET)
        return true;
    node->value |= WAITERS;
    return false;
}

bool event_was_set(const struct park_node *node)
{
    return load_acquire(node->word) != node->value; /* pairs with the release in set() */
}

int event_wait(weft_event *event, weft_deadline deadline, unsigned flags)
{
    if (weft_event_is_set(event))
        return 0;
    if (deadline.ns <= 0)
        return -ETIMEDOUT;
    struct park_node node;
    if (event_arm(event, &node))
        return 0;
    for (;;) {
        int rc = park_wait(&node, 1, deadline, flags);
        if (rc < 0 && rc != -EAGAIN)
            return rc;
        if ((rc == 0 && !node.shared) || event_was_set(&node))
            return 0;               /* the word only leaves the value of an unset event by a set */
        node.epoch = death_epoch(); /* a shared wait ended for nothing: it goes on */
    }
}

int weft_event_wait(weft_event *event, weft_deadline deadline)
{
    return event_wait(event, deadline, PARK_FOR_EVENT);
}
