/* SPDX-License-Identifier: MIT */
/* Once: done by whoever comes first, tried again after a failure, never by two at a time. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/event.h>
#include <weft/once.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

#define N 6

static struct {
    weft_once once, inner;
    weft_event go;
    atomic_int runs, running, returned, failed, failures_left;
    int loaded; /* ordered by once alone */
} * shared;
STRANDS_KEEP(shared)

static int load(void *ctx)
{
    EXPECT_TRUE(ctx == &shared->loaded);
    EXPECT_EQ(atomic_fetch_add(&shared->running, 1), 0);
    atomic_fetch_add(&shared->runs, 1);
    shared->loaded = 42;
    atomic_fetch_sub(&shared->running, 1);
    return 7;
}

TEST(it_is_done_once_and_success_is_zero)
{
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(weft_once_run(&shared->once, load, &shared->loaded), 0);
    EXPECT_EQ(atomic_load(&shared->runs), 1);
}

static void run_it(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_once_run(&shared->once, load, &shared->loaded), 0);
    EXPECT_EQ(shared->loaded, 42);
}

TEST(of_many_that_come_together_one_does_it_and_all_see_it)
{
    for (int round = 0; round < 50 / (HARNESS_EMULATED ? 10 : 1); round++) {
        shared->once = (weft_once)WEFT_ONCE_INIT;
        shared->loaded = 0;
        strands_join(strands_start(N, run_it));
        EXPECT_EQ(atomic_load(&shared->runs), round + 1);
    }
}

static int load_when_told(void *ctx)
{
    EXPECT_EQ(atomic_fetch_add(&shared->running, 1), 0);
    EXPECT_EQ(weft_event_wait(&shared->go, WEFT_FOREVER), 0);
    EXPECT_EQ(atomic_fetch_sub(&shared->running, 1), 1);
    if (atomic_fetch_sub(&shared->failures_left, 1) > 0)
        return -EIO;
    atomic_fetch_add(&shared->runs, 1);
    *(int *)ctx = 42;
    return 0;
}

static void run_when_told(size_t index)
{
    (void)index;
    int rc = weft_once_run(&shared->once, load_when_told, &shared->loaded);
    if (rc == 0)
        EXPECT_EQ(shared->loaded, 42);
    else
        EXPECT_EQ(rc, -EIO);
    atomic_fetch_add(rc ? &shared->failed : &shared->returned, 1);
}

TEST(others_wait_while_one_does_it)
{
    struct strands *strands = strands_start(N, run_when_told);
    strands_until_asleep(strands);
    EXPECT_EQ(atomic_load(&shared->running), 1);
    EXPECT_EQ(atomic_load(&shared->returned), 0);
    weft_event_set(&shared->go);
    strands_join(strands);
    EXPECT_EQ(atomic_load(&shared->returned), N);
    EXPECT_EQ(atomic_load(&shared->runs), 1);
}

TEST(each_failure_is_told_to_who_met_it_and_a_waiter_tries_again)
{
    atomic_store(&shared->failures_left, 2);
    struct strands *strands = strands_start(N, run_when_told);
    strands_until_asleep(strands);
    weft_event_set(&shared->go);
    strands_join(strands);
    EXPECT_EQ(atomic_load(&shared->failed), 2);
    EXPECT_EQ(atomic_load(&shared->returned), N - 2);
    EXPECT_EQ(atomic_load(&shared->runs), 1);
}

static int always_fail(void *ctx)
{
    ++*(int *)ctx;
    return -ENOENT;
}

TEST(a_later_caller_tries_again_after_a_failure)
{
    int tries = 0;
    EXPECT_EQ(weft_once_run(&shared->once, always_fail, &tries), -ENOENT);
    EXPECT_EQ(weft_once_run(&shared->once, always_fail, &tries), -ENOENT);
    EXPECT_EQ(tries, 2);
    EXPECT_EQ(weft_once_run(&shared->once, load, &shared->loaded), 0);
    EXPECT_EQ(weft_once_run(&shared->once, always_fail, &tries), 0);
    EXPECT_EQ(tries, 2);
}

static int run_itself(void *ctx)
{
    (void)ctx;
    EXPECT_EQ(weft_once_run(&shared->once, run_itself, NULL), -EDEADLK);
    EXPECT_EQ(weft_once_run(&shared->inner, load, &shared->loaded), 0);
    EXPECT_EQ(weft_once_run(&shared->once, run_itself, NULL), -EDEADLK);
    return 0;
}

TEST(calling_it_from_within_is_an_error_another_one_is_not)
{
    EXPECT_EQ(weft_once_run(&shared->once, run_itself, NULL), 0);
    EXPECT_EQ(weft_once_run(&shared->once, run_itself, NULL), 0);
    EXPECT_EQ(atomic_load(&shared->runs), 1);
}

static int run_outer(void *ctx)
{
    (void)ctx;
    EXPECT_EQ(weft_once_run(&shared->once, run_itself, NULL), -EDEADLK);
    return -EAGAIN;
}

static int run_inner(void *ctx)
{
    (void)ctx;
    return weft_once_run(&shared->inner, run_outer, NULL);
}

TEST(calling_it_from_within_another_inside_it_is_an_error_too)
{
    EXPECT_EQ(weft_once_run(&shared->once, run_inner, NULL), -EAGAIN);
    EXPECT_EQ(weft_once_run(&shared->once, load, &shared->loaded), 0);
}

static void wait_until_cancelled(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_once_run(&shared->once, load_when_told, &shared->loaded), -ECANCELED);
}

TEST(a_cancelled_waiter_leaves_the_others_waiting)
{
    strands_must_be_cancellable();
    struct strands *runner = strands_start(1, run_when_told);
    strands_until_asleep(runner);
    struct strands *cancelled = strands_start(2, wait_until_cancelled);
    struct strands *waiters = strands_start(2, run_when_told);
    strands_until_asleep(cancelled);
    strands_until_asleep(waiters);
    strands_cancel_all(cancelled);
    strands_join(cancelled);
    EXPECT_EQ(atomic_load(&shared->returned), 0);
    weft_event_set(&shared->go);
    strands_join(waiters);
    strands_join(runner);
    EXPECT_EQ(atomic_load(&shared->runs), 1);
}

TEST(a_scope_ends_the_wait)
{
    struct strands *runner = strands_start(1, run_when_told);
    strands_until_asleep(runner);
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_once_run(&shared->once, load_when_told, &shared->loaded), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    weft_event_set(&shared->go);
    strands_join(runner);
    EXPECT_EQ(weft_once_run(&shared->once, load_when_told, &shared->loaded), 0);
    EXPECT_EQ(atomic_load(&shared->runs), 1);
}

static void run_though_cancelled(size_t index)
{
    (void)index;
    UNTIL(weft_cancelled());
    EXPECT_EQ(weft_once_run(&shared->once, load, &shared->loaded), 0);
    EXPECT_EQ(weft_once_run(&shared->once, load, &shared->loaded), 0);
}

TEST(a_cancelled_strand_still_does_it_when_it_need_not_wait)
{
    strands_must_be_cancellable();
    struct strands *strand = strands_start(1, run_though_cancelled);
    strands_cancel(strand, 0);
    strands_join(strand);
    EXPECT_EQ(atomic_load(&shared->runs), 1);
}
