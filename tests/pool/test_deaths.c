/* SPDX-License-Identifier: MIT */
/*
 * Workers that die: each death costs the one call that it interrupted, which says how, and nothing
 * else. Whoever is to be killed tells its process id through shared memory.
 */
#include <stdatomic.h>

#include <weft/group.h>
#include <weft/pool.h>
#include <weft/self.h>

#include "calls.h"
#include "dying.h"
#include "kinds.h"
#include "strands.h"

struct board {
    atomic_int pids[64]; /* of the calls that run, by index; 0: does not */
    atomic_int entered, attempts, die_in_enter, stop;
};

/* The test's own view; a call finds the board through its context, as its process was forked from
 * the zygote and has none of the test's variables. */
static struct board *board;

static struct board *board_of(const weft_call *call)
{
    return *(struct board *const *)call->context;
}

static void prepare(void)
{
    board = weft_shared_alloc(sizeof *board);
    EXPECT_TRUE(board);
    leave_no_cores();
}

static int die(weft_call *call)
{
    die_by(*(const enum way *)call->arg);
    return weft_call_return(call, call->arg, call->arg_bytes);
}

static weft_pool *open_pool(weft_options options)
{
    weft_pool *pool;
    options.context = &board;
    options.context_bytes = sizeof board;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    return pool;
}

TEST_PROCESSES(each_way_to_die_is_told_and_costs_one_call)
{
    (void)kind;
    prepare();
    weft_pool *pool = open_pool((weft_options){ .workers = 2 });
    weft_future *futures[3 * WAYS];
    for (int i = 0; i < 3 * WAYS; i++)
        futures[i] = submit(pool, die, i % WAYS);
    for (int i = 0; i < 3 * WAYS; i++) {
        EXPECT_EQ(weft_future_wait(futures[i], WEFT_FOREVER), i % WAYS ? -ECHILD : 0);
        expect_death(weft_future_outcome(futures[i]), (enum way)(i % WAYS));
        weft_future_close(futures[i]);
    }
    weft_pool_close(pool);
}

TEST_PROCESSES(a_map_goes_on_past_dead_workers)
{
    enum { N = 4 * WAYS };
    enum way in[N], out[N];
    weft_outcome outcomes[N];
    (void)kind;
    prepare();
    for (int i = 0; i < N; i++)
        in[i] = (enum way)(i % WAYS);
    weft_pool *pool = open_pool((weft_options){ .workers = 3 });
    weft_map map = {
        .in = in,
        .count = N,
        .in_bytes = sizeof *in,
        .out = out,
        .out_bytes = sizeof *out,
        .outcomes = outcomes,
        .on_failure = WEFT_GO_ON,
    };
    EXPECT_EQ(weft_pool_map(pool, die, &map, WEFT_FOREVER), -ECHILD);
    for (int i = 0; i < N; i++) {
        expect_death(&outcomes[i], in[i]);
        EXPECT_EQ(out[i], in[i] == LIVE ? LIVE : 0);
    }
    weft_pool_close(pool);
}

TEST_PROCESSES(a_group_of_processes_tells_how_they_died)
{
    prepare();
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, kind, &(weft_options){ .on_failure = WEFT_GO_ON }), 0);
    weft_future *futures[WAYS];
    for (int i = 0; i < WAYS; i++) {
        enum way way = (enum way)i;
        EXPECT_EQ(weft_group_submit(g, die, &way, sizeof way, &futures[i], WEFT_FOREVER), 0);
    }
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    for (int i = 0; i < WAYS; i++) {
        expect_death(weft_future_outcome(futures[i]), (enum way)i);
        weft_future_close(futures[i]);
    }
    weft_group_close(g);
}

static int show_and_sleep(weft_call *call)
{
    atomic_store(&board_of(call)->pids[call->index % 64], getpid());
    return weft_sleep_until(WEFT_FOREVER);
}

TEST_PROCESSES(killing_a_worker_in_a_call_fails_that_call_only)
{
    (void)kind;
    prepare();
    weft_pool *pool = open_pool((weft_options){ .workers = 2 });
    weft_future *victim = submit(pool, show_and_sleep, LIVE);
    weft_future *bystander = submit(pool, show_and_sleep, LIVE);
    weft_future *waiting = submit(pool, die, LIVE);
    UNTIL(atomic_load(&board->pids[0]) && atomic_load(&board->pids[1]));
    kill(atomic_load(&board->pids[0]), SIGKILL);
    EXPECT_EQ(weft_future_wait(victim, WEFT_FOREVER), -ECHILD);
    expect_death(weft_future_outcome(victim), KILL_ITSELF);
    EXPECT_EQ(weft_future_wait(waiting, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(bystander, WEFT_NOW), -ETIMEDOUT);
    weft_future_cancel(bystander);
    EXPECT_EQ(weft_future_wait(bystander, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(bystander)->how, WEFT_CANCELLED);
    weft_future_close(victim);
    weft_future_close(bystander);
    weft_future_close(waiting);
    weft_pool_close(pool);
}

static int count_attempt_and_die(weft_call *call)
{
    EXPECT_EQ(atomic_fetch_add(&board_of(call)->attempts, 1) + 1, (int)call->attempt);
    if (call->attempt < *(const uint32_t *)call->arg)
        _exit(3);
    return weft_call_return(call, &call->attempt, sizeof call->attempt);
}

TEST_PROCESSES(a_call_that_crashed_is_tried_again_as_often_as_allowed)
{
    (void)kind;
    prepare();
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .attempts_max = 3 });
    weft_future *f = submit(pool, count_attempt_and_die, 3);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_EQ(*(const uint32_t *)weft_future_result(f, NULL), 3);
    EXPECT_EQ(weft_future_outcome(f)->attempts, 3);
    weft_future_close(f);
    atomic_store(&board->attempts, 0);
    f = submit(pool, count_attempt_and_die, 4);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_CRASHED);
    EXPECT_EQ(weft_future_outcome(f)->attempts, 3);
    EXPECT_EQ(weft_future_outcome(f)->exit_code, 3);
    EXPECT_EQ(atomic_load(&board->attempts), 3);
    weft_future_close(f);
    weft_pool_close(pool);
}

static int enter_or_die(weft_call *call, void **ret_worker)
{
    (void)ret_worker;
    atomic_fetch_add(&board_of(call)->entered, 1);
    if (atomic_fetch_sub(&board_of(call)->die_in_enter, 1) > 0)
        _exit(9);
    return 0;
}

TEST_PROCESSES(a_worker_that_dies_in_enter_costs_no_call)
{
    (void)kind;
    prepare();
    atomic_store(&board->die_in_enter, 3);
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .enter = enter_or_die });
    for (int i = 0; i < 5; i++) {
        weft_future *f = submit(pool, die, LIVE);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        weft_future_close(f);
    }
    EXPECT_EQ(atomic_load(&board->entered), 4);
    weft_pool_close(pool);
}

TEST_PROCESSES(calls_fail_when_workers_die_in_enter_again_and_again)
{
    (void)kind;
    prepare();
    atomic_store(&board->die_in_enter, 1000000);
    weft_pool *pool = open_pool((weft_options){ .workers = 2, .enter = enter_or_die });
    for (int i = 0; i < 3; i++) {
        weft_future *f = submit(pool, die, LIVE);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
        EXPECT_NE(weft_future_outcome(f)->how, WEFT_DONE);
        EXPECT_NE(weft_future_outcome(f)->text[0], 0);
        weft_future_close(f);
    }
    weft_pool_close(pool);
}

static int compute_for_ever(weft_call *call)
{
    (void)call;
    signal(SIGTERM, SIG_IGN);
    for (volatile int i = 0; i == 0;)
        ;
    return 0;
}

TEST_PROCESSES(a_call_that_runs_too_long_is_overdue_and_killed)
{
    (void)kind;
    prepare();
    weft_options options = {
        .workers = 1,
        .call_timeout_ns = 50 * WEFT_MS,
        .grace_ns = 10 * WEFT_MS,
    };
    weft_pool *pool = open_pool(options);
    weft_future *f = submit(pool, compute_for_ever, LIVE), *next = submit(pool, die, LIVE);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_OVERDUE);
    EXPECT_EQ(weft_future_outcome(f)->status, -ETIMEDOUT);
    EXPECT_EQ(weft_future_outcome(f)->signal, SIGKILL);
    EXPECT_EQ(weft_future_wait(next, WEFT_FOREVER), 0);
    weft_future_close(f);
    weft_future_close(next);
    weft_pool_close(pool);
}

TEST_PROCESSES(a_cancelled_call_that_does_not_listen_is_killed_after_the_grace)
{
    (void)kind;
    prepare();
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .grace_ns = 10 * WEFT_MS });
    weft_future *f = submit(pool, compute_for_ever, LIVE), *next = submit(pool, die, LIVE);
    UNTIL(weft_future_outcome(f)->how == WEFT_RUNNING);
    weft_future_cancel(f);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_CANCELLED);
    EXPECT_EQ(weft_future_wait(next, WEFT_FOREVER), 0);
    weft_future_close(f);
    weft_future_close(next);
    weft_pool_close(pool);
}

/* ---- killed at any moment */

static int show_and_square(weft_call *call)
{
    int n = *(const int *)call->arg;
    atomic_store(&board_of(call)->pids[call->index % 64], getpid());
    n *= n;
    return weft_call_return(call, &n, sizeof n);
}

static void kill_at_random(size_t index)
{
    unsigned state = 1234567 + (unsigned)index;
    (void)index;
    while (!atomic_load(&board->stop)) {
        state = state * 1103515245 + 12345;
        int pid = atomic_exchange(&board->pids[state >> 16 & 63], 0);
        if (pid)
            kill(pid, SIGKILL); /* may have ended: then there is nobody, pids are not that fast */
        for (unsigned i = 0; i < (state >> 8 & 7); i++)
            strands_yield();
    }
}

/* Kills workers in calls, between calls and while they end; each call ends exactly once, as done or
 * as crashed, and the pool outlives it all. */
TEST_PROCESSES(killing_workers_at_random_loses_no_call)
{
    enum { N = 400 };
    weft_future *futures[N];
    int crashed = 0;
    (void)kind;
    prepare();
    weft_pool *pool = open_pool((weft_options){ .workers = 3, .calls_per_worker_max = 50 });
    struct strands *killer = strands_start(1, kill_at_random);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(weft_pool_submit(pool, show_and_square, &i, sizeof i, &futures[i], WEFT_FOREVER),
                  0);
    for (int i = 0; i < N; i++) {
        int rc = weft_future_wait(futures[i], WEFT_FOREVER);
        const weft_outcome *outcome = weft_future_outcome(futures[i]);
        if (rc == 0) {
            EXPECT_EQ(*(const int *)weft_future_result(futures[i], NULL), i * i);
        } else {
            EXPECT_EQ(outcome->how, WEFT_CRASHED);
            EXPECT_EQ(outcome->signal, SIGKILL);
            crashed++;
        }
        weft_future_close(futures[i]);
    }
    atomic_store(&board->stop, 1);
    strands_join(killer);
    weft_pool_close(pool);
    EXPECT_LT(crashed, N);
}
