/* SPDX-License-Identifier: MIT */
/* Deaths at any step of what is done to a queue. */
#include "steps.h"

static void prepare_empty(void)
{
    EXPECT_EQ(weft_queue_open(&shared->queue, sizeof(int), 2, WEFT_SHARED), 0);
}

static int wait_for_item(weft_call *call)
{
    int item = 0;
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_queue_get(shared->queue, &item, WEFT_FOREVER), 0);
    EXPECT_EQ(item, 7);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void put_item(void)
{
    int item = 7;
    (void)!weft_queue_put(shared->queue, &item, WEFT_NOW);
}

/* Nobody may sleep while there is an item. */
static void put_items_if_there_are_none(void)
{
    while (!all_ended()) {
        if (weft_queue_count(shared->queue) == 0)
            put_item();
        strands_yield();
    }
}

static const struct operation put = { prepare_empty, wait_for_item, put_item,
                                      put_items_if_there_are_none };

TEST(putting_an_item)
{
    die_everywhere(&put);
}

static void prepare_full(void)
{
    prepare_empty();
    put_item();
    put_item();
}

static int wait_for_space(weft_call *call)
{
    int item = 7;
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_queue_put(shared->queue, &item, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void get_item(void)
{
    int item = 7;
    (void)!weft_queue_get(shared->queue, &item, WEFT_NOW);
    EXPECT_EQ(item, 7);
}

/* Nobody may sleep while there is space. */
static void get_items_if_it_is_full(void)
{
    while (!all_ended()) {
        if (weft_queue_count(shared->queue) == 2)
            get_item();
        strands_yield();
    }
}

static const struct operation get = { prepare_full, wait_for_space, get_item,
                                      get_items_if_it_is_full };

TEST(getting_an_item)
{
    die_everywhere(&get);
}

static void wait_for_two_things(void)
{
    int item;
    weft_case cases[] = { { .op = WEFT_GET, .on.queue = shared->queue, .item = &item },
                          { .op = WEFT_SET, .on.event = &shared->event } };
    (void)!weft_select(cases, 2, (weft_deadline){ 1 });
}

static const struct operation selecting = { prepare_empty, wait_for_item, wait_for_two_things,
                                            put_items_if_there_are_none };

TEST(selecting_from_a_queue_and_an_event)
{
    die_everywhere(&selecting);
}

static void prepare_work(void)
{
    prepare_full();
    get_item();
    EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    get_item();
}

static int wait_for_work(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void say_done(void)
{
    (void)weft_queue_task_done(shared->queue); /* -EINVAL: it was already */
}

static const struct operation done = { prepare_work, wait_for_work, say_done, say_done };

TEST(saying_that_work_is_done)
{
    die_everywhere(&done);
}

static void shut_down(void)
{
    weft_queue_shutdown(shared->queue, true);
}

/* Nobody may wait for what was discarded. */
static void shut_down_if_it_is_not(void)
{
    int item = 7;
    if (weft_queue_put(shared->queue, &item, WEFT_NOW) != -EPIPE)
        shut_down();
    EXPECT_EQ(weft_queue_count(shared->queue), 0);
}

static const struct operation shutdown_of_queue = { prepare_full, wait_for_work, shut_down,
                                                    shut_down_if_it_is_not };

TEST(discarding_what_is_in_a_queue)
{
    die_everywhere(&shutdown_of_queue);
}
