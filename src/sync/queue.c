/* SPDX-License-Identifier: MIT */
/*
 * sync/queue.c: a bounded queue of items of one size.
 *
 * A ring of items, its counters and flags, and two queues of strands that wait, for an item or for
 * space, are guarded by `lock`. Nobody sleeps under it: a strand that finds the queue empty (or
 * full) puts itself last among those that wait, and releases the lock when its wait has begun. Each
 * put takes out and wakes the first that waits for an item, each get the first that waits for
 * space, a shutdown all; they go on when the lock is free. A strand that was woken tries again:
 * another may have been faster. It tries this queue before anything else it may select on, so that
 * the wake-up meant for the item is not lost on a strand that goes away with something else. And
 * before it takes back what it let go of while it slept (park/hold.h): others sleep meanwhile.
 *
 * A queue that was opened with WEFT_SHARED lies in shared memory and is another: shared_queue.c.
 *
 * Semantics: CPython's queue.Queue, shutdown included. Waiters: as in Go's channels.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/lock.h>

#include "base/shared_range.h"
#include "sync/lock.h"
#include "sync/queue.h"
#include "sync/ready_fd.h"
#include "sync/shared_queue.h"
#include "sync/signal.h"

#define ITEM_BYTES_MAX  ((size_t)1 << 20)
#define QUEUE_BYTES_MAX ((size_t)1 << 32)

struct weft_queue {
    size_t item_bytes, items_max; /* constant after open, as is ring */
    char *ring;
    weft_lock lock;         /* guards what follows, but the signal */
    size_t first;           /* the slot of the first item */
    size_t count;           /* how many there are; read without the lock, too, as is shut */
    size_t unfinished;      /* items put whose work is not done */
    bool shut;              /* puts fail */
    struct ready_fd ready;  /* readable: a get would not wait */
    struct list getters;    /* of park nodes: strands that wait for an item */
    struct list putters;    /* the same, for space */
    struct signal all_done; /* raised when unfinished has become 0 */
};

int weft_queue_open(weft_queue **ret_queue, size_t item_bytes, size_t items_max, unsigned flags)
{
    if (flags & ~WEFT_SHARED || !item_bytes || item_bytes > ITEM_BYTES_MAX || !items_max ||
        items_max > QUEUE_BYTES_MAX / item_bytes)
        return -EINVAL;
    if (flags & WEFT_SHARED)
        return shared_queue_open((struct shared_queue **)ret_queue, item_bytes, items_max);
    weft_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return -ENOMEM;
    list_init(&queue->getters);
    list_init(&queue->putters);
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

/* The queue as the one in shared memory that it is. */
static struct shared_queue *shared(const weft_queue *queue)
{
    return (struct shared_queue *)queue;
}

void weft_queue_close(weft_queue *queue)
{
    if (!queue)
        return;
    if (is_shared(queue)) {
        shared_queue_close(shared(queue));
        return;
    }
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

/* Whether a put, or a get, would have to wait. relaxed, all: an answer about some moment. */
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

int queue_put_locked(weft_queue *queue, const void *item, struct list *woken)
{
    if (queue->shut)
        return -EPIPE;
    if (queue->count == queue->items_max)
        return -EAGAIN;
    memcpy(slot(queue, queue->count), item, queue->item_bytes);
    set_count(queue, queue->count + 1);
    queue->unfinished++;
    update_ready(queue);
    park_claim_first(&queue->getters, woken);
    return 0;
}

int queue_get_locked(weft_queue *queue, void *ret_item, struct list *woken)
{
    if (!queue->count)
        return queue->shut ? -EPIPE : -EAGAIN;
    memcpy(ret_item, slot(queue, 0), queue->item_bytes);
    queue->first = queue->first + 1 == queue->items_max ? 0 : queue->first + 1;
    set_count(queue, queue->count - 1);
    update_ready(queue);
    park_claim_first(&queue->putters, woken);
    return 0;
}

size_t queue_item_bytes(const weft_queue *queue)
{
    return queue->item_bytes;
}

weft_lock *queue_lock(weft_queue *queue)
{
    return &queue->lock;
}

void queue_wait_for(weft_queue *queue, bool get, struct park_node *node)
{
    *node = (struct park_node){ .queued = true };
    list_push_back(get ? &queue->getters : &queue->putters, &node->link);
}

void queue_wait_over(struct park_node *node)
{
    if (node->queued)
        list_remove(&node->link);
}

/* A strand that waits in a queue. */
struct wait {
    weft_queue *queue;
    bool released; /* the lock */
    struct hold_away *away;
};

static void release(void *ctx)
{
    struct wait *wait = ctx;
    weft_lock_release(&wait->queue->lock);
    wait->released = true;
    hold_let_go(strand_self(), wait->away);
}

/* Under the lock, which it releases: waits for an item, or for space. 0: try again; or an error. */
static int wait_in(weft_queue *queue, bool get, weft_deadline deadline, struct hold_away *away)
{
    struct wait wait = { .queue = queue, .away = away };
    struct park_node node;
    queue_wait_for(queue, get, &node);
    unsigned purpose = get ? PARK_FOR_QUEUE_GET : PARK_FOR_QUEUE_PUT;
    int rc = park_wait_then(&node, 1, deadline, purpose, release, &wait);
    if (rc == 0)
        return 0;
    if (wait.released)
        lock_inner(&queue->lock);
    queue_wait_over(&node);
    weft_lock_release(&queue->lock);
    return rc;
}

static int try_until_done(weft_queue *queue, bool get, void *item, weft_deadline deadline,
                          struct hold_away *away)
{
    for (;;) {
        struct list woken = LIST_INIT(woken);
        lock_inner(&queue->lock);
        int rc =
            get ? queue_get_locked(queue, item, &woken) : queue_put_locked(queue, item, &woken);
        if (rc != -EAGAIN || deadline.ns <= 0) {
            weft_lock_release(&queue->lock);
            park_resume(&woken, 0);
            return rc == -EAGAIN ? -ETIMEDOUT : rc;
        }
        rc = wait_in(queue, get, deadline, away);
        if (rc < 0)
            return rc;
    }
}

/* Gets an item, or puts one. */
static int transfer(weft_queue *queue, bool get, void *item, weft_deadline deadline)
{
    struct hold_away away;
    if (deadline.ns <= 0 && (get ? looks_empty(queue) : looks_full(queue)))
        return -ETIMEDOUT;
    away.n = 0;
    int rc = try_until_done(queue, get, item, deadline, &away);
    hold_take_back(strand_self(), &away);
    return rc;
}

int weft_queue_put(weft_queue *queue, const void *item, weft_deadline deadline)
{
    if (is_shared(queue))
        return shared_queue_put(shared(queue), item, deadline);
    return transfer(queue, false, (void *)item, deadline); /* which is only read */
}

int weft_queue_get(weft_queue *queue, void *ret_item, weft_deadline deadline)
{
    if (is_shared(queue))
        return shared_queue_get(shared(queue), ret_item, deadline);
    return transfer(queue, true, ret_item, deadline);
}

/* Counts items as done, under the lock. True: that was the last. */
static bool done(weft_queue *queue, size_t n)
{
    queue->unfinished -= n;
    return n && !queue->unfinished;
}

void weft_queue_shutdown(weft_queue *queue, bool discard)
{
    if (is_shared(queue)) {
        shared_queue_shutdown(shared(queue), discard);
        return;
    }
    bool all_done = false;
    struct list woken = LIST_INIT(woken);
    lock_inner(&queue->lock);
    store_relaxed(&queue->shut, true); /* relaxed: as above */
    if (discard) {
        all_done = done(queue, queue->count);
        set_count(queue, 0);
    }
    update_ready(queue);
    while (park_claim_first(&queue->getters, &woken) || park_claim_first(&queue->putters, &woken)) {
    }
    weft_lock_release(&queue->lock);
    park_resume(&woken, 0);
    if (all_done)
        signal_raise(&queue->all_done, UINT32_MAX);
}

int weft_queue_task_done(weft_queue *queue)
{
    if (is_shared(queue))
        return shared_queue_task_done(shared(queue));
    lock_inner(&queue->lock);
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
    lock_inner(&queue->lock);
    int rc = queue->unfinished ? -EAGAIN : 0;
    weft_lock_release(&queue->lock);
    return rc;
}

int weft_queue_join(weft_queue *queue, weft_deadline deadline)
{
    if (is_shared(queue))
        return shared_queue_join(shared(queue), deadline);
    return signal_wait(&queue->all_done, attempt_join, queue, deadline, PARK_FOR_QUEUE_JOIN);
}

size_t weft_queue_count(const weft_queue *queue)
{
    if (is_shared(queue))
        return shared_queue_count(shared(queue));
    weft_lock *lock = (weft_lock *)&queue->lock; /* the queue itself is not const */
    lock_inner(lock);
    size_t count = queue->count;
    weft_lock_release(lock);
    return count;
}

int weft_queue_fd(weft_queue *queue)
{
    if (is_shared(queue))
        return -ENOTSUP;
    lock_inner(&queue->lock);
    int fd = ready_fd_get(&queue->ready);
    weft_lock_release(&queue->lock);
    return fd;
}
