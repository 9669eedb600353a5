/* SPDX-License-Identifier: MIT */
/*
 * Pools of every kind within calls of every kind, processes within processes among them; several
 * pools side by side; what is refused when a pool of processes is opened; and where the system has
 * no room for one.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include <weft.h>

#include "calls.h"
#include "dying.h"
#include "kinds.h"
#include "strands.h"

static weft_pool *open_pool(weft_kind kind, uint32_t workers)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = workers }), 0);
    return pool;
}

static int take(weft_future *f)
{
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    int result = *(const int *)weft_future_result(f, NULL);
    weft_future_close(f);
    return result;
}

/* ---- pools within calls */

static int use_a_pool(weft_call *call)
{
    weft_pool *pool = open_pool(*(const weft_kind *)call->arg, 2);
    map_squares(pool, square, 50);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(take(submit(pool, square, i)), i * i);
    weft_pool_close(pool);
    return 0;
}

/* weft_init() comes before any thread. */
static void pools_of_every_kind_within(weft_kind outer)
{
    kinds_prepare(WEFT_PROCESSES);
    kinds_prepare(WEFT_TASKS);
    weft_pool *pool = open_pool(outer, 2);
    for (weft_kind inner = WEFT_SERIAL; inner <= WEFT_PROCESSES; inner++) {
        weft_future *futures[4];
        for (int i = 0; i < 4; i++)
            EXPECT_EQ(
                weft_pool_submit(pool, use_a_pool, &inner, sizeof inner, &futures[i], WEFT_FOREVER),
                0);
        for (int i = 0; i < 4; i++) {
            EXPECT_EQ(weft_future_wait(futures[i], WEFT_FOREVER), 0);
            weft_future_close(futures[i]);
        }
    }
    weft_pool_close(pool);
}

TEST(a_thread_may_open_pools_of_every_kind)
{
    pools_of_every_kind_within(WEFT_THREADS);
}

TEST(a_task_may_open_pools_of_every_kind)
{
    pools_of_every_kind_within(WEFT_TASKS);
}

TEST(a_process_may_open_pools_of_every_kind)
{
    pools_of_every_kind_within(WEFT_PROCESSES);
}

TEST(a_serial_call_may_open_pools_of_every_kind)
{
    pools_of_every_kind_within(WEFT_SERIAL);
}

/* Each level opens a pool of processes for the next; gives how many there were. */
static int go_down(weft_call *call)
{
    int depth = *(const int *)call->arg;
    if (depth > 0) {
        weft_pool *pool = open_pool(WEFT_PROCESSES, 1);
        depth = 1 + take(submit(pool, go_down, depth - 1));
        weft_pool_close(pool);
    }
    return weft_call_return(call, &depth, sizeof depth);
}

TEST_PROCESSES(processes_may_be_nested_deeply)
{
    weft_pool *pool = open_pool(kind, 2);
    weft_future *first = submit(pool, go_down, 5), *second = submit(pool, go_down, 3);
    EXPECT_EQ(take(first), 5);
    EXPECT_EQ(take(second), 3);
    weft_pool_close(pool);
}

static int die(weft_call *call)
{
    die_by(*(const enum way *)call->arg);
    return 0;
}

static int survive_deaths_within(weft_call *call)
{
    weft_pool *pool = open_pool(WEFT_PROCESSES, 2);
    for (int way = LIVE + 1; way < WAYS; way++) {
        weft_future *f = submit(pool, die, way);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
        expect_death(weft_future_outcome(f), (enum way)way);
        weft_future_close(f);
    }
    map_squares(pool, square, 50);
    weft_pool_close(pool);
    return weft_call_return(call, call->arg, call->arg_bytes);
}

TEST_PROCESSES(a_death_within_costs_nobody_outside)
{
    leave_no_cores();
    weft_pool *pool = open_pool(kind, 2);
    weft_future *first = submit(pool, survive_deaths_within, 1);
    weft_future *second = submit(pool, survive_deaths_within, 2);
    EXPECT_EQ(take(first), 1);
    EXPECT_EQ(take(second), 2);
    weft_pool_close(pool);
}

struct ids {
    atomic_int outer, inner[2];
};

static int show_and_wait(weft_call *call)
{
    struct ids *ids = call->pointer;
    atomic_store(&ids->inner[call->index], getpid());
    return weft_sleep_until(WEFT_FOREVER);
}

static int hold_a_pool(weft_call *call)
{
    struct ids *ids = call->pointer;
    weft_pool *pool = open_pool(WEFT_PROCESSES, 2);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(weft_pool_submit(pool, show_and_wait, ids, WEFT_POINTER, NULL, WEFT_FOREVER), 0);
    atomic_store(&ids->outer, getpid());
    weft_pool_close(pool); /* never returns */
    return 0;
}

TEST_PROCESSES(a_worker_that_dies_takes_its_own_pools_with_it)
{
    struct ids *ids = weft_shared_alloc(sizeof *ids);
    weft_pool *pool = open_pool(kind, 1);
    weft_future *f;
    EXPECT_TRUE(ids);
    EXPECT_EQ(weft_pool_submit(pool, hold_a_pool, ids, WEFT_POINTER, &f, WEFT_FOREVER), 0);
    UNTIL(atomic_load(&ids->outer) && atomic_load(&ids->inner[0]) && atomic_load(&ids->inner[1]));
    struct pollfd ends[2];
    for (int i = 0; i < 2; i++) {
        ends[i].fd = (int)syscall(SYS_pidfd_open, atomic_load(&ids->inner[i]), 0);
        ends[i].events = POLLIN;
        EXPECT_GE(ends[i].fd, 0);
    }
    EXPECT_EQ(kill(atomic_load(&ids->outer), SIGKILL), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    expect_death(weft_future_outcome(f), KILL_ITSELF);
    weft_future_close(f);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(poll(&ends[i], 1, -1), 1);
        close(ends[i].fd);
    }
    EXPECT_EQ(take(submit(pool, square, 4)), 16);
    weft_pool_close(pool);
    weft_shared_free(ids);
}

/* ---- pools side by side */

TEST_PROCESSES(many_pools_may_be_open_at_once)
{
    enum { POOLS = 12 };
    weft_pool *pools[POOLS];
    weft_future *futures[POOLS][5];
    for (int p = 0; p < POOLS; p++)
        pools[p] = open_pool(kind, 1 + (uint32_t)p % 3);
    for (int i = 0; i < 5; i++)
        for (int p = 0; p < POOLS; p++)
            futures[p][i] = submit(pools[p], square, 10 * p + i);
    for (int i = 4; i >= 0; i--)
        for (int p = POOLS - 1; p >= 0; p--)
            EXPECT_EQ(take(futures[p][i]), (10 * p + i) * (10 * p + i));
    for (int p = 0; p < POOLS; p += 2)
        weft_pool_close(pools[p]);
    for (int p = 1; p < POOLS; p += 2) {
        EXPECT_EQ(take(submit(pools[p], square, p)), p * p);
        weft_pool_close(pools[p]);
    }
}

TEST_PROCESSES(pools_may_be_opened_again_and_again)
{
    for (int i = 0; i < (HARNESS_SANITIZED ? 20 : 100); i++) {
        weft_pool *pool = open_pool(kind, 2);
        switch (i % 4) {
        case 0:
            map_squares(pool, square, 50);
            break;
        case 1:
            weft_future_close(submit(pool, square, i));
            break;
        case 2:
            weft_future_close(submit(pool, square, i));
            weft_pool_terminate(pool);
            break;
        default: /* closed before its workers are there */
            break;
        }
        weft_pool_close(pool);
    }
}

/* ---- what is refused */

static int enter_well(weft_call *call, void **ret_worker)
{
    (void)call;
    (void)ret_worker;
    return 0;
}

TEST_PROCESSES(what_workers_could_not_see_is_refused)
{
    int here = 7;
    weft_pool *before = (weft_pool *)&here, *pool = before;
    weft_options options = { .context = &here, .context_bytes = WEFT_POINTER };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), -EFAULT);
    options = (weft_options){ .context = &here, .context_bytes = ((size_t)1 << 30) + 1 };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), -EMSGSIZE);
    options = (weft_options){ .enter = (int (*)(weft_call *, void **))(void *)&here };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), -EFAULT);
    options = (weft_options){ .leave = (void (*)(void *))(void *)&here };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), -EFAULT);
    EXPECT_TRUE(pool == before);
    options = (weft_options){ .enter = enter_well, .context = "words", .context_bytes = 6 };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), 0);
    EXPECT_EQ(take(submit(pool, square, 3)), 9);
    weft_pool_close(pool);
}

TEST_PROCESSES(a_group_on_a_pool_takes_the_pools_options)
{
    int here = 7;
    weft_pool *pool = open_pool(kind, 1);
    weft_group *g;
    weft_options options = { .pool = pool, .call_timeout_ns = WEFT_S };
    EXPECT_EQ(weft_group_open(&g, kind, &options), -ENOTSUP);
    options = (weft_options){ .pool = pool, .attempts_max = 2 };
    EXPECT_EQ(weft_group_open(&g, kind, &options), -ENOTSUP);
    options = (weft_options){ .pool = pool, .context = &here, .context_bytes = sizeof here };
    EXPECT_EQ(weft_group_open(&g, kind, &options), -EINVAL);
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, &(weft_options){ .pool = pool }), -EINVAL);
    weft_pool_close(pool);
}

TEST(processes_need_weft_init)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, NULL), -ENOTCONN);
}

/* ---- no room */

/* Whether a pool opens and runs a call. If not, its words say why. */
static bool works(weft_kind kind)
{
    weft_pool *pool;
    if (weft_pool_open(&pool, kind, &(weft_options){ .workers = 1 }) < 0)
        return false;
    weft_future *f = submit(pool, square, 5);
    bool done = weft_future_wait(f, WEFT_FOREVER) == 0;
    if (!done) {
        EXPECT_EQ(weft_future_outcome(f)->how, WEFT_FAILED);
        EXPECT_NE(weft_future_outcome(f)->text[0], 0);
    }
    weft_future_close(f);
    weft_pool_close(pool);
    return done;
}

TEST_PROCESSES(a_pool_without_descriptors_fails_in_words)
{
    struct rlimit limit, none;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_TRUE(works(kind));
    none = limit;
    for (none.rlim_cur = 0; none.rlim_cur < 12; none.rlim_cur += 3) {
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        bool it_works = works(kind);
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        if (none.rlim_cur == 0)
            EXPECT_FALSE(it_works);
        EXPECT_TRUE(works(kind));
    }
}
