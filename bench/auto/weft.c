/* SPDX-License-Identifier: MIT */
/*
 * The auto benchmark with a weft_pool: a load of calls from the first to the last, on a pool that
 * has run a call before.
 *
 * Usage: auto-weft LOAD KIND WORKERS CALLS ROUNDS LIMIT_MS
 *   WORKERS 0: what the kind thinks. ROUNDS: of bench_work(), for a call that computes.
 *
 * Prints how long it took. A pool that has not done by LIMIT_MS is not waited for: then it is the
 * time that it would take at the rate of the calls that have ended, which is good enough to know
 * that it is not the best. For kind auto it also prints how long it took until the number of
 * workers was what it was in the end (of each half, if the load changes), to a quarter.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

#include "auto/load.h"

enum { LOOK_MS = 5, LOOKS_MAX = 20000 };

/* ---- the calls */

static _Atomic uint64_t computes_from; /* when the first call that computes began; 0: not yet */

static int run_one(weft_call *call)
{
    unsigned rounds = *(const unsigned *)call->arg;
    if (!rounds)
        return weft_sleep_until(weft_after(WAIT_NS));
    if (!atomic_load(&computes_from))
        atomic_store(&computes_from, bench_now());
    bench_work(rounds);
    return 0;
}

static int do_nothing(weft_call *call)
{
    (void)call;
    return 0;
}

/* ---- what the pool says meanwhile */

struct look {
    uint64_t ns;
    unsigned workers;
};

struct watch {
    weft_pool *pool;
    weft_event end;
    size_t count;
    struct look looks[LOOKS_MAX];
};

static int watch_pool(weft_call *call)
{
    struct watch *watch = call->pointer;
    char line[200];
    while (watch->count < LOOKS_MAX) {
        (void)weft_pool_explain(watch->pool, line, sizeof line);
        const char *workers = strstr(line, "; ");
        unsigned n = workers ? (unsigned)strtoul(workers + 2, NULL, 10) : 0;
        watch->looks[watch->count++] = (struct look){ bench_now(), n };
        if (weft_event_wait(&watch->end, weft_after(LOOK_MS * WEFT_MS)) == 0)
            break;
    }
    return 0;
}

/* Milliseconds from `from` until the workers were, for good, as many as at three quarters of the
 * time until `to`, to a quarter. */
static double settled_ms(const struct watch *watch, uint64_t from, uint64_t to)
{
    uint64_t until = from + (to - from) * 3 / 4, settled = from;
    unsigned last = 0;
    for (size_t i = 0; i < watch->count && watch->looks[i].ns <= until; i++)
        last = watch->looks[i].workers;
    for (size_t i = 0; i < watch->count && watch->looks[i].ns <= until; i++) {
        unsigned n = watch->looks[i].workers;
        if (watch->looks[i].ns > from && (4 * n < 3 * last || 4 * n > 5 * last))
            settled = watch->looks[i].ns;
    }
    return (double)(settled - from) / 1e6;
}

/* ---- the whole */

struct times {
    uint64_t start, changed, end; /* changed: 0 if it does not */
    double s;
};

static weft_group *open_group(weft_pool *pool, weft_kind kind)
{
    weft_group *group;
    bench_must(weft_group_open(&group, kind, &(weft_options){ .pool = pool }) == 0,
               "weft_group_open");
    return group;
}

/* Starts all calls, or as many as it can by the deadline. */
static void start_all(weft_group *group, const struct load *load, weft_deadline end)
{
    unsigned long calls = load->waiting + load->computing;
    for (unsigned long i = 0; i < calls; i++) {
        unsigned rounds = load_rounds(load, i);
        int rc = weft_group_submit(group, run_one, &rounds, sizeof rounds, NULL, end);
        if (rc == -ETIMEDOUT)
            return;
        bench_must(rc == 0, "weft_group_submit");
    }
}

/* Takes what has ended. Returns how many calls that were. */
static unsigned long take_all(weft_group *group, weft_deadline end)
{
    unsigned long n = 0;
    for (weft_future *future; weft_group_next(group, &future, end) == 0; n++) {
        bench_must(weft_future_outcome(future)->how == WEFT_DONE, "every call is done");
        weft_future_close(future);
    }
    return n;
}

static struct times run_load(weft_pool *pool, weft_kind kind, const struct load *load,
                             unsigned long limit_ms)
{
    struct times times = { .start = bench_now() };
    weft_deadline end = weft_after((int64_t)limit_ms * WEFT_MS);
    weft_group *group = open_group(pool, kind);
    unsigned long calls = load->waiting + load->computing;
    start_all(group, load, end);
    unsigned long taken = take_all(group, end);
    times.end = bench_now();
    if (!load->alternating && load->waiting && load->computing)
        times.changed = atomic_load(&computes_from);
    times.s = (double)(times.end - times.start) / 1e9;
    if (taken < calls)
        times.s *= (double)calls / (double)(taken ? taken : 1);
    weft_group_close(group);
    return times;
}

static void open_pool(weft_pool **ret, weft_kind kind, unsigned long workers)
{
    weft_future *future;
    weft_options options = { .workers = (uint32_t)workers };
    bench_must(weft_pool_open(ret, kind, &options) == 0 &&
                   weft_pool_submit(*ret, do_nothing, NULL, 0, &future, WEFT_FOREVER) == 0 &&
                   weft_future_wait(future, WEFT_FOREVER) == 0,
               "a pool");
    weft_future_close(future);
}

static double settled_of(const struct watch *watch, const struct times *times)
{
    if (!times->changed)
        return settled_ms(watch, times->start, times->end);
    double first = settled_ms(watch, times->start, times->changed);
    double second = settled_ms(watch, times->changed, times->end);
    return first > second ? first : second;
}

int main(int argc, char **argv)
{
    weft_kind kind;
    static struct watch watch;
    bench_must(argc == 7 && weft_kind_parse(argv[2], &kind) == 0,
               "usage: auto-weft LOAD KIND WORKERS CALLS ROUNDS LIMIT_MS");
    unsigned long workers = strtoul(argv[3], NULL, 10);
    struct load load = load_of(argv[1], bench_argument(argc, argv, 4, "CALLS"),
                               (unsigned)bench_argument(argc, argv, 5, "ROUNDS"));
    unsigned long limit_ms = bench_argument(argc, argv, 6, "LIMIT_MS");
    bench_must(weft_init() == 0, "weft_init");
    open_pool(&watch.pool, kind, workers);
    weft_group *watching;
    bench_must(weft_group_open(&watching, WEFT_THREADS, NULL) == 0, "weft_group_open");
    if (kind == WEFT_AUTO)
        bench_must(weft_group_start(watching, watch_pool, &watch, WEFT_POINTER) == 0, "a watch");
    struct times times = run_load(watch.pool, kind, &load, limit_ms);
    weft_event_set(&watch.end);
    bench_must(weft_group_join(watching, WEFT_FOREVER) == 0, "a watch");
    weft_group_close(watching);
    weft_pool_close(watch.pool);
    printf("{\"s\": %.4f, \"settled_ms\": %.1f}\n", times.s, settled_of(&watch, &times));
    return 0;
}
