/* SPDX-License-Identifier: MIT */
/* sync/queue.h: the steps of a put or a get, for those who wait for several things, or for nothing.
 */
#ifndef WEFT_SYNC_QUEUE_H
#define WEFT_SYNC_QUEUE_H

#include <weft/lock.h>
#include <weft/queue.h>

#include "park/park.h"

/* The size of its items, constant. */
size_t queue_item_bytes(const weft_queue *queue);

/* Guards all of the queue. A holder may take the locks of queues that lie at higher addresses. */
weft_lock *queue_lock(weft_queue *queue);

/*
 * Puts or gets under the lock. Whoever can go on now is put into the list woken: resume them when
 * the lock is free.
 * Returns  0; -EPIPE: shut; -EAGAIN: full or empty.
 */
int queue_put_locked(weft_queue *queue, const void *item, struct list *woken);
int queue_get_locked(weft_queue *queue, void *ret_item, struct list *woken);

/*
 * Puts the caller among those that wait, under the lock, by a node that a park_wait_then() is then
 * about, which releases the lock when it has begun; and takes it out again, under the lock,
 * whatever has happened.
 */
void queue_wait_for(weft_queue *queue, bool get, struct park_node *node);
void queue_wait_over(struct park_node *node);

#endif
