/* SPDX-License-Identifier: MIT */
/*
 * The timers benchmark with libuv, whose timers count whole milliseconds of CLOCK_MONOTONIC: each
 * is set to the first one that is not before its moment, so that it is never early, as elsewhere.
 */
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct sleeper {
    uv_timer_t timer;
    uint64_t moment;
};

static uint64_t *late;
static unsigned long woken;

static void wake(uv_timer_t *timer)
{
    struct sleeper *sleeper = (struct sleeper *)timer;
    uint64_t now = bench_now();
    bench_must(now >= sleeper->moment, "nobody wakes early");
    late[woken++] = now - sleeper->moment;
}

int main(int argc, char **argv)
{
    unsigned long n = bench_argument(argc, argv, 1, "N");
    uint64_t span = bench_argument(argc, argv, 2, "SPAN") * 1000000, seed = 1;
    struct sleeper *sleepers = calloc(n, sizeof *sleepers);
    late = malloc(n * sizeof *late);
    bench_must(sleepers != NULL && late != NULL, "memory");
    uv_loop_t *loop = uv_default_loop();
    uint64_t began = bench_now();
    for (unsigned long i = 0; i < n; i++) {
        struct sleeper *sleeper = &sleepers[i];
        sleeper->moment = began + span + bench_random(&seed) % (4 * span);
        uint64_t due_ms = (sleeper->moment + 999999) / 1000000;
        uv_timer_init(loop, &sleeper->timer);
        bench_must(uv_timer_start(&sleeper->timer, wake, due_ms - uv_now(loop), 0) == 0,
                   "uv_timer_start");
    }
    uv_run(loop, UV_RUN_DEFAULT);
    bench_must(woken == n, "everybody woke");
    double p50 = (double)bench_percentile(late, n, 0.5) / 1e6;
    printf("{\"p50_ms\": %.4f, \"p99_ms\": %.4f}\n", p50,
           (double)bench_percentile(late, n, 0.99) / 1e6);
    free(sleepers);
    free(late);
    return 0;
}
