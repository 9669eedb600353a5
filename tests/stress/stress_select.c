/* SPDX-License-Identifier: MIT */
/*
 * Select: strands that wait for two queues and an event at once, among others that get from one
 * queue only. A wake-up that is lost on a strand that took something else leaves an item lying
 * while a getter sleeps, and the count never comes out.
 */
#include <errno.h>
#include <stdatomic.h>

#include <weft/select.h>
#include <weft/self.h>

#include "stress.h"

static uint64_t seed;
static weft_deadline end;
static weft_queue *a, *b;
static weft_event bell = WEFT_EVENT_INIT;
static atomic_long in, out;

static void select_both(size_t index)
{
    struct dice dice = dice_of(seed, index);
    for (bool a_ended = false, b_ended = false; !a_ended || !b_ended;) {
        int item = 0;
        weft_case cases[] = {
            { .op = WEFT_GET, .on.queue = a_ended ? NULL : a, .item = &item },
            { .op = WEFT_GET, .on.queue = b_ended ? NULL : b, .item = &item },
            { .op = WEFT_SET, .on.event = &bell },
        };
        int rc = weft_select(cases, index % 2 ? 3 : 2,
                             dice_below(&dice, 2) ? WEFT_FOREVER : dice_deadline(&dice));
        if (rc == -ETIMEDOUT || rc == 2)
            continue;
        EXPECT_GE(rc, 0);
        if (cases[rc].result == 0) {
            atomic_fetch_add(&out, 1);
            continue;
        }
        EXPECT_EQ(cases[rc].result, -EPIPE);
        a_ended |= rc == 0;
        b_ended |= rc == 1;
    }
}

static void get_one(size_t index)
{
    int item;
    while (weft_queue_get(index % 2 ? a : b, &item, WEFT_FOREVER) == 0)
        atomic_fetch_add(&out, 1);
}

TEST(no_wake_up_is_lost_on_a_strand_that_takes_something_else)
{
    seed = stress_seed();
    end = stress_end();
    struct dice dice = dice_of(seed, 99);
    EXPECT_EQ(weft_queue_open(&a, sizeof(int), 8, 0), 0);
    EXPECT_EQ(weft_queue_open(&b, sizeof(int), 8, 0), 0);
    struct strands *selectors = strands_start(4, select_both);
    struct strands *getters = strands_start(4, get_one);
    while (weft_left(end) > 0) {
        for (uint64_t i = 1 + dice_below(&dice, 4); i > 0; i--) {
            int item = 1;
            EXPECT_EQ(weft_queue_put(dice_below(&dice, 2) ? a : b, &item, WEFT_FOREVER), 0);
            atomic_fetch_add(&in, 1);
        }
        if (dice_below(&dice, 2)) {
            weft_event_set(&bell);
            weft_event_clear(&bell);
        }
        if (dice_below(&dice, 3) == 0)
            UNTIL(atomic_load(&out) == atomic_load(&in));
    }
    UNTIL(atomic_load(&out) == atomic_load(&in));
    weft_queue_shutdown(a, false);
    weft_queue_shutdown(b, false);
    strands_join(selectors);
    strands_join(getters);
    weft_queue_close(a);
    weft_queue_close(b);
}

/* Each side puts where there is room and gets what there is, in one select. */
static void put_and_get(size_t index)
{
    struct dice dice = dice_of(seed, index);
    weft_queue *to = index % 2 ? a : b, *from = index % 2 ? b : a;
    while (weft_left(end) > 0) {
        int give = 1, take = 0;
        weft_case cases[] = {
            { .op = WEFT_PUT, .on.queue = to, .item = &give },
            { .op = WEFT_GET, .on.queue = from, .item = &take },
        };
        int rc = weft_select(cases, 2, dice_deadline(&dice));
        if (rc == 0)
            atomic_fetch_add(&in, 1);
        else if (rc == 1)
            atomic_fetch_add(&out, 1);
        else
            EXPECT_EQ(rc, -ETIMEDOUT);
    }
}

TEST(puts_and_gets_in_one_select_keep_the_balance)
{
    seed = stress_seed();
    end = stress_end();
    EXPECT_EQ(weft_queue_open(&a, sizeof(int), 2, 0), 0);
    EXPECT_EQ(weft_queue_open(&b, sizeof(int), 2, 0), 0);
    strands_join(strands_start(6, put_and_get));
    EXPECT_EQ(atomic_load(&in) - atomic_load(&out),
              (long)(weft_queue_count(a) + weft_queue_count(b)));
    weft_queue_close(a);
    weft_queue_close(b);
}
