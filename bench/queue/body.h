/* SPDX-License-Identifier: MIT */
/*
 * The queue benchmark, compiled once for each queue: PRODUCERS threads put ITEMS items of 16 bytes
 * in all, CONSUMERS threads get them until the queue is shut down. Whoever includes it has included
 * item.h and defined
 *
 *     queue_open(size_t items_max)
 *     queue_put(const struct item *), queue_get(struct item *): false when drained after
 *     queue_shutdown(), queue_close()
 *
 * It prints the time per item, from the first start to the last end. The sum of all numbers shows
 * that every item came out once.
 */
#include "harness/harness.h"

#include <pthread.h>
#include <stdio.h>

#define QUEUE_ITEMS_MAX 128
#define SIDE_MAX        64

struct party {
    pthread_t thread;
    uint64_t begin, end; /* of a producer: its numbers */
    uint64_t sum;        /* of a consumer: what it got */
};

static void *produce(void *ctx)
{
    struct party *party = ctx;
    for (uint64_t i = party->begin; i < party->end; i++)
        queue_put(&(struct item){ i, ~i });
    return NULL;
}

static void *consume(void *ctx)
{
    struct party *party = ctx;
    struct item item;
    while (queue_get(&item)) {
        bench_must(item.other == ~item.number, "an item came out torn");
        party->sum += item.number;
    }
    return NULL;
}

static void start(struct party *party, void *(*fn)(void *))
{
    bench_must(pthread_create(&party->thread, NULL, fn, party) == 0, "pthread_create");
}

/* Returns the sum of all numbers that came out. */
static uint64_t run(unsigned long producers, unsigned long consumers, uint64_t items)
{
    static struct party from[SIDE_MAX], to[SIDE_MAX];
    uint64_t sum = 0;
    for (unsigned long i = 0; i < consumers; i++)
        start(&to[i], consume);
    for (unsigned long i = 0; i < producers; i++) {
        from[i].begin = items * i / producers;
        from[i].end = items * (i + 1) / producers;
        start(&from[i], produce);
    }
    for (unsigned long i = 0; i < producers; i++)
        pthread_join(from[i].thread, NULL);
    queue_shutdown();
    for (unsigned long i = 0; i < consumers; i++) {
        pthread_join(to[i].thread, NULL);
        sum += to[i].sum;
    }
    return sum;
}

int main(int argc, char **argv)
{
    unsigned long producers = bench_argument(argc, argv, 1, "PRODUCERS");
    unsigned long consumers = bench_argument(argc, argv, 2, "CONSUMERS");
    uint64_t items = bench_argument(argc, argv, 3, "ITEMS");
    bench_must(producers <= SIDE_MAX && consumers <= SIDE_MAX, "at most 64 threads a side");
    queue_open(QUEUE_ITEMS_MAX);
    uint64_t began = bench_now();
    uint64_t sum = run(producers, consumers, items);
    uint64_t took = bench_now() - began;
    queue_close();
    bench_must(sum == items * (items - 1) / 2, "every item comes out once");
    printf("{\"ns\": %.2f}\n", (double)took / (double)items);
    return 0;
}
