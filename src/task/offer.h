/* SPDX-License-Identifier: MIT */
/*
 * task/offer.h: work that lies elsewhere than with the workers, for those that have nothing to do:
 * the calls that are queued in a pool while some of its tasks sleep for want of one.
 *
 * An offer stands as long as there is such work, and a task that would do it. Whoever has it stand
 * says so by offers_tell(); a worker that looks for work then takes it up: that wakes a task. So
 * nothing that stands waits for a thread that computes while another has nothing to do.
 */
#ifndef WEFT_TASK_OFFER_H
#define WEFT_TASK_OFFER_H

#include "base/futex.h"
#include "park/strand.h"

struct offer {
    struct offer *next; /* constant */
    struct guard guard; /* guards the rest, and what take() looks at */
    void *ctx;          /* NULL: it is nobody's at the moment */

    /*
     * The task to be woken by that worker, best one of its own; from then on it is the caller's,
     * who wakes it by park_end(). Called under the guard while it stands.
     */
    struct strand *(*take)(void *ctx, unsigned worker);
    uint32_t stands; /* atomic, changed under the guard */
};

/* Makes one that does not stand. ctx is not NULL. NULL: no memory. */
struct offer *offer_open(struct strand *(*take)(void *ctx, unsigned worker), void *ctx);

/* It does not stand, and take() will not be called again. NULL is allowed. */
void offer_close(struct offer *offer);

/*
 * Something stands now: has a worker that sleeps look for it, if nobody is looking (share.c). lone:
 * a task of the caller's worker is about to take it, and nobody need be woken if one watches.
 */
void offers_tell(bool lone);

/* Whether any stands. In one order with going to sleep (share.c). */
bool offers_stand(void);

/* Wakes a task for each that stands. False: there was none. By the worker of that number. */
bool offers_take(unsigned worker);

#endif
