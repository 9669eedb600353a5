/* SPDX-License-Identifier: MIT */
/*
 * The condition: notify wakes exactly so many of those that already wait, in their order, and
 * nothing else does.
 *
 * How "exactly" is tested: waiters count their returns under the lock. The notifier waits until all
 * are asleep, notifies k while it holds the lock, and lets go. Those woken come out and go to sleep
 * on an event; the others still sleep on the condition. Once all are asleep again nothing is on its
 * way any more, so the count is final without waiting for some time to pass.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/condition.h>
#include <weft/event.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

#define N 6

static struct {
    weft_lock lock;
    weft_rlock rlock;
    weft_condition changed;
    weft_event leave;
    int woken;        /* guarded by lock, as are these */
    size_t order[64]; /* who was woken */
    int state;
    int looks;
    atomic_int done;
    size_t offset;
} * shared;
STRANDS_KEEP(shared)

static void notify(uint32_t n)
{
    weft_lock_lock(&shared->lock);
    weft_condition_notify(&shared->changed, n);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

static int woken_so_far(void)
{
    weft_lock_lock(&shared->lock);
    int n = shared->woken;
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    return n;
}

/* Waits once, then stays asleep until all may leave. */
static void wait_once(size_t index)
{
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_condition_wait(&shared->changed, &shared->lock, WEFT_FOREVER), 0);
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
    shared->order[shared->woken++] = index;
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    EXPECT_EQ(weft_event_wait(&shared->leave, WEFT_FOREVER), 0);
}

TEST(waiting_without_the_lock_is_an_error)
{
    EXPECT_EQ(weft_condition_wait(&shared->changed, &shared->lock, WEFT_NOW), -EPERM);
    EXPECT_EQ(weft_condition_wait(&shared->changed, &shared->lock, WEFT_FOREVER), -EPERM);
    EXPECT_FALSE(weft_lock_locked(&shared->lock));
    EXPECT_EQ(weft_condition_wait_rlock(&shared->changed, &shared->rlock, WEFT_FOREVER), -EPERM);
    EXPECT_FALSE(weft_rlock_locked(&shared->rlock));
}

static void wait_on_a_foreign_rlock(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_condition_wait_rlock(&shared->changed, &shared->rlock, WEFT_FOREVER), -EPERM);
}

TEST(waiting_with_somebody_elses_rlock_is_an_error)
{
    weft_rlock_lock(&shared->rlock);
    strands_join(strands_start(1, wait_on_a_foreign_rlock));
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 1);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
}

static bool never(void *ctx)
{
    (void)ctx;
    shared->looks++;
    return false;
}

TEST(waiting_for_something_without_the_lock_is_an_error)
{
    EXPECT_EQ(weft_condition_wait_for(&shared->changed, &shared->lock, never, NULL, WEFT_FOREVER),
              -EPERM);
    EXPECT_FALSE(weft_lock_locked(&shared->lock));
}

TEST(a_deadline_in_the_past_times_out_with_the_lock_held)
{
    const int64_t past[] = { INT64_MIN, -1, 0, 1 };
    weft_lock_lock(&shared->lock);
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        weft_deadline deadline = { past[i] };
        EXPECT_EQ(weft_condition_wait(&shared->changed, &shared->lock, deadline), -ETIMEDOUT);
        EXPECT_TRUE(weft_lock_locked(&shared->lock));
    }
    EXPECT_EQ(weft_condition_wait(&shared->changed, &shared->lock, weft_after(WEFT_MS)),
              -ETIMEDOUT);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), -EPERM);
}

TEST(a_notify_that_finds_nobody_is_not_remembered)
{
    notify(1);
    notify(UINT32_MAX);
    weft_condition_notify(&shared->changed, 5);
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_condition_wait(&shared->changed, &shared->lock, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_condition_wait(&shared->changed, &shared->lock, weft_after(WEFT_MS)),
              -ETIMEDOUT);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(waiting_lets_others_have_the_lock)
{
    struct strands *waiter = strands_start(1, wait_once);
    strands_until_asleep(waiter);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_NOW), 0);
    EXPECT_EQ(shared->woken, 0);
    weft_condition_notify(&shared->changed, 1);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    weft_event_set(&shared->leave);
    strands_join(waiter);
    EXPECT_EQ(shared->woken, 1);
    EXPECT_FALSE(weft_lock_locked(&shared->lock));
}

TEST(notify_wakes_exactly_as_many_as_it_says)
{
    struct strands *waiters = strands_start(N, wait_once);
    const int steps[] = { 0, 1, 2, 0, 1 };
    int expected = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        strands_until_asleep(waiters);
        notify((uint32_t)steps[i]);
        expected += steps[i];
        UNTIL(woken_so_far() >= expected);
        strands_until_asleep(waiters);
        EXPECT_EQ(woken_so_far(), expected);
    }
    notify(UINT32_MAX);
    weft_event_set(&shared->leave);
    strands_join(waiters);
    EXPECT_EQ(shared->woken, N);
}

TEST(notify_of_more_than_wait_wakes_all_and_leaves_nothing_over)
{
    struct strands *waiters = strands_start(3, wait_once);
    strands_until_asleep(waiters);
    notify(1000);
    UNTIL(woken_so_far() == 3);
    struct strands *late = strands_start(1, wait_once);
    strands_until_asleep(late);
    EXPECT_EQ(woken_so_far(), 3);
    notify(1);
    weft_event_set(&shared->leave);
    strands_join(waiters);
    strands_join(late);
}

TEST(notify_works_without_the_lock)
{
    struct strands *waiters = strands_start(3, wait_once);
    strands_until_asleep(waiters);
    weft_condition_notify(&shared->changed, 2);
    UNTIL(woken_so_far() == 2);
    weft_condition_notify(&shared->changed, 1);
    weft_event_set(&shared->leave);
    strands_join(waiters);
    EXPECT_EQ(shared->woken, 3);
}

static void wait_in_line(size_t index)
{
    wait_once(index + shared->offset);
}

TEST(notify_wakes_in_the_order_of_coming)
{
    struct strands *waiters[N];
    for (size_t i = 0; i < N; i++) {
        shared->offset = i;
        waiters[i] = strands_start(1, wait_in_line);
        strands_until_asleep(waiters[i]);
    }
    for (int i = 0; i < N; i++) {
        notify(1);
        UNTIL(woken_so_far() == i + 1);
    }
    weft_event_set(&shared->leave);
    for (size_t i = 0; i < N; i++) {
        strands_join(waiters[i]);
        EXPECT_EQ(shared->order[i], i);
    }
}

static void expect_timeout(size_t index)
{
    (void)index;
    weft_lock_lock(&shared->lock);
    weft_deadline deadline = weft_after(WEFT_MS);
    int rc;
    do
        rc = weft_condition_wait(&shared->changed, &shared->lock, deadline);
    while (rc == 0 && strands_are_processes()); /* for the end of another */
    EXPECT_EQ(rc, -ETIMEDOUT);
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(waiters_that_timed_out_use_up_no_notify)
{
    struct strands *quitters = strands_start(3, expect_timeout);
    strands_join(quitters);
    struct strands *waiters = strands_start(2, wait_once);
    strands_until_asleep(waiters);
    notify(2);
    weft_event_set(&shared->leave);
    strands_join(waiters);
    EXPECT_EQ(shared->woken, 2);
}

static bool is_four(void *ctx)
{
    EXPECT_TRUE(ctx == &shared->state);
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
    return shared->state == 4;
}

static void wait_for_four(size_t index)
{
    (void)index;
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_condition_wait_for(&shared->changed, &shared->lock, is_four, &shared->state,
                                      WEFT_FOREVER),
              0);
    EXPECT_EQ(shared->state, 4);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(wait_for_goes_on_until_it_is_so)
{
    struct strands *waiter = strands_start(2, wait_for_four);
    for (int i = 0; i < 4; i++) {
        strands_until_asleep(waiter);
        weft_lock_lock(&shared->lock);
        shared->state++;
        weft_condition_notify(&shared->changed, UINT32_MAX);
        EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    }
    strands_join(waiter);
}

static bool always(void *ctx)
{
    (void)ctx;
    shared->looks++;
    return true;
}

TEST(wait_for_does_not_wait_for_what_is_so_already)
{
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_condition_wait_for(&shared->changed, &shared->lock, always, NULL, WEFT_NOW), 0);
    EXPECT_EQ(weft_condition_wait_for(&shared->changed, &shared->lock, always, NULL, WEFT_FOREVER),
              0);
    EXPECT_EQ(shared->looks, 2);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

static void wait_for_never(size_t index)
{
    (void)index;
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_condition_wait_for(&shared->changed, &shared->lock, never, NULL,
                                      weft_after(20 * WEFT_MS)),
              -ETIMEDOUT);
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
    atomic_store(&shared->done, 1);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

/* If each wake-up began a new deadline, this would never end. */
TEST(wait_for_keeps_one_deadline_over_many_wake_ups)
{
    struct strands *waiter = strands_start(1, wait_for_never);
    while (!atomic_load(&shared->done)) {
        notify(1);
        strands_yield();
    }
    strands_join(waiter);
    EXPECT_GE(shared->looks, 1);
}

static bool from_the_second_look(void *ctx)
{
    (void)ctx;
    return ++shared->looks >= 2;
}

/* As in Python: what counts in the end is whether it is so, not who noticed first. */
TEST(wait_for_looks_once_more_when_the_deadline_has_passed)
{
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_condition_wait_for(&shared->changed, &shared->lock, from_the_second_look, NULL,
                                      weft_after(WEFT_MS)),
              0);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

static void wait_at_depth_three(size_t index)
{
    (void)index;
    for (int i = 0; i < 3; i++)
        weft_rlock_lock(&shared->rlock);
    EXPECT_EQ(weft_condition_wait_rlock(&shared->changed, &shared->rlock, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 3);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
}

TEST(an_rlock_is_released_fully_and_taken_to_the_same_depth)
{
    struct strands *waiters = strands_start(2, wait_at_depth_three);
    strands_until_asleep(waiters);
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, WEFT_NOW), 0);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 1);
    weft_condition_notify(&shared->changed, UINT32_MAX);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    strands_join(waiters);
    EXPECT_FALSE(weft_rlock_locked(&shared->rlock));
}

TEST(an_rlock_is_taken_to_the_same_depth_after_a_timeout)
{
    weft_rlock_lock(&shared->rlock);
    weft_rlock_lock(&shared->rlock);
    EXPECT_EQ(weft_condition_wait_rlock(&shared->changed, &shared->rlock, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_condition_wait_rlock(&shared->changed, &shared->rlock, weft_after(WEFT_MS)),
              -ETIMEDOUT);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 2);
}

static void wait_until_cancelled(size_t index)
{
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(index % 2 ? weft_condition_wait(&shared->changed, &shared->lock, WEFT_FOREVER)
                        : weft_condition_wait_for(&shared->changed, &shared->lock, never, NULL,
                                                  WEFT_FOREVER),
              -ECANCELED);
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
    EXPECT_TRUE(weft_cancelled());
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(a_cancelled_waiter_returns_with_the_lock_and_uses_up_no_notify)
{
    strands_must_be_cancellable();
    struct strands *cancelled = strands_start(2, wait_until_cancelled);
    strands_until_asleep(cancelled);
    struct strands *waiter = strands_start(1, wait_once);
    strands_until_asleep(waiter);
    weft_lock_lock(&shared->lock);
    strands_cancel_all(cancelled);
    if (!strands_share())
        weft_condition_notify(&shared->changed, 1);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    strands_join(cancelled);
    if (strands_share()) /* where a notify may find those who have not noticed yet */
        weft_condition_notify(&shared->changed, 1);
    weft_event_set(&shared->leave);
    strands_join(waiter);
    EXPECT_EQ(shared->woken, 1);
}

static void wait_though_cancelled_later(size_t index)
{
    (void)index;
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_condition_wait(&shared->changed, &shared->lock, WEFT_FOREVER), 0);
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
    EXPECT_TRUE(weft_cancelled());
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(cancellation_after_the_notify_changes_nothing_while_the_lock_is_taken_again)
{
    strands_must_be_cancellable();
    struct strands *waiter = strands_start(1, wait_though_cancelled_later);
    strands_until_asleep(waiter);
    weft_lock_lock(&shared->lock);
    weft_condition_notify(&shared->changed, 1);
    strands_cancel(waiter, 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    strands_join(waiter);
}

TEST(a_scope_ends_a_wait_with_the_lock_held)
{
    weft_scope scope;
    weft_lock_lock(&shared->lock);
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_condition_wait(&shared->changed, &shared->lock, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
    EXPECT_EQ(weft_condition_wait_for(&shared->changed, &shared->lock, never, NULL, WEFT_FOREVER),
              -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(a_condition_is_valid_however_it_is_made_and_may_be_dropped)
{
    for (int i = 0; i < 20; i++) {
        weft_condition *c = strands_alloc(sizeof *c);
        weft_lock_lock(&shared->lock);
        EXPECT_EQ(weft_condition_wait(c, &shared->lock, weft_after(1)), -ETIMEDOUT);
        memset(c, 0xa5, sizeof *c);
        weft_condition_init(c);
        weft_condition_notify(c, 1);
        EXPECT_EQ(weft_condition_wait(c, &shared->lock, weft_after(1)), -ETIMEDOUT);
        EXPECT_EQ(weft_lock_release(&shared->lock), 0);
        strands_free(c);
    }
}
