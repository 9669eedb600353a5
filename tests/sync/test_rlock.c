/* SPDX-License-Identifier: MIT */
/* The rlock: it counts, it has an owner, and both survive every way a wait can end. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/rlock.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

static struct {
    weft_rlock rlock;
    int counter; /* guarded by rlock */
    atomic_int done;
    atomic_bool go;
} * shared;
STRANDS_KEEP(shared)

static void expect_free(weft_rlock *r)
{
    EXPECT_FALSE(weft_rlock_locked(r));
    EXPECT_EQ(weft_rlock_depth(r), 0);
    EXPECT_EQ(weft_rlock_release(r), -EPERM);
    EXPECT_EQ(weft_rlock_acquire(r, WEFT_NOW), 0);
    EXPECT_EQ(weft_rlock_depth(r), 1);
    EXPECT_TRUE(weft_rlock_locked(r));
    EXPECT_EQ(weft_rlock_release(r), 0);
    EXPECT_FALSE(weft_rlock_locked(r));
}

TEST(a_new_rlock_is_free_however_it_is_made)
{
    static weft_rlock by_macro = WEFT_RLOCK_INIT, by_loader;
    weft_rlock by_init, zeroed;
    memset(&by_init, 0xa5, sizeof by_init);
    weft_rlock_init(&by_init);
    memset(&zeroed, 0, sizeof zeroed);
    expect_free(&by_macro);
    expect_free(&by_loader);
    expect_free(&by_init);
    expect_free(&zeroed);
}

TEST(its_owner_takes_it_again_and_releases_it_as_often)
{
    for (uint32_t i = 1; i <= 1000; i++) {
        if (i % 2)
            weft_rlock_lock(&shared->rlock);
        else
            EXPECT_EQ(weft_rlock_acquire(&shared->rlock, WEFT_NOW), 0);
        EXPECT_EQ(weft_rlock_depth(&shared->rlock), i);
    }
    for (uint32_t i = 1000; i > 0; i--) {
        EXPECT_TRUE(weft_rlock_locked(&shared->rlock));
        EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
        EXPECT_EQ(weft_rlock_depth(&shared->rlock), i - 1);
    }
    expect_free(&shared->rlock);
}

TEST(ups_and_downs_count)
{
    weft_rlock_lock(&shared->rlock);
    weft_rlock_lock(&shared->rlock);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    weft_rlock_lock(&shared->rlock);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 1);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    expect_free(&shared->rlock);
}

static void expect_foreign(size_t index)
{
    (void)index;
    EXPECT_TRUE(weft_rlock_locked(&shared->rlock));
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), -EPERM);
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 0);
}

TEST(nobody_but_the_owner_releases_or_takes_it)
{
    weft_rlock_lock(&shared->rlock);
    weft_rlock_lock(&shared->rlock);
    strands_join(strands_start(3, expect_foreign));
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 2);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    strands_join(strands_start(1, expect_foreign));
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    expect_free(&shared->rlock);
}

static void take_and_end(size_t index)
{
    (void)index;
    weft_rlock_lock(&shared->rlock);
}

TEST(a_later_strand_does_not_inherit_what_an_ended_one_owns)
{
    if (strands_are_processes())
        SKIP("what a process has owned passes on at its death");
    strands_join(strands_start(1, take_and_end));
    for (int i = 0; i < 20; i++)
        strands_join(strands_start(1, expect_foreign));
    expect_foreign(0);
}

static void take_twice(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, (weft_deadline){ INT64_MAX - 1 }), 0);
    weft_rlock_lock(&shared->rlock);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 2);
    atomic_fetch_add(&shared->done, 1);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), -EPERM);
}

TEST(a_waiter_gets_it_only_with_the_last_release)
{
    weft_rlock_lock(&shared->rlock);
    weft_rlock_lock(&shared->rlock);
    struct strands *waiters = strands_start(4, take_twice);
    strands_until_asleep(waiters);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    for (int i = 0; i < 100; i++)
        strands_yield();
    EXPECT_EQ(atomic_load(&shared->done), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&shared->done), 4);
    expect_free(&shared->rlock);
}

static void count(size_t index)
{
    for (int i = 0; i < 1000; i++) {
        weft_rlock_lock(&shared->rlock);
        if (i % 3 == (int)index % 3)
            weft_rlock_lock(&shared->rlock);
        shared->counter++;
        while (weft_rlock_depth(&shared->rlock) > 0)
            EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    }
}

TEST(it_excludes)
{
    strands_join(strands_start(8, count));
    EXPECT_EQ(shared->counter, 8 * 1000);
    expect_free(&shared->rlock);
}

TEST(a_held_rlock_may_be_dropped)
{
    for (int i = 0; i < 100; i++) {
        weft_rlock *held = strands_alloc(sizeof *held);
        weft_rlock_lock(held);
        weft_rlock_lock(held);
        strands_free(held);
    }
}

static void take_after_cancellation(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 0);
    atomic_fetch_add(&shared->done, 1);
    weft_rlock_lock(&shared->rlock);
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 2);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
}

TEST(cancellation_ends_acquire_but_not_lock)
{
    strands_must_be_cancellable();
    weft_rlock_lock(&shared->rlock);
    struct strands *waiter = strands_start(1, take_after_cancellation);
    strands_until_asleep(waiter);
    strands_cancel(waiter, 0);
    UNTIL(atomic_load(&shared->done) == 1);
    strands_until_asleep(waiter);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    strands_join(waiter);
    expect_free(&shared->rlock);
}

static void take_once_and_wait(size_t index)
{
    (void)index;
    weft_rlock_lock(&shared->rlock);
    atomic_store(&shared->go, true);
    UNTIL(!atomic_load(&shared->go));
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
}

TEST(a_scope_ends_acquire)
{
    struct strands *owner = strands_start(1, take_once_and_wait);
    UNTIL(atomic_load(&shared->go));
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    atomic_store(&shared->go, false);
    strands_join(owner);
    expect_free(&shared->rlock);
}
