/* SPDX-License-Identifier: MIT */
/* Pools of every kind: calls run, in workers that are entered and left, and closing drains. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/barrier.h>
#include <weft/event.h>
#include <weft/group.h>
#include <weft/pool.h>
#include <weft/self.h>

#include "calls.h"
#include "harness.h"
#include "kinds.h"
#include "strands.h"

static int refuse(weft_call *call)
{
    return weft_call_fail(call, -ERANGE, "call %d is out of range", *(const int *)call->arg);
}

static int sleep_until_cancelled(weft_call *call)
{
    (void)call;
    return weft_sleep_until(WEFT_FOREVER);
}

static weft_pool *open_pool(weft_kind kind, uint32_t workers)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = workers }), 0);
    return pool;
}

TEST_EACH_POOL_KIND(a_call_gives_its_result_and_outcome)
{
    weft_pool *pool = open_pool(kind, 2);
    weft_future *f = submit(pool, square, 7);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_EQ(*(const int *)weft_future_result(f, NULL), 49);
    const weft_outcome *outcome = weft_future_outcome(f);
    EXPECT_EQ(outcome->how, WEFT_DONE);
    EXPECT_EQ(outcome->attempts, 1);
    EXPECT_LT(outcome->worker, 2);
    EXPECT_GT(outcome->started_ns, 0);
    EXPECT_LE(outcome->started_ns, outcome->ended_ns);
    EXPECT_STR(outcome->text, "");
    weft_future_close(f);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(many_calls_go_through_few_workers)
{
    enum { N = 300 };
    weft_pool *pool = open_pool(kind, 3);
    weft_future *futures[N];
    for (int i = 0; i < N; i++) {
        futures[i] = submit(pool, square, i);
        EXPECT_EQ(weft_future_index(futures[i]), i);
    }
    for (int i = 0; i < N; i++)
        expect_square(futures[i], i);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(defaults_will_do)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, kind, NULL), 0);
    expect_square(submit(pool, square, 3), 3);
    weft_pool_close(pool);
    weft_pool_close(NULL);
}

TEST_EACH_POOL_KIND(a_failure_is_told_and_the_pool_goes_on)
{
    weft_pool *pool = open_pool(kind, 1);
    weft_future *f = submit(pool, refuse, 7);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_FAILED);
    EXPECT_EQ(weft_future_outcome(f)->status, -ERANGE);
    EXPECT_STR(weft_future_outcome(f)->text, "call 7 is out of range");
    weft_future_close(f);
    expect_square(submit(pool, square, 4), 4);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(closing_waits_for_every_call)
{
    weft_pool *pool = open_pool(kind, 2);
    weft_future *futures[40];
    for (int i = 0; i < 40; i++)
        futures[i] = submit(pool, square, i);
    weft_pool_close(pool);
    for (int i = 0; i < 40; i++) {
        EXPECT_EQ(weft_future_wait(futures[i], WEFT_NOW), 0);
        expect_square(futures[i], i);
    }
}

TEST_EACH_POOL_KIND(nobody_need_ask_for_a_result)
{
    weft_pool *pool = open_pool(kind, 2);
    int arg = 2;
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(weft_pool_submit(pool, square, &arg, sizeof arg, NULL, WEFT_FOREVER), 0);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(a_terminated_pool_refuses_calls)
{
    weft_pool *pool = open_pool(kind, 2);
    int arg = 2;
    weft_future *f = NULL;
    weft_pool_terminate(pool);
    weft_pool_terminate(pool);
    EXPECT_EQ(weft_pool_submit(pool, square, &arg, sizeof arg, &f, WEFT_FOREVER), -EPIPE);
    EXPECT_TRUE(f == NULL);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(what_cannot_be_an_argument_is_refused)
{
    weft_pool *pool = open_pool(kind, 1);
    int arg = 1;
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, NULL, &arg, sizeof arg, &f, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_pool_submit(pool, square, NULL, 4, &f, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_pool_submit(pool, square, &arg, ((size_t)1 << 30) + 1, &f, WEFT_FOREVER),
              -EMSGSIZE);
    expect_square(submit(pool, square, 4), 4);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(options_that_make_no_sense_are_refused)
{
    weft_pool *before = (weft_pool *)&kinds_prepare, *pool = before;
    weft_options options = { .reserved = { 1 } };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), -EINVAL);
    options = (weft_options){ .workers = 4097 };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), -EINVAL);
    EXPECT_EQ(weft_pool_open(&pool, (weft_kind)7, NULL), -EINVAL);
    if (kind != WEFT_PROCESSES) {
        options = (weft_options){ .call_timeout_ns = WEFT_S };
        int without_init = kind == WEFT_AUTO ? -ENOTCONN : -ENOTSUP; /* auto would have processes */
        EXPECT_EQ(weft_pool_open(&pool, kind, &options), without_init);
    }
    EXPECT_TRUE(pool == before);
}

/* ---- workers are entered and left; shared memory counts, as the worker may be a process */

struct counts {
    atomic_int entered, left, calls;
    atomic_int ids[64]; /* by worker: how many calls it ran */
};

struct worker_state {
    struct counts *counts;
    int number, calls;
};

static struct counts *counts_new(weft_kind kind)
{
    struct counts *counts =
        kind == WEFT_PROCESSES ? weft_shared_alloc(sizeof *counts) : calloc(1, sizeof *counts);
    EXPECT_TRUE(counts);
    return counts;
}

static void counts_free(weft_kind kind, struct counts *counts)
{
    if (kind == WEFT_PROCESSES)
        weft_shared_free(counts);
    else
        free(counts);
}

static int enter(weft_call *call, void **ret_worker)
{
    EXPECT_TRUE(call->arg == NULL || call->arg_bytes == 0);
    EXPECT_EQ(call->context_bytes, sizeof(struct counts *));
    struct worker_state *worker = calloc(1, sizeof *worker);
    worker->counts = *(struct counts *const *)call->context;
    worker->number = atomic_fetch_add(&worker->counts->entered, 1);
    *ret_worker = worker;
    return 0;
}

static void leave(void *pointer)
{
    struct worker_state *worker = pointer;
    atomic_fetch_add(&worker->counts->left, 1);
    free(worker);
}

static int count_call(weft_call *call)
{
    struct worker_state *worker = call->worker;
    EXPECT_TRUE(worker->counts == *(struct counts *const *)call->context);
    worker->calls++;
    atomic_fetch_add(&worker->counts->calls, 1);
    return atomic_fetch_add(&worker->counts->ids[worker->number % 64], 1) + 1;
}

/* Runs 30 calls in a pool with these options and gives what they counted. */
static struct counts *count_calls(weft_kind kind, weft_options options)
{
    struct counts *counts = counts_new(kind);
    weft_pool *pool;
    options.context = &counts;
    options.context_bytes = sizeof counts;
    options.enter = enter;
    options.leave = leave;
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), 0);
    for (int i = 0; i < 30; i++)
        EXPECT_EQ(weft_pool_submit(pool, count_call, NULL, 0, NULL, WEFT_FOREVER), 0);
    weft_pool_close(pool);
    EXPECT_EQ(atomic_load(&counts->calls), 30);
    EXPECT_EQ(atomic_load(&counts->left), atomic_load(&counts->entered));
    return counts;
}

TEST_EACH_POOL_KIND(every_worker_is_entered_before_its_first_call_and_left_after_its_last)
{
    struct counts *counts = count_calls(kind, (weft_options){ .workers = 3 });
    EXPECT_GE(atomic_load(&counts->entered), 1);
    EXPECT_LE(atomic_load(&counts->entered), 3);
    counts_free(kind, counts);
}

TEST_EACH_POOL_STRAND_KIND(workers_are_replaced_after_so_many_calls)
{
    weft_options options = { .workers = 2, .calls_per_worker_max = 3 };
    struct counts *counts = count_calls(kind, options);
    EXPECT_GE(atomic_load(&counts->entered), 10);
    for (int i = 0; i < 64; i++)
        EXPECT_LE(atomic_load(&counts->ids[i]), 3);
    counts_free(kind, counts);
}

static int enter_badly(weft_call *call, void **ret_worker)
{
    (void)ret_worker;
    return weft_call_fail(call, -EACCES, "no key to the door");
}

TEST_EACH_POOL_KIND(calls_fail_with_enters_words_when_no_worker_can_be_entered)
{
    weft_pool *pool;
    int rc = weft_pool_open(&pool, kind, &(weft_options){ .workers = 2, .enter = enter_badly });
    EXPECT_EQ(rc, 0);
    int arg = 1;
    for (int i = 0; i < 5; i++) {
        weft_future *f;
        EXPECT_EQ(weft_pool_submit(pool, square, &arg, sizeof arg, &f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
        EXPECT_EQ(weft_future_outcome(f)->how, WEFT_FAILED);
        EXPECT_EQ(weft_future_outcome(f)->status, -EACCES);
        EXPECT_HAS(weft_future_outcome(f)->text, "no key to the door");
        weft_future_close(f);
    }
    weft_pool_close(pool);
}

static int return_name(weft_call *call)
{
    return weft_call_return(call, weft_self_name(), strlen(weft_self_name()) + 1);
}

TEST_EACH_POOL_STRAND_KIND(workers_are_called_after_the_pool)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = 1, .name = "fetch" }), 0);
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, return_name, NULL, 0, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_STR(weft_future_result(f, NULL), "fetch-0");
    weft_future_close(f);
    weft_pool_close(pool);
}

/* ---- cancelling, terminating, and the backlog */

/* A pool of one worker, which a call keeps busy until it is cancelled. */
static weft_pool *busy_pool(weft_kind kind, uint32_t backlog_max, weft_future **ret_running)
{
    weft_pool *pool;
    weft_options options = { .workers = 1, .backlog_max = backlog_max };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), 0);
    *ret_running = submit(pool, sleep_until_cancelled, 0);
    UNTIL(weft_future_outcome(*ret_running)->how == WEFT_RUNNING);
    return pool;
}

TEST_EACH_POOL_STRAND_KIND(what_has_not_started_is_cancelled_at_once_and_never_runs)
{
    weft_future *running;
    weft_pool *pool = busy_pool(kind, 0, &running);
    weft_future *waiting = submit(pool, square, 3), *other = submit(pool, square, 4);
    EXPECT_EQ(weft_future_outcome(waiting)->how, WEFT_PENDING);
    weft_future_cancel(waiting);
    EXPECT_EQ(weft_future_wait(waiting, WEFT_NOW), -ECHILD);
    EXPECT_EQ(weft_future_outcome(waiting)->started_ns, 0);
    EXPECT_EQ(weft_future_outcome(waiting)->attempts, 0);
    expect_cancelled(waiting);
    weft_future_cancel(running);
    expect_cancelled(running);
    expect_square(other, 4);
    weft_pool_close(pool);
}

TEST_EACH_POOL_STRAND_KIND(terminate_drops_what_waits_and_cancels_what_runs)
{
    weft_future *running, *waiting[10];
    weft_pool *pool = busy_pool(kind, 0, &running);
    for (int i = 0; i < 10; i++)
        waiting[i] = submit(pool, square, i);
    weft_pool_terminate(pool);
    for (int i = 0; i < 10; i++)
        expect_cancelled(waiting[i]);
    expect_cancelled(running);
    weft_pool_close(pool);
}

TEST_EACH_POOL_STRAND_KIND(a_full_backlog_makes_submit_wait)
{
    weft_future *running, *f = NULL;
    weft_pool *pool = busy_pool(kind, 2, &running);
    weft_future *first = submit(pool, square, 1), *second = submit(pool, square, 2);
    int arg = 3;
    EXPECT_EQ(weft_pool_submit(pool, square, &arg, sizeof arg, &f, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_pool_submit(pool, square, &arg, sizeof arg, &f, weft_after(WEFT_MS)),
              -ETIMEDOUT);
    EXPECT_TRUE(f == NULL);
    weft_future_cancel(first);
    weft_future *third = submit(pool, square, 3); /* there is room again */
    weft_future_cancel(running);
    expect_cancelled(running);
    expect_cancelled(first);
    expect_square(second, 2);
    expect_square(third, 3);
    weft_pool_close(pool);
}

static weft_pool *shared_pool;

static void submit_until_shut(size_t index)
{
    int arg = (int)index;
    (void)index;
    EXPECT_EQ(weft_pool_submit(shared_pool, square, &arg, sizeof arg, NULL, WEFT_FOREVER), -EPIPE);
}

TEST_EACH_POOL_STRAND_KIND(terminate_sends_waiting_submitters_away)
{
    weft_future *running;
    shared_pool = busy_pool(kind, 1, &running);
    weft_future_close(submit(shared_pool, square, 1));
    struct strands *submitters = strands_start(3, submit_until_shut);
    strands_until_asleep(submitters);
    weft_pool_terminate(shared_pool);
    strands_join(submitters);
    expect_cancelled(running);
    weft_pool_close(shared_pool);
}

static void submit_many(size_t index)
{
    for (int i = 0; i < 100; i++)
        expect_square(submit(shared_pool, square, (int)index + i), (int)index + i);
}

TEST_EACH_POOL_KIND(many_strands_may_submit)
{
    shared_pool = open_pool(kind, 2);
    strands_join(strands_start(4, submit_many));
    weft_pool_close(shared_pool);
}

/* ---- groups on pools */

TEST_EACH_POOL_KIND(a_group_on_a_pool_gives_results_in_the_order_of_ending)
{
    weft_pool *pool = open_pool(kind, 2);
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, kind, &(weft_options){ .pool = pool }), 0);
    uint64_t seen = 0;
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(weft_group_submit(g, square, &i, sizeof i, NULL, WEFT_FOREVER), 0);
    weft_future *f;
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), 0);
        uint64_t index = weft_future_index(f);
        seen |= UINT64_C(1) << index;
        expect_square(f, (int)index);
    }
    EXPECT_EQ(seen, (1 << 20) - 1);
    EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), -ENODATA);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(closing_a_group_leaves_its_pool_open)
{
    weft_pool *pool = open_pool(kind, 2);
    for (int i = 0; i < 3; i++) {
        weft_group *g;
        EXPECT_EQ(weft_group_open(&g, kind, &(weft_options){ .pool = pool }), 0);
        EXPECT_EQ(weft_group_start(g, square, &i, sizeof i), 0);
        weft_group_close(g);
        expect_square(submit(pool, square, i), i);
    }
    weft_pool_close(pool);
}

TEST_EACH_POOL_STRAND_KIND(a_groups_failure_cancels_its_own_calls_only)
{
    weft_future *running;
    weft_pool *pool = busy_pool(kind, 0, &running);
    weft_future *stranger = submit(pool, square, 5);
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, kind, &(weft_options){ .pool = pool }), 0);
    int arg = 1;
    weft_future *failing, *late;
    EXPECT_EQ(weft_group_submit(g, refuse, &arg, sizeof arg, &failing, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_submit(g, square, &arg, sizeof arg, &late, WEFT_FOREVER), 0);
    weft_future_cancel(running);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(failing)->how, WEFT_FAILED);
    EXPECT_EQ(weft_future_outcome(late)->how, WEFT_CANCELLED);
    expect_square(stranger, 5);
    expect_cancelled(running);
    weft_future_close(failing);
    weft_future_close(late);
    weft_group_close(g);
    weft_pool_close(pool);
}

TEST(a_group_on_a_pool_of_another_kind_is_refused)
{
    weft_pool *pool = open_pool(WEFT_THREADS, 1);
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_SERIAL, &(weft_options){ .pool = pool }), -EINVAL);
    weft_pool_close(pool);
}

/* ---- pools inside pools */

static int square_in_a_pool(weft_call *call)
{
    weft_kind inner = *(const weft_kind *)call->arg;
    weft_pool *pool = open_pool(inner, 2);
    expect_square(submit(pool, square, 6), 6);
    weft_pool_close(pool);
    (void)call;
    return 0;
}

TEST_EACH_POOL_KIND(a_pool_may_be_opened_inside_a_call_of_one)
{
    static const weft_kind inner[] = { WEFT_SERIAL, WEFT_THREADS };
    weft_pool *pool = open_pool(kind, 2);
    for (int i = 0; i < 4; i++) {
        weft_future *f;
        EXPECT_EQ(weft_pool_submit(pool, square_in_a_pool, &inner[i % 2], sizeof *inner, &f,
                                   WEFT_FOREVER),
                  0);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        weft_future_close(f);
    }
    weft_pool_close(pool);
}

/* Without waiters that help, one worker waiting for its own pool would wait for ever. */
static int fibonacci(weft_call *call)
{
    int n = *(const int *)call->arg, sum = n;
    if (n >= 2) {
        weft_future *a = submit(shared_pool, fibonacci, n - 1);
        weft_future *b = submit(shared_pool, fibonacci, n - 2);
        EXPECT_EQ(weft_future_wait(a, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(b, WEFT_FOREVER), 0);
        sum = *(const int *)weft_future_result(a, NULL) + *(const int *)weft_future_result(b, NULL);
        weft_future_close(a);
        weft_future_close(b);
    }
    return weft_call_return(call, &sum, sizeof sum);
}

TEST(workers_that_wait_for_their_own_pool_help)
{
    for (uint32_t workers = 1; workers <= 3; workers++) {
        weft_options options = { .workers = workers, .backlog_max = 2 };
        EXPECT_EQ(weft_pool_open(&shared_pool, WEFT_THREADS, &options), 0);
        weft_future *f = submit(shared_pool, fibonacci, 12);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        EXPECT_EQ(*(const int *)weft_future_result(f, NULL), 144);
        weft_future_close(f);
        weft_pool_close(shared_pool);
    }
}

static weft_barrier all_here;

static int meet(weft_call *call)
{
    (void)call;
    return weft_barrier_wait(&all_here, WEFT_FOREVER);
}

TEST(as_many_calls_run_at_the_same_time_as_there_are_workers)
{
    weft_pool *pool = open_pool(WEFT_THREADS, 8);
    weft_barrier_init(&all_here, 8, NULL, NULL);
    weft_future *futures[24];
    for (int i = 0; i < 24; i++)
        futures[i] = submit(pool, meet, i);
    for (int i = 0; i < 24; i++) {
        EXPECT_EQ(weft_future_wait(futures[i], WEFT_FOREVER), 0);
        weft_future_close(futures[i]);
    }
    weft_pool_close(pool);
}

static atomic_int errors;

static void count_error(const weft_outcome *outcome, void *ctx)
{
    EXPECT_EQ(outcome->how, WEFT_FAILED);
    atomic_fetch_add((atomic_int *)ctx, 1);
}

TEST_EACH_POOL_KIND(the_error_hook_hears_of_each_failure)
{
    weft_pool *pool;
    weft_options options = { .workers = 2, .on_error = count_error, .on_error_ctx = &errors };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), 0);
    for (int i = 0; i < 10; i++)
        weft_future_close(submit(pool, i % 2 ? refuse : square, i));
    weft_pool_close(pool);
    EXPECT_EQ(atomic_load(&errors), 5);
}
