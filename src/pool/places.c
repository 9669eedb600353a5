/* SPDX-License-Identifier: MIT */
/*
 * pool/places.c: which idle worker of a pool of tasks a call wakes (places.h).
 *
 * Calls lie in the pool's queue; whoever is woken takes the first. So to wake the wrong worker
 * costs time, never a call, and two things are wanted: that a CPU with nothing to do takes what is
 * queued, and that no thread is woken for what the caller's own will do in a moment.
 *
 *   a task submits       a worker of its own thread is woken, unless one is on its way: that costs
 *                        next to nothing, as there is no other thread in it
 *   any other, or no     a worker of a thread that sleeps: it certainly has nothing else to do
 *   such worker
 *   a worker takes one   while others are queued: it wakes one more of its own thread, which goes
 *                        on as soon as this call waits, and tells of the offer: whoever queued them
 *                        may have thought that this thread had nothing to do
 *
 * In all cases what is queued stands as an offer (task/offer.h) as long as a worker is idle: a
 * thread that has nothing to do, the one that watches and one that looks around take it up. By the
 * rules for tasks that have not started (task/share.c) one of those looks soon: a lone call of a
 * task's own is left to its thread for some milliseconds, as its maker is likely to wait for it.
 *
 * A worker sits down under the pool's lock while nothing is queued, so each call that comes finds
 * it sitting; it is taken from its seat under the offer's guard, by whoever then wakes it. Lock
 * order: the pool's lock, then the guard, under which nothing is done but to link. Threads that
 * look for work take the guard alone: it is held for a moment only, and never by a task that has to
 * wait.
 */
#include <stdlib.h>

#include "park/park.h"
#include "pool/places.h"
#include "task/task.h"

/* An idle worker: on its stack. */
struct seat {
    struct list link;
    struct strand *strand;
};

/* The last to sit down at a place gets up. Under the guard. */
static struct strand *get_up(struct places *places, uint32_t at)
{
    struct list *link = list_pop_front(&places->place[at].seats);
    if (!link)
        return NULL;
    places->place[at].idle--;
    store_relaxed(&places->place[at].coming, 1); /* relaxed, all: changed under the guard */
    store_relaxed(&places->idle, places->idle - 1);
    if (!places->idle)
        store_relaxed(&places->offer->stands, 0);
    return CONTAINER(link, struct seat, link)->strand;
}

/* Anybody, best of that place. Under the guard. */
static struct strand *get_anyone_up(struct places *places, uint32_t at)
{
    struct strand *strand = NULL;
    for (uint32_t i = 0; !strand && i < places->count; i++)
        strand = get_up(places, (at + i) % places->count);
    return strand;
}

/*
 * Somebody whose thread sleeps; of these, where most sit, so that there is an idle worker on each
 * thread for as long as can be. Under the guard.
 */
static struct strand *get_sleeper_up(struct places *places)
{
    uint32_t best = 0, most = 0;
    fence_seq_cst(); /* pairs with pass_offers_on() in share.c: it sees that the offer stands */
    if (!task_any_worker_sleeps())
        return NULL;
    for (uint32_t i = 0; i < places->count; i++) {
        if (places->place[i].idle <= most || !task_worker_sleeps(i))
            continue;
        best = i;
        most = places->place[i].idle;
    }
    return most ? get_up(places, best) : NULL;
}

/* As offer->take(). */
static struct strand *take(void *ctx, unsigned worker)
{
    return get_anyone_up(ctx, worker);
}

struct places *places_open(uint32_t workers)
{
    static uint32_t next; /* atomic: the pools of a program do not all begin at the same thread */
    uint32_t count = task_workers();
    struct places *places = calloc(1, sizeof *places + count * sizeof(struct place));
    if (!places)
        return NULL;
    places->count = count;
    places->first = add_relaxed(&next, workers) % count; /* relaxed: only a number */
    for (uint32_t i = 0; i < count; i++)
        list_init(&places->place[i].seats);
    places->offer = offer_open(take, places);
    if (places->offer)
        return places;
    free(places);
    return NULL;
}

void places_close(struct places *places)
{
    if (!places)
        return;
    offer_close(places->offer);
    free(places);
}

uint32_t places_thread(const struct places *places, uint32_t worker)
{
    return (places->first + worker) % places->count;
}

struct places_wake places_queued(struct places *places, uint32_t queued)
{
    struct places_wake wake = { .strand = NULL };
    if (!load_relaxed(&places->idle)) /* relaxed: nobody sits down without the pool's lock */
        return wake;
    uint32_t own = task_worker();
    guard_lock(&places->offer->guard);
    store_relaxed(&places->offer->stands, places->idle > 0); /* relaxed: offers_tell() orders it */
    bool coming = own < places->count && load_relaxed(&places->place[own].coming); /* a hint */
    if (!coming && own < places->count)
        wake.strand = get_up(places, own);
    wake.lone = queued == 1 && (coming || wake.strand);
    wake.offer = coming || wake.strand;
    if (!wake.offer) {
        wake.strand = get_sleeper_up(places);
        wake.offer = !wake.strand;
    }
    wake.offer &= load_relaxed(&places->offer->stands);
    guard_unlock(&places->offer->guard);
    return wake;
}

struct places_wake places_left(struct places *places)
{
    struct places_wake wake = { .strand = NULL };
    uint32_t own = task_worker();
    /* relaxed, all: who is woken for nothing sits down again, who is told for nothing looks */
    if (!load_relaxed(&places->idle) || own >= places->count)
        return wake;
    if (!load_relaxed(&places->place[own].coming)) {
        guard_lock(&places->offer->guard);
        wake.strand = get_up(places, own);
        guard_unlock(&places->offer->guard);
    }
    wake.offer = wake.lone = load_relaxed(&places->offer->stands);
    return wake;
}

void places_empty(struct places *places)
{
    if (!load_relaxed(&places->offer->stands)) /* relaxed: set under the pool's lock only */
        return;
    guard_lock(&places->offer->guard);
    store_relaxed(&places->offer->stands, 0); /* relaxed: seen late, it costs a look */
    guard_unlock(&places->offer->guard);
}

void places_wake(struct places_wake wake)
{
    if (wake.strand)
        (void)park_end(wake.strand);
    if (wake.offer)
        offers_tell(wake.lone);
}

/* A worker about to sit down. */
struct sitting {
    struct places *places;
    weft_lock *lock;
    struct seat seat;
};

/* When its wait has begun, so that whoever takes it from its seat can end that. */
static void sit_down(void *ctx)
{
    struct sitting *sitting = ctx;
    struct places *places = sitting->places;
    struct place *place = &places->place[task_worker()];
    guard_lock(&places->offer->guard);
    list_push_front(&place->seats, &sitting->seat.link);
    place->idle++;
    store_relaxed(&places->idle, places->idle + 1); /* relaxed: changed under the guard */
    guard_unlock(&places->offer->guard);
    weft_lock_release(sitting->lock);
}

void places_wait(struct places *places, weft_lock *lock)
{
    struct sitting sitting = { .places = places, .lock = lock, .seat.strand = strand_self() };
    (void)park_wait_then(NULL, 0, WEFT_FOREVER, PARK_SHIELDED | PARK_FOR_POOL_WORK, sit_down,
                         &sitting);
    store_relaxed(&places->place[task_worker()].coming, 0); /* relaxed: a hint */
}

void places_wake_all(struct places *places)
{
    struct strand *strand;
    do {
        guard_lock(&places->offer->guard);
        strand = get_anyone_up(places, 0);
        guard_unlock(&places->offer->guard);
        if (strand)
            (void)park_end(strand);
    } while (strand);
}
