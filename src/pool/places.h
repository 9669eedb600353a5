/* SPDX-License-Identifier: MIT */
/*
 * pool/places.h: the idle workers of a pool of tasks, by the thread that they are on, and which of
 * them a call wakes.
 *
 * A task never changes its thread. So a call that wakes the wrong worker may wait behind another
 * task's computing while a CPU has nothing to do; and one that always wakes a worker on another
 * thread costs a microsecond instead of a tenth of it.
 */
#ifndef WEFT_POOL_PLACES_H
#define WEFT_POOL_PLACES_H

#include <weft/lock.h>

#include "base/list.h"
#include "task/offer.h"

/* The idle workers of one thread. */
struct place {
    struct list seats; /* guarded by the offer's guard: who sat down last comes first */
    uint32_t idle;     /* guarded: how many sit there */
    uint32_t coming;   /* atomic, changed under the guard: one was woken and has not looked yet */
};

struct places {
    struct offer
        *offer; /* constant, as are the next two. It stands while calls are queued and one sits */
    uint32_t count;
    uint32_t first; /* the number of the thread of the first worker */
    uint32_t idle;  /* atomic, changed under the guard: how many sit, everywhere */
    struct place place[];
};

/* For so many workers. After task_prepare(). NULL: no memory. */
struct places *places_open(uint32_t workers);
void places_close(struct places *places); /* NULL is allowed */

/* The number of the thread that the worker of that number goes to: they take turns. */
uint32_t places_thread(const struct places *places, uint32_t worker);

/* ---- under the pool's lock */

/* Whom to wake when the lock was released. */
struct places_wake {
    struct strand *strand; /* NULL: nobody, as far as is known */
    bool offer, lone;      /* offers_tell(lone) */
};

/* A call has been queued; queued: that makes so many. */
struct places_wake places_queued(struct places *places, uint32_t queued);

/* The calling worker has taken a call, and others are left. */
struct places_wake places_left(struct places *places);

/* The last call that was queued has been taken. */
void places_empty(struct places *places);

/* ---- under no lock */

void places_wake(struct places_wake wake);

/*
 * The calling worker sleeps until it is woken. Called under the lock, with nothing queued; lets go
 * of it.
 */
void places_wait(struct places *places, weft_lock *lock);

/* Wakes all. */
void places_wake_all(struct places *places);

#endif
