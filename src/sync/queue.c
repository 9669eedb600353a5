/* SPDX-License-Identifier: MIT */
/*
 * sync/queue.c: a bounded queue of items of one size.
 *
 * A ring of items, its counters and flags are guarded by `lock`. Nobody sleeps under it: a strand
 * that finds the queue empty (or full) waits on the signal `items` (or `space`) and tries again.
 * That it is empty, or full, it sees without the lock: what it does next, arming the signal, is in
 * one order with the raise that follows the next put or get.
 * Each put raises `items` for one waiter, each get raises `space` for one; a shutdown raises both
 * for all. A waiter that was woken tries this queue before anything else it may select on, so
 * that the wake-up meant for the item is not lost on a strand that goes away with something else.
 *
 * Semantics: CPython's queue.Queue, shutdown included.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/lock.h>

#include "sync/queue.h"
#include "sync/ready_fd.h"

#define ITEM_BYTES_MAX  ((size_t)1 << 20)
#define QUEUE_BYTES_MAX ((size_t)1 << 32)

struct weft_queue {
    size_t item_bytes, items_max; /* constant after open, as is ring */
    char *ring;
    weft_lock lock;         /* guards what follows, up to the signals */
    size_t first;           /* the slot of the first item */
    size_t count;           /* how many there are; read without the lock, too, as is shut */
    size_t unfinished;      /* items put whose work is not done */
    bool shut;              /* puts fail */
    struct ready_fd ready;  /* readable: a get would not wait */
    struct signal items;    /* raised after a put */
    struct signal space;    /* raised after a get */
    struct signal all_done; /* raised when unfinished has become 0 */
};

int weft_queue_open(weft_queue **ret_queue, size_t item_bytes, size_t items_max, unsigned flags)
{
    if (flags || !item_bytes || item_bytes > ITEM_BYTES_MAX || !items_max ||
        items_max > QUEUE_BYTES_MAX / item_bytes)
        return -EINVAL;
    weft_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return -ENOMEM;
    queue->item_bytes = item_bytes;
    queue->items_max = items_max;
    queue->ring = malloc(item_bytes * items_max);
    if (!queue->ring) {
        free(queue);
        return -ENOMEM;
    }
    *ret_queue = queue;
    return 0;
}

void weft_queue_close(weft_queue *queue)
{
    if (!queue)
        return;
    ready_fd_close(&queue->ready);
    free(queue->ring);
    free(queue);
}

static char *slot(weft_queue *queue, size_t nth)
{
    size_t index = queue->first + nth; /* both less than items_max, so one subtraction will do */
    return queue->ring +
           (index < queue->items_max ? index : index - queue->items_max) * queue->item_bytes;
}

/* Under the lock. */
static void update_ready(weft_queue *queue)
{
    ready_fd_set(&queue->ready, queue->count || queue->shut);
}

/* Whether a put, or a get, would have to wait. relaxed, all: sync/signal.h orders them. */
static bool looks_full(const weft_queue *queue)
{
    return load_relaxed(&queue->count) == queue->items_max && !load_relaxed(&queue->shut);
}

static bool looks_empty(const weft_queue *queue)
{
    return load_relaxed(&queue->count) == 0 && !load_relaxed(&queue->shut);
}

/* Under the lock. */
static void set_count(weft_queue *queue, size_t count)
{
    store_relaxed(&queue->count, count); /* relaxed: as above */
}

int queue_try_put(weft_queue *queue, const void *item)
{
    if (looks_full(queue))
        return -EAGAIN;
    weft_lock_lock(&queue->lock);
    int rc = queue->shut ? -EPIPE : queue->count == queue->items_max ? -EAGAIN : 0;
    if (rc == 0) {
        memcpy(slot(queue, queue->count), item, queue->item_bytes);
        set_count(queue, queue->count + 1);
        queue->unfinished++;
        update_ready(queue);
    }
    weft_lock_release(&queue->lock);
    if (rc == 0)
        signal_raise(&queue->items, 1);
    return rc;
}

int queue_try_get(weft_queue *queue, void *ret_item)
{
    if (looks_empty(queue))
        return -EAGAIN;
    weft_lock_lock(&queue->lock);
    int rc = queue->count ? 0 : queue->shut ? -EPIPE : -EAGAIN;
    if (rc == 0) {
        memcpy(ret_item, slot(queue, 0), queue->item_bytes);
        queue->first = queue->first + 1 == queue->items_max ? 0 : queue->first + 1;
        set_count(queue, queue->count - 1);
        update_ready(queue);
    }
    weft_lock_release(&queue->lock);
    if (rc == 0)
        signal_raise(&queue->space, 1);
    return rc;
}

size_t queue_item_bytes(const weft_queue *queue)
{
    return queue->item_bytes;
}

struct signal *queue_space(weft_queue *queue)
{
    return &queue->space;
}

struct signal *queue_items(weft_queue *queue)
{
    return &queue->items;
}

/* What a strand wants to do with a queue. */
struct attempt {
    weft_queue *queue;
    const void *put;
    void *get;
};

static int attempt_put(void *ctx)
{
    struct attempt *attempt = ctx;
    return queue_try_put(attempt->queue, attempt->put);
}

int weft_queue_put(weft_queue *queue, const void *item, weft_deadline deadline)
{
    struct attempt attempt = { .queue = queue, .put = item };
    return signal_wait(&queue->space, attempt_put, &attempt, deadline, 0);
}

static int attempt_get(void *ctx)
{
    struct attempt *attempt = ctx;
    return queue_try_get(attempt->queue, attempt->get);
}

int weft_queue_get(weft_queue *queue, void *ret_item, weft_deadline deadline)
{
    struct attempt attempt = { .queue = queue, .get = ret_item };
    return signal_wait(&queue->items, attempt_get, &attempt, deadline, 0);
}

/* Counts items as done, under the lock. True: that was the last. */
static bool done(weft_queue *queue, size_t n)
{
    queue->unfinished -= n;
    return n && !queue->unfinished;
}

void weft_queue_shutdown(weft_queue *queue, bool discard)
{
    bool all_done = false;
    weft_lock_lock(&queue->lock);
    store_relaxed(&queue->shut, true); /* relaxed: as above */
    if (discard) {
        all_done = done(queue, queue->count);
        set_count(queue, 0);
    }
    update_ready(queue);
    weft_lock_release(&queue->lock);
    signal_raise(&queue->items, UINT32_MAX);
    signal_raise(&queue->space, UINT32_MAX);
    if (all_done)
        signal_raise(&queue->all_done, UINT32_MAX);
}

int weft_queue_task_done(weft_queue *queue)
{
    weft_lock_lock(&queue->lock);
    int rc = queue->unfinished > queue->count ? 0 : -EINVAL;
    bool all_done = rc == 0 && done(queue, 1);
    weft_lock_release(&queue->lock);
    if (all_done)
        signal_raise(&queue->all_done, UINT32_MAX);
    return rc;
}

static int attempt_join(void *ctx)
{
    weft_queue *queue = ctx;
    weft_lock_lock(&queue->lock);
    int rc = queue->unfinished ? -EAGAIN : 0;
    weft_lock_release(&queue->lock);
    return rc;
}

int weft_queue_join(weft_queue *queue, weft_deadline deadline)
{
    return signal_wait(&queue->all_done, attempt_join, queue, deadline, 0);
}

size_t weft_queue_count(const weft_queue *queue)
{
    weft_lock *lock = (weft_lock *)&queue->lock; /* the queue itself is not const */
    weft_lock_lock(lock);
    size_t count = queue->count;
    weft_lock_release(lock);
    return count;
}

int weft_queue_fd(weft_queue *queue)
{
    weft_lock_lock(&queue->lock);
    int fd = ready_fd_get(&queue->ready);
    weft_lock_release(&queue->lock);
    return fd;
}
