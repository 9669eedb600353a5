/* SPDX-License-Identifier: MIT */
/* Cancellation: it sticks until acknowledged, reaches foreign waits by hooks, and hits nobody else.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include <weft/event.h>
#include <weft/fd.h>
#include <weft/group.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

static weft_event never = WEFT_EVENT_INIT;
static weft_event go = WEFT_EVENT_INIT;
static atomic_int step, calls;

TEST(nobody_is_cancelled_to_begin_with)
{
    EXPECT_FALSE(weft_cancelled());
    EXPECT_FALSE(weft_uncancel());
    EXPECT_EQ(weft_yield(), 0);
}

static void expect_sticky(size_t index)
{
    (void)index;
    UNTIL(weft_cancelled());
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(weft_cancelled());
        EXPECT_EQ(weft_yield(), -ECANCELED);
        EXPECT_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
        EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ECANCELED);
    }
    EXPECT_TRUE(weft_uncancel());
    EXPECT_FALSE(weft_cancelled());
    EXPECT_FALSE(weft_uncancel());
    EXPECT_EQ(weft_yield(), 0);
    EXPECT_EQ(weft_sleep_until(weft_after(WEFT_MS)), 0);
    EXPECT_EQ(weft_event_wait(&never, weft_after(1)), -ETIMEDOUT);
}

TEST(it_sticks_until_it_is_acknowledged)
{
    strands_must_be_cancellable();
    struct strands *strand = strands_start(2, expect_sticky);
    strands_cancel_all(strand);
    strands_join(strand);
}

static void be_cancelled_twice(size_t index)
{
    (void)index;
    for (int i = 1; i <= 2; i++) {
        EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ECANCELED);
        EXPECT_TRUE(weft_uncancel());
        atomic_store(&step, i);
    }
}

TEST(after_it_was_acknowledged_one_can_be_cancelled_again)
{
    strands_must_be_cancellable();
    struct strands *strand = strands_start(1, be_cancelled_twice);
    strands_until_asleep(strand);
    strands_cancel(strand, 0);
    UNTIL(atomic_load(&step) == 1);
    strands_until_asleep(strand);
    strands_cancel(strand, 0);
    strands_join(strand);
    EXPECT_EQ(atomic_load(&step), 2);
}

static void sleep_for_ever(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
}

TEST(it_ends_a_sleep)
{
    strands_must_be_cancellable();
    struct strands *strand = strands_start(3, sleep_for_ever);
    strands_until_asleep(strand);
    strands_cancel_all(strand);
    strands_join(strand);
}

static int ends[2];

static void wait_for_descriptor(size_t index)
{
    (void)index;
    atomic_store(&step, 1);
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, WEFT_FOREVER), -ECANCELED);
    EXPECT_TRUE(weft_uncancel());
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_fd_wait(ends[1], POLLOUT, WEFT_FOREVER), POLLOUT);
}

TEST(it_ends_a_wait_for_a_descriptor)
{
    strands_must_be_cancellable();
    EXPECT_EQ(pipe(ends), 0);
    for (int i = 0; i < 50; i++) {
        atomic_store(&step, 0);
        struct strands *strand = strands_start(1, wait_for_descriptor);
        UNTIL(atomic_load(&step) == 1);
        strands_cancel(strand, 0);
        strands_join(strand);
    }
    close(ends[0]);
    close(ends[1]);
}

static void count_call(void *ctx)
{
    EXPECT_TRUE(ctx == &calls);
    atomic_fetch_add(&calls, 1);
}

/* As a library's own poll loop would: it ends only because the hook ends it. */
static void poll_in_a_hook(size_t index)
{
    (void)index;
    weft_on_cancel outer, inner, late;
    EXPECT_EQ(weft_on_cancel_enter(&outer, count_call, &calls), 0);
    EXPECT_EQ(weft_on_cancel_enter(&inner, count_call, &calls), 0);
    atomic_store(&step, 1);
    UNTIL(atomic_load(&calls) == 2);
    UNTIL(atomic_load(&step) == 2); /* the second request must not come after the uncancel below */
    EXPECT_TRUE(weft_cancelled());
    weft_on_cancel_leave(&inner);
    weft_on_cancel_leave(&outer);
    EXPECT_EQ(weft_on_cancel_enter(&late, count_call, &calls), -ECANCELED);
    EXPECT_EQ(atomic_load(&calls), 2);
    EXPECT_TRUE(weft_uncancel());
    EXPECT_EQ(weft_on_cancel_enter(&late, count_call, &calls), 0);
    weft_on_cancel_leave(&late);
}

TEST(it_calls_every_hook_once)
{
    strands_must_be_cancellable();
    struct strands *strand = strands_start(1, poll_in_a_hook);
    UNTIL(atomic_load(&step) == 1);
    strands_cancel(strand, 0);
    strands_cancel(strand, 0);
    atomic_store(&step, 2);
    strands_join(strand);
    EXPECT_EQ(atomic_load(&calls), 2);
}

static void wait_in_a_hook(size_t index)
{
    (void)index;
    weft_on_cancel hook;
    EXPECT_EQ(weft_on_cancel_enter(&hook, count_call, &calls), 0);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ECANCELED);
    UNTIL(atomic_load(&calls) == 1); /* the library polls on */
    weft_on_cancel_leave(&hook);
}

TEST(it_calls_the_hook_also_when_it_ends_a_wait_inside)
{
    strands_must_be_cancellable();
    struct strands *strand = strands_start(1, wait_in_a_hook);
    strands_until_asleep(strand);
    strands_cancel(strand, 0);
    strands_join(strand);
    EXPECT_EQ(atomic_load(&calls), 1);
}

static void leave_before(size_t index)
{
    (void)index;
    weft_on_cancel hook;
    EXPECT_EQ(weft_on_cancel_enter(&hook, count_call, &calls), 0);
    weft_on_cancel_leave(&hook);
    atomic_store(&step, 1);
    UNTIL(weft_cancelled());
}

TEST(a_hook_that_was_left_is_not_called)
{
    strands_must_be_cancellable();
    struct strands *strand = strands_start(1, leave_before);
    UNTIL(atomic_load(&step) == 1);
    strands_cancel(strand, 0);
    strands_join(strand);
    EXPECT_EQ(atomic_load(&calls), 0);
}

static int *_Atomic target;

static void write_target(void *ctx)
{
    (void)ctx;
    ++*atomic_load(&target); /* whose memory goes once the hook was left */
}

static void enter_and_leave(size_t index)
{
    (void)index;
    while (!weft_cancelled()) {
        int on_the_stack = 0;
        weft_on_cancel hook;
        atomic_store(&target, &on_the_stack);
        if (weft_on_cancel_enter(&hook, write_target, NULL) == 0)
            weft_on_cancel_leave(&hook);
        EXPECT_LE(on_the_stack, 1);
        atomic_store(&target, NULL);
    }
}

TEST(a_hook_does_not_run_any_more_once_leave_has_returned)
{
    strands_must_be_cancellable();
    for (int i = 0; i < 300; i++) {
        struct strands *strand = strands_start(1, enter_and_leave);
        if (i % 2)
            UNTIL(atomic_load(&target) != NULL);
        strands_cancel(strand, 0);
        strands_join(strand);
    }
}

static int wait_for_go(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&step, 1);
    return weft_event_wait(&go, WEFT_FOREVER);
}

/* A call of a serial group runs on the strand that starts it: cancelled apart from that. */
static int run_serially(weft_call *call)
{
    weft_group *inner;
    (void)call;
    EXPECT_EQ(weft_group_open(&inner, WEFT_SERIAL, NULL), 0);
    EXPECT_EQ(weft_group_start(inner, wait_for_go, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(inner, WEFT_NOW), -ECHILD);
    weft_outcome failure;
    weft_group_failure(inner, &failure);
    EXPECT_EQ(failure.status, -ECANCELED);
    weft_group_close(inner);
    EXPECT_TRUE(weft_cancelled());
    return -ECANCELED;
}

TEST(it_reaches_the_calls_that_run_inside_the_one_cancelled)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, NULL), 0);
    EXPECT_EQ(weft_group_start(g, run_serially, NULL, 0), 0);
    UNTIL(atomic_load(&step) == 1);
    weft_group_cancel(g);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECANCELED);
    weft_group_close(g);
}

static weft_group *_Atomic serial_group;

static int cancel_and_wait(weft_call *call)
{
    (void)call;
    weft_group_cancel(atomic_load(&serial_group));
    EXPECT_TRUE(weft_cancelled());
    return weft_event_wait(&never, WEFT_FOREVER);
}

TEST(cancelling_an_inner_call_does_not_cancel_what_is_around_it)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_SERIAL, NULL), 0);
    atomic_store(&serial_group, g);
    EXPECT_EQ(weft_group_start(g, cancel_and_wait, NULL, 0), 0);
    EXPECT_FALSE(weft_cancelled());
    EXPECT_EQ(weft_yield(), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECANCELED);
    weft_group_close(g);
}

static int return_cancelled(weft_call *call)
{
    (void)call;
    return -ECANCELED;
}

TEST(who_says_cancelled_without_having_been_has_failed)
{
    weft_group *g;
    weft_outcome failure;
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, NULL), 0);
    EXPECT_EQ(weft_group_start(g, return_cancelled, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    weft_group_failure(g, &failure);
    EXPECT_EQ(failure.how, WEFT_FAILED);
    EXPECT_EQ(failure.status, -ECANCELED);
    weft_group_close(g);
}

static int succeed_though_cancelled(weft_call *call)
{
    atomic_store(&step, 1);
    UNTIL(weft_cancelled());
    return weft_call_return(call, "done", 5);
}

TEST(who_succeeds_although_cancelled_is_done)
{
    weft_group *g;
    weft_future *f;
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, NULL), 0);
    EXPECT_EQ(weft_group_submit(g, succeed_though_cancelled, NULL, 0, &f, WEFT_FOREVER), 0);
    UNTIL(atomic_load(&step) == 1);
    weft_future_cancel(f);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_STR(weft_future_result(f, NULL), "done");
    weft_future_close(f);
    weft_group_close(g);
}
