/* SPDX-License-Identifier: MIT */
/*
 * task/offer.c: all offers of the program (offer.h), which workers go through when they look for
 * work.
 *
 * A worker may look at one while its maker closes it. So their memory is never freed, but used
 * again by whoever opens the next one: the list only grows, to as many as there were at a time.
 */
#include <stdlib.h>

#include "park/park.h"
#include "task/offer.h"

static struct offer *offers; /* atomic: the newest first */

/* Takes one that is nobody's. NULL: there is none. */
static struct offer *reuse(void *ctx)
{
    /* acquire: pairs with the release in add(); shows what is constant */
    for (struct offer *it = load_acquire(&offers); it; it = it->next) {
        guard_lock(&it->guard);
        bool free = !it->ctx;
        if (free)
            it->ctx = ctx;
        guard_unlock(&it->guard);
        if (free)
            return it;
    }
    return NULL;
}

static struct offer *add(void *ctx)
{
    struct offer *offer = malloc(sizeof *offer);
    if (!offer)
        return NULL;
    *offer = (struct offer){ .next = load_relaxed(&offers), .ctx = ctx }; /* a first guess */
    while (!cas_release(&offers, &offer->next, offer)) { /* pairs with the acquires of readers */
    }
    return offer;
}

struct offer *offer_open(struct strand *(*take)(void *ctx, unsigned worker), void *ctx)
{
    struct offer *offer = reuse(ctx);
    if (!offer)
        offer = add(ctx);
    if (offer)
        offer->take = take; /* read only while it stands */
    return offer;
}

void offer_close(struct offer *offer)
{
    if (!offer)
        return;
    guard_lock(&offer->guard);
    store_relaxed(&offer->stands, 0); /* relaxed: what is seen late is looked at under the guard */
    offer->ctx = NULL;
    guard_unlock(&offer->guard);
}

bool offers_stand(void)
{
    for (const struct offer *it = load_acquire(&offers); it; it = it->next) /* as in reuse() */
        if (load_seq_cst(&it->stands)) /* seq_cst: in one order with going to sleep (share.c) */
            return true;
    return false;
}

static bool take(struct offer *offer, unsigned worker)
{
    struct strand *strand = NULL;
    guard_lock(&offer->guard);
    if (load_relaxed(&offer->stands)) /* relaxed: changed under the guard */
        strand = offer->take(offer->ctx, worker);
    guard_unlock(&offer->guard);
    return strand && park_end(strand);
}

bool offers_take(unsigned worker)
{
    bool took = false;
    for (struct offer *it = load_acquire(&offers); it; it = it->next) /* as in reuse() */
        if (load_relaxed(&it->stands)) /* relaxed: a guess, or seen in time (share.c) */
            took |= take(it, worker);
    return took;
}
