/* SPDX-License-Identifier: MIT */
/*
 * The condition benchmark, compiled once for each kind of condition: two threads take turns, each
 * waiting on its own condition under one lock until the other has moved. Neither spins: every turn
 * is a sleep and a wake-up. Whoever includes it has defined mutex_type, mutex_take, mutex_give as
 * for lock/body.h, and
 *
 *     condition_type, CONDITION_INIT
 *     condition_wait(condition_type *, mutex_type *)      waits for a notify
 *     condition_notify(condition_type *)                  wakes one
 *
 * It prints the time of a round trip: two turns.
 */
#include "harness/harness.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>

static struct {
    mutex_type mutex;
    condition_type moved[2];
    unsigned long turn, turns; /* even turns are the first player's */
} table = { MUTEX_INIT, { CONDITION_INIT, CONDITION_INIT }, 0, 0 };

static void play(unsigned player)
{
    mutex_take(&table.mutex);
    while (table.turn < table.turns) {
        if (table.turn % 2 == player) {
            table.turn++;
            condition_notify(&table.moved[!player]);
        } else {
            condition_wait(&table.moved[player], &table.mutex);
        }
    }
    mutex_give(&table.mutex);
}

static void *play_second(void *ctx)
{
    play(1);
    return ctx;
}

int main(int argc, char **argv)
{
    unsigned long round_trips = bench_argument(argc, argv, 1, "ROUND_TRIPS");
    pthread_t second;
    table.turns = 2 * round_trips;
    uint64_t start = bench_now();
    bench_must(pthread_create(&second, NULL, play_second, NULL) == 0, "pthread_create");
    play(0);
    pthread_join(second, NULL);
    uint64_t took = bench_now() - start;
    printf("{\"ns\": %.1f}\n", (double)took / (double)round_trips);
    return 0;
}
