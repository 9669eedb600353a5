/* SPDX-License-Identifier: MIT */
/* The timers' heap against an array that is searched from end to end. */
#include <stdlib.h>

#include "harness.h"
#include "task/timer.h"

enum { TIMERS = 500, STEPS = HARNESS_SANITIZED ? 20000 : 200000 };

static struct timer all[TIMERS];
static bool set[TIMERS];
static struct timers heap;
static uint64_t state = 88172645463325252u;

static uint64_t roll(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

static int64_t earliest(void)
{
    int64_t at = INT64_MAX;
    for (int i = 0; i < TIMERS; i++)
        if (set[i] && all[i].at_ns < at)
            at = all[i].at_ns;
    return at;
}

static int64_t first_at(void)
{
    const struct timer *first = timer_first(&heap);
    return first ? first->at_ns : INT64_MAX;
}

static void set_or_unset(void)
{
    size_t i = roll(TIMERS);
    if (set[i]) {
        timer_unset(&heap, &all[i]);
    } else {
        all[i].at_ns = roll(8) ? (int64_t)roll(1000) : INT64_MAX; /* many are equal */
        timer_set(&heap, &all[i]);
    }
    set[i] = !set[i];
}

static void take(int64_t now_ns)
{
    int64_t expected = earliest();
    struct timer *timer = timer_take_due(&heap, now_ns);
    if (!timer) {
        EXPECT_GT(expected, now_ns);
        return;
    }
    EXPECT_LE(timer->at_ns, now_ns);
    EXPECT_EQ(timer->at_ns, expected);
    EXPECT_TRUE(set[timer - all]);
    set[timer - all] = false;
}

TEST(the_heap_does_what_a_sorted_array_would)
{
    for (int i = 0; i < STEPS; i++) {
        if (roll(3))
            set_or_unset();
        else
            take((int64_t)roll(300));
        if (i % 64 == 0)
            EXPECT_EQ(first_at(), earliest());
    }
    for (int64_t last = 0; timer_first(&heap);) {
        int64_t at = first_at();
        EXPECT_GE(at, last);
        last = at;
        take(INT64_MAX);
    }
    EXPECT_EQ(earliest(), INT64_MAX);
    for (int i = 0; i < TIMERS; i++)
        EXPECT_FALSE(set[i]);
}

/* Very many at once: nothing recurses. */
TEST(a_million_timers_are_taken_in_order)
{
    enum { MANY = HARNESS_SANITIZED ? 100000 : 1000000 };
    struct timer *many = calloc(MANY, sizeof *many);
    EXPECT_TRUE(many);
    for (int i = 0; i < MANY; i++) {
        many[i].at_ns = i % 2 ? i : MANY - i; /* rising and falling */
        timer_set(&heap, &many[i]);
    }
    int64_t last = 0;
    for (int i = 0; i < MANY; i++) {
        struct timer *timer = timer_take_due(&heap, MANY);
        EXPECT_TRUE(timer);
        EXPECT_GE(timer->at_ns, last);
        last = timer->at_ns;
    }
    EXPECT_FALSE(timer_first(&heap));
    free(many);
}
