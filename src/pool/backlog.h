/* SPDX-License-Identifier: MIT */
/* pool/backlog.h: the calls of a pool of threads or tasks that no worker has taken yet (backlog.c).
 */
#ifndef WEFT_POOL_BACKLOG_H
#define WEFT_POOL_BACKLOG_H

#include "pool/places.h"
#include "pool/pool.h"

/* Takes the first, with the runner's reference; NULL: none. Under the pool's lock. */
weft_future *backlog_pop(weft_pool *pool);

/*
 * Adds one, with the runner's reference, whatever their number. Under the pool's lock. Returns what
 * backlog_announce() shall tell when that was released.
 */
struct places_wake backlog_push(weft_pool *pool, weft_future *future);
void backlog_announce(weft_pool *pool, struct places_wake wake);

/*
 * By a worker: the first, waiting for one. NULL: the pool is closing and nothing is left, or it has
 * more workers than it needs.
 */
weft_future *backlog_take(struct worker *worker);

/* Takes that one. False: it is not there. */
bool backlog_unqueue(weft_pool *pool, weft_future *future);

#endif
