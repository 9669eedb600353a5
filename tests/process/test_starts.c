/* SPDX-License-Identifier: MIT */
/* What holds for processes however they are started: shared objects, deaths, pools of many. */
#include <errno.h>
#include <signal.h>

#include "asking.h"

struct board {
    weft_lock lock;
    weft_event arrived, go_on;
    uint32_t sum;
};

static struct board *board; /* in shared memory */

static int add_one_by_one(weft_call *call)
{
    struct board *shared = call->context;
    for (int i = 0; i < 50; i++) {
        weft_lock_lock(&shared->lock);
        shared->sum++;
        EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    }
    return 0;
}

static int meet(weft_call *call)
{
    struct board *shared = call->context;
    weft_event_set(&shared->arrived);
    return weft_event_wait(&shared->go_on, WEFT_FOREVER);
}

static int lock_and_die(weft_call *call)
{
    struct board *shared = call->context;
    weft_lock_lock(&shared->lock);
    kill(getpid(), SIGKILL);
    return 0;
}

static int square(weft_call *call)
{
    int n = *(const int *)call->arg;
    n *= n;
    return weft_call_return(call, &n, sizeof n);
}

REGISTER(add_one_by_one, meet, lock_and_die, square)

static weft_pool *open_pool(weft_start start)
{
    weft_pool *pool;
    board = weft_shared_alloc(sizeof *board);
    EXPECT_TRUE(board);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES,
                             &(weft_options){ .start = start,
                                              .workers = 2,
                                              .context = board,
                                              .context_bytes = WEFT_POINTER }),
              0);
    return pool;
}

static void close_pool(weft_pool *pool)
{
    weft_pool_close(pool);
    weft_shared_free(board);
}

TEST(a_lock_in_shared_memory_is_one_lock)
{
    begin();
    EACH_START (start) {
        weft_pool *pool = open_pool(start);
        EXPECT_EQ(weft_pool_map(pool, add_one_by_one, &(weft_map){ .count = 20 }, WEFT_FOREVER), 0);
        EXPECT_EQ(board->sum, 1000);
        close_pool(pool);
    }
}

TEST(events_in_shared_memory_go_both_ways)
{
    begin();
    EACH_START (start) {
        weft_future *f;
        weft_pool *pool = open_pool(start);
        EXPECT_EQ(weft_pool_submit(pool, meet, NULL, 0, &f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_event_wait(&board->arrived, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(f, WEFT_NOW), -ETIMEDOUT);
        weft_event_set(&board->go_on);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        weft_future_close(f);
        close_pool(pool);
    }
}

TEST(a_lock_whose_owner_died_is_told_so)
{
    begin();
    EACH_START (start) {
        weft_pool *pool = open_pool(start);
        weft_outcome outcome;
        weft_map map = { .count = 1, .outcomes = &outcome };
        EXPECT_EQ(weft_pool_map(pool, lock_and_die, &map, WEFT_FOREVER), -ECHILD);
        EXPECT_EQ(outcome.signal, SIGKILL);
        EXPECT_EQ(weft_lock_acquire(&board->lock, WEFT_FOREVER), -EOWNERDEAD);
        EXPECT_EQ(weft_lock_recover(&board->lock), 0);
        EXPECT_EQ(weft_lock_release(&board->lock), 0);
        close_pool(pool);
    }
}

TEST(a_map_runs_over_them)
{
    enum { N = 5000 };
    static int in[N], out[N];
    for (int i = 0; i < N; i++)
        in[i] = i;
    begin();
    EACH_START (start) {
        weft_pool *pool = open_pool(start);
        weft_map map = {
            .in = in, .count = N, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
        };
        EXPECT_EQ(weft_pool_map(pool, square, &map, WEFT_FOREVER), 0);
        for (int i = 0; i < N; i++)
            EXPECT_EQ(out[i], i * i);
        close_pool(pool);
    }
}
