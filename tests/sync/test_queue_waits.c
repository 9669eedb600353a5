/* SPDX-License-Identifier: MIT */
/* Queues from inside: a strand on its way out of those that wait takes no wake-up with it. */
#include <errno.h>

#include <weft/select.h>

#include "harness.h"
#include "strands.h"
#include "sync/queue.h"

static weft_queue *queue;
static struct strand *waiter;
static int result;

static void get(size_t index)
{
    int item;
    (void)index;
    store_release(&waiter, strand_self());
    result = weft_queue_get(queue, &item, WEFT_FOREVER);
}

static void select_one(size_t index)
{
    int item;
    weft_case what = { .op = WEFT_GET, .on.queue = queue, .item = &item };
    (void)index;
    store_release(&waiter, strand_self());
    result = weft_select(&what, 1, WEFT_FOREVER);
}

/* Which wait it is in, as far as one can see. */
static uint32_t wait_of(struct strand *strand)
{
    return load_acquire(&strand->decision) & ~(uint32_t)STRAND_DECISION_MASK;
}

/* Its wait has been cancelled; to take itself out it waits for the lock, which somebody holds. */
static void leaves_the_wake_up_to_others(void (*wait)(size_t))
{
    struct list woken = LIST_INIT(woken);
    int item = 1;
    EXPECT_EQ(weft_queue_open(&queue, sizeof item, 1, 0), 0);
    struct strands *strands = strands_start(1, wait);
    strands_until_asleep(strands);
    weft_lock_lock(queue_lock(queue));
    uint32_t first = wait_of(load_acquire(&waiter));
    strands_cancel(strands, 0);
    while (wait_of(waiter) == first || strands_asleep(strands) < 1)
        strands_yield();
    EXPECT_EQ(queue_put_locked(queue, &item, &woken), 0);
    EXPECT_TRUE(list_empty(&woken));
    weft_lock_release(queue_lock(queue));
    strands_join(strands);
    EXPECT_EQ(result, -ECANCELED);
    EXPECT_EQ(weft_queue_count(queue), 1);
    weft_queue_close(queue);
}

TEST(a_cancelled_get_takes_no_wake_up_with_it)
{
    strands_must_be_cancellable();
    leaves_the_wake_up_to_others(get);
}

TEST(a_cancelled_select_takes_no_wake_up_with_it)
{
    strands_must_be_cancellable();
    leaves_the_wake_up_to_others(select_one);
}
