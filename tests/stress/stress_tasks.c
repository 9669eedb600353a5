/* SPDX-License-Identifier: MIT */
/*
 * A million tasks at once. Each sleeps in the timers' heap of its worker; every other one until a
 * moment in the next seconds, the rest until they are cancelled. None may be lost, none may end
 * twice, and what they took must come back.
 */
#include <errno.h>
#include <stdatomic.h>

#include <weft/group.h>
#include <weft/self.h>

#include "room.h"
#include "stress.h"
#include "workers.h"

/* What a task needs, page tables and all, with room to spare; ThreadSanitizer knows 8000 threads.
 */
enum { BYTES_EACH = 6 << 10, SANITIZED_MAX = 5000, ALL = 1000000 };

static uint64_t seed;
static atomic_int asleep, slept, cancelled;

static int sleep_long_or_short(weft_call *call)
{
    struct dice dice = dice_of(seed, call->index);
    bool for_ever = call->index % 2;
    weft_deadline end =
        weft_after(for_ever ? 3600 * WEFT_S : (int64_t)dice_below(&dice, 3 * WEFT_S));
    atomic_fetch_add(&asleep, 1);
    int rc = weft_sleep_until(end);
    EXPECT_EQ(rc, for_ever ? -ECANCELED : 0);
    if (!for_ever)
        EXPECT_EQ(weft_left(end), 0);
    atomic_fetch_add(for_ever ? &cancelled : &slept, 1);
    return 0;
}

static int how_many(void)
{
    if (HARNESS_SANITIZED || HARNESS_EMULATED)
        return SANITIZED_MAX;
    uint64_t room = room_free();
    if (room < (uint64_t)ALL * BYTES_EACH)
        SKIP("%llu MiB of memory are too few for a million tasks",
             (unsigned long long)(room >> 20));
    return ALL;
}

static void sleep_all(int n)
{
    weft_group *g;
    atomic_store(&asleep, 0);
    atomic_store(&slept, 0);
    atomic_store(&cancelled, 0);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    for (int i = 0; i < n; i++) {
        int rc = weft_group_start(g, sleep_long_or_short, NULL, 0);
        if (rc == -ENOMEM) {
            weft_group_close(g);
            SKIP("this system has no room for the stack of task %d", i);
        }
        EXPECT_EQ(rc, 0);
    }
    UNTIL(atomic_load(&asleep) == n);
    UNTIL(atomic_load(&slept) == n / 2);
    EXPECT_EQ(atomic_load(&cancelled), 0);
    weft_group_cancel(g);
    weft_group_close(g);
    EXPECT_EQ(atomic_load(&cancelled), n / 2);
    EXPECT_EQ(atomic_load(&slept), n / 2);
}

TEST(a_million_tasks_sleep_at_once_and_all_wake_up)
{
    int n = how_many();
    seed = stress_seed();
    workers_make_all();
    DESCRIPTORS_COUNT_FROM_HERE();
    sleep_all(n);
}

TEST(bursts_of_sleeping_tasks_leave_nothing_behind)
{
    seed = stress_seed();
    workers_make_all();
    DESCRIPTORS_COUNT_FROM_HERE();
    sleep_all(SANITIZED_MAX);
    struct room before = room_used();
    for (int i = 0; i < 3; i++)
        sleep_all(SANITIZED_MAX);
    room_expect_no_growth(before);
}
