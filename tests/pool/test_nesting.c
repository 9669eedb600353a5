/* SPDX-License-Identifier: MIT */
/*
 * Calls that wait for calls of their own pool, and those for others, deeper than a stack is: the
 * worker that would wait runs them itself.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <weft.h>

#include "harness.h"

enum { DEPTH = 5000, STACK_BYTES = HARNESS_SANITIZED ? 1 << 20 : 128 << 10 };

static weft_pool *pool;

static void open_pool(weft_kind kind, uint32_t workers, uint32_t backlog_max)
{
    DESCRIPTORS_MAY_STAY();
    EXPECT_EQ(weft_pool_open(&pool, kind,
                             &(weft_options){ .workers = workers,
                                              .backlog_max = backlog_max,
                                              .stack_bytes = STACK_BYTES }),
              0);
}

static weft_future *submit(weft_fn *fn, const void *arg, size_t arg_bytes)
{
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, fn, arg, arg_bytes, &f, WEFT_FOREVER), 0);
    return f;
}

/* What a call gave that is expected to succeed. */
static int await(weft_future *f)
{
    int result;
    int rc = weft_future_wait(f, WEFT_FOREVER);
    EXPECT_STR(weft_future_outcome(f)->text, "");
    EXPECT_EQ(rc, 0);
    memcpy(&result, weft_future_result(f, NULL), sizeof result);
    weft_future_close(f);
    return result;
}

static int give(weft_call *call, int n)
{
    return weft_call_return(call, &n, sizeof n);
}

/* ---- waiting for a future, a group, a map */

static int count_down(weft_call *call)
{
    int n = *(const int *)call->arg - 1;
    return give(call, n < 0 ? 0 : 1 + await(submit(count_down, &n, sizeof n)));
}

static void expect_counts(weft_kind kind, uint32_t workers)
{
    int n = DEPTH;
    open_pool(kind, workers, 0);
    EXPECT_EQ(await(submit(count_down, &n, sizeof n)), DEPTH);
    weft_pool_close(pool);
}

TEST(calls_of_one_task_nest_deeper_than_its_stack)
{
    expect_counts(WEFT_TASKS, 1);
}

TEST(calls_of_many_tasks_nest_deeper_than_their_stacks)
{
    expect_counts(WEFT_TASKS, 16);
}

TEST(calls_of_one_thread_nest_deeper_than_its_stack)
{
    expect_counts(WEFT_THREADS, 1);
}

static int join_down(weft_call *call)
{
    int n = *(const int *)call->arg - 1;
    weft_group *g;
    if (n < 0)
        return 0;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, &(weft_options){ .pool = pool }), 0);
    EXPECT_EQ(weft_group_start(g, join_down, &n, sizeof n), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
    return give(call, 0);
}

TEST(calls_that_join_groups_nest_deeper_than_a_stack)
{
    int n = DEPTH;
    open_pool(WEFT_TASKS, 1, 0);
    EXPECT_EQ(await(submit(join_down, &n, sizeof n)), 0);
    weft_pool_close(pool);
}

static int map_down(weft_call *call)
{
    int in = *(const int *)call->arg - 1, out;
    weft_map map = {
        .in = &in, .in_bytes = sizeof in, .count = 1, .out = &out, .out_bytes = sizeof out
    };
    if (in < 0)
        return give(call, 0);
    EXPECT_EQ(weft_pool_map(pool, map_down, &map, WEFT_FOREVER), 0);
    return give(call, 1 + out);
}

TEST(calls_that_map_nest_deeper_than_a_stack)
{
    int n = DEPTH;
    open_pool(WEFT_TASKS, 1, 0);
    EXPECT_EQ(await(submit(map_down, &n, sizeof n)), DEPTH);
    weft_pool_close(pool);
}

/* ---- making room in the backlog */

static atomic_int ran;

static int nothing(weft_call *call)
{
    (void)call;
    return 0;
}

/* Has room for one call only; so it runs the first one, which does the same. */
static int submit_down(weft_call *call)
{
    int n = *(const int *)call->arg - 1;
    atomic_fetch_add(&ran, 1);
    if (n < 0)
        return 0;
    weft_future_close(submit(submit_down, &n, sizeof n));
    weft_future_close(submit(nothing, NULL, 0));
    return 0;
}

TEST(calls_that_make_room_nest_deeper_than_a_stack)
{
    int n = DEPTH;
    open_pool(WEFT_TASKS, 1, 1);
    weft_future *f = submit(submit_down, &n, sizeof n);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    weft_future_close(f);
    weft_pool_close(pool);
    EXPECT_EQ(ran, DEPTH + 1);
}

/* ---- what holds around a call that waits */

static weft_event begun, go;
static weft_future *outer;
static uint64_t outer_strand;
static void *outer_state;

/* Takes more than half of the stack, so that fn runs on another. */
static int wait_deep_for(weft_fn *fn)
{
    char block[STACK_BYTES * 5 / 8];
    __asm__ volatile("" : : "r"(block) : "memory"); /* all of it is used */
    weft_future *f = submit(fn, NULL, 0);
    int rc = weft_future_wait(f, WEFT_FOREVER);
    if (rc == -ECHILD)
        rc = weft_future_outcome(f)->status;
    weft_future_close(f);
    return rc;
}

static int enter(weft_call *call, void **ret_worker)
{
    (void)call;
    *ret_worker = &outer_state;
    return 0;
}

static int look_around(weft_call *call)
{
    EXPECT_NE(weft_self_id(), outer_strand);
    EXPECT_EQ(call->worker, outer_state);
    EXPECT_NE(weft_scope_deadline().ns, WEFT_FOREVER.ns);
    return 0;
}

static int wait_inside_a_scope(weft_call *call)
{
    weft_scope scope;
    outer_strand = weft_self_id();
    outer_state = call->worker;
    weft_scope_enter(&scope, weft_after(3600 * WEFT_S), 0);
    int rc = wait_deep_for(look_around);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
    return rc;
}

TEST(a_call_on_another_stack_sees_the_workers_state_and_the_scopes)
{
    DESCRIPTORS_MAY_STAY();
    weft_options options = { .workers = 1, .stack_bytes = STACK_BYTES, .enter = enter };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_TASKS, &options), 0);
    weft_future *f = submit(wait_inside_a_scope, NULL, 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    weft_future_close(f);
    weft_pool_close(pool);
}

static int be_cancelled(weft_call *call)
{
    (void)call;
    weft_event_set(&begun);
    return weft_event_wait(&go, WEFT_FOREVER);
}

static int wait_for_cancelled(weft_call *call)
{
    (void)call;
    EXPECT_EQ(wait_deep_for(be_cancelled), -ECANCELED);
    EXPECT_TRUE(weft_cancelled());
    return 0;
}

TEST(a_cancellation_reaches_a_call_on_another_stack)
{
    open_pool(WEFT_TASKS, 1, 0);
    outer = submit(wait_for_cancelled, NULL, 0);
    EXPECT_EQ(weft_event_wait(&begun, WEFT_FOREVER), 0);
    weft_future_cancel(outer);
    EXPECT_EQ(weft_future_wait(outer, WEFT_FOREVER), 0);
    weft_future_close(outer);
    weft_pool_close(pool);
}

static int wait_in_a_scope_that_ends(weft_call *call)
{
    (void)call;
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    int rc = wait_deep_for(be_cancelled);
    EXPECT_TRUE(rc == -ETIMEDOUT); /* before it began, or inside */
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    return 0;
}

TEST(a_scope_ends_the_wait_of_a_call_on_another_stack)
{
    open_pool(WEFT_TASKS, 1, 0);
    outer = submit(wait_in_a_scope_that_ends, NULL, 0);
    EXPECT_EQ(weft_future_wait(outer, WEFT_FOREVER), 0);
    weft_future_close(outer);
    weft_event_set(&go); /* if it has begun only now */
    weft_pool_close(pool);
}
