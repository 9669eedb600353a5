/* SPDX-License-Identifier: MIT */
/* Locks and rlocks exclude, whichever way they are taken, given up, handed over and dropped. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/rlock.h>
#include <weft/self.h>

#include "stress.h"

#define STRANDS 8

static uint64_t seed;
static weft_deadline end;
static weft_lock lock = WEFT_LOCK_INIT;
static weft_rlock rlock = WEFT_RLOCK_INIT;
static long counter, inside; /* guarded by the lock of the test */
static atomic_long expected, gave_up;

static void work_inside(struct dice *dice)
{
    EXPECT_EQ(inside++, 0);
    counter++;
    for (uint64_t i = dice_below(dice, 64); i > 0; i--)
        __asm__ volatile("" ::: "memory");
    if (dice_below(dice, 64) == 0)
        strands_yield();
    EXPECT_EQ(inside--, 1);
}

static bool take(struct dice *dice)
{
    if (dice_below(dice, 2)) {
        weft_lock_lock(&lock);
        return true;
    }
    int rc = weft_lock_acquire(&lock, dice_deadline(dice));
    if (rc != 0)
        EXPECT_EQ(rc, -ETIMEDOUT);
    return rc == 0;
}

static void use_lock(size_t index)
{
    struct dice dice = dice_of(seed, index);
    long mine = 0;
    while (weft_left(end) > 0) {
        if (!take(&dice)) {
            atomic_fetch_add(&gave_up, 1);
            continue;
        }
        work_inside(&dice);
        mine++;
        EXPECT_EQ(weft_lock_release(&lock), 0);
    }
    atomic_fetch_add(&expected, mine);
    EXPECT_GT(mine, 0); /* nobody starved */
}

TEST(a_lock_excludes_and_starves_nobody)
{
    seed = stress_seed();
    end = stress_end();
    strands_join(strands_start(STRANDS, use_lock));
    EXPECT_EQ(counter, atomic_load(&expected));
    EXPECT_FALSE(weft_lock_locked(&lock));
    EXPECT_EQ(weft_lock_release(&lock), -EPERM);
}

static void use_rlock(size_t index)
{
    struct dice dice = dice_of(seed, index);
    long mine = 0;
    while (weft_left(end) > 0) {
        if (weft_rlock_acquire(&rlock, dice_deadline(&dice)) != 0)
            continue;
        uint32_t depth = 1 + (uint32_t)dice_below(&dice, 3);
        for (uint32_t i = 1; i < depth; i++)
            weft_rlock_lock(&rlock);
        EXPECT_EQ(weft_rlock_depth(&rlock), depth);
        work_inside(&dice);
        mine++;
        while (depth-- > 0)
            EXPECT_EQ(weft_rlock_release(&rlock), 0);
        EXPECT_EQ(weft_rlock_release(&rlock), -EPERM);
    }
    atomic_fetch_add(&expected, mine);
}

TEST(an_rlock_excludes_and_counts)
{
    seed = stress_seed();
    end = stress_end();
    strands_join(strands_start(STRANDS, use_rlock));
    EXPECT_EQ(counter, atomic_load(&expected));
    EXPECT_FALSE(weft_rlock_locked(&rlock));
}

/* Releases go to whoever is next, from a strand that never took it. */
static atomic_long turns;

static void take_only(size_t index)
{
    (void)index;
    while (weft_left(end) > 0) {
        if (weft_lock_acquire(&lock, weft_after(WEFT_MS)) == 0)
            atomic_fetch_add(&turns, 1);
    }
}

static void release_only(size_t index)
{
    long seen = 0;
    (void)index;
    while (weft_left(end) > 0) {
        if (atomic_load(&turns) == seen) {
            strands_yield();
            continue;
        }
        seen++;
        EXPECT_EQ(weft_lock_release(&lock), 0);
    }
}

TEST(a_lock_may_be_released_by_a_strand_that_never_takes_it)
{
    seed = stress_seed();
    end = stress_end();
    struct strands *takers = strands_start(3, take_only);
    struct strands *releaser = strands_start(1, release_only);
    strands_join(takers);
    strands_join(releaser);
}

/* An object with its lock inside, freed by the last that holds a reference: its release must not
 * touch the lock any more once another could have taken it. */
struct object {
    weft_lock lock;
    int references; /* guarded by lock */
};

static struct object *_Atomic shared[STRANDS / 2];

static void drop(struct object *object)
{
    weft_lock_lock(&object->lock);
    bool last = --object->references == 0;
    EXPECT_EQ(weft_lock_release(&object->lock), 0);
    if (last) {
        memset(object, 0x5a, sizeof *object);
        free(object);
    }
}

static void drop_what_is_shared(size_t index)
{
    while (weft_left(end) > 0) {
        struct object *object = atomic_exchange(&shared[index / 2], NULL);
        if (object) {
            drop(object);
            continue;
        }
        object = calloc(1, sizeof *object);
        object->references = 2;
        struct object *left = atomic_exchange(&shared[index / 2], object);
        drop(object);
        if (left)
            drop(left);
    }
}

TEST(an_object_may_be_freed_by_the_last_to_release_the_lock_inside_it)
{
    seed = stress_seed();
    end = stress_end();
    strands_join(strands_start(STRANDS, drop_what_is_shared));
    for (int i = 0; i < STRANDS / 2; i++)
        if (atomic_load(&shared[i]))
            free(atomic_load(&shared[i]));
}
