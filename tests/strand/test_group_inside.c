/* SPDX-License-Identifier: MIT */
/* Groups inside groups, and groups of threads that act on their own group. */
#include "groups.h"

static int square_in_a_group(weft_call *call)
{
    weft_kind inner = *(const weft_kind *)call->arg;
    weft_group *g;
    int n = 6, rc = weft_group_open(&g, inner, NULL);
    weft_future *f;
    if (rc < 0)
        return weft_call_fail(call, rc, "inner group");
    EXPECT_EQ(weft_group_submit(g, square, &n, sizeof n, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_call_return(call, weft_future_result(f, NULL), sizeof n);
    weft_future_close(f);
    weft_group_close(g);
    return 0;
}

TEST_EACH_KIND(a_group_may_be_opened_inside_a_call)
{
    const weft_kind inner[] = { WEFT_SERIAL, WEFT_THREADS };
    weft_group *g = open_group(kind, 0);
    for (int i = 0; i < 2; i++) {
        weft_future *f;
        EXPECT_EQ(
            weft_group_submit(g, square_in_a_group, &inner[i], sizeof inner[i], &f, WEFT_FOREVER),
            0);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        EXPECT_EQ(*(const int *)weft_future_result(f, NULL), 36);
        weft_future_close(f);
    }
    weft_group_close(g);
}

static int sleep_in_a_group(weft_call *call)
{
    (void)call;
    weft_group *g = open_group(WEFT_THREADS, 0);
    EXPECT_EQ(weft_group_start(g, sleep_until_cancelled, NULL, 0), 0);
    int rc = weft_group_join(g, WEFT_FOREVER);
    weft_group_close(g);
    return rc;
}

TEST_EACH_STRAND_KIND(cancelling_reaches_groups_inside_groups)
{
    weft_group *g = open_group(kind, 0);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(weft_group_start(g, sleep_in_a_group, NULL, 0), 0);
    weft_group_cancel(g);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECANCELED);
    weft_group_close(g);
}

/* ---- threads, which share the test's memory */

static weft_barrier all_here;

static int meet(weft_call *call)
{
    (void)call;
    return weft_barrier_wait(&all_here, WEFT_FOREVER);
}

TEST(threads_of_a_group_run_at_the_same_time)
{
    weft_barrier_init(&all_here, 40, NULL, NULL);
    weft_group *g = open_group(WEFT_THREADS, 0);
    for (int i = 0; i < 40; i++)
        EXPECT_EQ(weft_group_start(g, meet, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}

static atomic_int lent;

static int take_pointer(weft_call *call)
{
    EXPECT_TRUE(call->arg == NULL);
    atomic_fetch_add((atomic_int *)call->pointer, 1);
    return 0;
}

TEST(a_pointer_may_be_lent_to_a_thread)
{
    weft_group *g = open_group(WEFT_THREADS, 0);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(weft_group_start(g, take_pointer, &lent, WEFT_POINTER), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    EXPECT_EQ(atomic_load(&lent), 4);
    weft_group_close(g);
}

TEST_PROCESSES(a_pointer_that_a_process_could_not_see_is_refused)
{
    int local = 0;
    weft_group *g = open_group(kind, 0);
    EXPECT_EQ(weft_group_start(g, take_pointer, &local, WEFT_POINTER), -EFAULT);
    EXPECT_EQ(weft_group_start(g, (weft_fn *)(uintptr_t)0x1234, NULL, 0), -EFAULT);
    weft_group_close(g);
}

static int cancel_own_group(weft_call *call)
{
    weft_group_cancel(call->pointer);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST(a_call_may_cancel_its_own_group)
{
    weft_group *g = open_group(WEFT_THREADS, 0);
    EXPECT_EQ(weft_group_start(g, sleep_until_cancelled, NULL, 0), 0);
    EXPECT_EQ(weft_group_start(g, cancel_own_group, g, WEFT_POINTER), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECANCELED);
    weft_group_close(g);
}

static int start_another(weft_call *call)
{
    int arg = 1;
    return weft_group_start(call->pointer, square, &arg, sizeof arg);
}

TEST(a_call_may_start_more_in_its_own_group)
{
    weft_group *g = open_group(WEFT_THREADS, 0);
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(weft_group_start(g, start_another, g, WEFT_POINTER), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}

static int close_inner_group(weft_call *call)
{
    weft_group *g = open_group(WEFT_THREADS, 0);
    EXPECT_EQ(weft_group_start(g, sleep_until_cancelled, NULL, 0), 0);
    (void)call;
    UNTIL(weft_cancelled());
    weft_group_close(g); /* although we are cancelled ourselves */
    return -ECANCELED;
}

TEST(closing_waits_even_in_a_cancelled_strand)
{
    weft_group *g = open_group(WEFT_THREADS, 0);
    EXPECT_EQ(weft_group_start(g, close_inner_group, NULL, 0), 0);
    weft_group_cancel(g);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECANCELED);
    weft_group_close(g);
}

static weft_group *shared_group;
static atomic_int given;

static void take_next(size_t index)
{
    (void)index;
    weft_future *f;
    int rc;
    while ((rc = weft_group_next(shared_group, &f, WEFT_FOREVER)) == 0) {
        atomic_fetch_add(&given, 1);
        weft_future_close(f);
    }
    EXPECT_EQ(rc, -ENODATA);
}

TEST(several_strands_may_take_what_ended)
{
    for (int round = 0; round < 20; round++) {
        shared_group = open_group(WEFT_THREADS, 0);
        atomic_store(&given, 0);
        for (int i = 0; i < 12; i++)
            weft_future_close(submit(shared_group, square, i));
        strands_join(strands_start(4, take_next));
        EXPECT_EQ(atomic_load(&given), 12);
        weft_group_close(shared_group);
    }
}
