/* SPDX-License-Identifier: MIT */
/*
 * Pools of kind auto that have processes: from the start, as an option asks for what only they can
 * do, or later, as calls fight over a GIL.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weft/gil.h>
#include <weft/pool.h>

#include "auto.h"
#include "base/cpus.h"
#include "calls.h"
#include "harness.h"
#include "kinds.h"
#include "park/strand.h"
#include "strands.h"

/* ---- processes, because of the options */

static int tell_pid(weft_call *call)
{
    pid_t pid = getpid();
    return weft_call_return(call, &pid, sizeof pid);
}

static pid_t pid_inside(weft_pool *pool, const void *arg, size_t arg_bytes)
{
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, tell_pid, arg, arg_bytes, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    pid_t pid = *(const pid_t *)weft_future_result(f, NULL);
    weft_future_close(f);
    return pid;
}

static void expect_isolated(weft_options options, const char *why)
{
    char start[100];
    weft_pool *pool = open_auto(options);
    snprintf(start, sizeof start, "%s; %u process", why, base_cpus());
    EXPECT_EQ(strncmp(explain(pool), start, strlen(start)), 0);
    EXPECT_NE(pid_inside(pool, NULL, 0), getpid());
    weft_pool_close(pool);
}

TEST(what_only_a_process_can_do_is_done_by_processes)
{
    static const char *const environment[] = { "A=b", NULL };
    kinds_prepare(WEFT_PROCESSES);
    expect_isolated((weft_options){ .call_timeout_ns = 60 * WEFT_S }, "call_timeout_ns must hold");
    expect_isolated((weft_options){ .memory_bytes_max = 1 << 30 }, "memory_bytes_max must hold");
    expect_isolated((weft_options){ .attempts_max = 2 }, "attempts_max is for calls that crash");
    expect_isolated((weft_options){ .environment = environment }, "environment is a process's");
    expect_isolated((weft_options){ .directory = "/" }, "directory is a process's");
    expect_isolated((weft_options){ .cpus = "0-8191" }, "cpus are a process's");
    expect_isolated((weft_options){ .niceness = 1 }, "niceness is a process's");
    weft_pool *pool = open_auto((weft_options){ .attempts_max = 1 });
    EXPECT_EQ(pid_inside(pool, NULL, 0), getpid());
    weft_pool_close(pool);
}

static int compute_for_ever(weft_call *call)
{
    (void)call;
    for (;;)
        burn(WEFT_S);
    return 0;
}

TEST(a_timeout_holds)
{
    kinds_prepare(WEFT_PROCESSES);
    weft_pool *pool = open_auto((weft_options){ .call_timeout_ns = 50 * WEFT_MS });
    weft_future *f = submit(pool, compute_for_ever, 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_OVERDUE);
    weft_future_close(f);
    weft_pool_close(pool);
}

/* ---- processes, because of a GIL */

/* Computes for a moment and says that it waited for a GIL for three, which it did. */
static int fight(weft_call *call)
{
    (void)call;
    burn(WEFT_MS);
    int64_t before = weft_now();
    nanosleep(&(struct timespec){ .tv_nsec = 3 * WEFT_MS }, NULL);
    struct strand *self = strand_self();
    __atomic_fetch_add(&self->gil_wait_ns, (uint64_t)(weft_now() - before), __ATOMIC_RELAXED);
    return 0;
}

static weft_gil gil = WEFT_GIL_INIT;

/* Computes for a moment under a GIL, as an interpreter does. */
static int interpret(weft_call *call)
{
    (void)call;
    int rc = weft_gil_enter(&gil, WEFT_FOREVER);
    for (int i = 0; rc == 0 && i < 20; i++) {
        burn(WEFT_MS / 10);
        rc = weft_gil_check(&gil);
    }
    return rc < 0 ? rc : weft_gil_leave(&gil);
}

TEST(interpreters_of_one_gil_get_a_process_each)
{
    if (base_cpus() < 2)
        SKIP("with one CPU processes are of no use to them");
    kinds_prepare(WEFT_PROCESSES);
    weft_pool *pool = open_auto((weft_options){ .backlog_max = 50 });
    while (!number_of(pool, "process"))
        submit_all(pool, interpret, 10);
    EXPECT_HAS(explain(pool), "calls fight over a GIL; ");
    weft_future *f = submit(pool, interpret, 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    weft_future_close(f);
    weft_pool_close(pool);
}

/* A pool whose calls have moved to processes. */
static weft_pool *moved_pool(weft_options options)
{
    if (base_cpus() < 2)
        SKIP("with one CPU processes are of no use to them");
    kinds_prepare(WEFT_PROCESSES);
    options.backlog_max = 50;
    weft_pool *pool = open_auto(options);
    while (!says(pool, "calls fight over a GIL; ") || !number_of(pool, "process"))
        submit_all(pool, fight, 10);
    return pool;
}

TEST(calls_that_fight_over_a_gil_go_on_in_processes)
{
    weft_pool *pool = moved_pool((weft_options){ 0 });
    EXPECT_NE(pid_inside(pool, NULL, 0), getpid());
    for (int i = 0; i < 50; i++)
        expect_square(submit(pool, square, i), i);
    map_squares(pool, square, 100);
    weft_pool_close(pool);
}

TEST(what_a_process_could_not_see_goes_on_in_threads)
{
    weft_pool *pool = moved_pool((weft_options){ 0 });
    EXPECT_EQ(pid_inside(pool, &pool, WEFT_POINTER), getpid());
    weft_pool_close(pool);
}

TEST(a_call_that_has_moved_can_be_cancelled)
{
    weft_pool *pool = moved_pool((weft_options){ .grace_ns = WEFT_MS });
    weft_future *runs[32];
    for (int i = 0; i < 32; i++)
        runs[i] = submit(pool, compute_for_ever, 0);
    weft_future *waits = submit(pool, square, 1);
    weft_future_cancel(waits);
    expect_cancelled(waits);
    for (int i = 0; i < 32; i++)
        weft_future_cancel(runs[i]);
    for (int i = 0; i < 32; i++)
        expect_cancelled(runs[i]);
    expect_square(submit(pool, square, 2), 2);
    weft_pool_close(pool);
}

TEST(a_pool_that_has_moved_can_be_terminated)
{
    weft_pool *pool = moved_pool((weft_options){ .grace_ns = WEFT_MS });
    weft_future *futures[32];
    for (int i = 0; i < 32; i++)
        futures[i] = submit(pool, compute_for_ever, 0);
    weft_pool_terminate(pool);
    for (int i = 0; i < 32; i++)
        expect_cancelled(futures[i]);
    weft_pool_close(pool);
}

static atomic_bool asks;

/* A call that stays in its thread, and asks a closing pool for all that a call may ask for. */
static int ask_while_closing(weft_call *call)
{
    weft_pool *pool = *(weft_pool **)call->pointer;
    int in[2] = { 1, 2 }, out[2], rc;
    weft_future *f = submit(pool, square, 3);
    weft_map map = { .in = in, .count = 2, .in_bytes = sizeof *in };
    map.out = out;
    map.out_bytes = sizeof *out;
    atomic_store(&asks, true);
    do {
        rc = weft_pool_submit(pool, square, in, sizeof *in, NULL, WEFT_FOREVER);
    } while (rc == 0);
    EXPECT_EQ(rc, -EPIPE);
    for (int i = 0; i < 100; i++) { /* its processes have time to end, if they would */
        EXPECT_EQ(weft_pool_submit(pool, square, in, sizeof *in, NULL, WEFT_FOREVER), -EPIPE);
        EXPECT_EQ(weft_pool_map(pool, square, &map, WEFT_FOREVER), -EPIPE);
        EXPECT_GT(number_of(pool, "process"), 0);
        nanosleep(&(struct timespec){ .tv_nsec = WEFT_MS }, NULL);
    }
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    weft_future_close(f);
    return 0;
}

TEST(calls_may_ask_for_something_until_a_pool_that_has_moved_is_closed)
{
    weft_pool *pool = moved_pool((weft_options){ 0 });
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, ask_while_closing, &pool, WEFT_POINTER, &f, WEFT_FOREVER), 0);
    UNTIL(atomic_load(&asks));
    weft_pool_close(pool);
    EXPECT_EQ(weft_future_wait(f, WEFT_NOW), 0);
    weft_future_close(f);
}

static void close_future_of(weft_pool *pool, int n)
{
    expect_square(submit(pool, square, n), n);
}

static weft_pool *shared_pool;

static void submit_meanwhile(size_t index)
{
    for (int i = 0; i < 300; i++)
        close_future_of(shared_pool, (int)index + i);
}

TEST(no_call_is_lost_when_a_pool_moves)
{
    if (base_cpus() < 2)
        SKIP("with one CPU processes are of no use to them");
    kinds_prepare(WEFT_PROCESSES);
    shared_pool = open_auto((weft_options){ .backlog_max = 50 });
    struct strands *strands = strands_start(4, submit_meanwhile);
    while (!number_of(shared_pool, "process"))
        submit_all(shared_pool, fight, 10);
    strands_join(strands);
    weft_pool_close(shared_pool);
}

TEST(calls_that_cannot_move_say_why)
{
    if (base_cpus() < 2)
        SKIP("with one CPU processes are of no use to them");
    weft_pool *pool = open_auto((weft_options){ .backlog_max = 50 });
    while (!says(pool, "calls fight over a GIL; "))
        submit_all(pool, fight, 10);
    EXPECT_HAS(explain(pool), ": no processes, as weft_init() was not called");
    weft_pool_close(pool);
}
