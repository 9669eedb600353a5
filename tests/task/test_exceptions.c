/* SPDX-License-Identifier: MIT */
/* Exceptions of C++ belong to the task that throws or handles them. */
#include <weft/run.h>

#include "tasks.h"
#include "throwing.h"

static int throw_often(weft_call *call)
{
    EXPECT_EQ(exceptions_alive(), 0);
    EXPECT_EQ(throw_and_park((int)call->index * 1000, 100), 0);
    EXPECT_EQ(exceptions_alive(), 0);
    return 0;
}

TEST(what_a_task_handles_stays_its_own_over_a_park)
{
    workers_are("1");
    in_tasks(8, throw_often);
}

static int unwind(weft_call *call)
{
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(park_while_unwinding((int)call->index), 0);
    return 0;
}

TEST(a_task_may_park_while_an_exception_unwinds_it)
{
    workers_are("1");
    in_tasks(8, unwind);
}

static weft_group *embedded;

static void run_embedded(void)
{
    EXPECT_EQ(weft_group_start(embedded, throw_often, NULL, 0), 0);
    while (weft_run_once(WEFT_NOW) > 0) {
    }
}

TEST(a_handler_may_run_tasks_in_its_own_loop)
{
    EXPECT_GE(weft_run_fd(), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
    embedded = tasks_open();
    EXPECT_TRUE(rethrow_after(run_embedded));
    EXPECT_EQ(exceptions_alive(), 0);
    tasks_join(embedded);
}
