/* SPDX-License-Identifier: MIT */
/*
 * weft/queue.h: a bounded queue, first in first out, of items of one size; Python's Queue.
 *
 *     weft_queue *q;
 *     rc = weft_queue_open(&q, sizeof(struct job), 100, 0);
 *     rc = weft_queue_put(q, &job, WEFT_FOREVER);           copies the item in
 *     rc = weft_queue_get(q, &job, weft_after(WEFT_S));     and out
 *     weft_queue_shutdown(q, false);                        no more: gets drain, then -EPIPE
 *
 * A put happens before the get that takes its item.
 *
 * With WEFT_SHARED the queue lies in shared memory, and works between all processes of the program,
 * which get its address as they get any other (WEFT_POINTER, or inside an argument). It survives
 * the death of any of them: an item is put whole or not at all and taken once at most. What a
 * process has taken dies with it, be it only that its weft_queue_get() has not returned yet; its
 * work then stays undone for weft_queue_join().
 */
#ifndef WEFT_QUEUE_H
#define WEFT_QUEUE_H

#include <weft/time.h>

WEFT_BEGIN

typedef struct weft_queue weft_queue;

/* A flag of weft_queue_open(). */
#define WEFT_SHARED 1u

/*
 * Opens a queue for at most items_max items.
 * Shape    item_bytes: 1 to 1 MiB; items_max: at least 1, item_bytes * items_max at most 4 GiB, all
 *          of it allocated now; flags: 0, or WEFT_SHARED, with which it is at most 1 GiB.
 * Returns  0 and *ret_queue, to be closed; -EINVAL; -ENOMEM; -ENOTCONN: WEFT_SHARED without
 *          weft_init().
 */
int weft_queue_open(weft_queue **ret_queue, size_t item_bytes, size_t items_max,
                    unsigned flags) WEFT_USE;

/*
 * Puts a copy of an item at the end.
 * Returns  0; -EPIPE: shut down; -ETIMEDOUT (WEFT_NOW: full); -ECANCELED.
 * Blocks   while the queue is full.
 */
int weft_queue_put(weft_queue *queue, const void *item, weft_deadline deadline) WEFT_USE;

/*
 * Takes the item at the front.
 * Returns  0 and *ret_item; -EPIPE: shut down and drained; -ETIMEDOUT (WEFT_NOW: empty);
 * -ECANCELED. Blocks   while the queue is empty.
 */
int weft_queue_get(weft_queue *queue, void *ret_item, weft_deadline deadline) WEFT_USE;

/*
 * Refuses puts from now on, those that wait included; gets drain what is there, then fail. With
 * discard what is there is dropped, and counts as done.
 */
void weft_queue_shutdown(weft_queue *queue, bool discard);

/*
 * Says that the work on an item that was taken is done.
 * Returns  0; -EINVAL: more often than there were items.
 */
int weft_queue_task_done(weft_queue *queue);

/*
 * Waits until the work on every item ever put is done.
 * Returns  0; -ETIMEDOUT; -ECANCELED.
 * Blocks   yes.
 */
int weft_queue_join(weft_queue *queue, weft_deadline deadline) WEFT_USE;

/* How many items are in it, at some moment during the call. */
size_t weft_queue_count(const weft_queue *queue);

/*
 * A descriptor that is readable whenever weft_queue_get() would not wait: for a foreign event loop.
 * Only poll it.
 * Returns  the descriptor, the queue's own, closed with it; -EMFILE, -ENFILE, -ENOMEM; -ENOTSUP:
 * the queue is shared.
 */
int weft_queue_fd(weft_queue *queue) WEFT_USE;

/* Frees the queue and what is in it. Nobody is inside a call on it any more, in whatever process,
 * and of those only one closes it. NULL is allowed. */
void weft_queue_close(weft_queue *queue);

WEFT_END
#endif
