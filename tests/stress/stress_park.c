/* SPDX-License-Identifier: MIT */
/*
 * Wake-ups are never lost, and never invented: many strands, random deadlines and cancellations,
 * over every primitive. What is counted in must come out: permits, notifications, items, rounds. A
 * wake-up that is lost shows as a strand that sleeps for ever, and the harness ends the test.
 */
#include <errno.h>
#include <stdatomic.h>

#include <weft/barrier.h>
#include <weft/condition.h>
#include <weft/event.h>
#include <weft/future.h>
#include <weft/group.h>
#include <weft/queue.h>
#include <weft/self.h>
#include <weft/semaphore.h>

#include "stress.h"

#define STRANDS 8

static uint64_t seed;
static weft_deadline end;
static atomic_bool stop;
static weft_semaphore permits = WEFT_SEMAPHORE_INIT(0);
static atomic_long given, taken;
static atomic_int working;

static bool over(void)
{
    return atomic_load(&stop) || weft_left(end) == 0;
}

/* ---- tokens: permits that are given one by one and taken with deadlines and cancellations */

static int take_tokens(weft_call *call)
{
    struct dice dice = dice_of(seed, call->index);
    while (!atomic_load(&stop)) {
        int rc = weft_semaphore_acquire(&permits, dice_deadline(&dice));
        if (rc == 0)
            atomic_fetch_add(&taken, 1);
        else if (rc == -ECANCELED)
            weft_uncancel();
        else
            EXPECT_EQ(rc, -ETIMEDOUT);
    }
    return 0;
}

TEST(permits_in_are_permits_out_under_deadlines_and_cancellations)
{
    weft_group *g;
    weft_future *futures[STRANDS];
    seed = stress_seed();
    end = stress_end();
    struct dice dice = dice_of(seed, 99);
    EXPECT_EQ(weft_group_open(&g, stress_kind(), &(weft_options){ .on_failure = WEFT_GO_ON }), 0);
    for (int i = 0; i < STRANDS; i++)
        EXPECT_EQ(weft_group_submit(g, take_tokens, NULL, 0, &futures[i], WEFT_FOREVER), 0);
    while (weft_left(end) > 0) {
        uint32_t n = 1 + (uint32_t)dice_below(&dice, 5);
        EXPECT_EQ(weft_semaphore_release(&permits, n), 0);
        atomic_fetch_add(&given, n);
        if (dice_below(&dice, 3) == 0)
            weft_future_cancel(futures[dice_below(&dice, STRANDS)]);
        if (dice_below(&dice, 4) == 0)
            UNTIL(atomic_load(&taken) == atomic_load(&given)); /* a lost one hangs here */
    }
    UNTIL(atomic_load(&taken) == atomic_load(&given));
    EXPECT_EQ(weft_semaphore_value(&permits), 0);
    atomic_store(&stop, true);
    for (int i = 0; i < STRANDS; i++)
        weft_future_close(futures[i]);
    (void)!weft_group_join(g, WEFT_FOREVER); /* one that was cancelled before it began fails it */
    EXPECT_EQ(atomic_load(&taken) + weft_semaphore_value(&permits), atomic_load(&given));
    weft_group_close(g);
}

/* ---- a ball: it is passed on only by who was woken for it, so one lost wake-up stops the game */

static weft_event turns[STRANDS];
static atomic_long passes;

static void pass_the_ball(size_t index)
{
    struct dice dice = dice_of(seed, index);
    while (!atomic_load(&stop)) {
        int rc = weft_event_wait(&turns[index],
                                 dice_below(&dice, 2) ? WEFT_FOREVER : dice_deadline(&dice));
        if (rc == -ETIMEDOUT)
            continue;
        EXPECT_EQ(rc, 0);
        weft_event_clear(&turns[index]);
        size_t next = dice_below(&dice, STRANDS);
        atomic_fetch_add(&passes, 1);
        if (over()) {
            atomic_store(&stop, true);
            for (size_t i = 0; i < STRANDS; i++)
                weft_event_set(&turns[i]);
        } else if (dice_below(&dice, 2)) {
            weft_event_set(&turns[next]);
        } else {
            weft_event_post(&turns[next]);
        }
    }
}

TEST(a_ball_that_is_passed_by_events_is_never_dropped)
{
    seed = stress_seed();
    end = stress_end();
    struct strands *players = strands_start(STRANDS, pass_the_ball);
    weft_event_set(&turns[0]);
    strands_join(players);
    EXPECT_GT(atomic_load(&passes), 0);
}

/* ---- notify: exactly as many return as were told to */

static weft_lock lock = WEFT_LOCK_INIT;
static weft_condition changed = WEFT_CONDITION_INIT;
static long waiting, due, notified, returned; /* guarded by lock */

/* due is how many of those that wait have been notified and not yet come out. */
static void wait_for_notify(size_t index)
{
    struct dice dice = dice_of(seed, index);
    (void)dice;
    weft_lock_lock(&lock);
    while (!atomic_load(&stop)) {
        waiting++;
        EXPECT_EQ(weft_condition_wait(&changed, &lock, WEFT_FOREVER), 0);
        waiting--;
        due--;
        returned++;
        EXPECT_GE(due, 0); /* else it came out without having been notified */
    }
    atomic_fetch_sub(&working, 1);
    EXPECT_EQ(weft_lock_release(&lock), 0);
}

static void notify_some(struct dice *dice)
{
    weft_lock_lock(&lock);
    uint32_t n = 1 + (uint32_t)dice_below(dice, STRANDS + 2);
    long asleep = waiting - due;
    long woken = n < asleep ? (long)n : asleep;
    weft_condition_notify(&changed, n);
    due += woken;
    notified += woken;
    EXPECT_EQ(weft_lock_release(&lock), 0);
}

TEST(notified_are_exactly_those_that_return)
{
    seed = stress_seed();
    end = stress_end();
    struct dice dice = dice_of(seed, 99);
    atomic_store(&working, STRANDS);
    struct strands *waiters = strands_start(STRANDS, wait_for_notify);
    while (weft_left(end) > 0)
        notify_some(&dice);
    atomic_store(&stop, true);
    while (atomic_load(&working)) {
        notify_some(&dice);
        strands_yield();
    }
    strands_join(waiters);
    EXPECT_EQ(returned, notified);
    EXPECT_EQ(due, 0);
    EXPECT_EQ(waiting, 0);
}

/* ---- notify with deadlines: no notification is spent on a wait that timed out */

static long tokens; /* guarded by lock: each is announced by one notify(1) */

static void take_announced(size_t index)
{
    struct dice dice = dice_of(seed, index);
    weft_lock_lock(&lock);
    for (;;) {
        while (!tokens && !atomic_load(&stop)) {
            int rc = weft_condition_wait(&changed, &lock,
                                         index % 2 ? WEFT_FOREVER : dice_deadline(&dice));
            if (rc != 0)
                EXPECT_EQ(rc, -ETIMEDOUT);
        }
        if (!tokens)
            break;
        tokens--;
        atomic_fetch_add(&taken, 1);
    }
    EXPECT_EQ(weft_lock_release(&lock), 0);
}

TEST(no_notify_is_spent_on_a_wait_that_timed_out)
{
    seed = stress_seed();
    end = stress_end();
    struct strands *takers = strands_start(STRANDS, take_announced);
    while (weft_left(end) > 0) {
        weft_lock_lock(&lock);
        tokens++;
        weft_condition_notify(&changed, 1);
        EXPECT_EQ(weft_lock_release(&lock), 0);
        long expected = atomic_fetch_add(&given, 1) + 1;
        UNTIL(atomic_load(&taken) == expected);
    }
    weft_lock_lock(&lock);
    atomic_store(&stop, true);
    weft_condition_notify(&changed, UINT32_MAX);
    EXPECT_EQ(weft_lock_release(&lock), 0);
    strands_join(takers);
}

/* ---- barriers whose waits time out: all pass a round, or it breaks for all */

static weft_barrier barrier;
static atomic_long passed, broke;

static void pass_rounds(size_t index)
{
    struct dice dice = dice_of(seed, index);
    while (!over()) {
        int rc = weft_barrier_wait(&barrier, weft_after((int64_t)dice_below(&dice, WEFT_MS)));
        if (rc >= 0) {
            atomic_fetch_add(&passed, 1);
        } else {
            EXPECT_TRUE(rc == -ETIMEDOUT || rc == -EPIPE);
            atomic_fetch_add(&broke, 1);
            if (rc == -ETIMEDOUT)
                weft_barrier_reset(&barrier);
        }
    }
    weft_barrier_abort(&barrier);
}

TEST(rounds_of_a_barrier_are_passed_by_all_its_parties)
{
    seed = stress_seed();
    end = stress_end();
    weft_barrier_init(&barrier, 4, NULL, NULL);
    strands_join(strands_start(4, pass_rounds));
    EXPECT_EQ(atomic_load(&passed) % 4, 0);
}

/* ---- promises: whoever waits for one is told, whoever keeps or cancels it, and whenever */

static weft_future *_Atomic promises[4];

static int keep_or_cancel(weft_call *call)
{
    struct dice dice = dice_of(seed, call->index);
    while (!atomic_load(&stop)) {
        weft_future *f = atomic_exchange(&promises[dice_below(&dice, 4)], NULL);
        if (!f)
            strands_yield();
        else if (dice_below(&dice, 2))
            EXPECT_EQ(weft_future_finish(f, 0, "x", 2), 0);
        else
            weft_future_cancel(f);
    }
    return 0;
}

TEST(promises_reach_who_waits_for_them)
{
    weft_group *g;
    seed = stress_seed();
    end = stress_end();
    struct dice dice = dice_of(seed, 99);
    EXPECT_EQ(weft_group_open(&g, stress_kind(), NULL), 0);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(weft_group_start(g, keep_or_cancel, NULL, 0), 0);
    while (weft_left(end) > 0) {
        weft_future *f;
        EXPECT_EQ(weft_future_open(&f), 0);
        atomic_store(&promises[dice_below(&dice, 4)], f);
        int rc;
        while ((rc = weft_future_wait(f, dice_deadline(&dice))) == -ETIMEDOUT)
            ;
        EXPECT_EQ(rc, weft_future_outcome(f)->how == WEFT_DONE ? 0 : -ECHILD);
        weft_future_close(f);
    }
    atomic_store(&stop, true);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}
