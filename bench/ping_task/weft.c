/* SPDX-License-Identifier: MIT */
/*
 * Two players hand a number to and fro through two queues of one item each; a round trip.
 *
 * tasks N     two tasks, wherever the workers that there are put them
 * apart N     two tasks, each on a worker and a CPU of its own (WEFT_WORKERS=2)
 * threads N   two threads, each on a CPU of its own
 */
#include "harness/in_task.h"

#include <stdio.h>
#include <string.h>

static weft_queue *there, *back;
static unsigned long trips;
static bool apart;    /* each player is bound to a CPU */
static bool spin;     /* each player holds its worker until the other has one, too */
static unsigned here; /* atomic: players that have begun */
static uint64_t began, ended;

/* A task that has started stays on its worker. */
static void settle(uint64_t player)
{
    if (apart)
        bench_bind(player);
    __atomic_fetch_add(&here, 1, __ATOMIC_ACQ_REL);
    while (spin && __atomic_load_n(&here, __ATOMIC_ACQUIRE) < 2)
        continue;
}

static int serve(weft_call *call)
{
    uint64_t number;
    settle(call->index);
    began = bench_now();
    for (uint64_t i = 0; i < trips; i++) {
        bench_must(weft_queue_put(there, &i, WEFT_FOREVER) == 0, "weft_queue_put");
        bench_must(weft_queue_get(back, &number, WEFT_FOREVER) == 0, "weft_queue_get");
        bench_must(number == i, "what comes back is what was sent");
    }
    ended = bench_now();
    return 0;
}

static int give_back(weft_call *call)
{
    uint64_t number;
    settle(call->index);
    for (unsigned long i = 0; i < trips; i++) {
        bench_must(weft_queue_get(there, &number, WEFT_FOREVER) == 0, "weft_queue_get");
        bench_must(weft_queue_put(back, &number, WEFT_FOREVER) == 0, "weft_queue_put");
    }
    return 0;
}

static int play_in(weft_kind kind)
{
    weft_group *group;
    bench_must(weft_group_open(&group, kind, NULL) == 0, "weft_group_open");
    bench_start(group, serve, NULL);
    bench_start(group, give_back, NULL);
    bench_join(group);
    return 0;
}

static int play_in_tasks(weft_call *call)
{
    (void)call;
    return play_in(WEFT_TASKS);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    trips = bench_argument(argc, argv, 2, "N");
    bool threads = strcmp(how, "threads") == 0;
    apart = threads || strcmp(how, "apart") == 0;
    spin = apart && !threads;
    bench_must(apart || strcmp(how, "tasks") == 0, "the first word: tasks, apart or threads");
    bench_must(weft_queue_open(&there, sizeof(uint64_t), 1, 0) == 0, "weft_queue_open");
    bench_must(weft_queue_open(&back, sizeof(uint64_t), 1, 0) == 0, "weft_queue_open");
    if (threads)
        play_in(WEFT_THREADS);
    else
        bench_in_task(play_in_tasks, NULL);
    weft_queue_close(there);
    weft_queue_close(back);
    printf("{\"ns\": %.1f}\n", (double)(ended - began) / (double)trips);
    return 0;
}
