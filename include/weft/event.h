/* SPDX-License-Identifier: MIT */
/*
 * weft/event.h: something that happens, once or again, and everybody waits for; Python's Event.
 *
 *     static weft_event stop = WEFT_EVENT_INIT;
 *     ...
 *     static void on_interrupt(int signo) { weft_event_post(&stop); }
 *
 * Whoever waits when an event is set returns, even if it is cleared again before that strand runs.
 * Valid when zeroed (not set), nothing to destroy. What is before a set happens before what is
 * after the waits that it ends. In shared memory (weft_shared_alloc) all of this holds between
 * processes; one that dies while it sets the event has set it or has not.
 */
#ifndef WEFT_EVENT_H
#define WEFT_EVENT_H

#include <weft/time.h>

WEFT_BEGIN

typedef struct weft_event {
    uint32_t word[2]; /* private */
} weft_event;

#define WEFT_EVENT_INIT                                                                            \
    {                                                                                              \
        {                                                                                          \
            0, 0                                                                                   \
        }                                                                                          \
    }

/* Makes an event that is not set. */
void weft_event_init(weft_event *event);

/* Sets it: those that wait return, those that come do not wait. */
void weft_event_set(weft_event *event);

/* Unsets it: those that come wait. */
void weft_event_clear(weft_event *event);

/* Whether it is set, at some moment during the call. */
bool weft_event_is_set(const weft_event *event);

/*
 * Waits until it is set.
 * Returns  0: it is, or was set during the wait; -ETIMEDOUT (WEFT_NOW: it is not); -ECANCELED.
 * Blocks   yes.
 */
int weft_event_wait(weft_event *event, weft_deadline deadline) WEFT_USE;

/* The same as weft_event_set(). Safe in a signal handler, and keeps errno. */
void weft_event_post(weft_event *event);

WEFT_END
#endif
