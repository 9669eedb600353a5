/* SPDX-License-Identifier: MIT */
/* The deque: a stack for its owner, a queue for thieves, and nothing lost or doubled between them.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "harness.h"
#include "task/deque.h"

static struct deque deque;

static struct task *item(uintptr_t n)
{
    return (struct task *)(n * 16 + 16);
}

static size_t number(const struct task *task)
{
    return ((uintptr_t)task - 16) / 16;
}

TEST(the_owner_takes_the_youngest_and_a_thief_the_oldest)
{
    for (uintptr_t i = 0; i < 4; i++)
        EXPECT_TRUE(deque_push(&deque, item(i)));
    EXPECT_EQ(deque_count(&deque), 4);
    EXPECT_EQ(deque_pop(&deque), item(3));
    EXPECT_EQ(deque_steal(&deque), item(0));
    EXPECT_EQ(deque_steal(&deque), item(1));
    EXPECT_EQ(deque_pop(&deque), item(2));
    EXPECT_EQ(deque_pop(&deque), NULL);
    EXPECT_EQ(deque_steal(&deque), NULL);
    EXPECT_EQ(deque_count(&deque), 0);
}

TEST(a_full_deque_grows_and_keeps_their_order)
{
    enum { FEW = 100, MANY = 5 * DEQUE_FIRST };
    for (int round = 0; round < 3; round++) { /* also when its slots are used again */
        for (uintptr_t i = 0; i < FEW; i++)
            EXPECT_TRUE(deque_push(&deque, item(i)));
        for (uintptr_t i = 0; i < FEW; i++)
            EXPECT_EQ(deque_steal(&deque), item(i)); /* the ring begins in the middle */
        for (uintptr_t i = 0; i < MANY; i++)
            EXPECT_TRUE(deque_push(&deque, item(i)));
        EXPECT_EQ(deque_count(&deque), MANY);
        for (uintptr_t i = 0; i < MANY / 2; i++)
            EXPECT_EQ(deque_steal(&deque), item(i));
        for (uintptr_t i = MANY; i-- > MANY / 2;)
            EXPECT_EQ(deque_pop(&deque), item(i));
        EXPECT_EQ(deque_pop(&deque), NULL);
    }
}

enum { ITEMS = HARNESS_SANITIZED || HARNESS_EMULATED ? 100000 : 1000000, THIEVES = 3 };

static atomic_uchar times[ITEMS];
static atomic_bool over;

static void *rob(void *unused)
{
    while (!atomic_load(&over)) {
        struct task *task = deque_steal(&deque);
        if (task)
            atomic_fetch_add(&times[number(task)], 1);
    }
    return unused;
}

TEST(owner_and_thieves_get_every_item_once)
{
    pthread_t thieves[THIEVES];
    for (int i = 0; i < THIEVES; i++)
        EXPECT_EQ(pthread_create(&thieves[i], NULL, rob, NULL), 0);
    struct task *task;
    uint32_t chance = 1;
    for (uintptr_t next = 0; next < ITEMS;) {
        chance = chance * 1664525 + 1013904223;
        /* Mostly around empty, where the two ends meet. */
        for (uint32_t n = chance >> 30; n && next < ITEMS && deque_push(&deque, item(next)); n--)
            next++;
        for (uint32_t n = chance >> 28 & 3; n && (task = deque_pop(&deque)); n--)
            atomic_fetch_add(&times[number(task)], 1);
    }
    while ((task = deque_pop(&deque)))
        atomic_fetch_add(&times[number(task)], 1);
    atomic_store(&over, true);
    for (int i = 0; i < THIEVES; i++)
        pthread_join(thieves[i], NULL);
    for (int i = 0; i < ITEMS; i++)
        EXPECT_EQ(atomic_load(&times[i]), 1);
}
