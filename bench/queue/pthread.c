/* SPDX-License-Identifier: MIT */
/*
 * The queue benchmark with what a C programmer writes by hand: a ring, a mutex, and a condition for
 * each side. Signals are sent before the mutex is released: measured, glibc does better with that.
 */
#include "harness/harness.h"
#include "queue/item.h"

#include <pthread.h>
#include <stdlib.h>

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t has_item, has_room;
    struct item *items;
    size_t first, count, max;
    bool shut_down;
} ring = { .mutex = PTHREAD_MUTEX_INITIALIZER,
           .has_item = PTHREAD_COND_INITIALIZER,
           .has_room = PTHREAD_COND_INITIALIZER };

static void queue_open(size_t items_max)
{
    ring.items = calloc(items_max, sizeof *ring.items);
    bench_must(ring.items != NULL, "memory");
    ring.max = items_max;
}

static void queue_put(const struct item *item)
{
    pthread_mutex_lock(&ring.mutex);
    while (ring.count == ring.max)
        pthread_cond_wait(&ring.has_room, &ring.mutex);
    size_t last = ring.first + ring.count++;
    ring.items[last < ring.max ? last : last - ring.max] = *item;
    pthread_cond_signal(&ring.has_item);
    pthread_mutex_unlock(&ring.mutex);
}

static bool queue_get(struct item *item)
{
    pthread_mutex_lock(&ring.mutex);
    while (ring.count == 0 && !ring.shut_down)
        pthread_cond_wait(&ring.has_item, &ring.mutex);
    bool got = ring.count > 0;
    if (got) {
        *item = ring.items[ring.first];
        ring.first = ring.first + 1 < ring.max ? ring.first + 1 : 0;
        ring.count--;
    }
    if (got)
        pthread_cond_signal(&ring.has_room);
    pthread_mutex_unlock(&ring.mutex);
    return got;
}

static void queue_shutdown(void)
{
    pthread_mutex_lock(&ring.mutex);
    ring.shut_down = true;
    pthread_mutex_unlock(&ring.mutex);
    pthread_cond_broadcast(&ring.has_item);
}

static void queue_close(void)
{
    free(ring.items);
}

#include "queue/body.h"
