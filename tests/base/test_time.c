/* SPDX-License-Identifier: MIT */
/*
 * The clock and deadlines. Nothing here asserts how soon something happens: a call that must return
 * at once is tested by its returning although its deadline is out of reach, and a sleep only by its
 * not ending too early.
 */
#include <errno.h>
#include <time.h>

#include <weft/time.h>

#include "harness.h"

#define HOUR (3600 * WEFT_S)

static weft_deadline at(int64_t ns)
{
    return (weft_deadline){ ns };
}

static int64_t monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

TEST(now_is_clock_monotonic_in_nanoseconds)
{
    int64_t before = monotonic(), now = weft_now(), after = monotonic();
    EXPECT_LE(before, now);
    EXPECT_LE(now, after);
}

TEST(now_never_goes_back)
{
    int64_t last = weft_now();
    for (int i = 0; i < 10000; i++) {
        int64_t now = weft_now();
        EXPECT_LE(last, now);
        last = now;
    }
}

TEST(after_is_that_much_later_than_now)
{
    int64_t before = weft_now(), deadline = weft_after(HOUR).ns, after = weft_now();
    EXPECT_LE(before + HOUR, deadline);
    EXPECT_LE(deadline, after + HOUR);
}

TEST(after_nothing_is_now)
{
    int64_t before = weft_now(), deadline = weft_after(0).ns, after = weft_now();
    EXPECT_LE(before, deadline);
    EXPECT_LE(deadline, after);
}

TEST(after_a_negative_time_is_past)
{
    int64_t past = weft_after(-1).ns, now = weft_now();
    EXPECT_LT(past, now);
    EXPECT_EQ(weft_left(weft_after(-1)), 0);
    EXPECT_EQ(weft_left(weft_after(-HOUR)), 0);
}

TEST(after_saturates_at_forever)
{
    EXPECT_EQ(weft_after(INT64_MAX).ns, INT64_MAX);
    EXPECT_EQ(weft_after(INT64_MAX - 1).ns, INT64_MAX);
    EXPECT_EQ(weft_after(INT64_MAX - monotonic() / 2).ns, INT64_MAX);
}

TEST(after_the_most_negative_time_is_past)
{
    int64_t past = weft_after(INT64_MIN).ns, now = weft_now();
    EXPECT_LT(past, now);
    EXPECT_EQ(weft_left(weft_after(INT64_MIN)), 0);
}

TEST(sooner_is_the_earlier_whichever_comes_first)
{
    const int64_t times[] = { INT64_MIN, -1, 0, 1, HOUR, INT64_MAX - 1, INT64_MAX };
    const size_t n = sizeof times / sizeof *times;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            EXPECT_EQ(weft_sooner(at(times[i]), at(times[j])).ns, times[i < j ? i : j]);
}

TEST(left_is_forever_for_forever)
{
    EXPECT_EQ(weft_left(WEFT_FOREVER), INT64_MAX);
}

TEST(left_is_zero_for_what_is_past)
{
    EXPECT_EQ(weft_left(WEFT_NOW), 0);
    EXPECT_EQ(weft_left(at(-1)), 0);
    EXPECT_EQ(weft_left(at(INT64_MIN)), 0);
    EXPECT_EQ(weft_left(at(1)), 0);
}

TEST(left_counts_down_to_the_deadline)
{
    weft_deadline deadline = weft_after(HOUR);
    int64_t first = weft_left(deadline), second = weft_left(deadline);
    EXPECT_LE(first, HOUR);
    EXPECT_GT(first, 0);
    EXPECT_LE(second, first);
}

TEST(left_does_not_overflow_just_below_forever)
{
    EXPECT_GT(weft_left(at(INT64_MAX - 1)), 0);
    EXPECT_LE(weft_left(at(INT64_MAX - 1)), INT64_MAX - 1);
}

TEST(sleeping_until_the_past_returns_at_once)
{
    EXPECT_EQ(weft_sleep_until(WEFT_NOW), 0);
    EXPECT_EQ(weft_sleep_until(at(-1)), 0);
    EXPECT_EQ(weft_sleep_until(at(INT64_MIN)), 0);
    EXPECT_EQ(weft_sleep_until(at(weft_now())), 0);
}

TEST(a_sleep_does_not_end_early)
{
    const int64_t naps[] = { 0, 1, WEFT_US, 100 * WEFT_US, WEFT_MS, 3 * WEFT_MS };
    for (size_t i = 0; i < sizeof naps / sizeof *naps; i++) {
        weft_deadline when = weft_after(naps[i]);
        EXPECT_EQ(weft_sleep_until(when), 0);
        int64_t now = weft_now();
        EXPECT_GE(now, when.ns);
    }
}

TEST(the_units_are_nanoseconds)
{
    EXPECT_EQ(WEFT_US, 1000);
    EXPECT_EQ(WEFT_MS, 1000 * WEFT_US);
    EXPECT_EQ(WEFT_S, 1000 * WEFT_MS);
    EXPECT_EQ(WEFT_FOREVER.ns, INT64_MAX);
    EXPECT_EQ(WEFT_NOW.ns, 0);
}
