/* SPDX-License-Identifier: MIT */
/* Select over queues and events: one case happens or none, none starves, no wake-up is lost. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <weft/scope.h>
#include <weft/select.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

static struct {
    weft_queue *a, *b;
    weft_event event;
    atomic_int happened; /* one more than the index of the case */
    atomic_int plain_got;
} * shared;
STRANDS_KEEP(shared)

static weft_queue *open_ints(size_t items_max)
{
    weft_queue *queue;
    unsigned flags = strands_share() ? WEFT_SHARED : 0;
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), items_max, flags), 0);
    return queue;
}

static void open_both(void)
{
    shared->a = open_ints(1);
    shared->b = open_ints(1);
}

static void close_both(void)
{
    weft_queue_close(shared->a);
    weft_queue_close(shared->b);
}

static void put_int(weft_queue *queue, int value)
{
    EXPECT_EQ(weft_queue_put(queue, &value, WEFT_NOW), 0);
}

static int get_int(weft_queue *queue)
{
    int value = -1;
    EXPECT_EQ(weft_queue_get(queue, &value, WEFT_NOW), 0);
    return value;
}

TEST(nothing_that_can_happen_times_out)
{
    open_both();
    put_int(shared->b, 1);
    int item = 77;
    weft_case cases[] = {
        { .op = WEFT_GET, .on.queue = shared->a, .item = &item, .result = 33 },
        { .op = WEFT_PUT, .on.queue = shared->b, .item = &item, .result = 33 },
        { .op = WEFT_SET, .on.event = &shared->event, .result = 33 },
    };
    EXPECT_EQ(weft_select(cases, 3, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_select(cases, 3, (weft_deadline){ INT64_MIN }), -ETIMEDOUT);
    EXPECT_EQ(weft_select(cases, 3, (weft_deadline){ 1 }), -ETIMEDOUT);
    EXPECT_EQ(weft_select(cases, 3, weft_after(WEFT_MS)), -ETIMEDOUT);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(cases[i].result, 33);
    EXPECT_EQ(item, 77);
    EXPECT_EQ(get_int(shared->b), 1);
    close_both();
}

TEST(no_case_at_all_waits_for_the_deadline)
{
    weft_case nobody[] = { { .op = WEFT_GET }, { .op = WEFT_SET }, { .op = WEFT_ENDED } };
    weft_deadline soon = weft_after(WEFT_MS);
    EXPECT_EQ(weft_select(NULL, 0, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_select(NULL, 0, soon), -ETIMEDOUT);
    EXPECT_LE(soon.ns, weft_now());
    EXPECT_EQ(weft_select(nobody, 3, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_select(nobody, 3, weft_after(WEFT_MS)), -ETIMEDOUT);
}

TEST(what_is_no_case_is_refused)
{
    weft_case many[WEFT_CASES_MAX + 1];
    for (size_t i = 0; i <= WEFT_CASES_MAX; i++)
        many[i] = (weft_case){ .op = WEFT_SET, .on.event = &shared->event };
    weft_event_set(&shared->event);
    EXPECT_EQ(weft_select(many, WEFT_CASES_MAX + 1, WEFT_FOREVER), -EINVAL);
    EXPECT_GE(weft_select(many, WEFT_CASES_MAX, WEFT_FOREVER), 0);
    many[1].op = (weft_op)0;
    EXPECT_EQ(weft_select(many, 2, WEFT_FOREVER), -EINVAL);
    many[1].op = (weft_op)99;
    EXPECT_EQ(weft_select(many, 2, WEFT_FOREVER), -EINVAL);
}

TEST(cases_on_nothing_are_passed_over)
{
    open_both();
    put_int(shared->b, 5);
    int item;
    weft_case cases[] = {
        { .op = WEFT_GET },
        { .op = WEFT_SET },
        { .op = WEFT_GET, .on.queue = shared->b, .item = &item },
        { .op = WEFT_NEXT },
    };
    EXPECT_EQ(weft_select(cases, 4, WEFT_FOREVER), 2);
    EXPECT_EQ(cases[2].result, 0);
    EXPECT_EQ(item, 5);
    close_both();
}

TEST(exactly_one_of_those_that_could_happens_and_each_in_its_turn)
{
    open_both();
    int from_a = -1, from_b = -1, picked[3] = { 0 };
    weft_event_set(&shared->event);
    for (int i = 0; i < 300; i++) {
        put_int(shared->a, i);
        put_int(shared->b, i);
        weft_case cases[] = {
            { .op = WEFT_GET, .on.queue = shared->a, .item = &from_a },
            { .op = WEFT_GET, .on.queue = shared->b, .item = &from_b },
            { .op = WEFT_SET, .on.event = &shared->event },
        };
        int index = weft_select(cases, 3, i % 2 ? WEFT_NOW : WEFT_FOREVER);
        EXPECT_GE(index, 0);
        EXPECT_LT(index, 3);
        picked[index]++;
        EXPECT_EQ(cases[index].result, 0);
        EXPECT_EQ(weft_queue_count(shared->a), index != 0);
        EXPECT_EQ(weft_queue_count(shared->b), index != 1);
        EXPECT_EQ(index == 0 ? from_a : get_int(shared->a), i);
        EXPECT_EQ(index == 1 ? from_b : get_int(shared->b), i);
    }
    for (int i = 0; i < 3; i++)
        EXPECT_GT(picked[i], 0);
    close_both();
}

TEST(a_queue_that_is_shut_down_is_a_case_that_happens)
{
    open_both();
    int item = 77;
    weft_queue_shutdown(shared->a, false);
    weft_case get = { .op = WEFT_GET, .on.queue = shared->a, .item = &item };
    weft_case put = { .op = WEFT_PUT, .on.queue = shared->a, .item = &item };
    EXPECT_EQ(weft_select(&get, 1, WEFT_FOREVER), 0);
    EXPECT_EQ(get.result, -EPIPE);
    EXPECT_EQ(weft_select(&put, 1, WEFT_FOREVER), 0);
    EXPECT_EQ(put.result, -EPIPE);
    EXPECT_EQ(item, 77);
    close_both();
}

TEST(a_put_and_a_get_of_the_same_queue_do_not_meet_in_one_select)
{
    open_both();
    int in = 1, out = -1;
    weft_case cases[] = {
        { .op = WEFT_GET, .on.queue = shared->a, .item = &out },
        { .op = WEFT_PUT, .on.queue = shared->a, .item = &in },
    };
    EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 1);
    EXPECT_EQ(out, -1);
    EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 0);
    EXPECT_EQ(out, 1);
    close_both();
}

/* Sleeps until it can get from a, put into b or see the event, and tells which it was. */
static void select_all(size_t index)
{
    int in = 0, out = 9;
    weft_case cases[] = {
        { .op = WEFT_GET, .on.queue = shared->a, .item = &in },
        { .op = WEFT_PUT, .on.queue = shared->b, .item = &out },
        { .op = WEFT_SET, .on.event = &shared->event },
    };
    (void)index;
    int rc = weft_select(cases, 3, WEFT_FOREVER);
    if (rc >= 0)
        EXPECT_TRUE(cases[rc].result == 0 || cases[rc].result == -EPIPE);
    if (rc == 0 && cases[0].result == 0)
        EXPECT_EQ(in, 4);
    atomic_store(&shared->happened, rc + 1);
}

static struct strands *sleeping_select(void)
{
    open_both();
    put_int(shared->b, 1);
    struct strands *selector = strands_start(1, select_all);
    strands_until_asleep(selector);
    return selector;
}

TEST(a_put_wakes_it)
{
    struct strands *selector = sleeping_select();
    put_int(shared->a, 4);
    strands_join(selector);
    EXPECT_EQ(atomic_load(&shared->happened), 1 + 0);
    close_both();
}

TEST(a_get_wakes_it)
{
    struct strands *selector = sleeping_select();
    EXPECT_EQ(get_int(shared->b), 1);
    strands_join(selector);
    EXPECT_EQ(atomic_load(&shared->happened), 1 + 1);
    EXPECT_EQ(get_int(shared->b), 9);
    close_both();
}

TEST(an_event_wakes_it)
{
    struct strands *selector = sleeping_select();
    weft_event_set(&shared->event);
    strands_join(selector);
    EXPECT_EQ(atomic_load(&shared->happened), 1 + 2);
    close_both();
}

TEST(a_shutdown_wakes_it)
{
    struct strands *selector = sleeping_select();
    weft_queue_shutdown(shared->a, true);
    strands_join(selector);
    EXPECT_EQ(atomic_load(&shared->happened), 1 + 0);
    close_both();
}

TEST(an_event_that_was_set_has_happened_although_it_is_cleared_before_the_waiter_runs)
{
    for (int round = 0; round < 50; round++) {
        struct strands *selector = sleeping_select();
        if (round % 2)
            weft_event_set(&shared->event);
        else
            weft_event_post(&shared->event);
        weft_event_clear(&shared->event);
        strands_join(selector);
        EXPECT_EQ(atomic_load(&shared->happened), 1 + 2);
        close_both();
    }
}

static void select_until_cancelled(size_t index)
{
    int in = 77;
    weft_case cases[] = {
        { .op = WEFT_GET, .on.queue = shared->a, .item = &in },
        { .op = WEFT_SET, .on.event = &shared->event },
    };
    EXPECT_EQ(weft_select(cases, index % 3, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(in, 77);
}

TEST(a_cancelled_one_takes_nothing)
{
    strands_must_be_cancellable();
    open_both();
    struct strands *cancelled = strands_start(3, select_until_cancelled);
    strands_until_asleep(cancelled);
    strands_cancel_all(cancelled);
    put_int(shared->a, 1);
    strands_join(cancelled);
    EXPECT_EQ(get_int(shared->a), 1);
    close_both();
}

TEST(a_scope_ends_the_wait)
{
    weft_scope scope;
    weft_case what = { .op = WEFT_SET, .on.event = &shared->event };
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_select(&what, 1, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_select(NULL, 0, WEFT_FOREVER), -ETIMEDOUT);
    weft_event_set(&shared->event);
    EXPECT_EQ(weft_select(&what, 1, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

static void plain_get(size_t index)
{
    int item;
    (void)index;
    EXPECT_EQ(weft_queue_get(shared->a, &item, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->plain_got, 1);
}

static void select_get_or_event(size_t index)
{
    int item;
    weft_case cases[] = {
        { .op = WEFT_GET, .on.queue = shared->a, .item = &item },
        { .op = WEFT_SET, .on.event = &shared->event },
    };
    (void)index;
    int rc = weft_select(cases, 2, WEFT_FOREVER);
    EXPECT_GE(rc, 0);
    atomic_fetch_add(&shared->happened, rc == 0);
}

/* A select that is woken for an item, and finds the event set as well, must not go away with the
 * event and leave the item lying while another getter sleeps. */
TEST(a_wake_up_for_an_item_is_not_lost_on_a_select_that_could_take_something_else)
{
    for (int round = 0; round < 200 / (HARNESS_EMULATED ? 10 : 1); round++) {
        shared->a = open_ints(4);
        atomic_store(&shared->happened, 0);
        atomic_store(&shared->plain_got, 0);
        struct strands *selector = strands_start(1, select_get_or_event);
        strands_until_asleep(selector);
        struct strands *getter = strands_start(1, plain_get);
        strands_until_asleep(getter);
        put_int(shared->a, 1);
        weft_event_set(&shared->event);
        strands_join(selector);
        if (atomic_load(&shared->happened))
            put_int(shared->a, 2);
        strands_join(getter);
        EXPECT_EQ(weft_queue_count(shared->a), 0);
        weft_event_clear(&shared->event);
        weft_queue_close(shared->a);
    }
}

/* One case of each sort, the queues of both kinds: whatever happens, happens alone. */
TEST(queues_in_shared_memory_and_private_ones_go_together)
{
    if (!strands_share())
        SKIP("there is no shared memory");
    weft_queue *own;
    int from_own = -1, from_a = -1, picked[3] = { 0 };
    open_both();
    EXPECT_EQ(weft_queue_open(&own, sizeof(int), 1, 0), 0);
    weft_event private_event = WEFT_EVENT_INIT;
    weft_case cases[] = {
        { .op = WEFT_GET, .on.queue = own, .item = &from_own },
        { .op = WEFT_GET, .on.queue = shared->a, .item = &from_a },
        { .op = WEFT_SET, .on.event = &private_event },
    };
    EXPECT_EQ(weft_select(cases, 3, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_select(cases, 3, weft_after(WEFT_MS)), -ETIMEDOUT);
    weft_event_set(&private_event);
    for (int i = 0; i < 300; i++) {
        put_int(own, i);
        put_int(shared->a, i);
        int index = weft_select(cases, 3, WEFT_FOREVER);
        EXPECT_GE(index, 0);
        picked[index]++;
        EXPECT_EQ(index == 0 ? from_own : get_int(own), i);
        EXPECT_EQ(index == 1 ? from_a : get_int(shared->a), i);
    }
    for (int i = 0; i < 3; i++)
        EXPECT_GT(picked[i], 0);
    weft_queue_close(own);
    close_both();
}

static void put_into_a(size_t index)
{
    int value = (int)index;
    EXPECT_EQ(weft_queue_put(shared->a, &value, WEFT_FOREVER), 0);
}

/* The sleep is for a queue of this process and one that another process puts into. */
TEST(a_wait_for_both_kinds_of_queue_ends_with_either)
{
    if (!strands_share())
        SKIP("there is no shared memory");
    weft_queue *own;
    open_both();
    EXPECT_EQ(weft_queue_open(&own, sizeof(int), 1, 0), 0);
    for (int i = 0; i < 20; i++) {
        int from_own = -1, from_a = -1;
        weft_case cases[] = {
            { .op = WEFT_GET, .on.queue = own, .item = &from_own },
            { .op = WEFT_GET, .on.queue = shared->a, .item = &from_a },
        };
        struct strands *putter = strands_start(1, put_into_a);
        EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 1);
        EXPECT_EQ(from_a, 0);
        strands_join(putter);
    }
    weft_queue_close(own);
    close_both();
}
