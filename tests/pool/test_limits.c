/* SPDX-License-Identifier: MIT */
/*
 * What a pool of processes promises to keep to: how many calls a worker runs, how many may wait,
 * how long one may take, and how calls are cancelled: asked first, killed after the grace. Counted
 * in shared memory.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <weft.h>

#include "calls.h"
#include "dying.h"
#include "kinds.h"
#include "strands.h"

enum { WORKERS_MAX = 600 };

struct board {
    atomic_int entered, left, ran, per_worker[WORKERS_MAX]; /* by the order of entering */
    atomic_int begun, asked; /* calls, and those that were asked to end */
    atomic_bool open;
};

static struct board *board;

static struct board *board_of(const weft_call *call)
{
    return *(struct board *const *)call->context;
}

static int enter(weft_call *call, void **ret_worker)
{
    int *number = malloc(sizeof *number);
    EXPECT_TRUE(number);
    *number = atomic_fetch_add(&board_of(call)->entered, 1);
    EXPECT_LT(*number, WORKERS_MAX);
    *ret_worker = number;
    board = board_of(call); /* the worker's own variable: leave has no call */
    return 0;
}

static void leave(void *worker)
{
    atomic_fetch_add(&board->left, 1);
    free(worker);
}

static int count(weft_call *call)
{
    struct board *its = board_of(call);
    int number = *(const int *)call->worker;
    atomic_fetch_add(&its->per_worker[number], 1);
    atomic_fetch_add(&its->ran, 1);
    return weft_call_return(call, &number, sizeof number);
}

static weft_pool *open_pool(weft_options options)
{
    weft_pool *pool;
    leave_no_cores();
    board = weft_shared_alloc(sizeof *board);
    EXPECT_TRUE(board);
    options.context = &board;
    options.context_bytes = sizeof board;
    options.enter = enter;
    options.leave = leave;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    return pool;
}

static void expect_done(weft_future *f)
{
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    weft_future_close(f);
}

/* ---- calls per worker */

static int sum_of_workers(int most_each)
{
    int sum = 0;
    for (int i = 0; i < WORKERS_MAX; i++) {
        EXPECT_LE(atomic_load(&board->per_worker[i]), most_each);
        sum += atomic_load(&board->per_worker[i]);
    }
    return sum;
}

static void map_calls(weft_pool *pool, size_t calls)
{
    weft_map map = { .count = calls };
    EXPECT_EQ(weft_pool_map(pool, count, &map, WEFT_FOREVER), 0);
}

static void submit_calls(weft_pool *pool, size_t calls)
{
    for (size_t i = 0; i < calls; i++)
        EXPECT_EQ(weft_pool_submit(pool, count, NULL, 0, NULL, WEFT_FOREVER), 0);
}

static void call_one_by_one(weft_pool *pool, size_t calls)
{
    for (size_t i = 0; i < calls; i++)
        expect_done(submit(pool, count, 0));
}

/* A worker may wait in reserve without having run any; none runs too many, and all leave. */
static void expect_replaced(int calls, int workers, int most_each)
{
    int entered = atomic_load(&board->entered);
    EXPECT_EQ(atomic_load(&board->ran), calls);
    EXPECT_EQ(sum_of_workers(most_each), calls);
    EXPECT_GE(entered, (calls + most_each - 1) / most_each);
    EXPECT_LE(entered, calls / most_each + 2 * workers);
    EXPECT_EQ(atomic_load(&board->left), entered);
}

TEST_PROCESSES(workers_run_exactly_as_many_calls_as_they_may)
{
    static void (*const routes[])(weft_pool *, size_t) = { map_calls, submit_calls,
                                                           call_one_by_one };
    static const int most[] = { 1, 2, 3, 7, 64 };
    (void)kind;
    for (size_t m = HARNESS_EMULATED ? 2 : 0; m < sizeof most / sizeof *most; m++)
        for (size_t r = 0; r < sizeof routes / sizeof *routes; r++)
            for (int workers = 1; workers <= 3; workers += 2) {
                int calls = 30 + 2 * most[m];
                weft_options options = { .workers = (uint32_t)workers,
                                         .calls_per_worker_max = (uint32_t)most[m] };
                weft_pool *pool = open_pool(options);
                routes[r](pool, (size_t)calls);
                weft_pool_close(pool);
                expect_replaced(calls, workers, most[m]);
                weft_shared_free(board);
            }
}

/* With one worker it is known which call each one runs. */
TEST_PROCESSES(one_worker_at_a_time_runs_its_share)
{
    enum { EACH = 4, ROUNDS = 10 };
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .calls_per_worker_max = EACH });
    for (int i = 0; i < EACH * ROUNDS; i++) {
        weft_future *f = submit(pool, count, 0);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        EXPECT_EQ(*(const int *)weft_future_result(f, NULL), i / EACH);
        weft_future_close(f);
    }
    weft_pool_close(pool);
    for (int i = 0; i < ROUNDS; i++)
        EXPECT_EQ(atomic_load(&board->per_worker[i]), EACH);
    weft_shared_free(board);
}

static int count_or_die(weft_call *call)
{
    if (call->index % 5 == 4)
        die_by(EXIT_7);
    return count(call);
}

/* Those that died have not left; those that ran their share have. */
TEST_PROCESSES(workers_that_die_before_their_time_are_replaced_as_well)
{
    enum { CALLS = 100 };
    weft_outcome outcomes[CALLS];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 2, .calls_per_worker_max = 3 });
    weft_map map = { .count = CALLS, .outcomes = outcomes, .on_failure = WEFT_GO_ON };
    EXPECT_EQ(weft_pool_map(pool, count_or_die, &map, WEFT_FOREVER), -ECHILD);
    weft_pool_close(pool);
    for (int i = 0; i < CALLS; i++)
        expect_death(&outcomes[i], i % 5 == 4 ? EXIT_7 : LIVE);
    EXPECT_EQ(sum_of_workers(3), CALLS - CALLS / 5);
    EXPECT_EQ(atomic_load(&board->entered) - atomic_load(&board->left), CALLS / 5);
    weft_shared_free(board);
}

/* ---- cancelling */

static volatile sig_atomic_t asked;

static void be_asked(int signo)
{
    asked = signo;
}

/* Ends in its own time when it is asked to, by the status that its argument says. */
static int listen_and_return(weft_call *call)
{
    struct board *its = board_of(call);
    int status = *(const int *)call->arg;
    asked = 0;
    (void)signal(SIGTERM, be_asked);
    atomic_fetch_add(&its->begun, 1);
    UNTIL(asked);
    atomic_fetch_add(&its->asked, 1);
    return status == 1 ? weft_call_return(call, "late", 5) : status;
}

/* The grace is an hour: it is not the kill that ends them. */
TEST_PROCESSES(a_cancelled_call_may_end_by_itself)
{
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .grace_ns = 3600 * WEFT_S });
    weft_future *given_up = submit(pool, listen_and_return, -ECANCELED);
    UNTIL(atomic_load(&board->begun) == 1);
    weft_future_cancel(given_up);
    expect_cancelled(given_up);

    weft_future *completed = submit(pool, listen_and_return, 1);
    UNTIL(atomic_load(&board->begun) == 2);
    weft_future_cancel(completed);
    expect_done(completed); /* it has a result, which counts */
    EXPECT_EQ(atomic_load(&board->asked), 2);

    weft_future *failed = submit(pool, listen_and_return, -EDOM);
    UNTIL(atomic_load(&board->begun) == 3);
    weft_future_cancel(failed);
    EXPECT_EQ(weft_future_wait(failed, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(failed)->how, WEFT_FAILED);
    EXPECT_EQ(weft_future_outcome(failed)->status, -EDOM);
    weft_future_close(failed);
    expect_done(submit(pool, count, 0));
    weft_pool_close(pool);
    weft_shared_free(board);
}

static int be_deaf(weft_call *call)
{
    (void)signal(SIGTERM, SIG_IGN);
    atomic_fetch_add(&board_of(call)->begun, 1);
    for (;;)
        pause();
    return 0;
}

/* Of calls that wait behind each other, some begin, some do not; each ends as cancelled, and a
 * worker is killed at most for what it runs. */
TEST_PROCESSES(any_call_of_many_may_be_cancelled)
{
    enum { MANY = 60 };
    weft_future *futures[MANY];
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 2, .grace_ns = WEFT_MS });
    for (int i = 0; i < MANY; i++)
        futures[i] = submit(pool, i % 3 == 0 ? be_deaf : count, 0);
    for (int i = MANY - 3; i >= 0; i -= 3)
        weft_future_cancel(futures[i]);
    for (int i = 0; i < MANY; i++)
        if (i % 3 == 0)
            expect_cancelled(futures[i]);
        else
            expect_done(futures[i]);
    EXPECT_EQ(atomic_load(&board->ran), MANY - MANY / 3);
    weft_pool_close(pool);
    weft_shared_free(board);
}

TEST_PROCESSES(a_map_that_is_late_ends_with_the_calls_that_it_runs)
{
    enum { ITEMS = 50 };
    weft_outcome outcomes[ITEMS];
    weft_map map = { .count = ITEMS, .outcomes = outcomes };
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 3, .grace_ns = WEFT_MS });
    EXPECT_EQ(weft_pool_map(pool, be_deaf, &map, weft_after(20 * WEFT_MS)), -ETIMEDOUT);
    int begun = 0;
    for (int i = 0; i < ITEMS; i++) {
        EXPECT_EQ(outcomes[i].how, WEFT_CANCELLED);
        EXPECT_EQ(outcomes[i].status, -ECANCELED);
        begun += outcomes[i].attempts > 0;
    }
    EXPECT_LE(atomic_load(&board->begun), 3);
    EXPECT_GE(begun, atomic_load(&board->begun));
    EXPECT_EQ(weft_pool_map(pool, be_deaf, &map, WEFT_NOW), -ETIMEDOUT);
    map_calls(pool, 100);
    EXPECT_EQ(atomic_load(&board->ran), 100);
    weft_pool_close(pool);
    weft_shared_free(board);
}

/* ---- too long */

static int run_for_ever_if_odd(weft_call *call)
{
    if (call->index % 8 == 7)
        return be_deaf(call);
    return count(call);
}

TEST_PROCESSES(each_overdue_call_of_a_map_is_killed_and_no_other)
{
    enum { ITEMS = 32 };
    weft_outcome outcomes[ITEMS];
    weft_map map = { .count = ITEMS, .outcomes = outcomes, .on_failure = WEFT_GO_ON };
    (void)kind;
    weft_pool *pool = open_pool((weft_options){
        .workers = 4,
        .call_timeout_ns = (HARNESS_SANITIZED ? 1000 : 200) * WEFT_MS,
        .attempts_max = 5, /* not for calls that take too long */
    });
    EXPECT_EQ(weft_pool_map(pool, run_for_ever_if_odd, &map, WEFT_FOREVER), -ECHILD);
    for (int i = 0; i < ITEMS; i++) {
        EXPECT_EQ(outcomes[i].how, i % 8 == 7 ? WEFT_OVERDUE : WEFT_DONE);
        EXPECT_EQ(outcomes[i].signal, i % 8 == 7 ? SIGKILL : 0);
        EXPECT_EQ(outcomes[i].attempts, 1);
    }
    EXPECT_EQ(atomic_load(&board->begun), ITEMS / 8);
    EXPECT_EQ(atomic_load(&board->ran), ITEMS - ITEMS / 8);
    weft_pool_close(pool);
    weft_shared_free(board);
}

/* Time in the queue is not the call's: many short ones wait longer than each may take. */
static int take_a_while(weft_call *call)
{
    (void)weft_sleep_until(weft_after(2 * WEFT_MS));
    return count(call);
}

TEST_PROCESSES(waiting_for_a_worker_makes_no_call_overdue)
{
    int64_t timeout_ns = (HARNESS_SANITIZED ? 1000 : 150) * WEFT_MS;
    size_t calls = (size_t)(timeout_ns / WEFT_MS); /* twice the time that one may take */
    (void)kind;
    weft_pool *pool = open_pool((weft_options){ .workers = 1, .call_timeout_ns = timeout_ns });
    weft_map map = { .count = calls };
    EXPECT_EQ(weft_pool_map(pool, take_a_while, &map, WEFT_FOREVER), 0);
    EXPECT_EQ(atomic_load(&board->ran), calls);
    weft_pool_close(pool);
    weft_shared_free(board);
}

/* ---- the backlog */

static int await_gate(weft_call *call)
{
    struct board *its = board_of(call);
    atomic_fetch_add(&its->begun, 1);
    UNTIL(atomic_load(&its->open));
    return count(call);
}

/* Whatever has been handed to workers in advance, not more than was said may wait for one. */
TEST_PROCESSES(no_more_calls_wait_than_the_backlog_holds)
{
    (void)kind;
    for (uint32_t backlog = 1; backlog <= 64; backlog *= 8) {
        weft_pool *pool = open_pool((weft_options){ .workers = 2, .backlog_max = backlog });
        for (int i = 0; i < 2; i++)
            EXPECT_EQ(weft_pool_submit(pool, await_gate, NULL, 0, NULL, WEFT_FOREVER), 0);
        UNTIL(atomic_load(&board->begun) == 2);
        uint32_t waiting = 0;
        while (weft_pool_submit(pool, count, NULL, 0, NULL, WEFT_NOW) == 0)
            waiting++;
        EXPECT_EQ(waiting, backlog);
        EXPECT_EQ(weft_pool_submit(pool, count, NULL, 0, NULL, weft_after(WEFT_MS)), -ETIMEDOUT);
        atomic_store(&board->open, true);
        EXPECT_EQ(weft_pool_submit(pool, count, NULL, 0, NULL, WEFT_FOREVER), 0);
        weft_pool_close(pool);
        EXPECT_EQ(atomic_load(&board->ran), 2 + backlog + 1);
        weft_shared_free(board);
    }
}
