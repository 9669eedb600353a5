/* SPDX-License-Identifier: MIT */
/* The event: who waits when it is set returns, whatever happens to it before that strand runs. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/event.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

#define N 6

static struct {
    weft_event event;
    atomic_int returned;
    int written; /* ordered by the event alone */
    weft_event *_Atomic lent;
} * shared;
STRANDS_KEEP(shared)

static void expect_unset(weft_event *e)
{
    EXPECT_FALSE(weft_event_is_set(e));
    EXPECT_EQ(weft_event_wait(e, WEFT_NOW), -ETIMEDOUT);
}

static void expect_set(weft_event *e)
{
    EXPECT_TRUE(weft_event_is_set(e));
    EXPECT_EQ(weft_event_wait(e, WEFT_NOW), 0);
    EXPECT_EQ(weft_event_wait(e, WEFT_FOREVER), 0);
}

TEST(a_new_event_is_not_set_however_it_is_made)
{
    static weft_event by_macro = WEFT_EVENT_INIT, by_loader;
    weft_event by_init;
    memset(&by_init, 0xa5, sizeof by_init);
    weft_event_init(&by_init);
    expect_unset(&by_macro);
    expect_unset(&by_loader);
    expect_unset(&by_init);
    EXPECT_EQ(sizeof(weft_event), 8);
}

TEST(set_and_clear_may_be_repeated)
{
    for (int i = 0; i < 3; i++) {
        expect_unset(&shared->event);
        weft_event_set(&shared->event);
        expect_set(&shared->event);
        weft_event_set(&shared->event);
        expect_set(&shared->event);
        weft_event_clear(&shared->event);
        expect_unset(&shared->event);
        weft_event_clear(&shared->event);
        expect_unset(&shared->event);
        weft_event_post(&shared->event);
        expect_set(&shared->event);
        weft_event_clear(&shared->event);
    }
}

TEST(a_deadline_in_the_past_only_looks)
{
    const int64_t past[] = { INT64_MIN, -1, 0, 1 };
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        weft_deadline deadline = { past[i] };
        EXPECT_EQ(weft_event_wait(&shared->event, deadline), -ETIMEDOUT);
        weft_event_set(&shared->event);
        EXPECT_EQ(weft_event_wait(&shared->event, deadline), 0);
        weft_event_clear(&shared->event);
    }
}

TEST(a_wait_that_times_out_sets_nothing)
{
    EXPECT_EQ(weft_event_wait(&shared->event, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_event_wait(&shared->event, weft_after(1)), -ETIMEDOUT);
    expect_unset(&shared->event);
}

static void wait_for_it(size_t index)
{
    static const int64_t far[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX / 2 };
    weft_deadline deadline = { far[index % 3] };
    EXPECT_EQ(weft_event_wait(&shared->event, deadline), 0);
    atomic_fetch_add(&shared->returned, 1);
}

TEST(set_lets_all_waiters_go)
{
    for (int round = 0; round < 3; round++) {
        atomic_store(&shared->returned, 0);
        struct strands *waiters = strands_start(N, wait_for_it);
        strands_until_asleep(waiters);
        EXPECT_EQ(atomic_load(&shared->returned), 0);
        weft_event_set(&shared->event);
        strands_join(waiters);
        EXPECT_EQ(atomic_load(&shared->returned), N);
        weft_event_clear(&shared->event);
    }
}

TEST(post_lets_all_waiters_go)
{
    struct strands *waiters = strands_start(N, wait_for_it);
    strands_until_asleep(waiters);
    weft_event_post(&shared->event);
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&shared->returned), N);
}

TEST(waiters_return_although_it_is_cleared_before_they_run)
{
    for (int round = 0; round < 20; round++) {
        struct strands *waiters = strands_start(N, wait_for_it);
        strands_until_asleep(waiters);
        weft_event_set(&shared->event);
        weft_event_clear(&shared->event);
        strands_join(waiters);
        expect_unset(&shared->event);
    }
    EXPECT_EQ(atomic_load(&shared->returned), 20 * N);
}

TEST(waiters_return_although_a_post_is_cleared_before_they_run)
{
    for (int round = 0; round < 20; round++) {
        struct strands *waiters = strands_start(N, wait_for_it);
        strands_until_asleep(waiters);
        weft_event_post(&shared->event);
        weft_event_clear(&shared->event);
        strands_join(waiters);
        expect_unset(&shared->event);
    }
}

TEST(who_comes_after_the_clear_waits_for_the_next_set)
{
    weft_event_set(&shared->event);
    weft_event_clear(&shared->event);
    struct strands *waiters = strands_start(2, wait_for_it);
    strands_until_asleep(waiters);
    EXPECT_EQ(atomic_load(&shared->returned), 0);
    weft_event_set(&shared->event);
    strands_join(waiters);
}

static void read_after_wait(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), 0);
    EXPECT_EQ(shared->written, 42);
}

TEST(what_is_before_a_set_is_seen_after_the_wait)
{
    struct strands *readers = strands_start(4, read_after_wait);
    shared->written = 42;
    weft_event_set(&shared->event);
    strands_join(readers);
}

static void set_lent_events(size_t index)
{
    (void)index;
    for (int i = 0; i < 2000; i++) {
        weft_event *e;
        UNTIL((e = atomic_exchange(&shared->lent, NULL)) != NULL);
        weft_event_set(e);
    }
}

/* The waiter's stack or heap has the event, and takes it away the moment the wait returns. */
TEST(set_does_not_touch_an_event_that_its_waiter_drops)
{
    struct strands *setter = strands_start(1, set_lent_events);
    for (int i = 0; i < 2000; i++) {
        weft_event *e = strands_alloc(sizeof *e);
        atomic_store(&shared->lent, e);
        if (i % 2)
            EXPECT_EQ(weft_event_wait(e, WEFT_FOREVER), 0);
        else
            UNTIL(weft_event_wait(e, WEFT_NOW) == 0);
        memset(e, 0x5a, sizeof *e);
        strands_free(e);
    }
    strands_join(setter);
}

static void wait_until_cancelled(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), -ECANCELED);
    EXPECT_TRUE(weft_uncancel());
    EXPECT_FALSE(weft_uncancel());
    EXPECT_FALSE(weft_cancelled());
    atomic_fetch_add(&shared->returned, 1);
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), 0);
}

TEST(cancellation_ends_waits_until_it_is_acknowledged)
{
    strands_must_be_cancellable();
    struct strands *waiters = strands_start(3, wait_until_cancelled);
    strands_until_asleep(waiters);
    strands_cancel_all(waiters);
    UNTIL(atomic_load(&shared->returned) == 3);
    expect_unset(&shared->event);
    weft_event_set(&shared->event);
    strands_join(waiters);
}

static void look_though_cancelled(size_t index)
{
    (void)index;
    UNTIL(weft_cancelled());
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_NOW), 0);
}

TEST(a_set_event_satisfies_even_a_cancelled_strand)
{
    strands_must_be_cancellable();
    weft_event_set(&shared->event);
    struct strands *waiter = strands_start(1, look_though_cancelled);
    strands_cancel(waiter, 0);
    strands_join(waiter);
}

TEST(a_scope_ends_a_wait)
{
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), -ETIMEDOUT);
    weft_event_set(&shared->event);
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}
