/* SPDX-License-Identifier: MIT */
/*
 * The habits of asyncio, in C's shape, between tasks: a time limit around a piece of code, a
 * shield, gather with an outcome each, starting tasks from a plain thread, a semaphore as a limit.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <weft/event.h>
#include <weft/group.h>
#include <weft/queue.h>
#include <weft/scope.h>
#include <weft/self.h>
#include <weft/semaphore.h>

#include "harness.h"
#include "strands.h"
#include "workers.h"

static weft_event event = WEFT_EVENT_INIT, never = WEFT_EVENT_INIT;
static weft_queue *queue;
static atomic_int begun, ended;

static weft_group *open_group(weft_failure on_failure)
{
    weft_group *group;
    workers_make_all();
    DESCRIPTORS_COUNT_FROM_HERE();
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, &(weft_options){ .on_failure = on_failure }), 0);
    return group;
}

static void start(weft_group *group, weft_fn *fn)
{
    EXPECT_EQ(weft_group_start(group, fn, NULL, 0), 0);
}

static void finish(weft_group *group)
{
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
}

/* ---- asyncio.timeout() */

/* Its limit ends its waits, however many they are, while others wait on the same worker. */
static int wait_with_a_limit(weft_call *call)
{
    weft_scope scope;
    (void)call;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    do
        EXPECT_EQ(weft_event_wait(&never, weft_after(WEFT_US)), -ETIMEDOUT);
    while (weft_left(weft_scope_deadline()));
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    EXPECT_EQ(weft_yield(), 0);
    if (atomic_fetch_add(&ended, 1) == 99)
        weft_event_set(&event);
    return 0;
}

static int wait_without_a_limit(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_scope_deadline().ns, INT64_MAX);
    EXPECT_EQ(weft_event_wait(&event, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_scope_deadline().ns, INT64_MAX);
    return 0;
}

TEST(a_time_limit_holds_for_the_task_that_entered_it)
{
    weft_group *group = open_group(0);
    for (int i = 0; i < 100; i++) {
        start(group, wait_without_a_limit);
        start(group, wait_with_a_limit);
    }
    finish(group);
}

static int wait_to_be_cancelled(weft_call *call)
{
    atomic_fetch_add(&begun, 1);
    (void)call;
    EXPECT_EQ(weft_scope_deadline().ns, INT64_MAX);
    int rc = weft_event_wait(&never, WEFT_FOREVER);
    EXPECT_EQ(rc, -ECANCELED);
    atomic_fetch_add(&ended, 1);
    return rc;
}

/* async with timeout(): async with TaskGroup(): the limit ends the join, and the close the rest. */
static int limit_a_group(weft_call *call)
{
    weft_group *inner;
    weft_scope scope;
    (void)call;
    EXPECT_EQ(weft_group_open(&inner, WEFT_TASKS, NULL), 0);
    for (int i = 0; i < 10; i++)
        start(inner, wait_to_be_cancelled);
    UNTIL(atomic_load(&begun) == 10);
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_group_join(inner, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(atomic_load(&ended), 0);
    weft_group_close(inner); /* waits, although the time is over */
    EXPECT_EQ(atomic_load(&ended), 10);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    return 0;
}

TEST(a_time_limit_around_a_group_ends_the_wait_and_closing_the_tasks)
{
    weft_group *group = open_group(0);
    start(group, limit_a_group);
    finish(group);
}

/* ---- asyncio.shield() */

static int save(weft_call *call)
{
    weft_scope shield;
    int item = 0;
    (void)call;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    atomic_fetch_add(&begun, 1);
    for (int i = 1; i <= 3; i++) {
        EXPECT_EQ(weft_queue_get(queue, &item, WEFT_FOREVER), 0);
        EXPECT_EQ(item, i);
    }
    EXPECT_EQ(weft_scope_leave(&shield), 0);
    atomic_fetch_add(&ended, 1);
    EXPECT_TRUE(weft_cancelled());
    EXPECT_EQ(weft_queue_get(queue, &item, WEFT_FOREVER), -ECANCELED);
    return -ECANCELED;
}

TEST(what_a_shield_covers_is_done_although_the_task_is_cancelled)
{
    weft_group *group = open_group(0);
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), 1, 0), 0);
    start(group, save);
    UNTIL(atomic_load(&begun) == 1);
    weft_group_cancel(group);
    for (int i = 1; i <= 3; i++)
        EXPECT_EQ(weft_queue_put(queue, &i, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(atomic_load(&ended), 1);
    weft_group_close(group);
    weft_queue_close(queue);
}

/* ---- asyncio.gather(return_exceptions=True) */

enum { GATHERED = 300 };

/* Of three in a row one gives a result, one fails, and one is cancelled. */
static int by_index(weft_call *call)
{
    uint64_t square = call->index * call->index;
    EXPECT_EQ(weft_yield(), 0);
    switch (call->index % 3) {
    case 0:
        return weft_call_return(call, &square, sizeof square);
    case 1:
        return weft_call_fail(call, -ERANGE, "call %d", (int)call->index);
    default:
        return wait_to_be_cancelled(call);
    }
}

static void expect_outcome(const weft_future *future)
{
    uint64_t index = weft_future_index(future);
    const weft_outcome *outcome = weft_future_outcome(future);
    const uint64_t *square = weft_future_result(future, NULL);
    const weft_how hows[] = { WEFT_DONE, WEFT_FAILED, WEFT_CANCELLED };
    const int statuses[] = { 0, -ERANGE, -ECANCELED };
    EXPECT_EQ(outcome->how, hows[index % 3]);
    EXPECT_EQ(outcome->status, statuses[index % 3]);
    EXPECT_EQ(square != NULL, index % 3 == 0);
    if (square)
        EXPECT_EQ(*square, index * index);
    if (index % 3 == 1)
        EXPECT_EQ(atoi(outcome->text + sizeof "call"), index);
}

TEST(gathering_gives_each_task_its_own_outcome)
{
    weft_group *group = open_group(WEFT_GO_ON);
    weft_future *futures[GATHERED], *future;
    int seen[GATHERED] = { 0 };
    for (int i = 0; i < GATHERED; i++)
        EXPECT_EQ(weft_group_submit(group, by_index, NULL, 0, &futures[i], WEFT_FOREVER), 0);
    UNTIL(atomic_load(&begun) == GATHERED / 3);
    for (int i = 2; i < GATHERED; i += 3)
        weft_future_cancel(futures[i]);
    for (int i = 0; i < GATHERED; i++) {
        EXPECT_EQ(weft_group_next(group, &future, WEFT_FOREVER), 0);
        expect_outcome(future);
        seen[weft_future_index(future)]++;
        weft_future_close(future);
    }
    EXPECT_EQ(weft_group_next(group, &future, WEFT_FOREVER), -ENODATA);
    for (int i = 0; i < GATHERED; i++) {
        EXPECT_EQ(seen[i], 1);
        expect_outcome(futures[i]);
        weft_future_close(futures[i]);
    }
    weft_group_close(group);
}

/* ---- asyncio.run() and run_coroutine_threadsafe(), in any thread */

static int add_one(weft_call *call)
{
    int n = *(const int *)call->arg + 1;
    EXPECT_EQ(weft_yield(), 0);
    atomic_fetch_add(&ended, 1);
    return weft_call_return(call, &n, sizeof n);
}

/* A group of its own, from the first call to the last in this thread. */
static void *run_tasks(void *ctx)
{
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(weft_group_start(group, add_one, &i, sizeof i), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    return ctx;
}

/* Somebody else's group, of which it waits for one call. */
static void *run_in_a_group(void *group)
{
    for (int i = 0; i < 50; i++) {
        weft_future *future;
        EXPECT_EQ(weft_group_submit(group, add_one, &i, sizeof i, &future, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(future, WEFT_FOREVER), 0);
        EXPECT_EQ(*(const int *)weft_future_result(future, NULL), i + 1);
        weft_future_close(future);
    }
    return NULL;
}

static void in_threads(void *(*fn)(void *), void *ctx)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, fn, ctx), 0);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(pthread_join(threads[i], NULL), 0);
    EXPECT_EQ(atomic_load(&ended), 4 * 50);
}

TEST(a_plain_thread_runs_tasks_and_waits_for_them)
{
    weft_group_close(open_group(0));
    in_threads(run_tasks, NULL);
}

TEST(plain_threads_give_tasks_to_a_group_of_somebody_else)
{
    weft_group *group = open_group(0);
    in_threads(run_in_a_group, group);
    finish(group);
}

static void *cancel_group(void *group)
{
    UNTIL(atomic_load(&begun) == 20);
    weft_group_cancel(group);
    return NULL;
}

TEST(a_plain_thread_cancels_tasks)
{
    pthread_t thread;
    weft_group *group = open_group(0);
    for (int i = 0; i < 20; i++)
        start(group, wait_to_be_cancelled);
    EXPECT_EQ(pthread_create(&thread, NULL, cancel_group, group), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(atomic_load(&ended), 20);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    weft_group_close(group);
}

/* ---- a semaphore as a limit */

enum { LIMIT = 20, MANY = HARNESS_SANITIZED || HARNESS_EMULATED ? 1000 : 10000 };

static weft_semaphore limit = WEFT_SEMAPHORE_INIT(LIMIT);
static atomic_int at_once;

/* The first ones stay until as many as may be are there, so the limit is reached. */
static int work_within_the_limit(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_semaphore_acquire(&limit, WEFT_FOREVER), 0);
    int now = atomic_fetch_add(&at_once, 1) + 1;
    EXPECT_LE(now, LIMIT);
    if (now == LIMIT)
        weft_event_set(&event);
    EXPECT_EQ(weft_event_wait(&event, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_yield(), 0);
    atomic_fetch_sub(&at_once, 1);
    EXPECT_EQ(weft_semaphore_release(&limit, 1), 0);
    atomic_fetch_add(&ended, 1);
    return 0;
}

TEST(a_semaphore_limits_how_many_of_ten_thousand_work_at_once)
{
    weft_group *group = open_group(0);
    for (int i = 0; i < MANY; i++)
        start(group, work_within_the_limit);
    finish(group);
    EXPECT_EQ(atomic_load(&ended), MANY);
    EXPECT_EQ(weft_semaphore_value(&limit), LIMIT);
}
