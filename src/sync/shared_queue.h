/* SPDX-License-Identifier: MIT */
/* sync/shared_queue.h: queues in shared memory: what weft_queue_*() does with them. */
#ifndef WEFT_SYNC_SHARED_QUEUE_H
#define WEFT_SYNC_SHARED_QUEUE_H

#include <weft/queue.h>

#include "park/park.h"

struct shared_queue;

/* Returns 0; -ENOMEM; -ENOTCONN: there is no shared memory. The sizes were checked. */
int shared_queue_open(struct shared_queue **ret, size_t item_bytes, size_t items_max);
void shared_queue_close(struct shared_queue *queue);

/* As the functions of weft/queue.h. */
int shared_queue_put(struct shared_queue *queue, const void *item, weft_deadline deadline);
int shared_queue_get(struct shared_queue *queue, void *ret_item, weft_deadline deadline);
void shared_queue_shutdown(struct shared_queue *queue, bool discard);
int shared_queue_task_done(struct shared_queue *queue);
int shared_queue_join(struct shared_queue *queue, weft_deadline deadline);
size_t shared_queue_count(struct shared_queue *queue);

/*
 * For who waits for other things, too: counts the caller among those that wait, and fills a node to
 * park on; from then on a change is seen, so try once more before. And takes it out again, whatever
 * has happened; by the same node.
 */
void shared_queue_wait_for(struct shared_queue *queue, bool get, struct park_node *node);
void shared_queue_wait_over(struct shared_queue *queue, bool get, const struct park_node *node);

#endif
