/* SPDX-License-Identifier: MIT */
/*
 * Introduces the lock, the semaphore and the event: producers put numbers into a small buffer,
 * consumers take and add them up, until Ctrl-C (or so many numbers, if an argument says so) ends it
 * cleanly: nothing that was produced is lost.
 *
 *     03_sync [NUMBERS]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>

enum { PRODUCERS = 2, CONSUMERS = 3, SLOTS = 8 };

static weft_lock lock = WEFT_LOCK_INIT; /* guards what follows */
static long buffer[SLOTS], first, count;
static long produced, consumed, produced_sum, consumed_sum, limit;

static weft_semaphore room = WEFT_SEMAPHORE_INIT(SLOTS); /* free slots */
static weft_semaphore items = WEFT_SEMAPHORE_INIT(0);    /* full slots */
static weft_event stop = WEFT_EVENT_INIT;

static void on_interrupt(int signo)
{
    (void)signo;
    weft_event_post(&stop); /* the one call that is safe here */
}

static int produce(weft_call *call)
{
    (void)call;
    for (;;) {
        int rc = weft_semaphore_acquire(&room, WEFT_FOREVER);
        if (rc < 0)
            return rc;
        weft_lock_lock(&lock);
        bool more = !weft_event_is_set(&stop);
        if (more) {
            produced_sum += ++produced;
            buffer[(first + count++) % SLOTS] = produced;
        }
        if (produced == limit)
            weft_event_set(&stop);
        weft_lock_release(&lock);
        weft_semaphore_release(more ? &items : &room, 1);
        if (!more)
            return 0;
    }
}

static int consume(weft_call *call)
{
    (void)call;
    int rc;
    while ((rc = weft_semaphore_acquire(&items, WEFT_FOREVER)) == 0) {
        weft_lock_lock(&lock);
        consumed_sum += buffer[first];
        first = (first + 1) % SLOTS;
        count--;
        consumed++;
        weft_lock_release(&lock);
        weft_semaphore_release(&room, 1);
    }
    return rc; /* cancelled */
}

/* Waits for the end, for the producers, for the buffer to be empty; then ends the consumers. */
static int end(weft_group *producers, weft_group *consumers)
{
    int rc = weft_event_wait(&stop, WEFT_FOREVER);
    if (rc == 0)
        rc = weft_group_join(producers, WEFT_FOREVER);
    for (int slot = 0; rc == 0 && slot < SLOTS; slot++)
        rc = weft_semaphore_acquire(&room, WEFT_FOREVER);
    weft_group_cancel(consumers);
    int ended = weft_group_join(consumers, WEFT_FOREVER);
    return rc < 0 || ended == -ECANCELED ? rc : ended;
}

int main(int argc, char **argv)
{
    weft_group *producers = NULL, *consumers = NULL;
    limit = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    signal(SIGINT, on_interrupt);
    int rc = weft_group_open(&producers, WEFT_THREADS, &(weft_options){ .name = "producer" });
    if (rc == 0)
        rc = weft_group_open(&consumers, WEFT_THREADS, &(weft_options){ .name = "consumer" });
    for (int i = 0; rc == 0 && i < PRODUCERS; i++)
        rc = weft_group_start(producers, produce, NULL, 0);
    for (int i = 0; rc == 0 && i < CONSUMERS; i++)
        rc = weft_group_start(consumers, consume, NULL, 0);
    if (rc == 0)
        rc = end(producers, consumers);
    weft_group_close(producers);
    weft_group_close(consumers);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
        return 1;
    }
    printf("produced %ld, consumed %ld, %s\n", produced, consumed,
           produced_sum == consumed_sum ? "nothing lost" : "NUMBERS LOST");
    return produced_sum != consumed_sum;
}
