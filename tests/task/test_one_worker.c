/* SPDX-License-Identifier: MIT */
/* What a task must not do to the others of its worker: here there is one worker. */
#include <stdatomic.h>
#include <stdlib.h>

#include <weft/event.h>
#include <weft/group.h>
#include <weft/self.h>
#include <weft/pool.h>

#include "harness.h"

static weft_event go = WEFT_EVENT_INIT, begun = WEFT_EVENT_INIT, closing = WEFT_EVENT_INIT;

static weft_group *open_tasks(void)
{
    weft_group *group;
    EXPECT_EQ(setenv("WEFT_WORKERS", "1", 1), 0);
    DESCRIPTORS_MAY_STAY();
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    return group;
}

static int wait_for_go(weft_call *call)
{
    (void)call;
    weft_event_set(&begun);
    return weft_event_wait(&go, WEFT_FOREVER);
}

static int close_pool(weft_call *call)
{
    (void)call;
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_THREADS, &(weft_options){ .workers = 2 }), 0);
    EXPECT_EQ(weft_pool_submit(pool, wait_for_go, NULL, 0, NULL, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_event_wait(&begun, WEFT_FOREVER), 0);
    weft_event_set(&closing);
    weft_pool_close(pool);
    return 0;
}

static int say_go(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_event_wait(&closing, WEFT_FOREVER), 0);
    weft_event_set(&go);
    return 0;
}

TEST(closing_a_pool_of_threads_lets_other_tasks_run)
{
    weft_group *group = open_tasks();
    EXPECT_EQ(weft_group_start(group, say_go, NULL, 0), 0);
    EXPECT_EQ(weft_group_start(group, close_pool, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
}

static weft_local *local;

static void drop_waits_for_go(void *value)
{
    (void)value;
    weft_event_set(&closing);
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
}

static int set_local(weft_call *call)
{
    return weft_local_set(local, call);
}

static int close_group_of_threads(weft_call *call)
{
    (void)call;
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_THREADS, NULL), 0);
    EXPECT_EQ(weft_group_start(group, set_local, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    return 0;
}

TEST(closing_a_group_of_threads_lets_other_tasks_run)
{
    weft_group *group = open_tasks();
    EXPECT_EQ(weft_local_open(&local, drop_waits_for_go), 0);
    EXPECT_EQ(weft_group_start(group, say_go, NULL, 0), 0);
    EXPECT_EQ(weft_group_start(group, close_group_of_threads, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    weft_local_close(local);
}
