/* SPDX-License-Identifier: MIT */
/* The lock: exclusion, who may release it, deadlines, cancellation, and that waiters get it. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/lock.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

static struct {
    weft_lock lock;
    int counter; /* guarded by lock */
    atomic_int done;
    atomic_bool stop;
} * shared;
STRANDS_KEEP(shared)

static weft_deadline at(int64_t ns)
{
    return (weft_deadline){ ns };
}

static void expect_free(weft_lock *l)
{
    EXPECT_FALSE(weft_lock_locked(l));
    EXPECT_EQ(weft_lock_acquire(l, WEFT_NOW), 0);
    EXPECT_TRUE(weft_lock_locked(l));
    EXPECT_EQ(weft_lock_release(l), 0);
    EXPECT_EQ(weft_lock_release(l), -EPERM);
}

TEST(a_new_lock_is_free_however_it_is_made)
{
    static weft_lock by_macro = WEFT_LOCK_INIT, by_loader;
    weft_lock by_init, zeroed;
    memset(&by_init, 0xa5, sizeof by_init);
    weft_lock_init(&by_init);
    memset(&zeroed, 0, sizeof zeroed);
    expect_free(&by_macro);
    expect_free(&by_loader);
    expect_free(&by_init);
    expect_free(&zeroed);
    expect_free(strands_alloc(sizeof(weft_lock)));
    EXPECT_EQ(sizeof(weft_lock), 8);
}

TEST(releasing_a_free_lock_is_an_error_and_changes_nothing)
{
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(weft_lock_release(&shared->lock), -EPERM);
    expect_free(&shared->lock);
}

TEST(a_held_lock_is_refused_to_everybody_its_holder_included)
{
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_NOW), -ETIMEDOUT);
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    expect_free(&shared->lock);
}

TEST(a_deadline_in_the_past_only_tries)
{
    const int64_t past[] = { INT64_MIN, INT64_MIN + 1, -1, 0, 1, weft_now() };
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        EXPECT_EQ(weft_lock_acquire(&shared->lock, at(past[i])), 0);
        EXPECT_EQ(weft_lock_acquire(&shared->lock, at(past[i])), -ETIMEDOUT);
        EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    }
}

TEST(a_wait_that_times_out_leaves_the_lock_in_order)
{
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, weft_after(1)), -ETIMEDOUT);
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    expect_free(&shared->lock);
}

static void release_it(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_lock_release(&shared->lock), strands_share() ? -EPERM : 0);
}

TEST(another_strand_may_release_but_in_shared_memory)
{
    weft_lock_lock(&shared->lock);
    strands_join(strands_start(1, release_it));
    if (strands_share()) {
        EXPECT_TRUE(weft_lock_locked(&shared->lock));
        EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    }
    expect_free(&shared->lock);
}

TEST(there_is_nothing_to_recover_while_nobody_dies)
{
    EXPECT_EQ(weft_lock_recover(&shared->lock), -EINVAL);
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_lock_recover(&shared->lock), 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    expect_free(&shared->lock);
}

static void take_and_give_back(size_t index)
{
    static const int64_t far[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX / 2 };
    EXPECT_EQ(weft_lock_acquire(&shared->lock, at(far[index % 3])), 0);
    atomic_fetch_add(&shared->done, 1);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(every_waiter_gets_it_with_the_farthest_deadlines)
{
    weft_lock_lock(&shared->lock);
    struct strands *waiters = strands_start(6, take_and_give_back);
    strands_until_asleep(waiters);
    EXPECT_EQ(atomic_load(&shared->done), 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&shared->done), 6);
    expect_free(&shared->lock);
}

static void give_up(size_t index)
{
    EXPECT_EQ(weft_lock_acquire(&shared->lock, weft_after((int64_t)(index + 1) * WEFT_MS)),
              -ETIMEDOUT);
}

TEST(waiters_that_gave_up_are_not_woken_in_place_of_one_that_waits)
{
    weft_lock_lock(&shared->lock);
    struct strands *quitters = strands_start(4, give_up);
    struct strands *waiter = strands_start(1, take_and_give_back);
    strands_join(quitters);
    strands_until_asleep(waiter);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    strands_join(waiter);
    EXPECT_EQ(atomic_load(&shared->done), 1);
    expect_free(&shared->lock);
}

static void hog(size_t index)
{
    (void)index;
    while (!atomic_load(&shared->stop)) {
        weft_lock_lock(&shared->lock);
        EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    }
}

TEST(a_hog_does_not_starve_a_waiter)
{
    struct strands *hogs = strands_start(2, hog);
    for (int i = 0; i < 200; i++) {
        weft_lock_lock(&shared->lock);
        EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    }
    atomic_store(&shared->stop, true);
    strands_join(hogs);
    expect_free(&shared->lock);
}

static void count(size_t index)
{
    for (int i = 0; i < 2000; i++) {
        if (index % 2)
            weft_lock_lock(&shared->lock);
        else
            EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_FOREVER), 0);
        shared->counter++;
        EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    }
}

TEST(what_it_guards_is_seen_by_the_next_holder)
{
    strands_join(strands_start(8, count));
    EXPECT_EQ(shared->counter, 8 * 2000);
}

TEST(a_held_lock_may_be_dropped)
{
    for (int i = 0; i < 100; i++) {
        weft_lock *held = strands_alloc(sizeof *held);
        weft_lock_lock(held);
        EXPECT_EQ(weft_lock_acquire(held, weft_after(1)), -ETIMEDOUT);
        strands_free(held);
    }
}

static void lock_after_cancellation(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_FOREVER), -ECANCELED);
    atomic_fetch_add(&shared->done, 1);
    weft_lock_lock(&shared->lock);
    atomic_fetch_add(&shared->done, 1);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    EXPECT_TRUE(weft_cancelled());
}

TEST(cancellation_ends_acquire_but_neither_lock_nor_what_need_not_wait)
{
    strands_must_be_cancellable();
    weft_lock_lock(&shared->lock);
    struct strands *waiter = strands_start(1, lock_after_cancellation);
    strands_until_asleep(waiter);
    strands_cancel(waiter, 0);
    UNTIL(atomic_load(&shared->done) == 1);
    strands_until_asleep(waiter);
    EXPECT_EQ(atomic_load(&shared->done), 1);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    strands_join(waiter);
    EXPECT_EQ(atomic_load(&shared->done), 2);
    expect_free(&shared->lock);
}

static void lock_asleep(size_t index)
{
    (void)index;
    weft_lock_lock(&shared->lock);
    atomic_fetch_add(&shared->done, 1);
    EXPECT_TRUE(weft_cancelled());
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(cancelling_a_strand_that_sleeps_in_lock_lets_it_sleep_on)
{
    strands_must_be_cancellable();
    weft_lock_lock(&shared->lock);
    struct strands *waiter = strands_start(1, lock_asleep);
    strands_until_asleep(waiter);
    strands_cancel(waiter, 0);
    for (int i = 0; i < 100; i++)
        strands_yield();
    EXPECT_EQ(atomic_load(&shared->done), 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    strands_join(waiter);
    EXPECT_EQ(atomic_load(&shared->done), 1);
}

static void lock_in_scope(size_t index)
{
    (void)index;
    weft_scope scope;
    weft_scope_enter(&scope, WEFT_NOW, 0);
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
}

TEST(a_scope_ends_acquire_but_not_lock)
{
    weft_scope scope;
    weft_lock_lock(&shared->lock);
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    struct strands *waiter = strands_start(1, lock_in_scope);
    strands_until_asleep(waiter);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    strands_join(waiter);
    expect_free(&shared->lock);
}
