/* SPDX-License-Identifier: MIT */
/*
 * A GIL under stress: strands that compute, that come and go, that block with it, give up, hold two
 * or end with it: one at a time has it, all get it, and those that are brief need not wait for
 * turns to end.
 */
#include <errno.h>
#include <stdatomic.h>

#include <weft.h>

#include "stress.h"

enum { COMPUTING = 3, BRIEF = 3, BLOCKING = 3 };

static uint64_t seed;
static weft_deadline end;
static weft_gil gil, second;
static long inside, counter; /* guarded by gil */
static long inside_second;   /* guarded by second */
static atomic_long expected;
static weft_queue *queue;

static void work_inside(struct dice *dice)
{
    EXPECT_EQ(inside++, 0);
    counter++;
    for (uint64_t i = dice_below(dice, 64); i > 0; i--)
        __asm__ volatile("" ::: "memory");
    EXPECT_EQ(inside--, 1);
}

static void compute(struct dice *dice)
{
    long mine = 0;
    while (weft_left(end) > 0) {
        EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
        for (uint64_t i = dice_below(dice, 20000); i > 0; i--) {
            work_inside(dice);
            mine++;
            EXPECT_EQ(weft_gil_check(&gil), 0);
        }
        EXPECT_EQ(weft_gil_leave(&gil), 0);
    }
    EXPECT_GT(mine, 0); /* nobody starved */
    atomic_fetch_add(&expected, mine);
}

static void come_and_go(struct dice *dice)
{
    long mine = 0, late = 0;
    while (weft_left(end) > 0 || !mine) {
        int rc = weft_gil_enter(&gil, weft_left(end) ? dice_deadline(dice) : WEFT_FOREVER);
        if (rc < 0) {
            EXPECT_EQ(rc, -ETIMEDOUT);
            late++;
            continue;
        }
        work_inside(dice);
        mine++;
        if (dice_below(dice, 4) == 0) {
            EXPECT_EQ(weft_gil_enter(&second, WEFT_FOREVER), 0);
            EXPECT_EQ(inside_second++, 0);
            EXPECT_EQ(weft_gil_check(&gil), 0);
            EXPECT_EQ(inside_second--, 1);
            EXPECT_EQ(weft_gil_leave(dice_below(dice, 2) ? &second : &gil), 0);
            if (weft_gil_leave(&second) == -EPERM)
                EXPECT_EQ(weft_gil_leave(&gil), 0);
        } else {
            EXPECT_EQ(weft_gil_leave(&gil), 0);
        }
        if (dice_below(dice, 8) == 0)
            strands_yield();
    }
    atomic_fetch_add(&expected, mine);
}

/* Blocks with it, at times while it holds the other, too, in all manner of waits. */
static void block_with_it(struct dice *dice)
{
    long mine = 0;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    while (weft_left(end) > 0 || !mine) {
        int item = 1;
        bool two = dice_below(dice, 4) == 0;
        work_inside(dice);
        mine++;
        if (two)
            EXPECT_EQ(weft_gil_enter(&second, WEFT_FOREVER), 0);
        switch (dice_below(dice, 3)) {
        case 0:
            (void)!weft_queue_put(queue, &item, dice_deadline(dice));
            break;
        case 1:
            (void)!weft_queue_get(queue, &item, dice_deadline(dice));
            break;
        default:
            (void)weft_sleep_until(dice_deadline(dice));
        }
        if (two) {
            EXPECT_EQ(inside_second++, 0);
            EXPECT_EQ(inside_second--, 1);
            EXPECT_EQ(weft_gil_leave(&second), 0);
        }
    }
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    atomic_fetch_add(&expected, mine);
}

static void do_any(size_t index)
{
    struct dice dice = dice_of(seed, index);
    if (index < COMPUTING)
        compute(&dice);
    else if (index < COMPUTING + BRIEF)
        come_and_go(&dice);
    else
        block_with_it(&dice);
}

static void expect_in_order(void)
{
    weft_gil_counts counts;
    weft_gil_counters(&gil, &counts);
    EXPECT_EQ(counter, atomic_load(&expected));
    EXPECT_EQ(counts.abandoned, 0);
    EXPECT_GT(counts.switches, 0);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), 0);
    EXPECT_EQ(weft_gil_enter(&second, WEFT_NOW), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    EXPECT_EQ(weft_gil_leave(&second), 0);
}

TEST(one_at_a_time_has_it_and_all_get_it)
{
    seed = stress_seed();
    end = stress_end();
    weft_gil_init(&gil, 300 * WEFT_US, true);
    weft_gil_init(&second, 300 * WEFT_US, true);
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), 2, 0), 0);
    strands_join(strands_start(COMPUTING + BRIEF + BLOCKING, do_any));
    weft_queue_close(queue);
    expect_in_order();
}

/* ---- no convoy */

enum { TRIPS = HARNESS_SANITIZED || HARNESS_EMULATED ? 200 : 2000 };

static atomic_long trips;
static weft_event ping = WEFT_EVENT_INIT, pong = WEFT_EVENT_INIT;

static void answer(void)
{
    while (atomic_load(&trips) < TRIPS) {
        if (weft_event_wait(&ping, weft_after(10 * WEFT_MS)) < 0)
            continue;
        weft_event_clear(&ping);
        weft_event_set(&pong);
    }
}

static void ask(void)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    for (int i = 0; i < TRIPS; i++) {
        weft_event_set(&ping);
        EXPECT_EQ(weft_event_wait(&pong, WEFT_FOREVER), 0); /* without the GIL */
        weft_event_clear(&pong);
        EXPECT_EQ(inside++, 0);
        atomic_fetch_add(&trips, 1);
        EXPECT_EQ(inside--, 1);
    }
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

static void compute_meanwhile(void)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    while (atomic_load(&trips) < TRIPS) {
        EXPECT_EQ(inside++, 0);
        EXPECT_EQ(inside--, 1);
        EXPECT_EQ(weft_gil_check(&gil), 0);
    }
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

static void play(size_t index)
{
    void (*const parts[])(void) = { compute_meanwhile, ask, answer };
    parts[index]();
}

/*
 * With turns of a minute, round trips beside one that computes can only be made by loans: the test
 * would not end if each had to wait for the end of a turn.
 */
TEST(round_trips_beside_one_that_computes_do_not_wait_for_its_turns)
{
    weft_gil_counts counts;
    weft_gil_init(&gil, 60 * WEFT_S, true);
    strands_join(strands_start(3, play));
    weft_gil_counters(&gil, &counts);
    EXPECT_EQ(atomic_load(&trips), TRIPS);
}

/* ---- strands that end with it */

static int end_with_it(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(inside++, 0);
    EXPECT_EQ(inside--, 1);
    return weft_gil_check(&gil);
}

TEST(those_that_end_with_it_lose_it_and_others_go_on)
{
    weft_gil_counts counts;
    weft_group *group;
    uint64_t started = 0;
    end = stress_end();
    weft_gil_init(&gil, 0, false);
    weft_options options = { .on_failure = WEFT_GO_ON };
    EXPECT_EQ(weft_group_open(&group, stress_kind(), &options), 0);
    do
        for (int i = 0; i < 16; i++, started++)
            EXPECT_EQ(weft_group_start(group, end_with_it, NULL, 0), 0);
    while (weft_left(end) > 0 && weft_group_join(group, WEFT_FOREVER) == -ECHILD);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), -ECHILD);
    weft_group_close(group);
    weft_gil_counters(&gil, &counts);
    EXPECT_EQ(counts.abandoned, started);
}
