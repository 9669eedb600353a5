/* SPDX-License-Identifier: MIT */
/*
 * Where a pool of processes could wait for ever: something fails while the call is handed over,
 * taken apart, run, or answered, while the answer is taken, or while the pool is closed; by an
 * error, an exit or a crash. CPython keeps such a list for its executor
 * (test_deadlock.py); these are its sixteen cases as a C program meets them, and some of our own:
 *
 *   theirs                                here
 *   error at task pickle                  submit refuses the argument
 *   error, exit, crash at task unpickle   the function takes its argument apart
 *   error, exit, crash during func exec   the function works
 *   error, exit, crash at result pickle   the function gives its result
 *   error, exit at result unpickle        on_error, in the caller, calls the pool or exits
 *   shutdown deadlock                     close, while the worker dies
 *   shutdown deadlock pickle              close, after submit refused
 *   crash with big data                   workers die of arguments larger than any buffer
 *   wake-up pipe full                     many calls are submitted before any worker is there
 *
 * A hang is found by the harness's time limit.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

#include "dying.h"
#include "kinds.h"
#include "strands.h"

enum place { NOWHERE, TAKING, WORKING, GIVING };
enum trouble { ERROR, EXIT, CRASH };

/* What a call is asked to do. */
struct order {
    enum place place;
    enum trouble trouble;
    int value;
    size_t offset; /* of the value's second half; far outside, to crash while it is taken apart */
};

static int take_apart(const weft_call *call, struct order *ret)
{
    memcpy(ret, call->arg, sizeof *ret);
    if (ret->place != TAKING)
        return 0;
    if (ret->trouble == EXIT)
        exit(3);
    if (ret->trouble == CRASH)
        return *((const volatile char *)call->arg + ret->offset);
    return weft_call_fail((weft_call *)call, -EBADMSG, "no argument of mine");
}

static int work(weft_call *call, const struct order *order)
{
    if (order->place != WORKING)
        return 0;
    if (order->trouble == EXIT)
        exit(3);
    if (order->trouble == CRASH)
        *(volatile int *)nowhere() = 1;
    return weft_call_fail(call, -EBADMSG, "no work of mine");
}

static int give(weft_call *call, const struct order *order)
{
    int rc = weft_call_return(call, &order->value, sizeof order->value);
    if (order->place != GIVING || rc < 0)
        return rc;
    if (order->trouble == EXIT)
        exit(3); /* with a result that nobody shall see */
    if (order->trouble == CRASH)
        return weft_call_return(call, nowhere(), sizeof order->value);
    rc = weft_call_return(call, order, ((size_t)1 << 30) + 1);
    EXPECT_EQ(rc, -EMSGSIZE);
    return weft_call_fail(call, -EBADMSG, "no result of mine");
}

static int obey(weft_call *call)
{
    struct order order;
    if (HARNESS_SANITIZED)
        signal(SIGSEGV, SIG_DFL);
    int rc = take_apart(call, &order);
    if (rc == 0)
        rc = work(call, &order);
    return rc < 0 ? rc : give(call, &order);
}

static struct order order_of(enum place place, enum trouble trouble, int value)
{
    return (struct order){ place, trouble, value, (size_t)1 << 46 };
}

static void expect_ended(const weft_outcome *outcome, const struct order *order)
{
    if (order->place == NOWHERE || order->trouble != ERROR) {
        enum way ways[] = { [EXIT] = EXIT_3, [CRASH] = SEGFAULT };
        expect_death(outcome, order->place == NOWHERE ? LIVE : ways[order->trouble]);
        return;
    }
    EXPECT_EQ(outcome->how, WEFT_FAILED);
    EXPECT_EQ(outcome->status, -EBADMSG);
    EXPECT_HAS(outcome->text, "of mine");
    EXPECT_EQ(outcome->attempts, 1);
}

static void count_error(const weft_outcome *outcome, void *ctx)
{
    EXPECT_NE(outcome->how, WEFT_DONE);
    atomic_fetch_add((atomic_int *)ctx, 1);
}

/* Two of three calls work. */
enum { N = 12, BAD = N / 3 };

static void fill(struct order orders[N], enum place place, enum trouble trouble)
{
    for (int i = 0; i < N; i++)
        orders[i] = order_of(i % 3 == 1 ? place : NOWHERE, trouble, i + 1);
}

static void expect_future(weft_future *f, const struct order *order)
{
    size_t bytes;
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), order->place == NOWHERE ? 0 : -ECHILD);
    expect_ended(weft_future_outcome(f), order);
    const int *result = weft_future_result(f, &bytes);
    if (order->place == NOWHERE) {
        EXPECT_EQ(bytes, sizeof *result);
        EXPECT_EQ(*result, order->value);
    } else if (order->trouble != ERROR) {
        EXPECT_TRUE(result == NULL);
    }
    weft_future_close(f);
}

static void submit_all(weft_pool *pool, const struct order orders[N])
{
    weft_future *futures[N];
    for (int i = 0; i < N; i++)
        EXPECT_EQ(
            weft_pool_submit(pool, obey, &orders[i], sizeof *orders, &futures[i], WEFT_FOREVER), 0);
    for (int i = 0; i < N; i++)
        expect_future(futures[i], &orders[i]);
}

static void map_all(weft_pool *pool, const struct order orders[N])
{
    int out[N];
    weft_outcome outcomes[N];
    weft_map map = {
        .in = orders,
        .count = N,
        .in_bytes = sizeof *orders,
        .out = out,
        .out_bytes = sizeof *out,
        .outcomes = outcomes,
        .on_failure = WEFT_GO_ON,
    };
    EXPECT_EQ(weft_pool_map(pool, obey, &map, WEFT_FOREVER), -ECHILD);
    for (int i = 0; i < N; i++) {
        expect_ended(&outcomes[i], &orders[i]);
        if (orders[i].place == NOWHERE)
            EXPECT_EQ(out[i], orders[i].value);
        else if (orders[i].trouble != ERROR)
            EXPECT_EQ(out[i], 0);
    }
}

/* A group has an error hook of its own. */
static void join_all(weft_pool *pool, const struct order orders[N], atomic_int *errors)
{
    weft_group *g;
    weft_future *f;
    weft_options options = {
        .pool = pool,
        .on_failure = WEFT_GO_ON,
        .on_error = count_error,
        .on_error_ctx = errors,
    };
    EXPECT_EQ(weft_group_open(&g, WEFT_PROCESSES, &options), 0);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(weft_group_submit(g, obey, &orders[i], sizeof *orders, NULL, WEFT_FOREVER), 0);
    for (int i = 0; i < N; i++) {
        EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), 0);
        expect_future(f, &orders[weft_future_index(f)]);
    }
    EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), -ENODATA);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    weft_group_close(g);
}

static void every_route(enum place place, enum trouble trouble)
{
    struct order orders[N];
    atomic_int errors = 0;
    weft_pool *pool;
    weft_options options = { .workers = 2, .on_error = count_error, .on_error_ctx = &errors };
    leave_no_cores();
    fill(orders, place, trouble);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    submit_all(pool, orders);
    map_all(pool, orders);
    join_all(pool, orders, &errors);
    weft_pool_close(pool);
    EXPECT_EQ(atomic_load(&errors), 3 * BAD);
}

#define TEST_PLACE(name, place)                                                                    \
    TEST_PROCESSES(an_error_while_it_##name##_costs_one_call)                                      \
    {                                                                                              \
        (void)kind;                                                                                \
        every_route(place, ERROR);                                                                 \
    }                                                                                              \
    TEST_PROCESSES(an_exit_while_it_##name##_costs_one_call)                                       \
    {                                                                                              \
        (void)kind;                                                                                \
        every_route(place, EXIT);                                                                  \
    }                                                                                              \
    TEST_PROCESSES(a_crash_while_it_##name##_costs_one_call)                                       \
    {                                                                                              \
        (void)kind;                                                                                \
        every_route(place, CRASH);                                                                 \
    }

TEST_PLACE(takes_its_argument_apart, TAKING)
TEST_PLACE(works, WORKING)
TEST_PLACE(gives_its_result, GIVING)

/* ---- handing over */

static weft_pool *open_pool(void)
{
    weft_pool *pool;
    leave_no_cores();
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &(weft_options){ .workers = 2 }), 0);
    return pool;
}

static weft_future *submit(weft_pool *pool, weft_fn *fn, const struct order *order)
{
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, fn, order, sizeof *order, &f, WEFT_FOREVER), 0);
    return f;
}

/* Each of them fails before any worker has heard of it. */
static void submit_what_is_refused(weft_pool *pool)
{
    int here = 1;
    weft_fn *code_of_nobody = (weft_fn *)(void *)&here;
    weft_bytes hollow = { NULL, 7 };
    EXPECT_EQ(weft_pool_submit(pool, obey, NULL, 7, NULL, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_pool_submit(pool, NULL, &here, sizeof here, NULL, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_pool_submit(pool, obey, &hollow, WEFT_BYTES, NULL, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_pool_submit(pool, obey, &here, ((size_t)1 << 30) + 1, NULL, WEFT_FOREVER),
              -EMSGSIZE);
    EXPECT_EQ(weft_pool_submit(pool, obey, &here, WEFT_POINTER, NULL, WEFT_FOREVER), -EFAULT);
    EXPECT_EQ(weft_pool_submit(pool, code_of_nobody, &here, sizeof here, NULL, WEFT_FOREVER),
              -EFAULT);
}

TEST_PROCESSES(an_argument_that_cannot_be_handed_over_costs_nothing)
{
    (void)kind;
    weft_pool *pool = open_pool();
    struct order good = order_of(NOWHERE, ERROR, 5);
    submit_what_is_refused(pool);
    weft_future *before = submit(pool, obey, &good);
    submit_what_is_refused(pool);
    weft_future *after = submit(pool, obey, &good);
    expect_future(before, &good);
    expect_future(after, &good);
    weft_pool_close(pool);
}

TEST_PROCESSES(a_pool_that_refused_everything_closes)
{
    (void)kind;
    weft_pool *pool = open_pool();
    submit_what_is_refused(pool);
    weft_pool_close(pool);
    pool = open_pool();
    submit_what_is_refused(pool);
    weft_pool_terminate(pool);
    weft_pool_close(pool);
}

static int die_of_it(weft_call *call)
{
    EXPECT_EQ(((const char *)call->arg)[call->arg_bytes - 1], 'z');
    die_by(call->index % 2 ? EXIT_7 : SEGFAULT);
    return 0;
}

/* Larger than any pipe, socket buffer or ring. */
TEST_PROCESSES(workers_that_die_of_large_arguments_block_nobody)
{
    enum { BYTES = 5 << 20, TIMES = 10 };
    weft_outcome outcomes[TIMES];
    weft_bytes in[TIMES];
    char *bytes = malloc(BYTES);
    (void)kind;
    EXPECT_TRUE(bytes);
    memset(bytes, 'z', BYTES);
    for (int i = 0; i < TIMES; i++)
        in[i] = (weft_bytes){ bytes, BYTES };
    weft_pool *pool = open_pool();
    weft_map map = {
        .in = in,
        .count = TIMES,
        .in_bytes = WEFT_BYTES,
        .outcomes = outcomes,
        .on_failure = WEFT_GO_ON,
    };
    EXPECT_EQ(weft_pool_map(pool, die_of_it, &map, WEFT_FOREVER), -ECHILD);
    for (int i = 0; i < TIMES; i++)
        expect_death(&outcomes[i], i % 2 ? EXIT_7 : SEGFAULT);
    map.on_failure = WEFT_CANCEL_REST;
    EXPECT_EQ(weft_pool_map(pool, die_of_it, &map, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(outcomes[TIMES - 1].how, WEFT_CANCELLED);
    weft_pool_close(pool);
    free(bytes);
}

struct gate {
    atomic_int open, entered;
};

static int enter_through_gate(weft_call *call, void **ret_worker)
{
    struct gate *gate = *(struct gate *const *)call->context;
    atomic_fetch_add(&gate->entered, 1);
    UNTIL(atomic_load(&gate->open));
    *ret_worker = gate;
    return 0;
}

TEST_PROCESSES(calls_may_pile_up_before_any_worker_is_there)
{
    enum { MANY = 1000 };
    static weft_future *futures[MANY];
    struct gate *gate = weft_shared_alloc(sizeof *gate);
    struct order good = order_of(NOWHERE, ERROR, 6);
    weft_options options = {
        .workers = 2,
        .enter = enter_through_gate,
        .context = &gate,
        .context_bytes = sizeof gate,
    };
    weft_pool *pool;
    (void)kind;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    for (int i = 0; i < MANY; i++)
        futures[i] = submit(pool, obey, &good);
    UNTIL(atomic_load(&gate->entered) == 2);
    atomic_store(&gate->open, 1);
    for (int i = 0; i < MANY; i++)
        expect_future(futures[i], &good);
    weft_pool_close(pool);
    weft_shared_free(gate);
}

/* ---- the answer */

/* The worker is killed by another thread of its own while it copies, sends or ends: each runs one
 * call, so that no such thread outlives its own. */
static void *kill_own_process(void *turns)
{
    for (volatile int i = *(const int *)turns; i > 0; i--)
        ;
    kill(getpid(), SIGKILL);
    return NULL;
}

static int die_while_giving(weft_call *call)
{
    static char bytes[8 << 20];
    static int turns;
    pthread_t thread;
    turns = *(const int *)call->arg;
    if (turns >= 0)
        EXPECT_EQ(pthread_create(&thread, NULL, kill_own_process, &turns), 0);
    memset(bytes, 'r', sizeof bytes);
    return weft_call_return(call, bytes, sizeof bytes);
}

TEST_PROCESSES(half_of_a_large_result_is_none)
{
    weft_pool *pool;
    weft_options options = { .workers = 2, .calls_per_worker_max = 1 };
    (void)kind;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    int turns = 100;
    for (int i = 0; i < 24; i++, turns *= 2) {
        weft_future *f;
        int arg = i % 3 == 2 ? -1 : turns % 20000000;
        size_t bytes;
        EXPECT_EQ(weft_pool_submit(pool, die_while_giving, &arg, sizeof arg, &f, WEFT_FOREVER), 0);
        int rc = weft_future_wait(f, WEFT_FOREVER);
        const char *result = weft_future_result(f, &bytes);
        if (rc == 0) {
            EXPECT_EQ(bytes, 8 << 20);
            EXPECT_EQ(result[0], 'r');
            EXPECT_EQ(result[bytes - 1], 'r');
        } else {
            EXPECT_NE(arg, -1);
            EXPECT_TRUE(result == NULL);
            expect_death(weft_future_outcome(f), KILL_ITSELF);
        }
        weft_future_close(f);
    }
    weft_pool_close(pool);
}

static struct {
    weft_pool *pool;
    weft_future *victim;
    atomic_int submitted;
} hook;

static void call_the_pool(const weft_outcome *outcome, void *ctx)
{
    struct order good = order_of(NOWHERE, ERROR, 1);
    (void)ctx;
    EXPECT_NE(outcome->how, WEFT_DONE);
    int rc = weft_pool_submit(hook.pool, obey, &good, sizeof good, NULL, WEFT_NOW);
    EXPECT_TRUE(rc == 0 || rc == -ETIMEDOUT);
    atomic_fetch_add(&hook.submitted, rc == 0);
    weft_future_cancel(hook.victim);
}

TEST_PROCESSES(the_error_hook_may_call_the_pool)
{
    static const enum trouble troubles[] = { ERROR, EXIT, CRASH };
    (void)kind;
    leave_no_cores();
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        struct order good = order_of(NOWHERE, ERROR, 1), bad = order_of(WORKING, troubles[i], 1);
        weft_options options = { .workers = 1, .on_error = call_the_pool };
        atomic_store(&hook.submitted, 0);
        EXPECT_EQ(weft_pool_open(&hook.pool, WEFT_PROCESSES, &options), 0);
        hook.victim = submit(hook.pool, obey, &good);
        EXPECT_EQ(weft_future_wait(hook.victim, WEFT_FOREVER), 0);
        weft_future *first = submit(hook.pool, obey, &bad);
        expect_future(first, &bad);
        weft_pool_close(hook.pool);
        EXPECT_EQ(atomic_load(&hook.submitted), 1);
        weft_future_close(hook.victim);
    }
}

static void exit_5(const weft_outcome *outcome, void *ctx)
{
    (void)outcome;
    (void)ctx;
    exit(5);
}

static void crash(const weft_outcome *outcome, void *ctx)
{
    (void)outcome;
    (void)ctx;
    die_by(ABORT);
}

static void run_until_the_hook_ends_it(void (*on_error)(const weft_outcome *, void *))
{
    struct order bad = order_of(WORKING, EXIT, 1);
    weft_options options = { .workers = 2, .on_error = on_error };
    weft_pool *pool;
    weft_future *f;
    leave_no_cores();
    EXPECT_EQ(weft_init(), 0);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    EXPECT_EQ(weft_pool_submit(pool, obey, &bad, sizeof bad, &f, WEFT_FOREVER), 0);
    (void)!weft_future_wait(f, WEFT_FOREVER);
    (void)weft_sleep_until(WEFT_FOREVER); /* the hook may come after that */
}

static void program_that_exits(void)
{
    run_until_the_hook_ends_it(exit_5);
}

static void program_that_crashes(void)
{
    run_until_the_hook_ends_it(crash);
}

TEST(an_exit_in_the_error_hook_ends_the_program_and_its_workers)
{
    int status = wait_for_all(start_program(program_that_exits));
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 5);
}

TEST(a_crash_in_the_error_hook_ends_the_program_and_its_workers)
{
    int status = wait_for_all(start_program(program_that_crashes));
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGABRT);
}

/* ---- the end of the pool */

struct begun {
    atomic_int calls, shut;
};

static int begin_and_die(weft_call *call)
{
    struct begun *begun = *(struct begun *const *)call->context;
    enum way way = *(const enum way *)call->arg;
    atomic_fetch_add(&begun->calls, 1);
    UNTIL(atomic_load(&begun->shut));
    die_by(way);
    return 0;
}

static void *close_pool(void *pool)
{
    weft_pool_close(pool);
    return NULL;
}

/* Workers that die once the pool is being closed, with calls waiting behind. */
TEST_PROCESSES(closing_survives_the_deaths_of_its_workers)
{
    struct begun *begun = weft_shared_alloc(sizeof *begun);
    weft_options options = { .workers = 2, .context = &begun, .context_bytes = sizeof begun };
    (void)kind;
    leave_no_cores();
    for (enum way way = LIVE; way < WAYS; way++) {
        weft_pool *pool;
        weft_future *futures[6];
        pthread_t thread;
        int rc;
        atomic_store(&begun->calls, 0);
        atomic_store(&begun->shut, 0);
        EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
        for (int i = 0; i < 6; i++)
            EXPECT_EQ(
                weft_pool_submit(pool, begin_and_die, &way, sizeof way, &futures[i], WEFT_FOREVER),
                0);
        UNTIL(atomic_load(&begun->calls) == 2);
        EXPECT_EQ(pthread_create(&thread, NULL, close_pool, pool), 0);
        do { /* until it is being closed; the backlog may be full before that */
            strands_yield();
            rc = weft_pool_submit(pool, begin_and_die, &way, sizeof way, NULL, WEFT_NOW);
        } while (rc == 0 || rc == -ETIMEDOUT);
        EXPECT_EQ(rc, -EPIPE);
        atomic_store(&begun->shut, 1);
        pthread_join(thread, NULL);
        for (int i = 0; i < 6; i++) {
            EXPECT_EQ(weft_future_wait(futures[i], WEFT_NOW), way == LIVE ? 0 : -ECHILD);
            expect_death(weft_future_outcome(futures[i]), way);
            weft_future_close(futures[i]);
        }
    }
    weft_shared_free(begun);
}
