/* SPDX-License-Identifier: MIT */
/* Tasks in a loop of the program's own: who may have one, and that it always comes back. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#include <weft/run.h>

#include "tasks.h"

static atomic_int ran;
static weft_group *group;

static void embed(void)
{
    EXPECT_GE(weft_run_fd(), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
    group = tasks_open();
}

static bool readable(int timeout_ms)
{
    struct pollfd fd = { .fd = weft_run_fd(), .events = POLLIN };
    return poll(&fd, 1, timeout_ms) == 1;
}

TEST(there_is_no_embedding_once_there_are_workers)
{
    workers_are("1");
    EXPECT_EQ(weft_run_once(WEFT_NOW), -EBUSY);
    EXPECT_EQ(weft_run_fd(), -EBUSY);
}

static int yield_for_ever(weft_call *call)
{
    (void)call;
    while (weft_yield() == 0)
        atomic_fetch_add(&ran, 1);
    return 0;
}

TEST(run_once_returns_though_tasks_always_have_something_to_do)
{
    embed();
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(weft_group_start(group, yield_for_ever, NULL, 0), 0);
    for (int i = 0; i < 3; i++) {
        EXPECT_GT(weft_run_once(WEFT_FOREVER), 0);
        EXPECT_TRUE(readable(-1));
    }
    weft_group_cancel(group);
    while (weft_run_once(WEFT_NOW) > 0) {
    }
    weft_group_close(group);
}
