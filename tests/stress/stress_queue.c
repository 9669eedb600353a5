/* SPDX-License-Identifier: MIT */
/* Queues: every item comes out once, those of a producer in order, under deadlines and cancels. */
#include <errno.h>
#include <stdatomic.h>

#include <weft/group.h>
#include <weft/queue.h>
#include <weft/self.h>

#include "stress.h"

#define PRODUCERS 4
#define CONSUMERS 4

struct item {
    uint32_t producer, number;
};

static uint64_t seed;
static weft_deadline end;
static weft_queue *queue;
static atomic_uint produced[PRODUCERS];
static atomic_uint consumed[PRODUCERS];
static atomic_int producing;

static int produce(weft_call *call)
{
    struct dice dice = dice_of(seed, call->index);
    uint32_t me = (uint32_t)call->index, number = 0;
    int rc = 0;
    while (rc != -EPIPE && weft_left(end) > 0) {
        rc = weft_queue_put(queue, &(struct item){ me, number }, dice_deadline(&dice));
        if (rc == 0)
            number++;
        else if (rc == -ECANCELED)
            weft_uncancel();
        else
            EXPECT_TRUE(rc == -ETIMEDOUT || rc == -EPIPE);
    }
    atomic_store(&produced[me], number);
    atomic_fetch_sub(&producing, 1);
    return 0;
}

/* With one consumer all numbers of a producer come in order; with several, in order for each. */
static int consume(weft_call *call)
{
    struct dice dice = dice_of(seed, call->index);
    uint32_t next[PRODUCERS] = { 0 };
    for (;;) {
        struct item item;
        int rc = weft_queue_get(queue, &item, dice_deadline(&dice));
        if (rc == -EPIPE)
            return 0;
        if (rc == -ECANCELED)
            weft_uncancel();
        if (rc != 0)
            continue;
        EXPECT_LT(item.producer, PRODUCERS);
        EXPECT_GE(item.number, next[item.producer]);
        next[item.producer] = item.number + 1;
        atomic_fetch_add(&consumed[item.producer], 1);
        EXPECT_EQ(weft_queue_task_done(queue), 0);
    }
}

static void pass_items(size_t items_max, int consumers, bool join_first)
{
    weft_group *g;
    weft_future *futures[PRODUCERS + CONSUMERS];
    seed = stress_seed();
    end = stress_end();
    struct dice dice = dice_of(seed, 99);
    atomic_store(&producing, PRODUCERS);
    EXPECT_EQ(weft_queue_open(&queue, sizeof(struct item), items_max, 0), 0);
    EXPECT_EQ(weft_group_open(&g, stress_kind(), &(weft_options){ .on_failure = WEFT_GO_ON }), 0);
    for (int i = 0; i < PRODUCERS + consumers; i++)
        EXPECT_EQ(weft_group_submit(g, i < PRODUCERS ? produce : consume, NULL, 0, &futures[i],
                                    WEFT_FOREVER),
                  0);
    for (int i = 0; i < PRODUCERS + consumers; i++) /* who is cancelled unstarted never runs */
        UNTIL(weft_future_outcome(futures[i])->how != WEFT_PENDING);
    while (atomic_load(&producing)) {
        weft_future_cancel(futures[dice_below(&dice, (uint64_t)(PRODUCERS + consumers))]);
        EXPECT_LE(weft_queue_count(queue), items_max);
        for (uint64_t i = dice_below(&dice, 20); i > 0; i--)
            strands_yield();
    }
    if (join_first)
        EXPECT_EQ(weft_queue_join(queue, WEFT_FOREVER), 0);
    weft_queue_shutdown(queue, false);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    for (int i = 0; i < PRODUCERS; i++)
        EXPECT_EQ(atomic_load(&consumed[i]), atomic_load(&produced[i]));
    for (int i = 0; i < PRODUCERS + consumers; i++)
        weft_future_close(futures[i]);
    weft_group_close(g);
    EXPECT_EQ(weft_queue_join(queue, WEFT_NOW), 0);
    weft_queue_close(queue);
}

TEST(every_item_comes_out_once_of_a_queue_for_one)
{
    pass_items(1, CONSUMERS, false);
}

TEST(every_item_comes_out_once_of_a_queue_for_many)
{
    pass_items(64, CONSUMERS, true);
}

TEST(one_consumer_sees_each_producers_items_in_order)
{
    pass_items(3, 1, true);
}

/* ---- shut down at any moment */

static atomic_long in, out;

static void put_until_shut(size_t index)
{
    int rc;
    while ((rc = weft_queue_put(queue, &index, WEFT_FOREVER)) == 0)
        atomic_fetch_add(&in, 1);
    EXPECT_EQ(rc, -EPIPE);
}

static void get_until_shut(size_t index)
{
    size_t item;
    int rc;
    (void)index;
    while ((rc = weft_queue_get(queue, &item, WEFT_FOREVER)) == 0)
        atomic_fetch_add(&out, 1);
    EXPECT_EQ(rc, -EPIPE);
}

TEST(shutdown_at_any_moment_lets_everybody_go_and_loses_nothing)
{
    seed = stress_seed();
    end = stress_end();
    struct dice dice = dice_of(seed, 99);
    while (weft_left(end) > 0) {
        atomic_store(&in, 0);
        atomic_store(&out, 0);
        EXPECT_EQ(weft_queue_open(&queue, sizeof(size_t), 1 + dice_below(&dice, 4), 0), 0);
        struct strands *putters = strands_start(2, put_until_shut);
        struct strands *getters = strands_start(2, get_until_shut);
        for (uint64_t i = dice_below(&dice, 50); i > 0; i--)
            strands_yield();
        bool discard = dice_below(&dice, 2);
        weft_queue_shutdown(queue, discard);
        strands_join(putters);
        strands_join(getters);
        EXPECT_LE(atomic_load(&out), atomic_load(&in));
        if (!discard)
            EXPECT_EQ(atomic_load(&out), atomic_load(&in));
        EXPECT_EQ(weft_queue_count(queue), 0);
        weft_queue_close(queue);
    }
}
