/* SPDX-License-Identifier: MIT */
/* sync/queue.h: the halves of waiting on a queue, for select. */
#ifndef WEFT_SYNC_QUEUE_H
#define WEFT_SYNC_QUEUE_H

#include <weft/queue.h>

#include "sync/signal.h"

/* Puts or gets without waiting: 0, -EPIPE, or -EAGAIN: full or empty. */
int queue_try_put(weft_queue *queue, const void *item);
int queue_try_get(weft_queue *queue, void *ret_item);

/* The size of its items, constant. */
size_t queue_item_bytes(const weft_queue *queue);

/* What is raised when a put, or a get, is worth trying again. */
struct signal *queue_space(weft_queue *queue);
struct signal *queue_items(weft_queue *queue);

#endif
