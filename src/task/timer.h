/* SPDX-License-Identifier: MIT */
/*
 * task/timer.h: the timers of one worker: a heap whose links lie in the timers, so that setting one
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
    struct timer *prev;  /* sibling, or for the first of them the parent; NULL: root, or not set */
};

struct timers {
    struct timer *root; /* the earliest; NULL: none */
};

/* Sets a timer, whose at_ns says when. It is in no heap. */
void timer_set(struct timers *timers, struct timer *timer);

/* Takes a timer out that is in the heap. */
void timer_unset(struct timers *timers, struct timer *timer);

/* Takes out and gives the earliest if its time has come; NULL: none. */
struct timer *timer_take_due(struct timers *timers, int64_t now_ns);

#endif
