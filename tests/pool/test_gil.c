/* SPDX-License-Identifier: MIT */
/* Pools whose callers, workers and calls hold a GIL. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <weft.h>

#include "harness.h"
#include "kinds.h"
#include "strands.h"

static weft_gil gil;
static weft_pool *pool;

static void open_pool(weft_kind kind, uint32_t workers)
{
    weft_gil_init(&gil, 0, true);
    EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = workers }), 0);
}

static int enter_and_leave(weft_call *call)
{
    (void)call;
    int rc = weft_gil_enter(&gil, WEFT_FOREVER);
    return rc < 0 ? rc : weft_gil_leave(&gil);
}

static int nothing(weft_call *call)
{
    (void)call;
    return 0;
}

/* ---- calls inside of calls */

static int map_with_it(weft_call *call)
{
    const weft_map map = { .count = 10 };
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    int rc = weft_pool_map(call->pointer, enter_and_leave, &map, WEFT_FOREVER);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    return rc;
}

/* The worker runs them itself instead of waiting; others would not know that it has the GIL. */
static void run_inside(weft_kind kind)
{
    weft_future *future;
    open_pool(kind, 1);
    EXPECT_EQ(weft_pool_submit(pool, map_with_it, pool, WEFT_POINTER, &future, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(future, WEFT_FOREVER), 0);
    weft_future_close(future);
    weft_pool_close(pool);
}

TEST(calls_inside_of_one_that_blocks_with_it_may_have_it_in_threads)
{
    run_inside(WEFT_THREADS);
}

TEST(calls_inside_of_one_that_blocks_with_it_may_have_it_in_tasks)
{
    kinds_prepare(WEFT_TASKS);
    run_inside(WEFT_TASKS);
}

static atomic_bool stop;

static void compute(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    while (!atomic_load(&stop))
        EXPECT_EQ(weft_gil_check(&gil), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

static int map_many_with_it(weft_call *call)
{
    const weft_map map = { .count = 1000 };
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    int rc = weft_pool_map(call->pointer, nothing, &map, WEFT_FOREVER);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    return rc;
}

/* Else each of them would cost a turn, or a loan. */
TEST(calls_inside_of_one_do_not_take_it_back_one_by_one)
{
    weft_future *future;
    weft_gil_counts counts;
    open_pool(WEFT_THREADS, 1);
    struct strands *computing = strands_start(1, compute);
    EXPECT_EQ(weft_pool_submit(pool, map_many_with_it, pool, WEFT_POINTER, &future, WEFT_FOREVER),
              0);
    EXPECT_EQ(weft_future_wait(future, WEFT_FOREVER), 0);
    atomic_store(&stop, true);
    strands_join(computing);
    weft_gil_counters(&gil, &counts);
    EXPECT_LE(counts.waits, 16);
    weft_future_close(future);
    weft_pool_close(pool);
}

/* ---- a leader */

static weft_event *go; /* in shared memory */
static weft_future *slow;
static atomic_bool entered;

static int wait_for_go(weft_call *call)
{
    return weft_event_wait(call->pointer, WEFT_FOREVER);
}

static void lead(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    atomic_store(&entered, true);
    EXPECT_EQ(weft_future_wait(slow, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

/* The others wait for what a leader does for them: it must not wait for the GIL first. */
TEST(one_that_leads_a_pool_of_processes_does_so_without_it)
{
    weft_future *quick;
    kinds_prepare(WEFT_PROCESSES);
    go = weft_shared_alloc(sizeof *go);
    weft_event_init(go);
    open_pool(WEFT_PROCESSES, 2);
    EXPECT_EQ(weft_pool_submit(pool, wait_for_go, go, WEFT_POINTER, &slow, WEFT_FOREVER), 0);
    struct strands *leader = strands_start(1, lead);
    UNTIL(atomic_load(&entered));
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0); /* it sleeps */
    EXPECT_EQ(weft_pool_submit(pool, nothing, NULL, 0, &quick, WEFT_FOREVER), 0);
    UNTIL(weft_future_wait(quick, WEFT_NOW) == 0);
    weft_event_set(go);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    strands_join(leader);
    weft_future_close(quick);
    weft_future_close(slow);
    weft_pool_close(pool);
    weft_shared_free(go);
}

/* ---- workers */

static int enter_worker(weft_call *call, void **ret_worker)
{
    (void)call;
    *ret_worker = &gil;
    return weft_gil_enter(&gil, WEFT_FOREVER);
}

static void leave_worker(void *worker)
{
    EXPECT_EQ(weft_gil_leave(worker), 0);
}

static int have_it(weft_call *call)
{
    return weft_gil_enter(call->worker, WEFT_NOW) == -EDEADLK ? 0 : -EPERM;
}

/* It is not the call that has taken it. */
TEST_EACH_STRAND_KIND(what_a_worker_entered_with_its_calls_do_not_lose)
{
    const weft_map map = { .count = 10 };
    weft_options options = { .workers = 1, .enter = enter_worker, .leave = leave_worker };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), 0);
    EXPECT_EQ(weft_pool_map(pool, have_it, &map, WEFT_FOREVER), 0);
    weft_pool_close(pool);
}

/* ---- the end */

static pthread_key_t key;

/* Late, when whoever closes the pool waits for the end of the thread alone. */
static void end_with_it(void *unused)
{
    (void)unused;
    nanosleep(&(struct timespec){ .tv_nsec = 10 * WEFT_MS }, NULL);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

static int want_it_at_the_end(weft_call *call)
{
    return -pthread_setspecific(key, call);
}

TEST(who_closes_a_pool_with_it_does_not_keep_it_from_threads_that_end)
{
    const weft_map map = { .count = 1 };
    EXPECT_EQ(pthread_key_create(&key, end_with_it), 0);
    open_pool(WEFT_THREADS, 1);
    EXPECT_EQ(weft_pool_map(pool, want_it_at_the_end, &map, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    weft_pool_close(pool);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    EXPECT_EQ(pthread_key_delete(key), 0);
}
