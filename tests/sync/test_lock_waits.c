/* SPDX-License-Identifier: MIT */
/*
 * How a lock is waited for, where it can be seen only from inside: on the smallest stack, and while
 * a strand that the lock believes to be on its way to it (AWAKE) is kept from running.
 */
#include <limits.h>
#include <pthread.h>

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
