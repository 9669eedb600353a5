/* SPDX-License-Identifier: MIT */
/* What a strand says it is. */
#include <string.h>

#include <weft/group.h>
#include <weft/self.h>

#include "kinds.h"

static int tell_kind(weft_call *call)
{
    weft_kind kind = weft_self_kind();
    return weft_call_return(call, &kind, sizeof kind);
}

/* What a call of a group of that kind says. */
static weft_kind kind_inside(weft_kind group_kind)
{
    weft_group *g;
    weft_future *future;
    weft_kind said;
    size_t bytes;
    EXPECT_EQ(weft_group_open(&g, group_kind, NULL), 0);
    EXPECT_EQ(weft_group_submit(g, tell_kind, NULL, 0, &future, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(future, WEFT_FOREVER), 0);
    const void *result = weft_future_result(future, &bytes);
    EXPECT_EQ(bytes, sizeof said);
    memcpy(&said, result, sizeof said);
    weft_future_close(future);
    weft_group_close(g);
    return said;
}

TEST_EACH_STRAND_KIND(only_a_task_says_that_it_is_one)
{
    EXPECT_EQ(weft_self_kind(), WEFT_THREADS);
    EXPECT_EQ(kind_inside(kind), kind == WEFT_TASKS ? WEFT_TASKS : WEFT_THREADS);
}

static int tell_kind_of_serial(weft_call *call)
{
    weft_kind kind = kind_inside(WEFT_SERIAL);
    return weft_call_return(call, &kind, sizeof kind);
}

TEST(a_serial_call_is_the_strand_that_it_runs_in)
{
    weft_group *g;
    weft_future *future;
    weft_kind said;
    size_t bytes;
    EXPECT_EQ(kind_inside(WEFT_SERIAL), WEFT_THREADS);
    kinds_prepare(WEFT_TASKS);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    EXPECT_EQ(weft_group_submit(g, tell_kind_of_serial, NULL, 0, &future, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(future, WEFT_FOREVER), 0);
    memcpy(&said, weft_future_result(future, &bytes), sizeof said);
    EXPECT_EQ(said, WEFT_TASKS);
    weft_future_close(future);
    weft_group_close(g);
}

static int note_kind(void *arg)
{
    *(weft_kind *)arg = weft_self_kind();
    return 0;
}

static int ask_in_blocking_call(weft_call *call)
{
    weft_kind said = 0;
    EXPECT_EQ(weft_self_kind(), WEFT_TASKS);
    EXPECT_EQ(weft_blocking(note_kind, &said), 0);
    EXPECT_EQ(said, WEFT_THREADS);
    (void)call;
    return 0;
}

TEST(a_blocking_call_of_a_task_runs_in_a_thread)
{
    weft_group *g;
    kinds_prepare(WEFT_TASKS);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    EXPECT_EQ(weft_group_start(g, ask_in_blocking_call, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}
