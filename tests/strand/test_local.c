/* SPDX-License-Identifier: MIT */
/* Strand-local storage: each strand its own value, dropped in it when it ends. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <weft/self.h>

#include "harness.h"
#include "strands.h"

#define KEYS 64

static weft_local *local, *second, *third;
static atomic_int drops;
static uint64_t dropped_in[16];
static int order[16];

static void count_drop(void *value)
{
    int n = atomic_fetch_add(&drops, 1);
    order[n] = *(int *)value;
    dropped_in[n] = weft_self_id();
}

TEST(a_value_is_null_until_it_is_set)
{
    int value = 1;
    EXPECT_EQ(weft_local_open(&local, NULL), 0);
    EXPECT_TRUE(weft_local_get(local) == NULL);
    EXPECT_EQ(weft_local_set(local, &value), 0);
    EXPECT_TRUE(weft_local_get(local) == &value);
    EXPECT_EQ(weft_local_set(local, NULL), 0);
    EXPECT_TRUE(weft_local_get(local) == NULL);
    weft_local_close(local);
    weft_local_close(NULL);
}

static int values[8];

static void set_own(size_t index)
{
    EXPECT_TRUE(weft_local_get(local) == NULL);
    EXPECT_EQ(weft_local_set(local, &values[index]), 0);
    for (int i = 0; i < 100; i++) {
        strands_yield();
        EXPECT_TRUE(weft_local_get(local) == &values[index]);
    }
}

TEST(each_strand_has_its_own)
{
    EXPECT_EQ(weft_local_open(&local, NULL), 0);
    EXPECT_EQ(weft_local_set(local, &drops), 0);
    strands_join(strands_start(8, set_own));
    EXPECT_TRUE(weft_local_get(local) == &drops);
    weft_local_close(local);
}

TEST(the_old_value_is_not_dropped_by_a_new_one_nor_by_closing)
{
    int value = 1;
    EXPECT_EQ(weft_local_open(&local, count_drop), 0);
    EXPECT_EQ(weft_local_set(local, &value), 0);
    EXPECT_EQ(weft_local_set(local, &value), 0);
    weft_local_close(local);
    EXPECT_EQ(atomic_load(&drops), 0);
}

static atomic_uint_least64_t setter;
static int one = 1, two = 2, three = 3;

static void set_three(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_local_set(second, &two), 0);
    EXPECT_EQ(weft_local_set(local, &one), 0);
    EXPECT_EQ(weft_local_set(third, &three), 0);
    atomic_store(&setter, weft_self_id());
}

TEST(values_are_dropped_at_the_end_of_the_strand_in_it_the_last_key_first)
{
    EXPECT_EQ(weft_local_open(&local, count_drop), 0);
    EXPECT_EQ(weft_local_open(&second, count_drop), 0);
    EXPECT_EQ(weft_local_open(&third, count_drop), 0);
    strands_join(strands_start(1, set_three));
    EXPECT_EQ(atomic_load(&drops), 3);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(order[i], 3 - i);
        EXPECT_EQ(dropped_in[i], atomic_load(&setter));
    }
    weft_local_close(local);
    weft_local_close(second);
    weft_local_close(third);
}

static void set_null_again(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_local_set(local, &one), 0);
    EXPECT_EQ(weft_local_set(local, NULL), 0);
}

TEST(a_value_that_was_unset_is_not_dropped)
{
    EXPECT_EQ(weft_local_open(&local, count_drop), 0);
    strands_join(strands_start(2, set_null_again));
    EXPECT_EQ(atomic_load(&drops), 0);
    weft_local_close(local);
}

static void set_another(void *value)
{
    EXPECT_TRUE(value == &one);
    EXPECT_TRUE(weft_local_get(local) == NULL);
    EXPECT_EQ(weft_local_set(second, &two), 0);
}

static void set_one(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_local_set(local, &one), 0);
}

TEST(a_value_that_a_drop_sets_is_dropped_too)
{
    EXPECT_EQ(weft_local_open(&local, set_another), 0);
    EXPECT_EQ(weft_local_open(&second, count_drop), 0);
    strands_join(strands_start(1, set_one));
    EXPECT_EQ(atomic_load(&drops), 1);
    EXPECT_EQ(order[0], 2);
    weft_local_close(local);
    weft_local_close(second);
}

TEST(there_are_so_many_keys_and_no_more)
{
    weft_local *keys[KEYS], *extra = NULL;
    for (int i = 0; i < KEYS; i++)
        EXPECT_EQ(weft_local_open(&keys[i], NULL), 0);
    EXPECT_EQ(weft_local_open(&extra, NULL), -EAGAIN);
    EXPECT_TRUE(extra == NULL);
    weft_local_close(keys[17]);
    EXPECT_EQ(weft_local_open(&keys[17], NULL), 0);
    for (int i = 0; i < KEYS; i++)
        weft_local_close(keys[i]);
}

TEST(a_new_key_does_not_see_the_values_of_a_closed_one)
{
    for (int i = 0; i < 2 * KEYS; i++) {
        EXPECT_EQ(weft_local_open(&local, count_drop), 0);
        EXPECT_TRUE(weft_local_get(local) == NULL);
        EXPECT_EQ(weft_local_set(local, &one), 0);
        weft_local_close(local);
    }
    EXPECT_EQ(atomic_load(&drops), 0);
}

static void *foreign(void *unused)
{
    (void)unused;
    set_one(0);
    return NULL;
}

TEST(a_thread_that_weft_did_not_make_drops_its_values_when_it_exits)
{
    pthread_t thread;
    EXPECT_EQ(weft_local_open(&local, count_drop), 0);
    EXPECT_EQ(pthread_create(&thread, NULL, foreign, NULL), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    EXPECT_EQ(atomic_load(&drops), 1);
    weft_local_close(local);
}
