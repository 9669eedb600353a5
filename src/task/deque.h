/* SPDX-License-Identifier: MIT */
/*
 * task/deque.h: the unstarted tasks of one worker: it puts and takes at one end, thieves take at
 * the other. Bounded: what does not fit goes where tasks from outside come from.
 *
 * `top` only grows, by whoever takes the oldest; `bottom` is the owner's. The two ends meet only
 * over the last task, which both take by the swap of top. For that the owner's claim (its store to
 * bottom) and its look at top must not pass each other, nor a thief's look at top and at bottom:
 * these are seq_cst.
 *
 * Source: Chase and Lev, "Dynamic Circular Work-Stealing Deque" (2005); Le, Pop, Cohen and Zappa
 * Nardelli, "Correct and Efficient Work-Stealing for Weak Memory Models" (2013).
 */
#ifndef WEFT_TASK_DEQUE_H
#define WEFT_TASK_DEQUE_H

#include "base/atomic.h"

enum { DEQUE_MAX = 256 };

struct task;

struct deque {
    uint64_t top __attribute__((aligned(64)));
    uint64_t bottom __attribute__((aligned(64)));
    struct task *slots[DEQUE_MAX];
};

/* By the owner. False: full. */
static inline bool deque_push(struct deque *deque, struct task *task)
{
    uint64_t bottom = load_relaxed(&deque->bottom); /* relaxed: own */
    /* acquire: pairs with the swaps of top, so that their taker has read the slot used again */
    if (bottom - load_acquire(&deque->top) >= DEQUE_MAX)
        return false;
    store_relaxed(&deque->slots[bottom % DEQUE_MAX], task); /* relaxed: published by bottom */
    store_release(&deque->bottom, bottom + 1); /* pairs with the load of bottom in deque_steal() */
    return true;
}

/* How many there are, as the owner sees it: thieves may have taken some. */
static inline uint64_t deque_count(const struct deque *deque)
{
    uint64_t top = load_relaxed(&deque->top); /* relaxed, both: an answer about some moment */
    uint64_t bottom = load_relaxed(&deque->bottom);
    return bottom > top ? bottom - top : 0;
}

/* By the owner: the youngest. NULL: none. */
static inline struct task *deque_pop(struct deque *deque)
{
    uint64_t bottom = load_relaxed(&deque->bottom); /* relaxed: own */
    if (bottom == load_relaxed(&deque->top)) /* relaxed: top only grows, so it is empty for sure */
        return NULL;
    bottom--;
    store_seq_cst(&deque->bottom, bottom); /* seq_cst, both: see above */
    uint64_t top = load_seq_cst(&deque->top);
    struct task *task = NULL;
    if (top <= bottom) {
        task = load_relaxed(&deque->slots[bottom % DEQUE_MAX]); /* relaxed: own */
        if (top < bottom)
            return task;
        if (!cas_seq_cst(&deque->top, &top, top + 1)) /* as the thieves do */
            task = NULL;
    }
    store_relaxed(&deque->bottom, bottom + 1); /* relaxed: says only that it is empty */
    return task;
}

/* By anybody: the oldest. NULL: none, or somebody else was faster. */
static inline struct task *deque_steal(struct deque *deque)
{
    uint64_t top = load_seq_cst(&deque->top);       /* seq_cst, both: see above */
    uint64_t bottom = load_seq_cst(&deque->bottom); /* pairs with the release in deque_push() */
    if ((int64_t)(bottom - top) <= 0)
        return NULL;
    struct task *task = load_relaxed(&deque->slots[top % DEQUE_MAX]); /* the swap decides */
    return cas_seq_cst(&deque->top, &top, top + 1) ? task : NULL;
}

#endif
