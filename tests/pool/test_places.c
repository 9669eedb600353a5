/* SPDX-License-Identifier: MIT */
/*
 * Pools of tasks use all the threads that run tasks: a call waits behind another one's computing
 * only when all of them compute. Computing is played by calls that do not let go of their thread
 * until somebody on another one has done something.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <weft/event.h>
#include <weft/group.h>
#include <weft/pool.h>
#include <weft/self.h>

#include "calls.h"
#include "harness.h"
#include "strands.h"
#include "workers.h"

static atomic_uint begun, let_go;
static weft_event over;

/* The thread does nothing else meanwhile. */
static void compute_until(atomic_uint *count, unsigned n)
{
    while (atomic_load(count) < n)
        sched_yield();
}

static void threads_are(const char *number)
{
    setenv("WEFT_WORKERS", number, 1);
    workers_make_all();
    DESCRIPTORS_COUNT_FROM_HERE();
}

static weft_pool *open_pool(uint32_t workers)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_TASKS, &(weft_options){ .workers = workers }), 0);
    return pool;
}

/* Computes until as many have begun as the argument says. */
static int meet(weft_call *call)
{
    atomic_fetch_add(&begun, 1);
    compute_until(&begun, *(const unsigned *)call->arg);
    return 0;
}

static int count(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&begun, 1);
    return 0;
}

static int wait_for_the_end(weft_call *call)
{
    atomic_fetch_add(&begun, 1);
    (void)call;
    return weft_event_wait(&over, WEFT_FOREVER);
}

static void meet_by_a_map(weft_pool *pool, unsigned n)
{
    unsigned in[] = { n, n, n, n, n, n, n, n };
    weft_map map = { .in = in, .count = n, .in_bytes = sizeof *in };
    atomic_store(&begun, 0);
    EXPECT_EQ(weft_pool_map(pool, meet, &map, WEFT_FOREVER), 0);
}

TEST(the_workers_of_a_pool_compute_on_several_cpus)
{
    threads_are("2");
    weft_pool *pool = open_pool(8);
    for (int i = 0; i < 200; i++)
        meet_by_a_map(pool, 2);
    weft_pool_close(pool);
}

TEST(a_pool_with_as_many_workers_as_there_are_threads_has_one_on_each)
{
    threads_are("5");
    for (int i = 0; i < 10; i++) {
        weft_pool *pool = open_pool(5);
        meet_by_a_map(pool, 5);
        weft_pool_close(pool);
    }
}

TEST(pools_of_one_worker_are_on_different_threads)
{
    threads_are("2");
    weft_pool *pools[] = { open_pool(1), open_pool(1) };
    weft_future *calls[] = { submit(pools[0], meet, 2), submit(pools[1], meet, 2) };
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(weft_future_wait(calls[i], WEFT_FOREVER), 0);
        weft_future_close(calls[i]);
        weft_pool_close(pools[i]);
    }
}

TEST(a_call_does_not_wait_behind_one_that_computes)
{
    enum { WAITING = 20 };
    threads_are("2");
    weft_pool *pool = open_pool(2 * (WAITING + 2)); /* so many on each thread that some are idle */
    for (int i = 0; i < WAITING; i++)
        weft_future_close(submit(pool, wait_for_the_end, 0));
    UNTIL(atomic_load(&begun) == WAITING);
    for (unsigned i = 0; i < 100; i++) { /* each time wherever it comes to be */
        atomic_store(&begun, 0);
        weft_future *computes = submit(pool, meet, 2);
        UNTIL(atomic_load(&begun) == 1);
        weft_future *other = submit(pool, count, 0);
        EXPECT_EQ(weft_future_wait(other, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(computes, WEFT_FOREVER), 0);
        weft_future_close(computes);
        weft_future_close(other);
    }
    weft_event_set(&over);
    weft_pool_close(pool);
}

/* ---- two threads that submit at the same moment, while nobody runs or watches */

enum { ROUNDS = 120 };

static weft_pool *shared_pool;
static atomic_uint arrived;

static int submit_at_once(weft_call *call)
{
    const bool *pauses = call->arg;
    for (unsigned i = 1; i <= ROUNDS; i++) {
        if (*pauses) /* until all who run tasks sleep; else there is less to be seen */
            nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
        atomic_fetch_add(&arrived, 1);
        while (atomic_load(&arrived) < 2 * i) { /* no yield: it must be the same moment */
        }
        weft_future *f = submit(shared_pool, meet, (int)(2 * i));
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        weft_future_close(f);
    }
    return 0;
}

TEST(calls_for_which_the_same_thread_wakes_up_are_run_by_two)
{
    threads_are("2");
    shared_pool = open_pool(9); /* one thread has more of them than the other */
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_THREADS, NULL), 0);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(weft_group_start(group, submit_at_once, &(bool){ i > 0 }, sizeof(bool)), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    weft_pool_close(shared_pool);
}

/* A task that submits n calls, and computes until all of them have run. */
struct order {
    weft_pool *pool;
    unsigned n;
};

static int submit_and_compute(weft_call *call)
{
    const struct order *order = call->arg;
    for (unsigned i = 0; i < order->n; i++)
        weft_future_close(submit(order->pool, count, 0));
    compute_until(&begun, order->n);
    return 0;
}

TEST(what_a_task_submits_before_it_computes_is_run_elsewhere)
{
    threads_are("2");
    weft_pool *pool = open_pool(8);
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    for (unsigned i = 0; i < 60; i++) {
        struct order order = { pool, 1 + i % 3 };
        atomic_store(&begun, 0);
        EXPECT_EQ(weft_group_start(group, submit_and_compute, &order, sizeof order), 0);
        EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    }
    weft_group_close(group);
    weft_pool_close(pool);
}

/* A call of the pool's own that does the same. */
TEST(what_a_call_submits_before_it_computes_is_run_elsewhere)
{
    threads_are("2");
    weft_pool *pool = open_pool(8);
    for (unsigned i = 0; i < 60; i++) {
        struct order order = { pool, 1 + i % 3 };
        weft_future *f;
        atomic_store(&begun, 0);
        EXPECT_EQ(
            weft_pool_submit(pool, submit_and_compute, &order, sizeof order, &f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        weft_future_close(f);
    }
    weft_pool_close(pool);
}

/* Lets others run on its thread, for ever, but never leaves it idle. */
static int keep_busy(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&let_go))
        weft_yield();
    return 0;
}

TEST(a_thread_that_is_never_idle_takes_what_another_one_leaves)
{
    threads_are("2");
    weft_pool *pool = open_pool(8);
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(weft_group_start(group, keep_busy, NULL, 0), 0);
    UNTIL(atomic_load(&begun) == 4);
    for (unsigned i = 0; i < 30; i++) {
        struct order order = { pool, 1 + i % 3 };
        atomic_store(&begun, 0);
        weft_future *f;
        EXPECT_EQ(
            weft_pool_submit(pool, submit_and_compute, &order, sizeof order, &f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        weft_future_close(f);
    }
    atomic_store(&let_go, 1);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    weft_pool_close(pool);
}

static bool large; /* the machine, as the library sees it */

int sched_getaffinity(pid_t pid, size_t cpusetsize, cpu_set_t *cpuset)
{
    enum { CPUS = 300 };
    memset(cpuset, 0, cpusetsize);
    if (!large)
        return syscall(SYS_sched_getaffinity, pid, cpusetsize, cpuset) < 0 ? -1 : 0;
    for (size_t cpu = 0; cpu < CPUS; cpu++)
        CPU_SET_S(cpu, cpusetsize, cpuset);
    return 0;
}

TEST(on_a_machine_of_very_many_cpus_there_are_as_many_threads_as_there_may_be)
{
    enum { POOLS = 3 };
    weft_pool *pools[POOLS];
    if (HARNESS_EMULATED)
        SKIP("these are many threads for an emulator");
    unsetenv("WEFT_WORKERS");
    large = true;
    for (unsigned i = 0; i < POOLS; i++) { /* the second one's begin where those of the first end */
        pools[i] = open_pool(150);
        expect_square(submit(pools[i], square, 3), 3);
    }
    for (unsigned i = 0; i < POOLS; i++)
        weft_pool_close(pools[i]);
    DESCRIPTORS_COUNT_FROM_HERE(); /* those of the threads stay */
}

TEST(pools_that_are_opened_again_and_again_leave_nothing_behind)
{
    threads_are("3");
    for (unsigned i = 0; i < 100; i++) {
        weft_pool *pools[] = { open_pool(1 + i % 7), open_pool(2) };
        weft_future *calls[] = { submit(pools[0], square, 3), submit(pools[1], square, 5) };
        expect_square(calls[0], 3);
        weft_pool_close(pools[0]);
        expect_square(calls[1], 5);
        weft_pool_close(pools[1]);
    }
}
