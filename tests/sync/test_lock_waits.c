/* SPDX-License-Identifier: MIT */
/*
 * How a lock is waited for, where it can be seen only from inside: on the smallest stack, while a
 * strand that the lock believes to be on its way to it (AWAKE) is kept from running, and when it is
 * handed over.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include <stdlib.h>

#include <weft/group.h>
#include <weft/lock.h>
#include <weft/self.h>

#include "harness.h"
#include "park/park.h"

enum { AWAKE = 4 }; /* as in sync/lock.c */

static weft_lock lock = WEFT_LOCK_INIT;
static uint32_t got;

static void *take_and_tell(void *arg)
{
    weft_lock_lock(&lock);
    store_relaxed(&got, 1);
    weft_lock_release(&lock);
    return arg;
}

TEST(a_parked_waiter_gets_the_lock_while_one_that_is_awake_does_not_run)
{
    weft_lock_lock(&lock);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, take_and_tell, NULL), 0);
    while (!park_maybe_waited_for(&lock.word))
        weft_yield();
    or_relaxed(&lock.word, AWAKE); /* for a strand that never runs again */
    while (!load_relaxed(&got)) {
        weft_lock_release(&lock);
        while (weft_lock_acquire(&lock, WEFT_NOW) < 0) /* not parking: that one would not wake us */
            weft_yield();
    }
    weft_lock_release(&lock);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
}

static void *take_and_release(void *arg)
{
    weft_lock_lock(&lock);
    weft_lock_release(&lock);
    return arg;
}

TEST(a_held_lock_can_be_waited_for_on_the_smallest_stack)
{
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_attr_init(&attributes), 0);
    /* Sanitizers' own frames do not fit it. */
    size_t bytes = HARNESS_SANITIZED ? 1 << 20 : (size_t)PTHREAD_STACK_MIN;
    EXPECT_EQ(pthread_attr_setstacksize(&attributes, bytes), 0);
    weft_lock_lock(&lock);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, &attributes, take_and_release, NULL), 0);
    while (!park_maybe_waited_for(&lock.word))
        weft_yield();
    weft_lock_release(&lock);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

/* ---- handing over */

enum { MOMENT_BITS = 10 }; /* as in sync/lock.c */

static uint32_t moment(int64_t ns)
{
    return (uint32_t)((uint64_t)ns >> MOMENT_BITS);
}

static uint32_t keeping, keep; /* whether a task has the only worker, and is to */

static int take_as_task(weft_call *call)
{
    (void)call;
    weft_lock_lock(&lock);
    return weft_lock_release(&lock);
}

static int keep_the_worker(weft_call *call)
{
    (void)call;
    store_relaxed(&keeping, 1);
    while (load_relaxed(&keep)) {
    }
    store_relaxed(&keeping, 0);
    return 0;
}

/* Has the lock, which the caller holds, waited for by a task that cannot run, for long enough. */
static void begin_waiting(weft_group *group)
{
    EXPECT_EQ(weft_group_start(group, take_as_task, NULL, 0), 0);
    while (!park_maybe_waited_for(&lock.word))
        weft_yield();
    store_relaxed(&keep, 1);
    EXPECT_EQ(weft_group_start(group, keep_the_worker, NULL, 0), 0);
    while (!load_relaxed(&keeping))
        weft_yield();
    for (int64_t since = weft_now(); weft_now() - since < 2 * WEFT_MS;)
        weft_yield();
}

static void end_waiting(weft_group *group)
{
    store_relaxed(&keep, 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
}

static weft_group *open_one_worker(void)
{
    weft_group *group;
    DESCRIPTORS_MAY_STAY(); /* the worker's */
    EXPECT_EQ(setenv("WEFT_WORKERS", "1", 1), 0);
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    return group;
}

TEST(who_was_handed_the_lock_says_how_long_it_was_of_no_use)
{
    weft_group *group = open_one_worker();
    weft_lock_lock(&lock);
    begin_waiting(group);
    EXPECT_EQ(weft_lock_release(&lock), 0);
    EXPECT_EQ(weft_lock_acquire(&lock, WEFT_NOW), -ETIMEDOUT); /* it is the waiter's */
    int64_t from = weft_now();
    while (weft_now() - from < 5 * WEFT_MS)
        weft_yield();
    int64_t to = weft_now();
    end_waiting(group);
    EXPECT_GE((int32_t)(lock.owner - moment(to)), 4 * (int32_t)(moment(to) - moment(from)));
}

TEST(while_handing_over_costs_too_much_a_waiter_is_only_woken)
{
    int64_t ahead = 900 * WEFT_MS, began;
    int rc;
    do {
        weft_group *group = open_one_worker();
        weft_lock_lock(&lock);
        begin_waiting(group);
        began = weft_now();
        lock.owner = moment(began + ahead);
        EXPECT_EQ(weft_lock_release(&lock), 0);
        rc = weft_lock_acquire(&lock, WEFT_NOW);
        if (rc == 0)
            EXPECT_EQ(weft_lock_release(&lock), 0);
        end_waiting(group);
    } while (rc < 0 && weft_now() - began >= ahead); /* who knows when it was released */
    EXPECT_EQ(rc, 0);
}

TEST(a_pause_that_lies_far_ahead_is_long_past)
{
    weft_group *group = open_one_worker();
    weft_lock_lock(&lock);
    begin_waiting(group);
    lock.owner = moment(weft_now() + 60 * WEFT_S);
    EXPECT_EQ(weft_lock_release(&lock), 0);
    EXPECT_EQ(weft_lock_acquire(&lock, WEFT_NOW), -ETIMEDOUT);
    end_waiting(group);
}
