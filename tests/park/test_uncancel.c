/* SPDX-License-Identifier: MIT */
/* Once a strand has acknowledged a cancellation, nothing comes of it any more. */
#include <errno.h>
#include <pthread.h>

#include <weft/event.h>

#include "harness.h"
#include "park/park.h"

enum { ROUNDS = HARNESS_SANITIZED ? 500 : 5000 };

static weft_event never = WEFT_EVENT_INIT;
static struct strand *strand;        /* the one to cancel */
static uint32_t asked, cancelled_to; /* rounds asked for, and cancelled */
static uint32_t late;                /* how often a hook was called after the acknowledgement */

static void *cancel_rounds(void *arg)
{
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        while (load_acquire(&asked) < round) /* pairs with the release in the test */
            weft_yield();
        strand_cancel(strand, 0);
        store_release(&cancelled_to, round); /* pairs with the acquire in the test */
    }
    return arg;
}

static void count_late(void *ctx)
{
    (void)ctx;
    add_relaxed(&late, 1);
}

TEST(a_cancellation_ends_nothing_after_it_was_acknowledged)
{
    strand = strand_self();
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, cancel_rounds, NULL), 0);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        store_release(&asked, round); /* pairs with the acquire in cancel_rounds() */
        EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ECANCELED);
        EXPECT_TRUE(weft_uncancel());
        weft_on_cancel hook;
        EXPECT_EQ(weft_on_cancel_enter(&hook, count_late, NULL), 0);
        EXPECT_EQ(weft_event_wait(&never, weft_after(1)), -ETIMEDOUT);
        while (load_acquire(&cancelled_to) < round) /* pairs with the release above */
            weft_yield();
        weft_on_cancel_leave(&hook);
        EXPECT_EQ(load_relaxed(&late), 0u);
    }
    EXPECT_EQ(pthread_join(thread, NULL), 0);
}
