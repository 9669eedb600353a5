/* SPDX-License-Identifier: MIT */
/* Deaths at any step of what is done to locks, semaphores, events, onces, conditions, barriers. */
#include "steps.h"

/* ---- locks */

/* Takes the lock, and puts in order what it guards. */
static void take(void)
{
    int rc = weft_lock_acquire(&shared->lock, WEFT_FOREVER);
    if (rc == -EOWNERDEAD) {
        shared->pair[1] = shared->pair[0];
        rc = weft_lock_recover(&shared->lock);
    }
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(shared->pair[0], shared->pair[1]);
}

static void release(void)
{
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

static void take_and_count(void)
{
    take();
    shared->pair[0]++;
    shared->pair[1]++;
    release();
}

static int wait_for_lock(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    do {
        take_and_count();
        strands_yield();
    } while (!atomic_load(&shared->dead));
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void expect_counts(void)
{
    UNTIL(all_ended());
    take();
    EXPECT_GE(shared->pair[0], WAITERS);
    release();
}

static const struct operation lock = { NULL, wait_for_lock, take_and_count, expect_counts };

TEST(taking_a_lock_and_releasing_it)
{
    die_everywhere(&lock);
}

static void hold_rlock_twice(void)
{
    int rc = weft_rlock_acquire(&shared->rlock, WEFT_FOREVER);
    if (rc == -EOWNERDEAD)
        rc = weft_rlock_recover(&shared->rlock);
    EXPECT_EQ(rc, 0);
    weft_rlock_lock(&shared->rlock);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 2);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
}

static int wait_for_rlock(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    do {
        hold_rlock_twice();
        strands_yield();
    } while (!atomic_load(&shared->dead));
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void until_all_ended(void)
{
    UNTIL(all_ended());
}

static const struct operation rlock = { NULL, wait_for_rlock, hold_rlock_twice, until_all_ended };

TEST(taking_an_rlock_twice_and_releasing_it)
{
    die_everywhere(&rlock);
}

/* ---- semaphores, events, once */

static int wait_for_permit(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void give_and_try_to_take(void)
{
    EXPECT_EQ(weft_semaphore_release(&shared->permits, WAITERS), 0);
    (void)!weft_semaphore_acquire(&shared->permits, (weft_deadline){ 1 });
}

/* Nobody may sleep while there is a permit. */
static void give_permits_if_there_are_none(void)
{
    while (!all_ended()) {
        if (weft_semaphore_value(&shared->permits) == 0)
            EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
        strands_yield();
    }
}

static const struct operation semaphore = { NULL, wait_for_permit, give_and_try_to_take,
                                            give_permits_if_there_are_none };

TEST(giving_permits_and_taking_one)
{
    die_everywhere(&semaphore);
}

static int wait_for_event(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void set_event(void)
{
    weft_event_set(&shared->event);
}

/* Nobody may sleep while it is set. */
static void set_event_if_it_is_not(void)
{
    if (!weft_event_is_set(&shared->event))
        set_event();
}

static const struct operation event = { NULL, wait_for_event, set_event, set_event_if_it_is_not };

TEST(setting_an_event)
{
    die_everywhere(&event);
}

static int nothing(void *ctx)
{
    (void)ctx;
    return 0;
}

static void run_once(void)
{
    EXPECT_EQ(weft_once_run(&shared->once, nothing, NULL), 0);
}

static int wait_for_once(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    while (!atomic_load(&shared->began))
        strands_yield();
    run_once();
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static const struct operation once = { NULL, wait_for_once, run_once, until_all_ended };

TEST(doing_something_once)
{
    die_everywhere(&once);
}

/* ---- conditions */

static bool is_so(void *ctx)
{
    (void)ctx;
    return shared->is_so;
}

static int wait_until_it_is_so(weft_call *call)
{
    (void)call;
    take();
    atomic_fetch_add(&shared->waiting, 1);
    int rc;
    while ((rc = weft_condition_wait_for(&shared->changed, &shared->lock, is_so, NULL,
                                         WEFT_FOREVER)) == -EOWNERDEAD)
        EXPECT_EQ(weft_lock_recover(&shared->lock), 0);
    EXPECT_EQ(rc, 0);
    release();
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void make_it_so(void)
{
    take();
    shared->is_so = true;
    release();
    weft_condition_notify(&shared->changed, UINT32_MAX);
}

/* Nobody may sleep while it is so: the dead one may not have come to notifying. */
static void make_it_so_if_it_is_not(void)
{
    take();
    bool was_so = shared->is_so;
    release();
    if (!was_so)
        make_it_so();
}

static const struct operation notify = { NULL, wait_until_it_is_so, make_it_so,
                                         make_it_so_if_it_is_not };

TEST(notifying)
{
    die_everywhere(&notify);
}

static void wait_for_a_moment(void)
{
    take();
    int rc = weft_condition_wait(&shared->changed, &shared->lock, (weft_deadline){ 1 });
    EXPECT_TRUE(rc == 0 || rc == -ETIMEDOUT);
    release();
}

static const struct operation wait_briefly = { NULL, wait_until_it_is_so, wait_for_a_moment,
                                               make_it_so };

TEST(waiting_under_a_lock)
{
    die_everywhere(&wait_briefly);
}

/* ---- barriers */

static void prepare_barrier(void)
{
    weft_barrier_init(&shared->barrier, WAITERS + 1, NULL, NULL);
}

static int wait_at_barrier(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    int rc = weft_barrier_wait(&shared->barrier, WEFT_FOREVER);
    EXPECT_TRUE(rc >= 0 || rc == -EPIPE);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void come_last(void)
{
    int rc = weft_barrier_wait(&shared->barrier, WEFT_FOREVER);
    EXPECT_TRUE(rc >= 0 || rc == -EPIPE);
}

static void come_in_its_stead(void)
{
    while (!all_ended()) {
        if (weft_barrier_waiting(&shared->barrier) == WAITERS)
            come_last();
        strands_yield();
    }
}

static const struct operation barrier = { prepare_barrier, wait_at_barrier, come_last,
                                          come_in_its_stead };

TEST(completing_a_round)
{
    die_everywhere(&barrier);
}

static void give_up_at_once(void)
{
    int rc = weft_barrier_wait(&shared->barrier, (weft_deadline){ 1 });
    EXPECT_TRUE(rc >= 0 || rc == -EPIPE || rc == -ETIMEDOUT);
}

static const struct operation give_up = { prepare_barrier, wait_at_barrier, give_up_at_once,
                                          come_in_its_stead };

TEST(giving_up_at_a_barrier)
{
    die_everywhere(&give_up);
}
