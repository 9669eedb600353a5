/* SPDX-License-Identifier: MIT */
/*
 * pool/backlog.c: the calls of a pool of threads or tasks that no worker has taken yet: one queue,
 * first in, first out, under the pool's lock.
 *
 * Idle threads wait for the signal `work`, whoever has waited longest first. Idle tasks have seats
 * (places.h), so that the one that is woken is on a thread that has time for it.
 */
#include <errno.h>

#include "pool/auto.h"
#include "pool/backlog.h"
#include "sync/lock.h"

/* One that was queued is so no more. Under the lock. */
static void count_down(weft_pool *pool)
{
    if (--pool->queued == 0 && pool->places)
        places_empty(pool->places);
    if (pool->pilot)
        auto_unqueued(pool);
}

weft_future *backlog_pop(weft_pool *pool)
{
    struct list *link = list_pop_front(&pool->queue);
    if (!link)
        return NULL;
    count_down(pool);
    return CONTAINER(link, weft_future, queue_link);
}

struct places_wake backlog_push(weft_pool *pool, weft_future *future)
{
    list_push_back(&pool->queue, &future->queue_link);
    pool->queued++;
    if (pool->pilot)
        auto_queued(pool);
    if (pool->places)
        return places_queued(pool->places, pool->queued);
    return (struct places_wake){ .strand = NULL };
}

void backlog_announce(weft_pool *pool, struct places_wake wake)
{
    if (pool->places)
        places_wake(wake);
    else
        signal_raise(&pool->work, 1);
}

struct taking {
    struct worker *worker;
    weft_future *future; /* NULL: the worker is to end */
};

static int attempt_take(void *ctx)
{
    struct taking *taking = ctx;
    weft_pool *pool = taking->worker->pool;
    lock_inner(&pool->lock);
    bool retires = pool->pilot && auto_retires(taking->worker);
    taking->future = retires ? NULL : backlog_pop(pool);
    int rc = taking->future || pool->closing || retires ? 0 : -EAGAIN;
    weft_lock_release(&pool->lock);
    return rc;
}

/* As backlog_take(), by a task. */
static weft_future *take_as_task(weft_pool *pool)
{
    struct places_wake wake = { .strand = NULL };
    weft_future *future;
    lock_inner(&pool->lock);
    while (!(future = backlog_pop(pool)) && !pool->closing) {
        places_wait(pool->places, &pool->lock);
        lock_inner(&pool->lock);
    }
    if (pool->queued)
        wake = places_left(pool->places);
    weft_lock_release(&pool->lock);
    places_wake(wake);
    return future;
}

static weft_future *take_as_thread(struct worker *worker)
{
    struct taking taking = { .worker = worker };
    (void)signal_wait(&worker->pool->work, attempt_take, &taking, WEFT_FOREVER,
                      PARK_SHIELDED | PARK_FOR_POOL_WORK);
    return taking.future;
}

weft_future *backlog_take(struct worker *worker)
{
    weft_pool *pool = worker->pool;
    weft_future *future = pool->places ? take_as_task(pool) : take_as_thread(worker);
    if (future)
        signal_raise(&pool->room, 1);
    return future;
}

bool backlog_unqueue(weft_pool *pool, weft_future *future)
{
    lock_inner(&pool->lock);
    /* relaxed: under the lock. What is elsewhere is in another queue. */
    bool queued = !load_relaxed(&future->elsewhere) && !list_empty(&future->queue_link);
    if (queued) {
        list_remove(&future->queue_link);
        count_down(pool);
    }
    weft_lock_release(&pool->lock);
    if (queued)
        signal_raise(&pool->room, 1);
    return queued;
}
