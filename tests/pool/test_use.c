/* SPDX-License-Identifier: MIT */
/*
 * One pool of processes and many strands that use it at the same time: they submit, wait, poll,
 * select, give up, are cancelled, and hand futures to each other. Whoever waits may be the one that
 * collects results for all; when it leaves, nobody else may be left waiting. Run over each kind of
 * strand.
 */
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include <weft.h>

#include "calls.h"
#include "harness.h"
#include "kinds.h"
#include "strands.h"

enum { STRANDS = 30, CALLS = 20, HELD = 8 };

struct board {
    atomic_int ran, running[HELD];
    atomic_bool open[HELD];
};

static weft_pool *pool;
static struct board *board;

static struct board *board_of(const weft_call *call)
{
    return *(struct board *const *)call->context;
}

static int count_square(weft_call *call)
{
    atomic_fetch_add(&board_of(call)->ran, 1);
    return square(call);
}

/* Squares its number when its gate is opened. */
static int hold(weft_call *call)
{
    int n = *(const int *)call->arg;
    atomic_store(&board_of(call)->running[n], 1);
    UNTIL(atomic_load(&board_of(call)->open[n]));
    return count_square(call);
}

static void open_pool(weft_options options)
{
    board = weft_shared_alloc(sizeof *board);
    EXPECT_TRUE(board);
    options.context = &board;
    options.context_bytes = sizeof board;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
}

static void close_pool(void)
{
    weft_pool_close(pool);
    weft_shared_free(board);
}

/* ---- everybody at once */

static void submit_and_wait(size_t index)
{
    for (int i = 0; i < CALLS; i++)
        expect_square(submit(pool, count_square, (int)index + i), (int)index + i);
}

TEST_PROCESSES(many_strands_submit_and_wait)
{
    (void)kind;
    open_pool((weft_options){ .workers = 2 });
    strands_join(strands_start(STRANDS, submit_and_wait));
    EXPECT_EQ(atomic_load(&board->ran), STRANDS * CALLS);
    close_pool();
}

TEST_PROCESSES(many_strands_share_a_backlog_of_one)
{
    (void)kind;
    open_pool((weft_options){ .workers = 2, .backlog_max = 1 });
    strands_join(strands_start(STRANDS, submit_and_wait));
    EXPECT_EQ(atomic_load(&board->ran), STRANDS * CALLS);
    close_pool();
}

/* By turns from the first, from the last, and from the middle. */
static void wait_in_any_order(size_t index)
{
    weft_future *futures[CALLS];
    for (int i = 0; i < CALLS; i++)
        futures[i] = submit(pool, count_square, i);
    for (int i = 0; i < CALLS; i++) {
        int n = index % 3 == 0 ? i : index % 3 == 1 ? CALLS - 1 - i : (i + CALLS / 2) % CALLS;
        expect_square(futures[n], n);
    }
}

TEST_PROCESSES(many_strands_wait_in_any_order)
{
    (void)kind;
    open_pool((weft_options){ .workers = 3 });
    strands_join(strands_start(STRANDS, wait_in_any_order));
    close_pool();
}

static void map_and_submit(size_t index)
{
    for (int round = 0; round < 5; round++) {
        weft_future *f = submit(pool, count_square, (int)index);
        map_squares(pool, count_square, CALLS);
        expect_square(f, (int)index);
    }
}

TEST_PROCESSES(many_strands_map_and_submit)
{
    (void)kind;
    open_pool((weft_options){ .workers = 2 });
    strands_join(strands_start(STRANDS, map_and_submit));
    close_pool();
}

static void join_groups(size_t index)
{
    for (int round = 0; round < 3; round++) {
        weft_group *g;
        weft_future *f;
        unsigned seen = 0;
        EXPECT_EQ(weft_group_open(&g, WEFT_PROCESSES, &(weft_options){ .pool = pool }), 0);
        for (int i = 0; i < 8; i++)
            EXPECT_EQ(weft_group_submit(g, count_square, &i, sizeof i, NULL, WEFT_FOREVER), 0);
        if (index % 2)
            EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
        while (weft_group_next(g, &f, WEFT_FOREVER) == 0) {
            int n = (int)weft_future_index(f);
            seen |= 1U << n;
            expect_square(f, n);
        }
        EXPECT_EQ(seen, 0xff);
        weft_group_close(g);
    }
}

TEST_PROCESSES(many_strands_have_groups_on_one_pool)
{
    (void)kind;
    open_pool((weft_options){ .workers = 2 });
    strands_join(strands_start(STRANDS, join_groups));
    close_pool();
}

/* ---- looking instead of waiting */

static void poll_for_result(size_t index)
{
    for (int i = 0; i < CALLS; i++) {
        weft_future *f = submit(pool, count_square, i);
        int rc = -ETIMEDOUT;
        switch (index % 3) {
        case 0: /* only ever tries */
            UNTIL((rc = weft_future_wait(f, WEFT_NOW)) != -ETIMEDOUT);
            break;
        case 1: /* gives up again and again */
            UNTIL((rc = weft_future_wait(f, weft_after(10 * WEFT_US))) != -ETIMEDOUT);
            break;
        default: /* never waits */
            UNTIL(weft_future_outcome(f)->how == WEFT_DONE);
            rc = 0;
        }
        EXPECT_EQ(rc, 0);
        expect_square(f, i);
    }
}

TEST_PROCESSES(results_come_to_those_who_only_look)
{
    (void)kind;
    open_pool((weft_options){ .workers = 2 });
    strands_join(strands_start(6, poll_for_result));
    close_pool();
}

TEST_PROCESSES(calls_run_though_nobody_looks)
{
    enum { FORGOTTEN = 500 };
    (void)kind;
    open_pool((weft_options){ .workers = 2 });
    for (int i = 0; i < FORGOTTEN; i++)
        weft_future_close(submit(pool, count_square, i));
    UNTIL(atomic_load(&board->ran) == FORGOTTEN);
    close_pool();
}

/* ---- one who waits leaves, the others stay */

static weft_future *held[HELD];
static atomic_int back; /* strands that have returned from their waits */

static void hold_all(uint32_t workers)
{
    open_pool((weft_options){ .workers = workers });
    for (int i = 0; i < HELD; i++)
        held[i] = submit(pool, hold, i);
    for (int i = 0; i < (int)workers; i++)
        UNTIL(atomic_load(&board->running[i]));
}

static void wait_for_held(size_t index)
{
    EXPECT_EQ(weft_future_wait(held[index], WEFT_FOREVER), 0);
    EXPECT_EQ(*(const int *)weft_future_result(held[index], NULL), (int)(index * index));
    atomic_fetch_add(&back, 1);
}

/* Each opens the next one's gate, in the order of waiting and against it. */
static void expect_one_by_one(bool backwards)
{
    hold_all(HELD);
    atomic_store(&back, 0);
    struct strands *waiters = strands_start(HELD, wait_for_held);
    strands_until_asleep(waiters);
    for (int i = 0; i < HELD; i++) {
        atomic_store(&board->open[backwards ? HELD - 1 - i : i], true);
        UNTIL(atomic_load(&back) == i + 1);
    }
    strands_join(waiters);
    for (int i = 0; i < HELD; i++)
        weft_future_close(held[i]);
    close_pool();
}

TEST_PROCESSES(each_waiter_returns_when_its_own_call_has_ended)
{
    (void)kind;
    expect_one_by_one(false);
    expect_one_by_one(true);
}

static void give_up_soon(size_t index)
{
    EXPECT_EQ(weft_future_wait(held[index], weft_after(WEFT_MS)), -ETIMEDOUT);
}

TEST_PROCESSES(waiters_that_give_up_leave_nobody_waiting)
{
    (void)kind;
    hold_all(HELD);
    atomic_store(&back, 0);
    for (int round = 0; round < 5; round++)
        strands_join(strands_start(3, give_up_soon));
    struct strands *first = strands_start(2, give_up_soon);
    struct strands *waiters = strands_start(HELD, wait_for_held);
    strands_join(first);
    strands_until_asleep(waiters);
    for (int i = HELD - 1; i >= 0; i--)
        atomic_store(&board->open[i], true);
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&back), HELD);
    for (int i = 0; i < HELD; i++)
        weft_future_close(held[i]);
    close_pool();
}

static void wait_until_cancelled(size_t index)
{
    EXPECT_EQ(weft_future_wait(held[index % HELD], WEFT_FOREVER), -ECANCELED);
}

TEST_PROCESSES(waiters_that_are_cancelled_leave_nobody_waiting)
{
    (void)kind;
    strands_must_be_cancellable();
    hold_all(HELD);
    atomic_store(&back, 0);
    struct strands *first = strands_start(3, wait_until_cancelled);
    strands_until_asleep(first);
    struct strands *waiters = strands_start(HELD, wait_for_held);
    strands_until_asleep(waiters);
    strands_cancel_all(first);
    strands_join(first);
    EXPECT_EQ(atomic_load(&back), 0);
    for (int i = 0; i < HELD; i++)
        atomic_store(&board->open[i], true);
    strands_join(waiters);
    for (int i = 0; i < HELD; i++)
        weft_future_close(held[i]);
    close_pool();
}

static void wait_for_the_first(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_future_wait(held[0], WEFT_FOREVER), 0);
    EXPECT_EQ(*(const int *)weft_future_result(held[0], NULL), 0);
}

TEST_PROCESSES(many_strands_may_wait_for_one_call)
{
    (void)kind;
    hold_all(1);
    struct strands *waiters = strands_start(STRANDS, wait_for_the_first);
    strands_until_asleep(waiters);
    for (int i = 0; i < HELD; i++)
        atomic_store(&board->open[i], true);
    strands_join(waiters);
    for (int i = 0; i < HELD; i++)
        weft_future_close(held[i]);
    close_pool();
}

static void wait_for_the_end(size_t index)
{
    EXPECT_EQ(weft_future_wait(held[index], WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(held[index])->how, WEFT_CANCELLED);
}

TEST_PROCESSES(terminating_sends_all_waiters_home)
{
    (void)kind;
    hold_all(2);
    struct strands *waiters = strands_start(HELD, wait_for_the_end);
    strands_until_asleep(waiters);
    weft_pool_terminate(pool);
    strands_join(waiters);
    close_pool();
    for (int i = 0; i < HELD; i++)
        weft_future_close(held[i]);
}

TEST_PROCESSES(cancelling_calls_sends_their_waiters_home)
{
    (void)kind;
    hold_all(2);
    struct strands *waiters = strands_start(HELD, wait_for_the_end);
    strands_until_asleep(waiters);
    for (int i = HELD - 1; i >= 0; i--)
        weft_future_cancel(held[i]);
    strands_join(waiters);
    for (int i = 0; i < HELD; i++)
        weft_future_close(held[i]);
    expect_square(submit(pool, count_square, 3), 3);
    close_pool();
}

/* ---- selecting and polling */

static void select_among_futures(size_t index)
{
    weft_future *futures[CALLS];
    weft_case cases[CALLS];
    (void)index;
    for (int i = 0; i < CALLS; i++) {
        futures[i] = submit(pool, count_square, i);
        cases[i] = (weft_case){ .op = WEFT_ENDED, .on.future = futures[i] };
    }
    for (int n = 0; n < CALLS; n++) {
        int i = weft_select(cases, CALLS, WEFT_FOREVER);
        EXPECT_GE(i, 0);
        EXPECT_EQ(cases[i].result, 0);
        expect_square(futures[i], i);
        cases[i].on.future = NULL;
    }
}

TEST_PROCESSES(strands_may_select_among_futures)
{
    (void)kind;
    open_pool((weft_options){ .workers = 2 });
    strands_join(strands_start(5, select_among_futures));
    close_pool();
}

static void select_event_or_group(size_t index)
{
    weft_group *g;
    weft_future *f = NULL;
    weft_event never = WEFT_EVENT_INIT;
    (void)index;
    EXPECT_EQ(weft_group_open(&g, WEFT_PROCESSES, &(weft_options){ .pool = pool }), 0);
    for (int i = 0; i < CALLS; i++)
        EXPECT_EQ(weft_group_submit(g, count_square, &i, sizeof i, NULL, WEFT_FOREVER), 0);
    for (int n = 0; n <= CALLS; n++) {
        weft_case cases[] = {
            { .op = WEFT_SET, .on.event = &never },
            { .op = WEFT_NEXT, .on.group = g, .item = (void *)&f },
        };
        EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 1);
        EXPECT_EQ(cases[1].result, n < CALLS ? 0 : -ENODATA);
        if (n < CALLS)
            expect_square(f, (int)weft_future_index(f));
    }
    weft_group_close(g);
}

TEST_PROCESSES(strands_may_select_on_groups_of_a_pool)
{
    (void)kind;
    open_pool((weft_options){ .workers = 2 });
    strands_join(strands_start(5, select_event_or_group));
    close_pool();
}

/* A loop that knows nothing of weft: poll() says when there is something to take. */
TEST_PROCESSES(a_foreign_loop_hears_of_results)
{
    weft_group *g;
    weft_future *f;
    (void)kind;
    open_pool((weft_options){ .workers = 2 });
    EXPECT_EQ(weft_group_open(&g, WEFT_PROCESSES, &(weft_options){ .pool = pool }), 0);
    int fd = weft_group_fd(g), taken = 0, rc = 0;
    EXPECT_GE(fd, 0);
    for (int i = 0; i < CALLS; i++)
        EXPECT_EQ(weft_group_submit(g, count_square, &i, sizeof i, NULL, WEFT_FOREVER), 0);
    while (taken < CALLS) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        EXPECT_EQ(poll(&poll_fd, 1, -1), 1);
        for (; (rc = weft_group_next(g, &f, WEFT_NOW)) == 0; taken++)
            expect_square(f, (int)weft_future_index(f));
        EXPECT_TRUE(rc == -ETIMEDOUT || rc == -ENODATA);
    }
    EXPECT_EQ(rc, -ENODATA);
    weft_group_close(g);
    close_pool();
}

TEST_PROCESSES(one_worker_ends_calls_in_the_order_of_submission)
{
    weft_group *g;
    weft_future *f;
    int64_t ended = 0;
    (void)kind;
    open_pool((weft_options){ .workers = 1 });
    EXPECT_EQ(weft_group_open(&g, WEFT_PROCESSES, &(weft_options){ .pool = pool }), 0);
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(weft_group_submit(g, count_square, &i, sizeof i, NULL, WEFT_FOREVER), 0);
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_index(f), i);
        EXPECT_GE(weft_future_outcome(f)->ended_ns, ended);
        ended = weft_future_outcome(f)->ended_ns;
        expect_square(f, i);
    }
    weft_group_close(g);
    close_pool();
}
