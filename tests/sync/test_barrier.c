/* SPDX-License-Identifier: MIT */
/* The barrier: rounds, index, action, and every way in which it breaks and is made whole. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/barrier.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

#define N 5

static struct {
    weft_barrier barrier, second;
    atomic_int arrived, passed, broken, indices, actions;
    size_t coming;
    atomic_llong spread;
} * shared;
STRANDS_KEEP(shared)

TEST(a_barrier_of_nobody_is_an_error)
{
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EINVAL);
    weft_barrier_init(&shared->barrier, 0, NULL, NULL);
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_barrier_parties(&shared->barrier), 0);
}

TEST(a_barrier_of_one_never_waits)
{
    memset(&shared->barrier, 0xa5, sizeof shared->barrier);
    weft_barrier_init(&shared->barrier, 1, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_NOW), 0);
    }
    EXPECT_EQ(weft_barrier_parties(&shared->barrier), 1);
    EXPECT_EQ(weft_barrier_waiting(&shared->barrier), 0);
    EXPECT_FALSE(weft_barrier_broken(&shared->barrier));
}

static void pass_in_lockstep(size_t index)
{
    (void)index;
    for (int round = 0; round < 200; round++) {
        atomic_fetch_add(&shared->arrived, 1);
        EXPECT_EQ(atomic_load(&shared->passed), round * N);
        EXPECT_GE(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), 0);
        EXPECT_EQ(atomic_load(&shared->arrived), (round + 1) * N);
        atomic_fetch_add(&shared->passed, 1);
        EXPECT_GE(weft_barrier_wait(&shared->barrier, (weft_deadline){ INT64_MAX - 1 }), 0);
    }
}

TEST(all_pass_together_round_after_round)
{
    weft_barrier_init(&shared->barrier, N, NULL, NULL);
    strands_join(strands_start(N, pass_in_lockstep));
    EXPECT_EQ(weft_barrier_waiting(&shared->barrier), 0);
    EXPECT_FALSE(weft_barrier_broken(&shared->barrier));
}

static void note_index(size_t index)
{
    (void)index;
    int mine = weft_barrier_wait(&shared->barrier, WEFT_FOREVER);
    EXPECT_GE(mine, 0);
    EXPECT_LT(mine, N);
    EXPECT_EQ(atomic_fetch_or(&shared->indices, 1 << mine) & (1 << mine), 0);
}

TEST(each_gets_an_index_of_its_own)
{
    weft_barrier_init(&shared->barrier, N, NULL, NULL);
    for (int round = 0; round < 20; round++) {
        atomic_store(&shared->indices, 0);
        strands_join(strands_start(N, note_index));
        EXPECT_EQ(atomic_load(&shared->indices), (1 << N) - 1);
    }
}

static void expect_index(size_t index)
{
    index += shared->coming;
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), index);
}

TEST(the_index_is_the_order_of_coming)
{
    struct strands *strands[N];
    weft_barrier_init(&shared->barrier, N, NULL, NULL);
    for (size_t i = 0; i < N; i++) {
        shared->coming = i;
        strands[i] = strands_start(1, expect_index);
        if (i < N - 1)
            strands_until_asleep(strands[i]);
        if (i < N - 1)
            EXPECT_EQ(weft_barrier_waiting(&shared->barrier), i + 1);
    }
    for (size_t i = 0; i < N; i++)
        strands_join(strands[i]);
    EXPECT_EQ(weft_barrier_waiting(&shared->barrier), 0);
}

static int act(void *ctx)
{
    EXPECT_TRUE(ctx == &shared->actions);
    EXPECT_EQ(atomic_load(&shared->arrived) % N, 0);
    return atomic_fetch_add(&shared->actions, 1); /* 0 or more: all is well */
}

static void arrive_and_expect_action(size_t index)
{
    (void)index;
    for (int round = 1; round <= 50; round++) {
        atomic_fetch_add(&shared->arrived, 1);
        EXPECT_GE(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), 0);
        EXPECT_EQ(atomic_load(&shared->actions), round);
        EXPECT_GE(weft_barrier_wait(&shared->second, WEFT_FOREVER), 0);
    }
}

TEST(the_action_runs_once_a_round_before_anybody_goes_on)
{
    weft_barrier_init(&shared->barrier, N, act, &shared->actions);
    weft_barrier_init(&shared->second, N, NULL, NULL);
    strands_join(strands_start(N, arrive_and_expect_action));
    EXPECT_EQ(atomic_load(&shared->actions), 50);
}

static int fail(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&shared->actions, 1);
    return -ERANGE;
}

static void wait_and_count(size_t index)
{
    (void)index;
    int rc = weft_barrier_wait(&shared->barrier, WEFT_FOREVER);
    if (rc >= 0)
        atomic_fetch_add(&shared->passed, 1);
    else if (rc == -EPIPE)
        atomic_fetch_add(&shared->broken, 1);
    else
        EXPECT_EQ(rc, -ERANGE);
}

TEST(an_action_that_fails_breaks_it)
{
    weft_barrier_init(&shared->barrier, N, fail, NULL);
    strands_join(strands_start(N, wait_and_count));
    EXPECT_EQ(atomic_load(&shared->actions), 1);
    EXPECT_EQ(atomic_load(&shared->passed), 0);
    EXPECT_EQ(atomic_load(&shared->broken), N - 1);
    EXPECT_TRUE(weft_barrier_broken(&shared->barrier));
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
}

TEST(the_last_to_come_gets_what_the_action_returned)
{
    weft_barrier_init(&shared->barrier, 1, fail, NULL);
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -ERANGE);
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
    EXPECT_EQ(atomic_load(&shared->actions), 1);
    weft_barrier_reset(&shared->barrier);
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -ERANGE);
    EXPECT_EQ(atomic_load(&shared->actions), 2);
}

TEST(abort_breaks_it_for_those_that_wait_and_those_to_come)
{
    weft_barrier_init(&shared->barrier, N, NULL, NULL);
    struct strands *waiters = strands_start(N - 1, wait_and_count);
    strands_until_asleep(waiters);
    EXPECT_EQ(weft_barrier_waiting(&shared->barrier), N - 1);
    weft_barrier_abort(&shared->barrier);
    EXPECT_TRUE(weft_barrier_broken(&shared->barrier));
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&shared->broken), N - 1);
    EXPECT_EQ(weft_barrier_waiting(&shared->barrier), 0);
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
    weft_barrier_abort(&shared->barrier);
    EXPECT_TRUE(weft_barrier_broken(&shared->barrier));
}

TEST(reset_sends_those_that_wait_away_and_makes_it_whole)
{
    weft_barrier_init(&shared->barrier, N, NULL, NULL);
    struct strands *waiters = strands_start(N - 1, wait_and_count);
    strands_until_asleep(waiters);
    weft_barrier_reset(&shared->barrier);
    EXPECT_FALSE(weft_barrier_broken(&shared->barrier));
    EXPECT_EQ(weft_barrier_waiting(&shared->barrier), 0);
    struct strands *next = strands_start(N, note_index); /* while the first may still leave */
    strands_join(waiters);
    strands_join(next);
    EXPECT_EQ(atomic_load(&shared->broken), N - 1);
    EXPECT_EQ(atomic_load(&shared->indices), (1 << N) - 1);
}

TEST(reset_of_an_empty_one_changes_nothing)
{
    weft_barrier_init(&shared->barrier, 2, NULL, NULL);
    weft_barrier_reset(&shared->barrier);
    weft_barrier_reset(&shared->barrier);
    strands_join(strands_start(2, wait_and_count));
    EXPECT_EQ(atomic_load(&shared->passed), 2);
}

TEST(reset_makes_a_broken_one_whole)
{
    weft_barrier_init(&shared->barrier, N, NULL, NULL);
    for (int round = 0; round < 20; round++) {
        weft_barrier_abort(&shared->barrier);
        EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
        weft_barrier_reset(&shared->barrier);
        EXPECT_FALSE(weft_barrier_broken(&shared->barrier));
        atomic_store(&shared->indices, 0);
        strands_join(strands_start(N, note_index));
        EXPECT_EQ(atomic_load(&shared->indices), (1 << N) - 1);
    }
}

/* One of them resets while the others wait; then all pass, as if nothing had been. */
static void reset_in_the_middle(size_t index)
{
    (void)index;
    int mine = weft_barrier_wait(&shared->barrier, WEFT_FOREVER);
    EXPECT_GE(mine, 0);
    if (mine == N / 2) {
        UNTIL(weft_barrier_waiting(&shared->barrier) == N - 1);
        weft_barrier_reset(&shared->barrier);
    } else {
        EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
    }
    EXPECT_GE(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->passed, 1);
}

TEST(a_reset_by_one_of_the_parties_sends_the_others_away_once)
{
    enum { ROUNDS = HARNESS_EMULATED ? 5 : 50 };
    for (int round = 0; round < ROUNDS; round++) {
        weft_barrier_init(&shared->barrier, N, NULL, NULL);
        strands_join(strands_start(N, reset_in_the_middle));
    }
    EXPECT_EQ(atomic_load(&shared->passed), ROUNDS * N);
}

TEST(a_deadline_that_passes_breaks_it)
{
    weft_barrier_init(&shared->barrier, N, NULL, NULL);
    struct strands *waiters = strands_start(N - 2, wait_and_count);
    strands_until_asleep(waiters);
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_TRUE(weft_barrier_broken(&shared->barrier));
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&shared->broken), N - 2);
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
}

TEST(a_deadline_in_the_past_breaks_it_for_all_but_the_last)
{
    const int64_t past[] = { INT64_MIN, -1, 0, 1 };
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        weft_deadline deadline = { past[i] };
        weft_barrier_init(&shared->barrier, 2, NULL, NULL);
        EXPECT_EQ(weft_barrier_wait(&shared->barrier, deadline), -ETIMEDOUT);
        EXPECT_TRUE(weft_barrier_broken(&shared->barrier));
        EXPECT_EQ(weft_barrier_waiting(&shared->barrier), 0);
        weft_barrier_reset(&shared->barrier);
        struct strands *waiter = strands_start(1, wait_and_count);
        strands_until_asleep(waiter);
        EXPECT_EQ(weft_barrier_wait(&shared->barrier, deadline), 1);
        strands_join(waiter);
    }
}

static void wait_until_cancelled(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -ECANCELED);
}

TEST(a_cancelled_waiter_breaks_it)
{
    strands_must_be_cancellable();
    weft_barrier_init(&shared->barrier, N, NULL, NULL);
    struct strands *waiters = strands_start(N - 2, wait_and_count);
    struct strands *cancelled = strands_start(1, wait_until_cancelled);
    strands_until_asleep(waiters);
    strands_until_asleep(cancelled);
    strands_cancel(cancelled, 0);
    strands_join(cancelled);
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&shared->broken), N - 2);
    EXPECT_TRUE(weft_barrier_broken(&shared->barrier));
}

TEST(a_scope_breaks_it)
{
    weft_scope scope;
    weft_barrier_init(&shared->barrier, 2, NULL, NULL);
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    EXPECT_TRUE(weft_barrier_broken(&shared->barrier));
}

/* Whoever of a round that was completed has an early deadline has passed nevertheless: either all
 * of a round pass, or it is broken for all of them. */

static void wait_briefly(size_t index)
{
    int rc = weft_barrier_wait(&shared->barrier, weft_after((int64_t)(index + 1) * shared->spread));
    if (rc >= 0)
        atomic_fetch_add(&shared->passed, 1);
    else if (rc != -EPIPE)
        EXPECT_EQ(rc, -ETIMEDOUT);
}

TEST(a_round_is_passed_by_all_or_by_none)
{
    for (int round = 0; round < 300 / (HARNESS_EMULATED ? 10 : 1); round++) {
        weft_barrier_init(&shared->barrier, 3, NULL, NULL);
        atomic_store(&shared->spread, round % 20 * 10 * WEFT_US);
        atomic_store(&shared->passed, 0);
        strands_join(strands_start(3, wait_briefly));
        EXPECT_EQ(atomic_load(&shared->passed) % 3, 0);
        EXPECT_EQ(weft_barrier_broken(&shared->barrier), atomic_load(&shared->passed) == 0);
    }
}
