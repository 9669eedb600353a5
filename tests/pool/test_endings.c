/* SPDX-License-Identifier: MIT */
/*
 * How pools, and what runs in them, are brought to an end: nothing is missed that must be
 * cancelled, nothing is touched that has ended, and nobody pays for the end of another.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <weft.h>

#include "harness.h"

static int wait_for_ever(weft_call *call)
{
    (void)call;
    return weft_sleep_until(WEFT_FOREVER);
}

/* ---- terminate */

TEST(terminating_reaches_a_call_at_every_instant)
{
    for (int i = 0; i < 2000 / (HARNESS_SANITIZED ? 10 : 1); i++) {
        weft_pool *pool;
        EXPECT_EQ(weft_pool_open(&pool, WEFT_THREADS, &(weft_options){ .workers = 2 }), 0);
        for (int n = 0; n < 4; n++)
            EXPECT_EQ(weft_pool_submit(pool, wait_for_ever, NULL, 0, NULL, WEFT_FOREVER), 0);
        for (int n = i % 8; n > 0; n--)
            (void)weft_yield();
        weft_pool_terminate(pool);
        weft_pool_close(pool); /* hangs if a call was missed */
    }
}

static int enter_for_ever(weft_call *call, void **ret_worker)
{
    (void)ret_worker;
    return wait_for_ever(call);
}

TEST(terminating_does_not_wait_for_a_process_to_enter)
{
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_init(), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
    weft_pool *pool;
    weft_options options = { .workers = 2, .enter = enter_for_ever };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    weft_future *future;
    EXPECT_EQ(weft_pool_submit(pool, wait_for_ever, NULL, 0, &future, WEFT_FOREVER), 0);
    weft_pool_terminate(pool);
    weft_pool_close(pool); /* hangs if it waits */
    EXPECT_EQ(weft_future_outcome(future)->how, WEFT_CANCELLED);
    weft_future_close(future);
}

static struct {
    weft_pool *pool;
    weft_event inner_runs;
} nest;

static int inner(weft_call *call)
{
    weft_event_set(&nest.inner_runs);
    return wait_for_ever(call);
}

static int outer(weft_call *call)
{
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(nest.pool, inner, NULL, 0, &f, WEFT_FOREVER), 0);
    (void)!weft_future_wait(f, WEFT_FOREVER); /* runs it in here: there is no other worker */
    weft_future_close(f);
    return wait_for_ever(call);
}

TEST(terminating_reaches_calls_that_run_other_calls)
{
    weft_future *f;
    weft_event_init(&nest.inner_runs);
    EXPECT_EQ(weft_pool_open(&nest.pool, WEFT_THREADS, &(weft_options){ .workers = 1 }), 0);
    EXPECT_EQ(weft_pool_submit(nest.pool, outer, NULL, 0, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_event_wait(&nest.inner_runs, WEFT_FOREVER), 0);
    weft_pool_terminate(nest.pool);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_CANCELLED);
    weft_future_close(f);
    weft_pool_close(nest.pool);
}

static void *submit_inner(void *ret_rc)
{
    weft_future *f;
    *(int *)ret_rc = weft_pool_submit(nest.pool, inner, NULL, 0, &f, WEFT_FOREVER);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_CANCELLED);
    weft_future_close(f);
    return NULL;
}

TEST(terminating_reaches_a_call_that_its_submitter_runs)
{
    pthread_t thread;
    int rc = -1;
    weft_event_init(&nest.inner_runs);
    EXPECT_EQ(weft_pool_open(&nest.pool, WEFT_SERIAL, NULL), 0);
    EXPECT_EQ(pthread_create(&thread, NULL, submit_inner, &rc), 0);
    EXPECT_EQ(weft_event_wait(&nest.inner_runs, WEFT_FOREVER), 0);
    weft_pool_terminate(nest.pool);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    EXPECT_EQ(rc, 0);
    weft_pool_close(nest.pool);
}

/* ---- cancel */

static int nothing(weft_call *call)
{
    (void)call;
    return 0;
}

TEST(what_never_started_has_no_worker)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_THREADS, &(weft_options){ .workers = 3 }), 0);
    for (int i = 0; i < 50000 / (HARNESS_SANITIZED ? 10 : 1); i++) {
        weft_future *f;
        EXPECT_EQ(weft_pool_submit(pool, nothing, NULL, 0, &f, WEFT_FOREVER), 0);
        if (i % 2)
            (void)weft_yield();
        weft_future_cancel(f);
        if (weft_future_wait(f, WEFT_FOREVER) < 0) {
            for (int n = 0; n < 10; n++)
                EXPECT_EQ(*(volatile const uint32_t *)&weft_future_outcome(f)->worker, 0);
            EXPECT_EQ(weft_future_outcome(f)->attempts, 0);
        }
        weft_future_close(f);
    }
    weft_pool_close(pool);
}

/* ---- close */

static weft_event one_ran;

static int tell(weft_call *call)
{
    (void)call;
    weft_event_set(&one_ran);
    return 0;
}

static void *map_over(void *pool)
{
    weft_outcome outcomes[64];
    int rc =
        weft_pool_map(pool, tell, &(weft_map){ .count = 64, .outcomes = outcomes }, WEFT_FOREVER);
    EXPECT_TRUE(rc == 0 || rc == -EPIPE);
    for (int i = 0; i < 64; i++)
        EXPECT_TRUE(outcomes[i].how == WEFT_DONE || outcomes[i].how == WEFT_CANCELLED);
    return NULL;
}

static void close_while_it_maps(weft_kind kind, int times)
{
    for (int i = 0; i < times; i++) {
        pthread_t thread;
        weft_pool *pool;
        weft_event_init(&one_ran);
        EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = 4 }), 0);
        EXPECT_EQ(pthread_create(&thread, NULL, map_over, pool), 0);
        EXPECT_EQ(weft_event_wait(&one_ran, WEFT_FOREVER), 0);
        weft_pool_close(pool);
        EXPECT_EQ(pthread_join(thread, NULL), 0);
    }
}

TEST(closing_waits_for_maps_serial)
{
    close_while_it_maps(WEFT_SERIAL, 2000 / (HARNESS_SANITIZED ? 4 : 1));
}

TEST(closing_waits_for_maps_threads)
{
    close_while_it_maps(WEFT_THREADS, 2000 / (HARNESS_SANITIZED ? 4 : 1));
}

/* ---- death */

static int give_pid(weft_call *call)
{
    pid_t pid = getpid();
    return weft_call_return(call, &pid, sizeof pid);
}

static pid_t run_give_pid(weft_pool *pool)
{
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, give_pid, NULL, 0, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_outcome(f)->attempts, 1);
    pid_t pid = *(const pid_t *)weft_future_result(f, NULL);
    weft_future_close(f);
    return pid;
}

TEST(a_worker_that_dies_between_calls_costs_none)
{
    weft_pool *pool;
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_init(), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &(weft_options){ .workers = 1 }), 0);
    for (int i = 0; i < 50; i++) {
        pid_t pid = run_give_pid(pool);
        EXPECT_EQ(kill(pid, SIGKILL), 0);
        while (i % 2 && kill(pid, 0) == 0)
            (void)weft_yield(); /* half of them are dead and reaped when the next call comes */
        EXPECT_NE(run_give_pid(pool), pid);
    }
    weft_pool_close(pool);
}

/* ---- deadlines */

static int wait_for_the_deadline(weft_call *call)
{
    const weft_deadline *deadline = call->context;
    while (weft_left(*deadline))
        ;
    return 0;
}

TEST(a_map_of_kind_serial_ends_at_its_deadline)
{
    weft_pool *pool;
    weft_outcome outcomes[5];
    weft_deadline deadline = weft_after(WEFT_MS);
    weft_options options = { .context = &deadline, .context_bytes = sizeof deadline };
    weft_map map = { .count = 5, .outcomes = outcomes };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_SERIAL, &options), 0);
    EXPECT_EQ(weft_pool_map(pool, wait_for_the_deadline, &map, deadline), -ETIMEDOUT);
    EXPECT_EQ(outcomes[0].how, WEFT_DONE);
    for (int i = 1; i < 5; i++)
        EXPECT_EQ(outcomes[i].how, WEFT_CANCELLED);
    weft_pool_close(pool);
}

/* ---- options of processes */

TEST(the_size_of_stacks_is_not_for_processes)
{
    weft_pool *pool;
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_init(), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
    weft_options options = { .workers = 1, .stack_bytes = 1 };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    (void)run_give_pid(pool);
    weft_pool_close(pool);
}
