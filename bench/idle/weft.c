/* SPDX-License-Identifier: MIT */
/*
 * N tasks wait for an event that comes when standard input ends; until then nothing happens. Says
 * "ready" when all wait; how much CPU time passes then is measured from outside.
 */
#include "harness/in_task.h"

#include <stdio.h>
#include <unistd.h>

static weft_event over = WEFT_EVENT_INIT, ready = WEFT_EVENT_INIT;
static unsigned long n, parked; /* parked: atomic */

static int wait_for_it(weft_call *call)
{
    (void)call;
    if (__atomic_add_fetch(&parked, 1, __ATOMIC_RELAXED) == n)
        weft_event_set(&ready);
    return weft_event_wait(&over, WEFT_FOREVER);
}

int main(int argc, char **argv)
{
    char byte;
    n = bench_argument(argc, argv, 1, "N");
    weft_group *group = bench_open_tasks();
    for (unsigned long i = 0; i < n; i++)
        bench_start(group, wait_for_it, NULL);
    bench_must(weft_event_wait(&ready, WEFT_FOREVER) == 0, "weft_event_wait");
    puts("ready");
    fflush(stdout);
    bench_must(read(STDIN_FILENO, &byte, 1) == 0, "standard input ends");
    weft_event_set(&over);
    bench_join(group);
    return 0;
}
