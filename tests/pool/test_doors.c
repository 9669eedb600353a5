/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong before a worker's first call and after its last, in enter and in leave, costs no
 * call; by an error, an exit, a crash, or by never ending.
 */
#include <stdatomic.h>

#include <weft.h>

#include "calls.h"
#include "dying.h"
#include "kinds.h"

struct door {
    atomic_int to_fail, entered, left;
    enum way way; /* LIVE: an error */
};

static int enter_badly(weft_call *call, void **ret_worker)
{
    struct door *door = *(struct door *const *)call->context;
    *ret_worker = door;
    atomic_fetch_add(&door->entered, 1);
    if (atomic_fetch_sub(&door->to_fail, 1) <= 0)
        return 0;
    die_by(door->way);
    return weft_call_fail(call, -EACCES, "no entry");
}

static void leave_badly(void *worker)
{
    struct door *door = worker;
    atomic_fetch_add(&door->left, 1);
    die_by(door->way);
}

/* Has calls go through a pool whose door fails so many times when it is entered. */
static void use_door(struct door *door, int to_fail, const weft_options *options)
{
    enum { CALLS = 30 };
    weft_future *futures[CALLS];
    weft_pool *pool;
    atomic_store(&door->to_fail, to_fail);
    atomic_store(&door->entered, 0);
    atomic_store(&door->left, 0);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, options), 0);
    for (int i = 0; i < CALLS; i++)
        futures[i] = submit(pool, square, i);
    for (int i = 0; i < CALLS; i++)
        expect_square(futures[i], i);
    weft_pool_close(pool);
}

static const enum way ways_of_doors[] = { LIVE, EXIT_3, SEGFAULT, ABORT, KILL_ITSELF };

TEST_PROCESSES(whatever_happens_in_enter_costs_no_call)
{
    struct door *door = weft_shared_alloc(sizeof *door);
    weft_options options = {
        .workers = 2,
        .enter = enter_badly,
        .context = &door,
        .context_bytes = sizeof door,
    };
    (void)kind;
    leave_no_cores();
    for (size_t i = 0; i < sizeof ways_of_doors / sizeof *ways_of_doors; i++) {
        door->way = ways_of_doors[i];
        use_door(door, 4, &options);
        EXPECT_GE(atomic_load(&door->entered), 5);
    }
    weft_shared_free(door);
}

/* Each worker runs three calls, leaves, and dies of that: the calls were good. */
TEST_PROCESSES(whatever_happens_in_leave_costs_no_call)
{
    struct door *door = weft_shared_alloc(sizeof *door);
    weft_options options = {
        .workers = 2,
        .calls_per_worker_max = 3,
        .enter = enter_badly,
        .leave = leave_badly,
        .context = &door,
        .context_bytes = sizeof door,
    };
    (void)kind;
    leave_no_cores();
    for (size_t i = 0; i < sizeof ways_of_doors / sizeof *ways_of_doors; i++) {
        door->way = ways_of_doors[i];
        use_door(door, 0, &options);
        EXPECT_GE(atomic_load(&door->left), 10);
    }
    weft_shared_free(door);
}

static void leave_never(void *worker)
{
    (void)worker;
    (void)signal(SIGTERM, SIG_IGN);
    for (;;)
        pause();
}

TEST_PROCESSES(a_worker_that_never_leaves_is_killed_after_the_grace)
{
    weft_pool *pool;
    weft_options options = { .workers = 2, .leave = leave_never, .grace_ns = 5 * WEFT_MS };
    (void)kind;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    expect_square(submit(pool, square, 4), 4);
    weft_pool_close(pool);
}
