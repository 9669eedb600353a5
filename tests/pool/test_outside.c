/* SPDX-License-Identifier: MIT */
/*
 * Signals from outside to workers that run, wait, enter, leave or are stopped, one or all of them,
 * and to the zygote: what was interrupted is told, the rest goes on. Workers tell their ids through
 * shared memory.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <weft.h>

#include "calls.h"
#include "dying.h"
#include "kinds.h"
#include "strands.h"

enum { WORKERS = 4, WAITING = 20 };

struct board {
    atomic_int zygote, runs[WORKERS]; /* the processes in which hold() runs, by its argument */
    atomic_int enters, leaves;        /* the process that is in there, 0: none */
    atomic_bool open;                 /* the gate of hold() */
    atomic_bool enter_open;
};

static struct board *board;

static struct board *board_of(const weft_call *call)
{
    return *(struct board *const *)call->context;
}

static weft_pool *open_pool(weft_options options)
{
    weft_pool *pool;
    leave_no_cores();
    if (!board)
        board = weft_shared_alloc(sizeof *board);
    EXPECT_TRUE(board);
    options.context = &board;
    options.context_bytes = sizeof board;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    return pool;
}

/* Squares once the gate is open. */
static int hold(weft_call *call)
{
    struct board *its = board_of(call);
    if (HARNESS_SANITIZED)
        signal(SIGSEGV, SIG_DFL);
    atomic_store(&its->zygote, getppid());
    atomic_store(&its->runs[*(const int *)call->arg], getpid());
    UNTIL(atomic_load(&its->open));
    return square(call);
}

static void expect_crash(weft_future *f, int signo)
{
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_CRASHED);
    EXPECT_EQ(weft_future_outcome(f)->signal, signo);
    EXPECT_EQ(weft_future_outcome(f)->attempts, 1);
    weft_future_close(f);
}

/* Has n workers hold calls 0 to n - 1. */
static void hold_all(weft_pool *pool, int n, weft_future *futures[])
{
    atomic_store(&board->open, false);
    for (int i = 0; i < n; i++)
        atomic_store(&board->runs[i], 0);
    for (int i = 0; i < n; i++)
        futures[i] = submit(pool, hold, i);
    for (int i = 0; i < n; i++)
        UNTIL(atomic_load(&board->runs[i]));
}

static void signal_runner(int n, int signo)
{
    EXPECT_EQ(kill(atomic_load(&board->runs[n]), signo), 0);
}

/* ---- deaths */

TEST_PROCESSES(a_signal_costs_the_call_that_it_meets)
{
    static const int signals[] = { SIGKILL, SIGTERM, SIGABRT, SIGSEGV, SIGUSR1, SIGXCPU };
    weft_future *held[2];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 2 });
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        hold_all(pool, 2, held);
        signal_runner(0, signals[i]);
        expect_crash(held[0], signals[i]);
        EXPECT_EQ(weft_future_wait(held[1], WEFT_NOW), -ETIMEDOUT);
        expect_square(submit(pool, square, 6), 6);
        atomic_store(&board->open, true);
        expect_square(held[1], 1);
    }
    weft_pool_close(pool);
}

TEST_PROCESSES(all_workers_may_die_at_once)
{
    weft_future *held[WORKERS], *waiting[WAITING];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = WORKERS });
    for (int round = 0; round < 5; round++) {
        hold_all(pool, WORKERS, held);
        for (int i = 0; i < WAITING; i++)
            waiting[i] = submit(pool, square, i);
        for (int i = 0; i < WORKERS; i++)
            signal_runner(i, SIGKILL);
        for (int i = 0; i < WAITING; i++)
            expect_square(waiting[i], i);
        for (int i = 0; i < WORKERS; i++)
            expect_crash(held[i], SIGKILL);
    }
    weft_pool_close(pool);
}

TEST_PROCESSES(all_workers_may_die_between_calls)
{
    weft_future *held[WORKERS], *waiting[WAITING];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = WORKERS });
    for (int round = 0; round < 10; round++) {
        hold_all(pool, WORKERS, held);
        atomic_store(&board->open, true);
        for (int i = 0; i < WORKERS; i++)
            expect_square(held[i], i);
        for (int i = 0; i < WORKERS; i++)
            (void)kill(atomic_load(&board->runs[i]), SIGKILL);
        for (int i = 0; i < WAITING; i++)
            waiting[i] = submit(pool, square, i);
        for (int i = 0; i < WAITING; i++)
            expect_square(waiting[i], i);
    }
    weft_pool_close(pool);
}

/* ---- stopped workers */

#define TIMEOUT_NS ((HARNESS_SANITIZED ? 1000 : 200) * WEFT_MS)

TEST_PROCESSES(a_stopped_worker_is_replaced_when_its_call_is_overdue)
{
    weft_future *held[1];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .call_timeout_ns = TIMEOUT_NS });
    hold_all(pool, 1, held);
    signal_runner(0, SIGSTOP);
    weft_future *next = submit(pool, square, 3);
    EXPECT_EQ(weft_future_wait(held[0], WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(held[0])->how, WEFT_OVERDUE);
    EXPECT_EQ(weft_future_outcome(held[0])->status, -ETIMEDOUT);
    EXPECT_EQ(weft_future_outcome(held[0])->signal, SIGKILL);
    EXPECT_EQ(weft_future_outcome(held[0])->attempts, 1);
    expect_square(next, 3);
    weft_future_close(held[0]);
    weft_pool_close(pool);
}

/* The call that it is handed may be given to another worker, or be overdue; none waits for ever. */
TEST_PROCESSES(a_worker_that_is_stopped_between_calls_is_replaced_too)
{
    weft_future *held[1];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .call_timeout_ns = TIMEOUT_NS });
    hold_all(pool, 1, held);
    atomic_store(&board->open, true);
    expect_square(held[0], 0);
    signal_runner(0, SIGSTOP);
    weft_future *meets_it = submit(pool, square, 2), *next = submit(pool, square, 3);
    if (weft_future_wait(meets_it, WEFT_FOREVER) < 0)
        EXPECT_EQ(weft_future_outcome(meets_it)->how, WEFT_OVERDUE);
    expect_square(next, 3);
    weft_future_close(meets_it);
    weft_pool_close(pool);
}

TEST_PROCESSES(a_worker_that_was_stopped_for_a_while_goes_on)
{
    weft_future *held[2];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 2 });
    hold_all(pool, 2, held);
    signal_runner(0, SIGSTOP);
    atomic_store(&board->open, true);
    expect_square(held[1], 1);
    for (int i = 0; i < 50; i++)
        expect_square(submit(pool, square, i), i);
    EXPECT_EQ(weft_future_wait(held[0], WEFT_NOW), -ETIMEDOUT);
    signal_runner(0, SIGCONT);
    expect_square(held[0], 0);
    weft_pool_close(pool);
}

TEST_PROCESSES(a_stopped_worker_is_killed_when_its_call_is_cancelled)
{
    weft_future *held[1];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .grace_ns = 5 * WEFT_MS });
    hold_all(pool, 1, held);
    signal_runner(0, SIGSTOP);
    weft_future *next = submit(pool, square, 3);
    weft_future_cancel(held[0]);
    expect_cancelled(held[0]);
    expect_square(next, 3);
    weft_pool_close(pool);
}

TEST_PROCESSES(terminating_ends_stopped_workers)
{
    weft_future *held[WORKERS], *waiting[WAITING];
    (void)kind;
    weft_options options = { .workers = WORKERS, .grace_ns = 5 * WEFT_MS };
    weft_pool *pool = open_pool(options);
    hold_all(pool, WORKERS, held);
    for (int i = 0; i < WAITING; i++)
        waiting[i] = submit(pool, square, i);
    for (int i = 0; i < WORKERS; i++)
        signal_runner(i, SIGSTOP);
    weft_pool_terminate(pool);
    for (int i = 0; i < WORKERS; i++)
        expect_cancelled(held[i]);
    for (int i = 0; i < WAITING; i++)
        expect_cancelled(waiting[i]);
    weft_pool_close(pool);
}

TEST_PROCESSES(closing_ends_workers_that_were_stopped_between_calls)
{
    weft_future *held[WORKERS];
    (void)kind;
    weft_options options = { .workers = WORKERS, .grace_ns = 5 * WEFT_MS };
    weft_pool *pool = open_pool(options);
    hold_all(pool, WORKERS, held);
    atomic_store(&board->open, true);
    for (int i = 0; i < WORKERS; i++)
        expect_square(held[i], i);
    for (int i = 0; i < WORKERS; i++)
        signal_runner(i, SIGSTOP);
    weft_pool_close(pool);
}

/* ---- entering and leaving */

static int enter_slowly(weft_call *call, void **ret_worker)
{
    struct board *its = board_of(call);
    *ret_worker = its;
    atomic_store(&its->enters, getpid());
    UNTIL(atomic_load(&its->enter_open));
    return 0;
}

static void leave_slowly(void *worker)
{
    struct board *its = worker;
    atomic_store(&its->leaves, getpid());
    for (;;)
        pause();
}

static pid_t await_pid(atomic_int *where)
{
    UNTIL(atomic_load(where));
    return atomic_exchange(where, 0);
}

TEST_PROCESSES(a_worker_that_is_killed_in_enter_costs_no_call)
{
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .enter = enter_slowly });
    weft_future *first = submit(pool, square, 5), *second = submit(pool, square, 6);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(kill(await_pid(&board->enters), SIGKILL), 0);
    (void)await_pid(&board->enters);
    atomic_store(&board->enter_open, true);
    expect_square(first, 5);
    expect_square(second, 6);
    weft_pool_close(pool);
}

static void *close_pool(void *pool)
{
    weft_pool_close(pool);
    return NULL;
}

TEST_PROCESSES(a_worker_that_is_killed_in_leave_does_not_hold_up_closing)
{
    pthread_t thread;
    (void)kind;
    weft_options options = {
        .workers = 1,
        .enter = enter_slowly,
        .leave = leave_slowly,
        .grace_ns = 3600 * WEFT_S,
    };
    weft_pool *pool = open_pool(options);
    atomic_store(&board->enter_open, true);
    expect_square(submit(pool, square, 5), 5);
    EXPECT_EQ(pthread_create(&thread, NULL, close_pool, pool), 0);
    EXPECT_EQ(kill(await_pid(&board->leaves), SIGKILL), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
}

/* ---- the zygote */

TEST_PROCESSES(the_death_of_the_zygote_ends_every_call)
{
    weft_future *held[WORKERS], *waiting[WAITING];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = WORKERS, .attempts_max = 3 });
    hold_all(pool, WORKERS, held);
    for (int i = 0; i < WAITING; i++)
        waiting[i] = submit(pool, square, i);
    EXPECT_EQ(kill(atomic_load(&board->zygote), SIGKILL), 0);
    for (int i = 0; i < WORKERS + WAITING; i++) {
        weft_future *f = i < WORKERS ? held[i] : waiting[i - WORKERS];
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
        EXPECT_NE(weft_future_outcome(f)->text[0], 0);
        weft_future_close(f);
    }
    weft_future *late = submit(pool, square, 1);
    EXPECT_EQ(weft_future_wait(late, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(late)->how, WEFT_FAILED);
    EXPECT_HAS(weft_future_outcome(late)->text, "zygote");
    weft_future_close(late);
    weft_pool_close(pool);
}
