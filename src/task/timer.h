/* SPDX-License-Identifier: MIT */
/*
 * task/timer.h: the timers of one worker: heaps whose links lie in the timers, so that setting one
 * cannot fail.
 */
#ifndef WEFT_TASK_TIMER_H
#define WEFT_TASK_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t at_ns;
    struct timer *child; /* the first of those that come no earlier */
    struct timer *next;  /* sibling */
    struct timer *prev;  /* sibling, or for the first of them the parent; NULL: first of a heap, or
                            not set */
};

enum { TIMERS_FRESH = 32 };

/* All zero: no timers. */
struct timers {
    struct timer *old;                 /* the earliest of a heap; NULL: none */
    struct timer *fresh[TIMERS_FRESH]; /* those of smaller heaps of what was set lately */
    uint32_t used;                     /* bit i: fresh[i] is there */
};

/* Sets a timer, whose at_ns says when. It is in no heap. */
void timer_set(struct timers *timers, struct timer *timer);

/* Takes a timer out that is in the heap. */
void timer_unset(struct timers *timers, struct timer *timer);

/* The earliest. NULL: none. */
struct timer *timer_first(const struct timers *timers);

/* Takes out and gives the earliest if its time has come; NULL: none. */
struct timer *timer_take_due(struct timers *timers, int64_t now_ns);

#endif
