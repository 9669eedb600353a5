/* SPDX-License-Identifier: MIT */
/* Whose turn it is to hold a GIL, for strands that do not run and times that are made up. */
#include <pthread.h>
#include <string.h>

#include "harness.h"
#include "sync/gil.h"

#define INTERVAL (5 * WEFT_MS)

enum { STRANDS = 6 };

static struct gil gil;
static struct strand strands[STRANDS];
static struct gil_waiter waiters[STRANDS];
static struct list resumed = LIST_INIT(resumed);
static int64_t now;

static size_t holder(void)
{
    for (size_t i = 0; i < STRANDS; i++)
        if ((load_relaxed(&gil.word) & ~(uint64_t)GIL_BITS) == gil_word_of(&strands[i]))
            return i;
    return SIZE_MAX;
}

static uint64_t bits(void)
{
    return load_relaxed(&gil.word) & GIL_BITS;
}

/* The first strand takes it, at some time. */
static void begin(void)
{
    gil = (struct gil){ 0 };
    list_init(&gil.waiters);
    list_init(&gil.briefs);
    for (size_t i = 0; i < STRANDS; i++)
        strands[i] = (struct strand){ .id = i + 1 };
    now = 1000 * WEFT_S;
    store_relaxed(&gil.word, gil_word_of(&strands[0]));
}

static void fill_in(size_t i)
{
    waiters[i] = (struct gil_waiter){ .gil = &gil, .strand = &strands[i], .since_ns = now };
    list_init(&waiters[i].brief);
    list_init(&waiters[i].node.link);
}

/* A strand comes while another has it. */
static void come(size_t i)
{
    fill_in(i);
    or_relaxed(&gil.word, GIL_WANTED);
    gil_queue(&gil, &waiters[i]);
}

static void come_computing(size_t i)
{
    strands[i].lingers = true;
    come(i);
}

static void pass_time(int64_t ns)
{
    now += ns;
}

/* The holder checks. True: another has it now. */
static bool check(void)
{
    size_t i = holder();
    fill_in(i);
    return gil_take_turns(&gil, &waiters[i], now, &resumed);
}

/* The holder leaves, and does not come back. */
static void leave(void)
{
    gil_pass_on(&gil, &strands[holder()], now, &resumed);
}

TEST(a_turn_ends_with_the_interval_and_not_before)
{
    begin();
    come_computing(1);
    EXPECT_EQ(bits(), GIL_WANTED);
    pass_time(INTERVAL - 1);
    EXPECT_FALSE(check());
    EXPECT_EQ(holder(), 0);
    pass_time(1);
    EXPECT_TRUE(check());
    EXPECT_EQ(holder(), 1);
    EXPECT_TRUE(strands[0].lingers);
    EXPECT_EQ(gil.counts.switches, 1);
    EXPECT_EQ(gil.counts.longest_wait_ns, INTERVAL);
    EXPECT_EQ(gil.counts.longest_hold_ns, INTERVAL);
}

TEST(turns_go_round_in_the_order_of_coming)
{
    begin();
    for (size_t i = 1; i < 4; i++)
        come_computing(i);
    for (size_t turn = 1; turn < 13; turn++) {
        pass_time(INTERVAL);
        EXPECT_TRUE(check());
        EXPECT_EQ(holder(), turn % 4);
    }
    EXPECT_LE(gil.counts.longest_wait_ns, 4 * INTERVAL);
}

TEST(the_interval_is_counted_from_when_somebody_waits)
{
    begin();
    pass_time(100 * INTERVAL);
    come_computing(1);
    EXPECT_FALSE(check());
    pass_time(INTERVAL);
    EXPECT_TRUE(check());
    EXPECT_EQ(gil.counts.longest_hold_ns, INTERVAL);
}

TEST(it_is_lent_to_one_that_is_brief_at_once_and_comes_back)
{
    begin();
    come_computing(2);
    pass_time(WEFT_MS);
    come(1);
    EXPECT_EQ(bits(), GIL_WANTED | GIL_URGENT);
    EXPECT_TRUE(check());
    EXPECT_EQ(holder(), 1);
    EXPECT_EQ(bits(), GIL_WANTED);
    EXPECT_FALSE(strands[0].lingers);
    pass_time(WEFT_US);
    leave();
    EXPECT_EQ(holder(), 0); /* before the one that has waited longer, as its turn is not over */
    EXPECT_FALSE(strands[1].lingers);
    pass_time(4 * WEFT_MS - 2 * WEFT_US);
    EXPECT_FALSE(check());
    pass_time(WEFT_US);
    EXPECT_TRUE(check());
    EXPECT_EQ(holder(), 2);
}

TEST(one_that_does_not_give_up_a_loan_is_no_longer_brief)
{
    begin();
    come(1);
    EXPECT_TRUE(check());
    EXPECT_EQ(holder(), 1);
    EXPECT_FALSE(check());
    pass_time(INTERVAL / 16);
    EXPECT_TRUE(check());
    EXPECT_EQ(holder(), 0);
    EXPECT_TRUE(strands[1].lingers);
    EXPECT_EQ(bits(), GIL_WANTED); /* it waits for its turn now */
    EXPECT_FALSE(check());
    pass_time(INTERVAL);
    EXPECT_TRUE(check());
    EXPECT_EQ(holder(), 1);
    pass_time(WEFT_US);
    leave(); /* soon: it is brief again */
    EXPECT_FALSE(strands[1].lingers);
    EXPECT_EQ(holder(), 0);
}

/* It was asleep when it was granted, and there was no CPU for it. */
TEST(one_that_wakes_late_is_brief_all_the_same)
{
    begin();
    come(1);
    EXPECT_TRUE(check());
    pass_time(INTERVAL);
    gil.woke_ns = INTERVAL - WEFT_US;
    EXPECT_FALSE(check());
    leave();
    EXPECT_FALSE(strands[1].lingers);
    EXPECT_EQ(holder(), 0);
}

/* However much those that are brief want, the one that computes keeps most of the time. */
TEST(loans_take_no_more_than_a_25th_of_the_time)
{
    int64_t lent = 0, loans = 0;
    begin();
    int64_t began = now;
    strands[0].lingers = true;
    while (now - began < 200 * INTERVAL) {
        come(1);
        while (holder() == 0) {
            pass_time(WEFT_US);
            bool own_turn = now - gil.turn_ns >= INTERVAL;
            if (!check())
                continue;
            loans += !own_turn;
            lent += own_turn ? 0 : 2 * WEFT_US;
        }
        pass_time(2 * WEFT_US);
        leave();
        EXPECT_EQ(holder(), 0);
    }
    EXPECT_GT(loans, 200 * 50);
    EXPECT_LE(lent, 200 * INTERVAL / 25 + INTERVAL / 8 + 2 * WEFT_US);
    EXPECT_GT(lent, 200 * INTERVAL / 32);
}

/* The lender was woken late, and says so: that is paid, too. */
TEST(what_the_lender_loses_by_waking_late_is_paid_from_the_credit)
{
    begin();
    come(1);
    EXPECT_TRUE(check());
    leave();
    EXPECT_EQ(holder(), 0);
    store_relaxed(&gil.late_ns, INTERVAL);
    come(1);
    EXPECT_EQ(bits(), GIL_WANTED);
    EXPECT_FALSE(check());
    pass_time(INTERVAL);
    EXPECT_TRUE(check()); /* in its turn */
    EXPECT_EQ(holder(), 1);
    leave();
    pass_time(100 * INTERVAL);
    come(1);
    EXPECT_EQ(bits(), GIL_WANTED | GIL_URGENT); /* and in time it is paid */
}

TEST(those_that_are_brief_wait_no_longer_than_others_when_the_credit_is_used_up)
{
    begin();
    come(1);
    EXPECT_TRUE(check());
    pass_time(100 * INTERVAL);
    leave(); /* after far too long */
    EXPECT_EQ(holder(), 0);
    come_computing(2);
    strands[1].lingers = false;
    come(1);
    come_computing(3);
    for (size_t i = 2; i < 2 + 3; i++) {
        static const size_t order[] = { 2, 1, 3 };
        pass_time(INTERVAL);
        EXPECT_TRUE(check());
        EXPECT_EQ(holder(), order[i - 2]);
    }
}

TEST(several_that_are_brief_share_a_loan_in_their_order)
{
    begin();
    for (size_t i = 1; i < 4; i++)
        come(i);
    EXPECT_TRUE(check());
    for (size_t i = 1; i < 4; i++) {
        EXPECT_EQ(holder(), i);
        pass_time(WEFT_US);
        leave();
    }
    EXPECT_EQ(holder(), 0);
    EXPECT_EQ(bits(), 0);
    EXPECT_EQ(gil.since_ns, 0); /* nobody waits */
}

TEST(who_gives_up_waiting_is_passed_over)
{
    begin();
    come(1);
    come_computing(2);
    gil_unqueue(&gil, &waiters[1], now);
    EXPECT_EQ(bits(), GIL_WANTED);
    EXPECT_FALSE(check());
    gil_unqueue(&gil, &waiters[2], now);
    EXPECT_EQ(bits(), 0);
    come(3);
    leave();
    EXPECT_EQ(holder(), 3);
}

/* A waiter whose wait has just ended otherwise cannot take it. */
TEST(when_all_who_wait_are_about_to_go_nobody_has_it_and_the_next_one_takes_it)
{
    begin();
    come(1);
    waiters[1].state = GIL_PARKED; /* and its strand waits no more */
    waiters[1].node.strand = &strands[1];
    leave();
    EXPECT_EQ(holder(), SIZE_MAX);
    gil_take_free(&gil, &strands[2], now);
    EXPECT_EQ(holder(), 2);
    gil_unqueue(&gil, &waiters[1], now);
    EXPECT_EQ(load_relaxed(&gil.word), gil_word_of(&strands[2]));
    EXPECT_EQ(gil.counts.switches, 0);
}

TEST(one_that_hands_it_to_nobody_keeps_it_which_is_no_switch)
{
    begin();
    come(1);
    waiters[1].state = GIL_PARKED; /* as above */
    waiters[1].node.strand = &strands[1];
    pass_time(INTERVAL);
    EXPECT_TRUE(check());
    EXPECT_EQ(holder(), 0);
    EXPECT_EQ(gil.counts.switches, 0);
    EXPECT_EQ(gil.counts.longest_wait_ns, 0);
}

TEST(turns_may_be_as_long_as_there_is_time)
{
    begin();
    gil.switch_ns = INT64_MAX;
    come_computing(1);
    EXPECT_GT(gil.due_ns, now);
    pass_time(1000000 * INTERVAL);
    EXPECT_FALSE(check());
    come(2);
    EXPECT_EQ(bits(), GIL_WANTED | GIL_URGENT);
    EXPECT_TRUE(check());
    EXPECT_EQ(holder(), 2);
    leave();
    EXPECT_EQ(holder(), 0);
}

static bool barging;
static long barged;

/* Enters as whoever finds it free does, without the guard. */
static void *barge(void *unused)
{
    while (load_relaxed(&barging)) {
        uint64_t word = 0;
        barged += cas_acquire(&gil.word, &word, gil_word_of(&strands[2]));
    }
    return unused;
}

/* Else it could have two holders: one who comes at that moment, and what is written over it. */
TEST(while_one_is_about_to_go_it_is_at_no_moment_free_without_the_guard)
{
    pthread_t thread;
    begin();
    come(1);
    waiters[1].state = GIL_PARKED;
    waiters[1].node.strand = &strands[1];
    store_relaxed(&barging, true);
    EXPECT_EQ(pthread_create(&thread, NULL, barge, NULL), 0);
    for (int i = 0; i < 1000 * 1000; i++) {
        leave();
        store_relaxed(&gil.word, gil_word_of(&strands[0]) | GIL_WANTED);
    }
    store_relaxed(&barging, false);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    EXPECT_EQ(barged, 0);
}

TEST(checks_that_are_frequent_look_seldom_and_rare_ones_each_time)
{
    begin();
    gil_plan(&gil, now);
    for (int i = 0; i < 3; i++) {
        pass_time(1000);
        gil_plan(&gil, now);
    }
    EXPECT_GT(gil.looks, 32);
    EXPECT_LT(gil.looks, 64);
    pass_time(64 * INTERVAL);
    gil_plan(&gil, now);
    EXPECT_EQ(gil.looks, 0);
}

/* Its checks may be as many times rarer as those of that one went by without a look. */
TEST(a_holder_does_not_go_by_the_plan_of_one_before)
{
    begin();
    gil_plan(&gil, now);
    pass_time(1000);
    gil_plan(&gil, now);
    EXPECT_GT(gil.looks, 32);
    come_computing(1);
    EXPECT_EQ(gil.looks, 0);
}
