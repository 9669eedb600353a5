/* SPDX-License-Identifier: MIT */
/* Two tasks yield to each other, SWITCHES times in all; with one worker each yield is a switch. */
#include "harness/in_task.h"

#include <stdio.h>

static struct {
    unsigned long yields; /* of each player */
    unsigned long taken, repeated;
    int here, last;
    uint64_t began, ended;
} table = { .last = -1 };

static void step(int player)
{
    table.taken++;
    table.repeated += table.last == player;
    table.last = player;
    bench_must(weft_yield() == 0, "weft_yield");
}

static int play(weft_call *call)
{
    int player = (int)call->index;
    table.here++;
    while (table.here < 2)
        bench_must(weft_yield() == 0, "weft_yield");
    if (table.taken == 0)
        table.began = bench_now();
    for (unsigned long i = 0; i < table.yields; i++)
        step(player);
    table.ended = bench_now();
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long switches = bench_argument(argc, argv, 1, "SWITCHES");
    table.yields = switches / 2;
    weft_group *group = bench_open_tasks();
    bench_start(group, play, NULL);
    bench_start(group, play, NULL);
    bench_join(group);
    bench_must(table.taken == 2 * table.yields, "every turn is taken");
    bench_must(table.repeated <= 1 + table.taken / 20, "the players alternate");
    printf("{\"ns\": %.3f}\n", (double)(table.ended - table.began) / (double)table.taken);
    return 0;
}
