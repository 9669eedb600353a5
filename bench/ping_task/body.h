/* SPDX-License-Identifier: MIT */
/*
 * The ping-pong of two bare threads, each bound to a CPU of its own, once for each way to wake one
 * another. Whoever includes it has defined struct player, whose members are its own, and
 *
 *     player_open(struct player *)     in the player's own thread, before either plays
 *     player_wake(struct player *)     lets that player's wait return, now or when it comes
 *     player_wait(struct player *)     without spinning, until somebody woke it
 */
#include "harness/harness.h"

#include <pthread.h>
#include <stdio.h>

static struct player players[2];
static pthread_barrier_t opened;
static struct {
    uint64_t number; /* what is handed over; waking is what orders its accesses */
    unsigned long trips;
    uint64_t began, ended;
} ball;

static void get_ready(int i)
{
    bench_bind((unsigned long)i);
    player_open(&players[i]);
    pthread_barrier_wait(&opened);
}

static void *serve(void *ctx)
{
    get_ready(0);
    ball.began = bench_now();
    for (unsigned long i = 0; i < ball.trips; i++) {
        ball.number = i;
        player_wake(&players[1]);
        player_wait(&players[0]);
        bench_must(ball.number == ~i, "what comes back is the answer to what was sent");
    }
    ball.ended = bench_now();
    return ctx;
}

static void *give_back(void *ctx)
{
    get_ready(1);
    for (unsigned long i = 0; i < ball.trips; i++) {
        player_wait(&players[1]);
        ball.number = ~ball.number;
        player_wake(&players[0]);
    }
    return ctx;
}

int main(int argc, char **argv)
{
    pthread_t first, second;
    ball.trips = bench_argument(argc, argv, 1, "N");
    bench_must(pthread_barrier_init(&opened, NULL, 2) == 0, "pthread_barrier_init");
    bench_must(pthread_create(&first, NULL, serve, NULL) == 0, "pthread_create");
    bench_must(pthread_create(&second, NULL, give_back, NULL) == 0, "pthread_create");
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    printf("{\"ns\": %.1f}\n", (double)(ball.ended - ball.began) / (double)ball.trips);
    return 0;
}
