/* SPDX-License-Identifier: MIT */
/*
 * task/timer.c: a pairing heap: setting costs one comparison, taking the earliest O(log n) on
 * average, and a wait that ends before its time takes its timer out wherever it is.
 *
 * A timer's children are a list; the first child's prev is the parent, so a timer with a prev is
 * in the heap and not its root. Merging is done in two passes without recursion: siblings in pairs
 * from left to right, then all into one from right to left.
 *
 * Source: Fredman, Sedgewick, Sleator, Tarjan: "The Pairing Heap" (1986).
 */
#include "task/timer.h"

/* Makes the later of two roots the first child of the earlier one, which it gives. */
static struct timer *meld(struct timer *a, struct timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->at_ns < a->at_ns) {
        struct timer *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    a->child = b;
    return a;
}

/* Takes the first two of a list of siblings, melded, and leaves the others. */
static struct timer *meld_pair(struct timer **siblings)
{
    struct timer *a = *siblings, *b = a->next;
    *siblings = b ? b->next : NULL;
    a->next = a->prev = NULL;
    if (b)
        b->next = b->prev = NULL;
    return meld(a, b);
}

/* One heap of a list of siblings; NULL if there are none. */
static struct timer *meld_all(struct timer *siblings)
{
    struct timer *pairs = NULL, *all = NULL;
    while (siblings) {
        struct timer *pair = meld_pair(&siblings);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs) {
        struct timer *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        all = meld(all, pair);
    }
    return all;
}

void timer_set(struct timers *timers, struct timer *timer)
{
    timer->child = timer->next = timer->prev = NULL;
    timers->root = meld(timers->root, timer);
}

static void cut(struct timer *timer)
{
    if (timer->prev->child == timer)
        timer->prev->child = timer->next;
    else
        timer->prev->next = timer->next;
    if (timer->next)
        timer->next->prev = timer->prev;
}

void timer_unset(struct timers *timers, struct timer *timer)
{
    struct timer *below = meld_all(timer->child);
    if (timers->root == timer) {
        timers->root = below;
        return;
    }
    cut(timer);
    timers->root = meld(timers->root, below);
}

struct timer *timer_take_due(struct timers *timers, int64_t now_ns)
{
    struct timer *first = timers->root;
    if (!first || first->at_ns > now_ns)
        return NULL;
    timers->root = meld_all(first->child);
    return first;
}
