/* SPDX-License-Identifier: MIT */
/*
 * task/deque.h: the unstarted tasks of one worker: it puts and takes at one end, thieves take at
 * the other.
 *
 * `top` only grows, by whoever takes the oldest; `bottom` is the owner's. The two ends meet only
 * over the last task, which both take by the swap of top. If the owner sees more than one, its
 * claim (the store to bottom) and its next look at top must not pass each other, nor a thief's look
 * at top and at bottom: there is a fence between them. (Not seq_cst stores and loads: QEMU's
 * emulation of AArch64 lets a load-acquire pass a store-release, as its host does.)
 *
 * The tasks lie in a ring, which the owner replaces by one twice as large when it is full. Thieves
 * may still read the old ring: it holds what it held for every place that they can win by a swap of
 * top, as the owner writes to the new one only. So old rings are kept, all together as large as the
 * present one.
 *
 * Source: Chase and Lev, "Dynamic Circular Work-Stealing Deque" (2005); Le, Pop, Cohen and Zappa
 * Nardelli, "Correct and Efficient Work-Stealing for Weak Memory Models" (2013).
 */
#ifndef WEFT_TASK_DEQUE_H
#define WEFT_TASK_DEQUE_H

#include <stddef.h>

#include "base/atomic.h"

enum { DEQUE_FIRST = 256, DEQUE_MAX = 1 << 24 };

struct task;

struct ring {
    struct ring *older; /* constant, as is size */
    uint64_t size;      /* a power of two */
    struct task *slots[];
};

struct deque {
    uint64_t top __attribute__((aligned(64)));
    uint64_t bottom __attribute__((aligned(64)));
    struct ring *ring; /* NULL: none yet */
};

static inline struct task **ring_slot(struct ring *ring, uint64_t place)
{
    return &ring->slots[place & (ring->size - 1)];
}

/* By the owner, when the ring is full. False: no memory, or it is as large as may be. */
bool deque_grow(struct deque *deque);

/* By the owner. False: no memory. */
static inline bool deque_push(struct deque *deque, struct task *task)
{
    uint64_t bottom = load_relaxed(&deque->bottom); /* relaxed: own, as is the ring */
    struct ring *ring = load_relaxed(&deque->ring);
    /* acquire: pairs with the swaps of top, so that their taker has read the slot used again */
    if (!ring || bottom - load_acquire(&deque->top) >= ring->size) {
        if (!deque_grow(deque))
            return false;
        ring = load_relaxed(&deque->ring); /* relaxed: own */
    }
    store_relaxed(ring_slot(ring, bottom), task); /* relaxed: published by bottom */
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
    uint64_t top = load_relaxed(&deque->top);       /* relaxed: it only grows */
    if (bottom == top)
        return NULL; /* for sure */
    bottom--;
    struct task *task = load_relaxed(ring_slot(load_relaxed(&deque->ring), bottom)); /* own */
    if (bottom == top)
        return cas_seq_cst(&deque->top, &top, top + 1) ? task : NULL; /* as the thieves do */
    store_relaxed(&deque->bottom, bottom); /* relaxed, both: the fence orders them, see above */
    fence_seq_cst();
    top = load_relaxed(&deque->top);
    if (top < bottom)
        return task;
    if (top > bottom || !cas_seq_cst(&deque->top, &top, top + 1)) /* the same */
        task = NULL;
    store_relaxed(&deque->bottom, bottom + 1); /* relaxed: says only that it is empty */
    return task;
}

/* By anybody: the oldest. NULL: none, or somebody else was faster. */
static inline struct task *deque_steal(struct deque *deque)
{
    uint64_t top = load_acquire(&deque->top);       /* pairs with the swaps of other thieves */
    fence_seq_cst();                                /* see above */
    uint64_t bottom = load_acquire(&deque->bottom); /* pairs with the release in deque_push() */
    if ((int64_t)(bottom - top) <= 0)
        return NULL;
    /* acquire: pairs with the release in deque_grow(); at least as new as that of bottom */
    struct ring *ring = load_acquire(&deque->ring);
    struct task *task = load_relaxed(ring_slot(ring, top)); /* relaxed: the swap decides */
    return cas_seq_cst(&deque->top, &top, top + 1) ? task : NULL;
}

#endif
