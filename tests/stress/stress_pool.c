/* SPDX-License-Identifier: MIT */
/* Pools and groups under cancels, failures and closing at any moment: every call ends once. */
#include <errno.h>
#include <stdatomic.h>

#include <weft/group.h>
#include <weft/pool.h>
#include <weft/self.h>

#include "kinds.h"
#include "stress.h"

static uint64_t seed;
static weft_deadline end;
static weft_pool *pool;

static int work(weft_call *call)
{
    uint32_t n = *(const uint32_t *)call->arg;
    switch (n % 8) {
    case 0:
        return weft_call_fail(call, -ERANGE, "%u", n);
    case 1:
        return weft_sleep_until(weft_after(100 * WEFT_US));
    default:
        return weft_call_return(call, &n, sizeof n);
    }
}

static void expect_ended(const weft_outcome *outcome, uint32_t n)
{
    if (outcome->how == WEFT_CANCELLED)
        EXPECT_EQ(outcome->status, -ECANCELED);
    else
        EXPECT_EQ(outcome->how, n % 8 ? WEFT_DONE : WEFT_FAILED);
}

static void submit_and_cancel(size_t index)
{
    struct dice dice = dice_of(seed, index);
    while (weft_left(end) > 0) {
        weft_future *futures[8];
        uint32_t args[8];
        for (int i = 0; i < 8; i++) {
            args[i] = (uint32_t)dice_roll(&dice);
            EXPECT_EQ(
                weft_pool_submit(pool, work, &args[i], sizeof args[i], &futures[i], WEFT_FOREVER),
                0);
        }
        for (int i = 0; i < 8; i++)
            if (dice_below(&dice, 3) == 0)
                weft_future_cancel(futures[i]);
        for (int i = 0; i < 8; i++) {
            (void)!weft_future_wait(futures[i], WEFT_FOREVER);
            expect_ended(weft_future_outcome(futures[i]), args[i]);
            weft_future_close(futures[i]);
        }
    }
}

TEST_EACH_POOL_KIND(calls_end_once_under_cancellations)
{
    seed = stress_seed();
    end = stress_end();
    weft_options options = { .workers = 3, .backlog_max = 10, .calls_per_worker_max = 1000 };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), 0);
    strands_join(strands_start(4, submit_and_cancel));
    weft_pool_close(pool);
}

static void map_again_and_again(size_t index)
{
    enum { N = 40 };
    struct dice dice = dice_of(seed, index);
    while (weft_left(end) > 0) {
        uint32_t in[N], out[N];
        weft_outcome outcomes[N];
        for (int i = 0; i < N; i++)
            in[i] = (uint32_t)dice_roll(&dice) | (dice_below(&dice, 2) ? 2 : 0);
        weft_map map = {
            .in = in,
            .count = dice_below(&dice, N + 1),
            .in_bytes = sizeof *in,
            .out = out,
            .out_bytes = sizeof *out,
            .outcomes = outcomes,
            .on_failure = dice_below(&dice, 2) ? WEFT_GO_ON : WEFT_CANCEL_REST,
        };
        int rc = weft_pool_map(pool, work, &map,
                               dice_below(&dice, 2) ? WEFT_FOREVER : dice_deadline(&dice));
        EXPECT_TRUE(rc == 0 || rc == -ECHILD || rc == -ETIMEDOUT);
        for (size_t i = 0; i < map.count; i++) {
            expect_ended(&outcomes[i], in[i]);
            if (outcomes[i].how != WEFT_DONE)
                EXPECT_EQ(out[i], 0);
            else if (in[i] % 8 > 1)
                EXPECT_EQ(out[i], in[i]);
        }
    }
}

TEST_EACH_POOL_KIND(maps_end_under_failures_and_deadlines)
{
    seed = stress_seed();
    end = stress_end();
    EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = 3, .backlog_max = 4 }), 0);
    strands_join(strands_start(3, map_again_and_again));
    weft_pool_close(pool);
}

static weft_future *_Atomic open_future;

static void cancel_open_future(size_t index)
{
    (void)index;
    while (weft_left(end) > 0) {
        weft_future *f = atomic_exchange(&open_future, NULL);
        if (!f) {
            strands_yield();
            continue;
        }
        weft_future_cancel(f);
        weft_future_close(f);
    }
}

/* One strand cancels a call of a pool that another closes at that moment. */
TEST_EACH_POOL_KIND(a_pool_may_be_closed_while_its_calls_are_cancelled)
{
    seed = stress_seed();
    end = stress_end();
    struct dice dice = dice_of(seed, 99);
    struct strands *canceller = strands_start(1, cancel_open_future);
    while (weft_left(end) > 0) {
        EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = 1 }), 0);
        for (uint32_t i = 1; i < 4; i++) {
            weft_future *f;
            EXPECT_EQ(weft_pool_submit(pool, work, &i, sizeof i, &f, WEFT_FOREVER), 0);
            weft_future_close(atomic_exchange(&open_future, f));
        }
        if (dice_below(&dice, 2))
            weft_pool_terminate(pool);
        weft_pool_close(pool);
    }
    strands_join(canceller);
    weft_future_close(atomic_exchange(&open_future, NULL));
}

static weft_group *group;

static void start_in_group(size_t index)
{
    struct dice dice = dice_of(seed, index);
    for (int i = 0; i < 20; i++) {
        uint32_t n = (uint32_t)dice_roll(&dice) | 2;
        int rc = weft_group_submit(group, work, &n, sizeof n, NULL, WEFT_FOREVER);
        EXPECT_TRUE(rc == 0 || rc == -ECANCELED);
    }
}

TEST_EACH_POOL_KIND(a_group_may_be_cancelled_while_calls_are_started_and_taken)
{
    seed = stress_seed();
    end = stress_end();
    struct dice dice = dice_of(seed, 99);
    while (weft_left(end) > 0) {
        EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = 2, .backlog_max = 3 }),
                  0);
        EXPECT_EQ(weft_group_open(&group, kind, &(weft_options){ .pool = pool }), 0);
        struct strands *starters = strands_start(2, start_in_group);
        for (uint64_t i = dice_below(&dice, 20); i > 0; i--) {
            weft_future *f;
            if (weft_group_next(group, &f, dice_deadline(&dice)) == 0)
                weft_future_close(f);
        }
        if (dice_below(&dice, 2))
            weft_group_cancel(group);
        strands_join(starters);
        weft_group_close(group);
        weft_pool_close(pool);
    }
}

/* ---- kind auto: bursts that wait, bursts that compute, and pauses, so that workers come and go */

static int wait_or_compute(weft_call *call)
{
    if (*(const uint32_t *)call->arg % 2)
        return weft_sleep_until(weft_after(3 * WEFT_MS));
    for (int64_t until = weft_now() + 200 * WEFT_US; weft_now() < until;) {
    }
    return 0;
}

static void submit_bursts(size_t index)
{
    struct dice dice = dice_of(seed, index);
    while (weft_left(end) > 0) {
        weft_future *futures[64];
        uint32_t n = 1 + (uint32_t)dice_below(&dice, 64), arg = (uint32_t)dice_roll(&dice);
        for (uint32_t i = 0; i < n; i++)
            EXPECT_EQ(weft_pool_submit(pool, wait_or_compute, &arg, sizeof arg, &futures[i],
                                       WEFT_FOREVER),
                      0);
        for (uint32_t i = 0; i < n; i++)
            if (dice_below(&dice, 8) == 0)
                weft_future_cancel(futures[i]);
        for (uint32_t i = 0; i < n; i++) {
            (void)!weft_future_wait(futures[i], WEFT_FOREVER);
            weft_how how = weft_future_outcome(futures[i])->how;
            EXPECT_TRUE(how == WEFT_DONE || how == WEFT_CANCELLED);
            weft_future_close(futures[i]);
        }
    }
}

static atomic_int entered, left;

static int enter(weft_call *call, void **ret_worker)
{
    (void)call, (void)ret_worker;
    atomic_fetch_add(&entered, 1);
    return 0;
}

static void leave(void *worker)
{
    (void)worker;
    atomic_fetch_add(&left, 1);
}

TEST(calls_end_once_while_workers_come_and_go)
{
    char line[200];
    seed = stress_seed();
    end = stress_end();
    weft_options options = { .enter = enter, .leave = leave, .backlog_max = 100 };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_AUTO, &options), 0);
    struct strands *strands = strands_start(4, submit_bursts);
    while (weft_left(end) > 0) {
        EXPECT_GT(weft_pool_explain(pool, line, sizeof line), 0);
        (void)!weft_yield();
    }
    strands_join(strands);
    weft_pool_close(pool);
    EXPECT_EQ(atomic_load(&entered), atomic_load(&left));
}
