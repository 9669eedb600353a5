/* SPDX-License-Identifier: MIT */
/*
 * sync/shared_queue.c: a bounded queue between processes, any of which may die at any instruction.
 *
 * Everything lies in one piece of shared memory: this struct, and behind it the ring. A robust lock
 * guards it, and each change under it is one store, so that whoever takes the lock after a death
 * finds the queue as it was before that store or after it, and there is nothing to repair:
 *
 *   put        copies the item into the slot of `tail`, then tail + 1
 *   get        copies the item out of the slot of `head`, then head + 1
 *   task_done  done + 1
 *
 * The counters only grow (64 bits); a slot is a counter modulo items_max. There are tail - head
 * items, and tail - done of which the work is not done. Only a shutdown that discards needs two
 * stores: it notes what `done` is to become, then says DISCARDING, and who finds that finishes it.
 *
 * Those that wait, for an item, for space, or until all is done, sleep on a word that changes with
 * each wake-up; how many they are is counted, so that nobody calls the kernel for nothing. A put
 * wakes one that waits for an item, a get one that waits for space; who was woken tries again, as
 * another may have been faster. Who leaves without having taken what it was woken for wakes another
 * in its stead.
 *
 * Deaths. The counts would keep the dead; so the first to hold the lock after a death sets them to
 * zero, and those who were counted before do not count themselves out. That is right as each of
 * them watches the death epoch, too, comes to look, and is counted anew. That look also finds what
 * a dead one was to wake them for.
 */
#include <errno.h>
#include <string.h>

#include "base/shared_range.h"
#include "sync/shared_lock.h"
#include "sync/shared_queue.h"

enum shut { OPEN, SHUT, DISCARDING };

/* Strands that wait for the same. Guarded by the lock; the word is read without it, too. */
struct crowd {
    uint32_t word; /* to sleep on: changes with each wake-up */
    uint32_t count;
};

struct shared_queue {
    uint64_t item_bytes, items_max; /* constant, as is ring */
    char *ring;
    weft_lock lock;            /* guards what follows */
    uint32_t shut;             /* enum shut; atomic, as are the counters: looked at without it */
    uint32_t epoch;            /* of deaths: when the crowds were last set to zero, if ever */
    uint64_t tail, head, done; /* items ever put, taken or discarded, worked on or discarded */
    uint64_t done_after;       /* DISCARDING: what done becomes */
    struct crowd getters, putters, joiners;
} __attribute__((aligned(16)));

int shared_queue_open(struct shared_queue **ret, size_t item_bytes, size_t items_max)
{
    if (!shared_bytes)
        return -ENOTCONN;
    struct shared_queue *queue = shared_alloc(sizeof *queue + item_bytes * items_max);
    if (!queue)
        return -ENOMEM;
    queue->item_bytes = item_bytes;
    queue->items_max = items_max;
    queue->ring = (char *)(queue + 1);
    queue->epoch = death_epoch();
    *ret = queue;
    return 0;
}

void shared_queue_close(struct shared_queue *queue)
{
    shared_free(queue);
}

/* ---- under the lock. Stores that others look at without it are relaxed: they answer about some
   moment, and after a death the lock orders them. */

static void finish_discarding(struct shared_queue *queue)
{
    store_relaxed(&queue->done, queue->done_after);
    store_relaxed(&queue->head, queue->tail);
    store_relaxed(&queue->shut, SHUT);
}

static void forget_the_dead(struct shared_queue *queue, uint32_t epoch)
{
    queue->getters.count = queue->putters.count = queue->joiners.count = 0;
    queue->epoch = epoch;
}

static void enter(struct shared_queue *queue)
{
    uint32_t epoch = death_epoch();
    if (shared_lock_enter(&queue->lock)) {
        if (queue->shut == DISCARDING)
            finish_discarding(queue);
        (void)shared_lock_recover(&queue->lock);
    }
    if ((int32_t)(epoch - queue->epoch) > 0)
        forget_the_dead(queue, epoch);
}

/* Gives the lock back, and wakes up to n of a crowd, if that is told of by ring(). */
static void leave(struct shared_queue *queue, const uint32_t *word, int n)
{
    (void)shared_lock_release(&queue->lock);
    if (word)
        park_wake_shared(word, n);
}

/* Makes those of a crowd look who are about to sleep. What leave() then wakes; NULL: nobody. */
static const uint32_t *ring(struct crowd *crowd)
{
    if (!crowd->count)
        return NULL;
    store_relaxed(&crowd->word, crowd->word + 1);
    return &crowd->word;
}

/* Counts the caller in. The node keeps since when, by the count of deaths. */
static void join_crowd(struct shared_queue *queue, struct crowd *crowd, uint32_t epoch,
                       struct park_node *node)
{
    crowd->count++;
    *node = park_shared_node(&crowd->word, crowd->word, epoch);
    node->since_ns = queue->epoch;
}

static void leave_crowd(struct shared_queue *queue, struct crowd *crowd,
                        const struct park_node *node)
{
    if (node->since_ns == queue->epoch)
        crowd->count--;
}

static char *slot(struct shared_queue *queue, uint64_t counter)
{
    return queue->ring + counter % queue->items_max * queue->item_bytes;
}

static bool is_full(const struct shared_queue *queue)
{
    return load_relaxed(&queue->tail) - load_relaxed(&queue->head) >= queue->items_max;
}

static bool is_empty(const struct shared_queue *queue)
{
    return load_relaxed(&queue->tail) == load_relaxed(&queue->head);
}

static int put(struct shared_queue *queue, const void *item)
{
    if (queue->shut)
        return -EPIPE;
    if (is_full(queue))
        return -EAGAIN;
    memcpy(slot(queue, queue->tail), item, queue->item_bytes);
    /* release: a death right after it must not show the counter without the item */
    store_release(&queue->tail, queue->tail + 1);
    return 0;
}

static int get(struct shared_queue *queue, void *ret_item)
{
    if (is_empty(queue))
        return queue->shut ? -EPIPE : -EAGAIN;
    memcpy(ret_item, slot(queue, queue->head), queue->item_bytes);
    store_release(&queue->head, queue->head + 1); /* release: as above, with the copy */
    return 0;
}

static struct crowd *crowd_of(struct shared_queue *queue, bool get)
{
    return get ? &queue->getters : &queue->putters;
}

/* Whether one of the crowd would not wait. */
static bool has_for(const struct shared_queue *queue, bool get)
{
    return load_relaxed(&queue->shut) || (get ? !is_empty(queue) : !is_full(queue));
}

/* ---- waiting */

/* Somebody leaves without having taken anything: another may have to be woken in its stead. */
static void give_up(struct shared_queue *queue, bool get, const struct park_node *node)
{
    struct crowd *crowd = crowd_of(queue, get);
    enter(queue);
    leave_crowd(queue, crowd, node);
    leave(queue, has_for(queue, get) ? ring(crowd) : NULL, 1);
}

static int try_until_done(struct shared_queue *queue, bool is_get, void *item,
                          weft_deadline deadline, struct hold_away *away)
{
    struct crowd *crowd = crowd_of(queue, is_get), *others = crowd_of(queue, !is_get);
    struct park_node node;
    bool waited = false;
    for (;; waited = true) {
        uint32_t epoch = death_epoch();
        enter(queue);
        if (waited)
            leave_crowd(queue, crowd, &node);
        int rc = is_get ? get(queue, item) : put(queue, item);
        if (rc != -EAGAIN || deadline.ns <= 0) {
            leave(queue, rc == 0 ? ring(others) : NULL, 1);
            return rc == -EAGAIN ? -ETIMEDOUT : rc;
        }
        join_crowd(queue, crowd, epoch, &node);
        leave(queue, NULL, 0);
        hold_let_go(strand_self(), away);
        rc = park_wait(&node, 1, deadline, is_get ? PARK_FOR_QUEUE_GET : PARK_FOR_QUEUE_PUT);
        if (rc < 0 && rc != -EAGAIN) {
            give_up(queue, is_get, &node);
            return rc;
        }
    }
}

/* As with a queue in private memory: the item first, then what the strand let go of. */
static int transfer(struct shared_queue *queue, bool is_get, void *item, weft_deadline deadline)
{
    struct hold_away away;
    if (deadline.ns <= 0 && !has_for(queue, is_get))
        return -ETIMEDOUT;
    away.n = 0;
    int rc = try_until_done(queue, is_get, item, deadline, &away);
    hold_take_back(strand_self(), &away);
    return rc;
}

int shared_queue_put(struct shared_queue *queue, const void *item, weft_deadline deadline)
{
    return transfer(queue, false, (void *)item, deadline); /* which is only read */
}

int shared_queue_get(struct shared_queue *queue, void *ret_item, weft_deadline deadline)
{
    return transfer(queue, true, ret_item, deadline);
}

void shared_queue_wait_for(struct shared_queue *queue, bool get, struct park_node *node)
{
    uint32_t epoch = death_epoch();
    enter(queue);
    join_crowd(queue, crowd_of(queue, get), epoch, node);
    leave(queue, NULL, 0);
}

void shared_queue_wait_over(struct shared_queue *queue, bool get, const struct park_node *node)
{
    give_up(queue, get, node);
}

/* ---- the work */

static bool is_all_done(const struct shared_queue *queue)
{
    return queue->tail == queue->done;
}

void shared_queue_shutdown(struct shared_queue *queue, bool discard)
{
    enter(queue);
    if (discard) {
        queue->done_after = queue->done + (queue->tail - queue->head);
        store_release(&queue->shut, DISCARDING); /* release: a death after it shows done_after */
        finish_discarding(queue);
    } else {
        store_relaxed(&queue->shut, SHUT);
    }
    const uint32_t *getters = ring(&queue->getters), *putters = ring(&queue->putters);
    const uint32_t *joiners = is_all_done(queue) ? ring(&queue->joiners) : NULL;
    leave(queue, getters, INT32_MAX);
    if (putters)
        park_wake_shared(putters, INT32_MAX);
    if (joiners)
        park_wake_shared(joiners, INT32_MAX);
}

int shared_queue_task_done(struct shared_queue *queue)
{
    enter(queue);
    int rc = queue->done < queue->head ? 0 : -EINVAL;
    if (rc == 0)
        store_relaxed(&queue->done, queue->done + 1);
    leave(queue, rc == 0 && is_all_done(queue) ? ring(&queue->joiners) : NULL, INT32_MAX);
    return rc;
}

int shared_queue_join(struct shared_queue *queue, weft_deadline deadline)
{
    struct park_node node;
    bool waited = false;
    int rc = 0;
    for (;; waited = true) {
        uint32_t epoch = death_epoch();
        enter(queue);
        if (waited)
            leave_crowd(queue, &queue->joiners, &node);
        bool all_done = is_all_done(queue);
        bool ends = all_done || deadline.ns <= 0 || (rc < 0 && rc != -EAGAIN);
        if (!ends)
            join_crowd(queue, &queue->joiners, epoch, &node);
        leave(queue, NULL, 0);
        if (ends)
            return rc < 0 && rc != -EAGAIN ? rc : all_done ? 0 : -ETIMEDOUT;
        rc = park_wait(&node, 1, deadline, PARK_FOR_QUEUE_JOIN);
    }
}

size_t shared_queue_count(struct shared_queue *queue)
{
    enter(queue);
    size_t count = (size_t)(queue->tail - queue->head);
    leave(queue, NULL, 0);
    return count;
}
