/* SPDX-License-Identifier: MIT */
/*
 * Processes that die while they use a queue in shared memory: it is whole, and nobody sleeps while
 * there is an item, or space.
 */
#include "dying.h"

static void open_ints(size_t items_max)
{
    strands_must_be_processes();
    EXPECT_EQ(weft_queue_open(&shared->queue, sizeof(int), items_max, WEFT_SHARED), 0);
}

static void put_int(int value)
{
    EXPECT_EQ(weft_queue_put(shared->queue, &value, WEFT_NOW), 0);
}

static void get_one(size_t index)
{
    int value;
    (void)index;
    EXPECT_EQ(weft_queue_get(shared->queue, &value, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->got, value);
}

static void put_one(size_t index)
{
    int value = 1;
    (void)index;
    EXPECT_EQ(weft_queue_put(shared->queue, &value, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->passed, 1);
}

static void give_an_item(void)
{
    put_int(1);
}

static size_t items_left(void)
{
    return weft_queue_count(shared->queue);
}

TEST(an_item_does_not_die_with_a_getter_that_was_woken_for_it)
{
    struct strands *line[2];
    open_ints(N);
    start_line(line, get_one);
    give_and_kill(line, give_an_item, items_left);
    EXPECT_GE(atomic_load(&shared->got), N - 1);
    weft_queue_close(shared->queue);
}

static void give_space(void)
{
    int value;
    EXPECT_EQ(weft_queue_get(shared->queue, &value, WEFT_FOREVER), 0);
}

static size_t space_left(void)
{
    return 1 - weft_queue_count(shared->queue);
}

TEST(space_does_not_die_with_a_putter_that_was_woken_for_it)
{
    struct strands *line[2];
    open_ints(1);
    put_int(7);
    start_line(line, put_one);
    give_and_kill(line, give_space, space_left);
    EXPECT_GE(atomic_load(&shared->passed), N - 1);
    weft_queue_close(shared->queue);
}

static void get_one_and_sleep(size_t index)
{
    get_one(index);
    sleep_for_ever();
}

TEST(what_a_dead_one_had_taken_stays_undone)
{
    open_ints(2);
    put_int(1);
    put_int(2);
    kill_one(start_one(get_one_and_sleep));
    int value;
    EXPECT_EQ(weft_queue_get(shared->queue, &value, WEFT_NOW), 0);
    EXPECT_EQ(value, 2);
    EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    EXPECT_EQ(weft_queue_join(shared->queue, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_NOW), 0);
    weft_queue_close(shared->queue);
}

/* The dead are not counted any more among those that a put has to wake. */
TEST(a_queue_outlives_many_deaths)
{
    open_ints(1);
    for (int i = 0; i < 20; i++)
        kill_one(start_one(get_one));
    put_int(3);
    struct strands *putters = strands_start(N, put_one);
    strands_until_asleep(putters);
    for (int i = 0; i < N + 1; i++) {
        int value;
        EXPECT_EQ(weft_queue_get(shared->queue, &value, WEFT_FOREVER), 0);
    }
    strands_join(putters);
    weft_queue_close(shared->queue);
}

/* ---- tasks of other processes */

static int get_one_in_a_task(weft_call *call)
{
    get_one(call->index);
    return 0;
}

static void get_in_tasks(size_t index)
{
    weft_group *tasks;
    (void)index;
    EXPECT_EQ(weft_group_open(&tasks, WEFT_TASKS, NULL), 0);
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(weft_group_start(tasks, get_one_in_a_task, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(tasks, WEFT_FOREVER), 0);
    weft_group_close(tasks);
}

TEST(tasks_of_several_processes_share_a_queue_and_outlive_one_of_these)
{
    open_ints(3);
    struct strands *processes = strands_start(3, get_in_tasks);
    strands_until_asleep(processes);
    strands_kill(processes, 1);
    for (int i = 0, value = 1; i < 40; i++)
        EXPECT_EQ(weft_queue_put(shared->queue, &value, WEFT_FOREVER), 0);
    strands_join(processes);
    EXPECT_EQ(atomic_load(&shared->got), 40);
    weft_queue_close(shared->queue);
}
