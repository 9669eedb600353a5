/* SPDX-License-Identifier: MIT */
/* The semaphore: permits are neither lost nor made, go to waiters in their order, and have a bound.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/scope.h>
#include <weft/self.h>
#include <weft/semaphore.h>

#include "harness.h"
#include "strands.h"

static struct {
    weft_semaphore permits;
    atomic_int got, inside;
    atomic_size_t order[64];
    size_t offset;
} * shared;
STRANDS_KEEP(shared)

static void expect_value(weft_semaphore *s, uint32_t value)
{
    EXPECT_EQ(weft_semaphore_value(s), value);
    for (uint32_t i = 0; i < value; i++)
        EXPECT_EQ(weft_semaphore_acquire(s, WEFT_NOW), 0);
    EXPECT_EQ(weft_semaphore_acquire(s, WEFT_NOW), -ETIMEDOUT);
    if (value)
        EXPECT_EQ(weft_semaphore_release(s, value), 0);
    EXPECT_EQ(weft_semaphore_value(s), value);
}

TEST(it_has_the_permits_that_it_was_made_with)
{
    static weft_semaphore by_macro = WEFT_SEMAPHORE_INIT(3), by_loader;
    weft_semaphore by_init;
    expect_value(&by_macro, 3);
    expect_value(&by_loader, 0);
    memset(&by_init, 0xa5, sizeof by_init);
    weft_semaphore_init(&by_init, 7, 0);
    expect_value(&by_init, 7);
    weft_semaphore_init(&by_init, 2, 2);
    expect_value(&by_init, 2);
    weft_semaphore_init(&by_init, 0, 4);
    expect_value(&by_init, 0);
}

TEST(a_deadline_in_the_past_only_tries)
{
    const int64_t past[] = { INT64_MIN, -1, 0, 1 };
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        weft_deadline deadline = { past[i] };
        EXPECT_EQ(weft_semaphore_acquire(&shared->permits, deadline), -ETIMEDOUT);
        EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
        EXPECT_EQ(weft_semaphore_acquire(&shared->permits, deadline), 0);
    }
}

TEST(a_wait_that_times_out_leaves_the_permits_in_order)
{
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, weft_after(1)), -ETIMEDOUT);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 2), 0);
    expect_value(&shared->permits, 2);
}

TEST(an_unbounded_one_takes_more_than_it_began_with)
{
    weft_semaphore s = WEFT_SEMAPHORE_INIT(1);
    EXPECT_EQ(weft_semaphore_release(&s, 1), 0);
    EXPECT_EQ(weft_semaphore_release(&s, 3), 0);
    expect_value(&s, 5);
}

TEST(a_bounded_one_refuses_one_too_many_and_gives_nothing)
{
    weft_semaphore_init(&shared->permits, 3, 3);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), -EOVERFLOW);
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_NOW), 0);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 2), -EOVERFLOW);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, UINT32_MAX), -EOVERFLOW);
    EXPECT_EQ(weft_semaphore_value(&shared->permits), 2);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), -EOVERFLOW);
    expect_value(&shared->permits, 3);
}

TEST(a_bound_holds_for_the_first_permits_too)
{
    weft_semaphore_init(&shared->permits, 5, 3);
    EXPECT_EQ(weft_semaphore_value(&shared->permits), 3u);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), -EOVERFLOW);
    expect_value(&shared->permits, 3);
}

TEST(there_are_never_more_than_the_most)
{
    weft_semaphore_init(&shared->permits, UINT32_MAX, 0);
    EXPECT_EQ(weft_semaphore_value(&shared->permits), WEFT_SEMAPHORE_MAX);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), -EOVERFLOW);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, UINT32_MAX), -EOVERFLOW);
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_NOW), 0);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 2), -EOVERFLOW);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
    EXPECT_EQ(weft_semaphore_value(&shared->permits), WEFT_SEMAPHORE_MAX);
    weft_semaphore_init(&shared->permits, 1, UINT32_MAX);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, WEFT_SEMAPHORE_MAX - 1), 0);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), -EOVERFLOW);
}

TEST(giving_nothing_is_an_error)
{
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 0), -EINVAL);
    expect_value(&shared->permits, 0);
}

static void take(size_t index)
{
    index += shared->offset;
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), 0);
    atomic_store(&shared->order[atomic_fetch_add(&shared->got, 1)], index);
}

TEST(release_lets_exactly_so_many_waiters_go)
{
    struct strands *waiters = strands_start(7, take);
    strands_until_asleep(waiters);
    const int steps[] = { 1, 3, 2 };
    int expected = 0;
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(weft_semaphore_release(&shared->permits, (uint32_t)steps[i]), 0);
        expected += steps[i];
        UNTIL(atomic_load(&shared->got) >= expected);
        strands_until_asleep(waiters);
        EXPECT_EQ(atomic_load(&shared->got), expected);
        EXPECT_EQ(weft_semaphore_value(&shared->permits), 0);
    }
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 3), 0);
    strands_join(waiters);
    expect_value(&shared->permits, 2);
}

/* The waiter's permit is its own from the moment of the release, and nobody can come between. */
TEST(a_permit_that_is_given_to_a_waiter_cannot_be_snatched)
{
    if (strands_share())
        SKIP("in shared memory it can");
    for (int i = 0; i < 50; i++) {
        struct strands *waiter = strands_start(1, take);
        strands_until_asleep(waiter);
        EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
        EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_NOW), -ETIMEDOUT);
        strands_join(waiter);
        atomic_store(&shared->got, 0);
    }
}

TEST(permits_go_to_waiters_in_the_order_of_their_coming)
{
    if (strands_share())
        SKIP("in shared memory the order is not said");
    struct strands *waiters[6];
    for (size_t i = 0; i < 6; i++) {
        shared->offset = i;
        waiters[i] = strands_start(1, take);
        strands_until_asleep(waiters[i]);
    }
    for (int i = 0; i < 6; i++) {
        EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
        UNTIL(atomic_load(&shared->got) == i + 1);
    }
    for (size_t i = 0; i < 6; i++) {
        strands_join(waiters[i]);
        EXPECT_EQ(atomic_load(&shared->order[i]), i);
    }
}

static void try_twice(size_t index)
{
    (void)index;
    for (int i = 0; i < 2; i++)
        if (weft_semaphore_acquire(&shared->permits, WEFT_NOW) == 0)
            atomic_fetch_add(&shared->got, 1);
}

TEST(many_that_only_try_get_as_many_as_there_are)
{
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 3), 0);
    strands_join(strands_start(5, try_twice));
    EXPECT_EQ(atomic_load(&shared->got), 3);
    expect_value(&shared->permits, 0);
}

static void work_inside(size_t index)
{
    (void)index;
    for (int i = 0; i < 500; i++) {
        EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), 0);
        EXPECT_LE(atomic_fetch_add(&shared->inside, 1), 2);
        if (i % 16 == 0)
            strands_yield();
        EXPECT_GE(atomic_fetch_sub(&shared->inside, 1), 1);
        EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
    }
}

TEST(never_more_are_inside_than_there_are_permits)
{
    weft_semaphore_init(&shared->permits, 3, 3);
    strands_join(strands_start(8, work_inside));
    expect_value(&shared->permits, 3);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), -EOVERFLOW);
}

static void give_up(size_t index)
{
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, weft_after((int64_t)index * WEFT_MS)),
              -ETIMEDOUT);
}

TEST(waiters_that_gave_up_take_no_permit)
{
    struct strands *quitters = strands_start(4, give_up);
    struct strands *waiter = strands_start(1, take);
    strands_until_asleep(waiter);
    strands_join(quitters);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
    strands_join(waiter);
    expect_value(&shared->permits, 0);
}

static void take_until_cancelled(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), -ECANCELED);
}

TEST(a_cancelled_waiter_takes_no_permit)
{
    strands_must_be_cancellable();
    struct strands *cancelled = strands_start(2, take_until_cancelled);
    strands_until_asleep(cancelled);
    struct strands *waiter = strands_start(1, take);
    strands_until_asleep(waiter);
    strands_cancel_all(cancelled);
    strands_join(cancelled);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
    strands_join(waiter);
    expect_value(&shared->permits, 0);
}

static void take_though_cancelled(size_t index)
{
    (void)index;
    UNTIL(weft_cancelled());
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), -ECANCELED);
}

TEST(a_cancelled_strand_still_gets_what_is_there)
{
    strands_must_be_cancellable();
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
    struct strands *taker = strands_start(1, take_though_cancelled);
    strands_cancel(taker, 0);
    strands_join(taker);
    expect_value(&shared->permits, 0);
}

TEST(a_scope_ends_a_wait)
{
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

TEST(one_that_was_taken_from_may_be_dropped)
{
    for (int i = 0; i < 50; i++) {
        weft_semaphore *s = strands_alloc(sizeof *s);
        weft_semaphore_init(s, 1, 1);
        EXPECT_EQ(weft_semaphore_acquire(s, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_semaphore_acquire(s, weft_after(1)), -ETIMEDOUT);
        strands_free(s);
    }
}
