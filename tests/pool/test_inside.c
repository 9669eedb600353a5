/* SPDX-License-Identifier: MIT */
/* Calls that a worker runs inside of another, instead of waiting for them. */
#include <errno.h>
#include <stdatomic.h>

#include <weft.h>

#include "harness.h"

static weft_pool *pool;
static weft_future *self;
static weft_event go;
static atomic_bool inside;

static void run_alone(weft_fn *fn, uint32_t backlog_max)
{
    atomic_store(&inside, false);
    weft_event_init(&go);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_THREADS,
                             &(weft_options){ .workers = 1, .backlog_max = backlog_max }),
              0);
    EXPECT_EQ(weft_pool_submit(pool, fn, NULL, 0, &self, WEFT_FOREVER), 0);
    weft_event_set(&go);
    int rc = weft_future_wait(self, WEFT_FOREVER);
    EXPECT_STR(weft_future_outcome(self)->text, "");
    EXPECT_EQ(rc, 0);
    weft_future_close(self);
    weft_pool_close(pool);
}

static int tell_where(weft_call *call)
{
    (void)call;
    if (atomic_load(&inside))
        return -EBUSY;
    return weft_yield();
}

static weft_deadline the_past(void)
{
    weft_deadline deadline = weft_after(1);
    while (weft_left(deadline))
        ;
    return deadline;
}

/* Submits a call that must not run before this one has ended. */
static weft_future *submit(void)
{
    weft_future *f;
    atomic_store(&inside, true);
    EXPECT_EQ(weft_pool_submit(pool, tell_where, NULL, 0, &f, WEFT_FOREVER), 0);
    return f;
}

static void expect_not_run(weft_future *f)
{
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_PENDING);
    weft_future_cancel(f);
    weft_future_close(f);
    atomic_store(&inside, false);
}

static int wait_in_vain(weft_call *call)
{
    (void)call;
    weft_scope scope;
    weft_deadline past = the_past();
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);

    weft_future *f = submit();
    EXPECT_EQ(weft_future_wait(f, past), -ETIMEDOUT);
    expect_not_run(f);

    f = submit();
    weft_scope_enter(&scope, past, 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    expect_not_run(f);

    f = submit();
    weft_future_cancel(self);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECANCELED);
    expect_not_run(f);
    return 0;
}

TEST(a_wait_that_is_over_runs_nothing)
{
    run_alone(wait_in_vain, 0);
}

static int join_in_vain(weft_call *call)
{
    (void)call;
    weft_group *g;
    weft_future *f;
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, &(weft_options){ .pool = pool }), 0);
    atomic_store(&inside, true);
    EXPECT_EQ(weft_group_submit(g, tell_where, NULL, 0, NULL, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_join(g, the_past()), -ETIMEDOUT);
    EXPECT_EQ(weft_group_next(g, &f, the_past()), -ETIMEDOUT);
    weft_future_cancel(self);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), -ECANCELED);
    weft_group_close(g);
    return 0;
}

TEST(a_join_that_is_over_runs_nothing)
{
    run_alone(join_in_vain, 0);
}

static int map_in_vain(weft_call *call)
{
    (void)call;
    weft_map map = { .count = 3 };
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
    atomic_store(&inside, true);
    EXPECT_EQ(weft_pool_map(pool, tell_where, &map, the_past()), -ETIMEDOUT);
    weft_future_cancel(self);
    EXPECT_EQ(weft_pool_map(pool, tell_where, &map, WEFT_FOREVER), -ECANCELED);
    return 0;
}

TEST(a_map_that_is_over_runs_nothing)
{
    run_alone(map_in_vain, 0);
}

static int submit_in_vain(weft_call *call)
{
    (void)call;
    weft_future *first = submit(), *second;
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_pool_submit(pool, tell_where, NULL, 0, &second, the_past()), -ETIMEDOUT);
    weft_future_cancel(self);
    EXPECT_EQ(weft_pool_submit(pool, tell_where, NULL, 0, &second, WEFT_FOREVER), -ECANCELED);
    expect_not_run(first);
    return 0;
}

TEST(a_submit_that_is_over_runs_nothing)
{
    run_alone(submit_in_vain, 1);
}

/* ---- a stranger, run to make room */

static int let_others_run(weft_call *call)
{
    (void)call;
    return weft_yield();
}

static int show_scope(weft_call *call)
{
    weft_deadline deadline = weft_scope_deadline();
    return weft_call_return(call, &deadline.ns, sizeof deadline.ns);
}

static int make_room_inside_a_scope(weft_call *call)
{
    (void)call;
    weft_scope scope;
    weft_future *stranger, *own;
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_pool_submit(pool, show_scope, NULL, 0, &stranger, WEFT_FOREVER), 0);
    weft_scope_enter(&scope, weft_after(3600 * WEFT_S), 0);
    EXPECT_EQ(weft_pool_submit(pool, let_others_run, NULL, 0, &own, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
    EXPECT_EQ(weft_future_wait(stranger, WEFT_FOREVER), 0);
    EXPECT_EQ(*(const int64_t *)weft_future_result(stranger, NULL), WEFT_FOREVER.ns);
    weft_future_close(stranger);
    weft_future_close(own);
    return 0;
}

TEST(a_call_that_makes_room_does_not_see_the_scopes_around_it)
{
    run_alone(make_room_inside_a_scope, 1);
}
