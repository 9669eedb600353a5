/* SPDX-License-Identifier: MIT */
/*
 * task/timer.c: pairing heaps: setting costs one comparison on average, taking the earliest
 * O(log n), and a wait that ends before its time takes its timer out wherever it is.
 *
 * A timer's children are a list; the first child's prev is the parent, so a timer with a prev is
 * in a heap and not its first. Merging is done in two passes without recursion: siblings in pairs
 * from left to right, then all into one from right to left.
 *
 * A heap into which much was put at once has a first timer with as many children, and who takes it
 * out has to look at them all, most of them in nobody's cache: 100,000 took 40 ms. So what is set
 * goes into fresh heaps, of which two of the same size become one, as digits are carried; each has
 * few children at any place. What is left of one from which something was taken joins the old heap.
 *
 * Sources: Fredman, Sedgewick, Sleator, Tarjan: "The Pairing Heap" (1986); Stasko, Vitter: "Pairing
 * Heaps: Experiments and Analysis" (1987), for the auxiliary heaps.
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
    unsigned i = 0;
    timer->child = timer->next = timer->prev = NULL;
    for (; timers->used & UINT32_C(1) << i; i++) {
        timer = meld(timers->fresh[i], timer);
        timers->used &= ~(UINT32_C(1) << i);
    }
    timers->fresh[i] = timer;
    timers->used |= UINT32_C(1) << i;
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

/* Takes the first timer of a heap, and thereby the heap, from among the others. */
static void take_heap(struct timers *timers, const struct timer *first)
{
    if (timers->old == first) {
        timers->old = NULL;
        return;
    }
    for (uint32_t left = timers->used; left; left &= left - 1)
        if (timers->fresh[__builtin_ctz(left)] == first)
            timers->used &= ~(left & -left);
}

void timer_unset(struct timers *timers, struct timer *timer)
{
    if (timer->prev)
        cut(timer);
    else
        take_heap(timers, timer);
    timers->old = meld(timers->old, meld_all(timer->child));
}

struct timer *timer_first(const struct timers *timers)
{
    struct timer *first = timers->old;
    for (uint32_t left = timers->used; left; left &= left - 1) {
        struct timer *fresh = timers->fresh[__builtin_ctz(left)];
        if (!first || fresh->at_ns < first->at_ns)
            first = fresh;
    }
    return first;
}

struct timer *timer_take_due(struct timers *timers, int64_t now_ns)
{
    struct timer *first = timer_first(timers);
    if (!first || first->at_ns > now_ns)
        return NULL;
    timer_unset(timers, first);
    return first;
}
