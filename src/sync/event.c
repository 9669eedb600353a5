/* SPDX-License-Identifier: MIT */
/*
 * sync/event.c: something that everybody waits for.
 *
 * word[0] holds SET in its lowest bit and above it the number of times the event was set, so that a
 * wait that began before a set ends even if the event is cleared before the waiter runs: the word
 * never goes back to what the waiter saw. word[1] counts those that may be waiting, so that setting
 * an event without waiters does not look for any. A waiter counts itself and then looks at word[0]
 * (park does, under the bucket's guard); a setter changes word[0] and then looks at the count.
 *
 * An event is waited on as a struct signal of sync/signal.h by whoever waits for several things.
 */
#include <errno.h>

#include "sync/event.h"

enum { SET = 1, ONE_SET = 2 };

void weft_event_init(weft_event *event)
{
    *event = (weft_event)WEFT_EVENT_INIT;
}

/* True: there may be waiters to wake. */
static bool set(weft_event *event)
{
    uint32_t word = load_relaxed(&event->word[0]); /* a first guess: the swap decides */
    uint32_t next;
    do
        next = word & SET ? word : (word + ONE_SET) | SET;
    /* seq_cst, with the look at the count: in one order with event_arm(). It also releases: pairs
       with the acquires in weft_event_wait() and weft_event_is_set(), so it is a write even if the
       event is set already */
    while (!cas_seq_cst(&event->word[0], &word, next));
    return next != word && load_seq_cst(&event->word[1]);
}

void weft_event_set(weft_event *event)
{
    if (set(event))
        park_wake(&event->word[0], UINT32_MAX, 0);
}

void weft_event_post(weft_event *event)
{
    int saved = errno;
    if (set(event))
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
    add_seq_cst(&event->word[1], 1); /* seq_cst, both: in one order with set() */
    uint32_t word = load_seq_cst(&event->word[0]);
    *node = (struct park_node){ .word = &event->word[0], .value = word, .postable = true };
    return word & SET;
}

void event_disarm(weft_event *event)
{
    sub_relaxed(&event->word[1], 1); /* relaxed: a setter that sees it late wakes nobody */
}

static int wait_flags(weft_event *event, weft_deadline deadline, unsigned flags)
{
    if (weft_event_is_set(event))
        return 0;
    if (deadline.ns <= 0)
        return -ETIMEDOUT;
    struct park_node node;
    int rc = event_arm(event, &node) ? 0 : park_wait(&node, 1, deadline, flags);
    event_disarm(event);
    if (rc == -EAGAIN) {
        (void)load_acquire(&event->word[0]); /* pairs with the release in set() */
        return 0; /* the word only leaves the value of an unset event by a set */
    }
    return rc < 0 ? rc : 0;
}

int weft_event_wait(weft_event *event, weft_deadline deadline)
{
    return wait_flags(event, deadline, 0);
}

void event_wait_shielded(weft_event *event)
{
    (void)wait_flags(event, WEFT_FOREVER, PARK_SHIELDED);
}
