/* SPDX-License-Identifier: MIT */
/* Blocking calls of tasks: off the worker, many at once, each with its result. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include <weft/event.h>
#include <weft/scope.h>

#include "tasks.h"

static int add_one(void *arg)
{
    return *(int *)arg + 1;
}

static int call_and_compare(weft_call *call)
{
    for (int i = 0; i < 50; i++) {
        int n = (int)call->index * 1000 + i;
        EXPECT_EQ(weft_blocking(add_one, &n), n + 1);
    }
    return 0;
}

TEST(every_call_gets_its_own_result)
{
    workers_are("2");
    in_tasks(20, call_and_compare);
}

/* ---- where it runs */

static int say_thread(void *ret)
{
    *(pid_t *)ret = gettid();
    return -5;
}

static int call_elsewhere(weft_call *call)
{
    (void)call;
    pid_t thread = 0;
    EXPECT_EQ(weft_blocking(say_thread, &thread), -5);
    EXPECT_NE(thread, 0);
    EXPECT_NE(thread, gettid());
    return 0;
}

TEST(in_a_task_it_runs_in_another_thread_and_in_a_thread_at_once)
{
    workers_are("1");
    in_tasks(1, call_elsewhere);
    pid_t thread = 0;
    EXPECT_EQ(weft_blocking(say_thread, &thread), -5);
    EXPECT_EQ(thread, gettid());
}

/* ---- how many at once */

static pthread_barrier_t all_there;

static int meet(void *unused)
{
    (void)unused;
    int rc = pthread_barrier_wait(&all_there);
    return rc == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : rc;
}

static int call_meet(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_blocking(meet, NULL), 0);
    return 0;
}

TEST(calls_block_side_by_side_while_their_worker_goes_on)
{
    workers_are("1");
    pthread_barrier_init(&all_there, NULL, 16);
    in_tasks(16, call_meet);
    in_tasks(32, call_meet); /* with threads that are there already */
    pthread_barrier_destroy(&all_there);
}

static atomic_int inside, most_inside, ended;
static int door[2]; /* a pipe that nobody writes: its end is waited for */

static void make_door(void)
{
    EXPECT_EQ(pipe(door), 0);
}

static void open_door(void)
{
    close(door[1]);
}

static int wait_at_the_door(void *unused)
{
    (void)unused;
    int now = atomic_fetch_add(&inside, 1) + 1;
    for (int most = atomic_load(&most_inside);
         now > most && !atomic_compare_exchange_weak(&most_inside, &most, now);) {
    }
    EXPECT_EQ(read(door[0], &(char){ 0 }, 1), 0);
    atomic_fetch_sub(&inside, 1);
    return 0;
}

static int call_door(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_blocking(wait_at_the_door, NULL), 0);
    atomic_fetch_add(&ended, 1);
    return 0;
}

TEST(more_calls_than_there_may_be_threads_wait_their_turn)
{
    if (HARNESS_VALGRIND || HARNESS_EMULATED)
        SKIP("what runs the test has room for fewer threads");
    workers_are("1");
    make_door();
    weft_group *g = tasks_open();
    for (int i = 0; i < 700; i++)
        EXPECT_EQ(weft_group_start(g, call_door, NULL, 0), 0);
    UNTIL(atomic_load(&inside) == 512);
    EXPECT_EQ(atomic_load(&ended), 0);
    open_door();
    tasks_join(g);
    close(door[0]);
    EXPECT_EQ(atomic_load(&ended), 700);
    EXPECT_EQ(atomic_load(&most_inside), 512);
}

/* ---- what it may do inside */

static int nested(void *arg)
{
    return weft_blocking(add_one, arg) + 1;
}

static weft_event rung = WEFT_EVENT_INIT;

static int ring(weft_call *call)
{
    (void)call;
    weft_event_set(&rung);
    return 0;
}

static int use_weft(void *unused)
{
    (void)unused;
    in_tasks(3, ring);
    EXPECT_EQ(weft_event_wait(&rung, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_sleep_until(weft_after(1000)), 0);
    return 3;
}

static int call_nested(weft_call *call)
{
    (void)call;
    int n = 40;
    EXPECT_EQ(weft_blocking(nested, &n), 42);
    EXPECT_EQ(weft_blocking(use_weft, NULL), 3);
    return 0;
}

TEST(a_blocking_call_may_block_again_and_use_tasks)
{
    workers_are("1");
    in_tasks(4, call_nested);
}

/* ---- nothing ends it */

static int call_through_cancellation(weft_call *call)
{
    (void)call;
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(1), 0);
    EXPECT_EQ(weft_blocking(wait_at_the_door, NULL), 0);
    weft_scope_leave(&scope);
    EXPECT_TRUE(weft_cancelled());
    atomic_fetch_add(&ended, 1);
    return 0;
}

TEST(neither_cancellation_nor_a_scope_ends_a_blocking_call)
{
    workers_are("1");
    make_door();
    weft_group *g = tasks_open();
    weft_future *future;
    EXPECT_EQ(weft_group_submit(g, call_through_cancellation, NULL, 0, &future, WEFT_FOREVER), 0);
    UNTIL(atomic_load(&inside) == 1);
    weft_future_cancel(future);
    in_tasks(1, call_elsewhere);
    EXPECT_EQ(atomic_load(&ended), 0);
    open_door();
    EXPECT_EQ(weft_future_wait(future, WEFT_FOREVER), 0);
    EXPECT_EQ(atomic_load(&ended), 1);
    weft_future_close(future);
    weft_group_close(g);
    close(door[0]);
}
