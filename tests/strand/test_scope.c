/* SPDX-License-Identifier: MIT */
/* Scopes: the soonest deadline around a wait ends it, a shield keeps what is outside out. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include <weft/event.h>
#include <weft/fd.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

static weft_event never = WEFT_EVENT_INIT;
static atomic_int step;

static weft_deadline soon(void)
{
    return weft_after(WEFT_MS);
}

TEST(without_scopes_there_is_no_deadline)
{
    EXPECT_EQ(weft_scope_deadline().ns, INT64_MAX);
}

TEST(the_deadline_is_that_of_the_soonest_scope)
{
    weft_scope outer, middle, inner;
    weft_deadline far = weft_after(3600 * WEFT_S), near = weft_after(1800 * WEFT_S);
    weft_scope_enter(&outer, near, 0);
    EXPECT_EQ(weft_scope_deadline().ns, near.ns);
    weft_scope_enter(&middle, far, 0);
    EXPECT_EQ(weft_scope_deadline().ns, near.ns);
    weft_scope_enter(&inner, WEFT_NOW, 0);
    EXPECT_EQ(weft_scope_deadline().ns, 0);
    EXPECT_EQ(weft_scope_leave(&inner), 0);
    EXPECT_EQ(weft_scope_deadline().ns, near.ns);
    EXPECT_EQ(weft_scope_leave(&middle), 0);
    EXPECT_EQ(weft_scope_leave(&outer), 0);
    EXPECT_EQ(weft_scope_deadline().ns, INT64_MAX);
}

TEST(only_the_innermost_can_be_left)
{
    weft_scope outer, inner, never_entered = { 0 };
    EXPECT_EQ(weft_scope_leave(&never_entered), -EINVAL);
    weft_scope_enter(&outer, WEFT_FOREVER, 0);
    weft_scope_enter(&inner, WEFT_FOREVER, 0);
    EXPECT_EQ(weft_scope_leave(&outer), -EINVAL);
    EXPECT_EQ(weft_scope_leave(&never_entered), -EINVAL);
    EXPECT_EQ(weft_scope_leave(&inner), 0);
    EXPECT_EQ(weft_scope_leave(&inner), -EINVAL);
    EXPECT_EQ(weft_scope_leave(&outer), 0);
}

TEST(a_scope_that_ended_nothing_says_so)
{
    weft_scope scope;
    weft_scope_enter(&scope, WEFT_NOW, 0);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
    weft_scope_enter(&scope, weft_after(3600 * WEFT_S), 0);
    EXPECT_EQ(weft_event_wait(&never, soon()), -ETIMEDOUT); /* of the wait itself */
    EXPECT_EQ(weft_scope_leave(&scope), 0);
}

TEST(one_deadline_serves_all_waits_inside)
{
    weft_scope scope;
    weft_scope_enter(&scope, soon(), 0);
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_sleep_until(WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

TEST(a_sleep_that_ends_before_the_scope_is_none_of_its_business)
{
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(3600 * WEFT_S), 0);
    EXPECT_EQ(weft_sleep_until(soon()), 0);
    EXPECT_EQ(weft_sleep_until(WEFT_NOW), 0);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
}

TEST(the_scope_whose_deadline_it_was_is_the_one_that_says_so)
{
    weft_scope outer, inner;
    weft_scope_enter(&outer, soon(), 0);
    weft_scope_enter(&inner, weft_after(3600 * WEFT_S), 0);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&inner), 0);
    EXPECT_EQ(weft_scope_leave(&outer), -ETIMEDOUT);

    weft_scope_enter(&outer, weft_after(3600 * WEFT_S), 0);
    weft_scope_enter(&inner, soon(), 0);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&inner), -ETIMEDOUT);
    EXPECT_EQ(weft_event_wait(&never, soon()), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&outer), 0);
}

TEST(a_scope_that_was_left_can_be_entered_again)
{
    weft_scope scope;
    weft_scope_enter(&scope, WEFT_NOW, 0);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    weft_scope_enter(&scope, WEFT_FOREVER, 0);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
}

static void wait_freely(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_scope_deadline().ns, INT64_MAX);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), 0);
}

TEST(a_scope_belongs_to_the_strand_that_entered_it)
{
    weft_scope scope;
    weft_scope_enter(&scope, WEFT_NOW, 0);
    struct strands *free_ones = strands_start(2, wait_freely);
    weft_scope shield; /* the harness's own waits are not what this is about */
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    strands_until_asleep(free_ones);
    weft_event_set(&never);
    strands_join(free_ones);
    EXPECT_EQ(weft_scope_leave(&shield), 0);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
}

TEST(a_shield_hides_the_deadlines_around_it_but_has_its_own)
{
    weft_scope scope, shield, inner;
    weft_scope_enter(&scope, WEFT_NOW, 0);
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    EXPECT_EQ(weft_scope_deadline().ns, INT64_MAX);
    EXPECT_EQ(weft_sleep_until(soon()), 0);
    weft_scope_enter(&inner, soon(), 0);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&inner), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&shield), 0);
    weft_scope_enter(&shield, soon(), WEFT_SHIELD);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&shield), -ETIMEDOUT);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

static void clean_up_shielded(size_t index)
{
    (void)index;
    weft_scope shield, scope;
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ECANCELED);
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    EXPECT_FALSE(weft_cancelled());
    EXPECT_EQ(weft_yield(), 0);
    weft_scope_enter(&scope, WEFT_FOREVER, 0);
    EXPECT_FALSE(weft_cancelled());
    EXPECT_EQ(weft_sleep_until(soon()), 0);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
    EXPECT_EQ(weft_scope_leave(&shield), 0);
    EXPECT_TRUE(weft_cancelled());
    EXPECT_EQ(weft_yield(), -ECANCELED);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ECANCELED);
}

TEST(a_shield_hides_a_cancellation_that_came_before)
{
    strands_must_be_cancellable();
    struct strands *strand = strands_start(1, clean_up_shielded);
    strands_until_asleep(strand);
    strands_cancel(strand, 0);
    strands_join(strand);
}

static void sleep_shielded(size_t index)
{
    (void)index;
    weft_scope shield;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    atomic_store(&step, 1);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_scope_leave(&shield), 0);
    EXPECT_TRUE(weft_cancelled());
}

TEST(a_shield_hides_a_cancellation_that_comes_during_a_wait)
{
    strands_must_be_cancellable();
    struct strands *strand = strands_start(1, sleep_shielded);
    strands_until_asleep(strand);
    strands_cancel(strand, 0);
    strands_until_asleep(strand);
    EXPECT_EQ(strands_asleep(strand), 1);
    weft_event_set(&never);
    strands_join(strand);
}

TEST(a_scope_ends_a_wait_for_a_descriptor)
{
    int ends[2];
    weft_scope scope;
    EXPECT_EQ(pipe(ends), 0);
    DESCRIPTORS_COUNT_FROM_HERE(); /* the strand may keep one to be woken by */
    weft_scope_enter(&scope, soon(), 0);
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    DESCRIPTORS_MAY_STAY();
}
