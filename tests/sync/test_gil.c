/* SPDX-License-Identifier: MIT */
/* The GIL: exclusion, who may do what, deadlines, cancellation, turns, and those that end with it.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <weft/gil.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

/* As for those who cannot inline it. */
static int (*volatile check)(weft_gil *gil) = weft_gil_check;

static weft_gil gil = WEFT_GIL_INIT;
static int inside; /* guarded by gil */
static long counter;
static atomic_int done;
static atomic_bool stop;

static weft_gil_counts counts(void)
{
    weft_gil_counts counts;
    weft_gil_counters(&gil, &counts);
    return counts;
}

static void expect_free(weft_gil *it)
{
    EXPECT_EQ(weft_gil_leave(it), -EPERM);
    EXPECT_EQ(weft_gil_enter(it, WEFT_NOW), 0);
    EXPECT_EQ(weft_gil_check(it), 0);
    EXPECT_EQ(weft_gil_leave(it), 0);
    EXPECT_EQ(weft_gil_leave(it), -EPERM);
}

TEST_IN_STRAND(a_new_one_is_free_however_it_is_made)
{
    static weft_gil by_macro = WEFT_GIL_INIT, by_loader;
    weft_gil by_init;
    memset(&by_init, 0xa5, sizeof by_init);
    weft_gil_init(&by_init, 0, true);
    expect_free(&by_macro);
    expect_free(&by_loader);
    expect_free(&by_init);
    EXPECT_EQ(sizeof(weft_gil), 256);
}

TEST_IN_STRAND(what_only_its_holder_may_do_is_refused_to_others)
{
    EXPECT_EQ(weft_gil_leave(&gil), -EPERM);
    EXPECT_EQ(weft_gil_check_waiting(&gil), -EPERM);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), -EDEADLK);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), -EDEADLK);
    EXPECT_EQ(weft_gil_check(&gil), 0);
    EXPECT_EQ(check(&gil), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    expect_free(&gil);
}

static void be_refused(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_gil_enter(&gil, weft_after(1)), -ETIMEDOUT);
    EXPECT_EQ(weft_gil_enter(&gil, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_gil_leave(&gil), -EPERM);
}

TEST(a_held_one_is_refused_until_the_deadline_and_stays_in_order)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    strands_join(strands_start(3, be_refused));
    EXPECT_EQ(counts().waits, 6);
    EXPECT_EQ(counts().switches, 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    expect_free(&gil);
}

static void check_without_holding(size_t index)
{
    int rc;
    (void)index;
    /* Nobody who does not hold it checks more often than a holder would before it looks. */
    for (int i = 0; (rc = weft_gil_check(&gil)) == 0 && i < 1000;)
        i++;
    EXPECT_EQ(rc, -EPERM);
    EXPECT_EQ(weft_gil_leave(&gil), -EPERM);
}

static void enter_and_count(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(inside++, 0);
    counter++;
    EXPECT_EQ(inside--, 1);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

TEST(a_check_of_another_is_refused_when_somebody_waits)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    struct strands *waiter = strands_start(1, enter_and_count);
    strands_until_asleep(waiter);
    strands_join(strands_start(1, check_without_holding));
    EXPECT_EQ(counter, 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    strands_join(waiter);
    EXPECT_EQ(counter, 1);
}

TEST(every_waiter_gets_it)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    struct strands *waiters = strands_start(8, enter_and_count);
    strands_until_asleep(waiters);
    EXPECT_EQ(counter, 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    strands_join(waiters);
    EXPECT_EQ(counter, 8);
    EXPECT_EQ(counts().waits, 8);
    EXPECT_EQ(counts().switches, 8);
    EXPECT_GT(counts().longest_wait_ns, 0);
    EXPECT_GT(counts().longest_hold_ns, 0);
    expect_free(&gil);
}

static size_t order[8];

static void note_turn(size_t index)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    order[counter++] = index;
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

static void note_first(size_t index)
{
    note_turn(index);
}

static void note_second(size_t index)
{
    note_turn(index + 1);
}

static void note_third(size_t index)
{
    note_turn(index + 2);
}

TEST(first_come_first_served)
{
    void (*const fns[])(size_t index) = { note_first, note_second, note_third };
    struct strands *waiters[3];
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    for (size_t i = 0; i < 3; i++) {
        waiters[i] = strands_start(1, fns[i]);
        strands_until_asleep(waiters[i]);
    }
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    for (size_t i = 0; i < 3; i++)
        strands_join(waiters[i]);
    for (size_t i = 0; i < 3; i++)
        EXPECT_EQ(order[i], i);
}

static void be_cancelled(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_gil_leave(&gil), -EPERM);
    atomic_fetch_add(&done, 1);
}

TEST(a_wait_can_be_cancelled_and_leaves_no_trace)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    struct strands *waiters = strands_start(4, be_cancelled);
    strands_until_asleep(waiters);
    strands_cancel_all(waiters);
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&done), 4);
    EXPECT_EQ(weft_gil_check(&gil), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    EXPECT_EQ(counts().switches, 0);
    expect_free(&gil);
}

static void enter_although_cancelled(size_t index)
{
    (void)index;
    UNTIL(weft_cancelled());
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0); /* it need not wait */
    EXPECT_EQ(weft_gil_check(&gil), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

TEST(what_need_not_wait_succeeds_although_cancelled)
{
    strands_must_be_cancellable();
    struct strands *one = strands_start(1, enter_although_cancelled);
    strands_cancel_all(one);
    strands_join(one);
}

static void give_up_by_scope(size_t index)
{
    weft_scope scope;
    (void)index;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

TEST(a_scope_ends_the_wait)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    strands_join(strands_start(2, give_up_by_scope));
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    expect_free(&gil);
}

/* ---- turns */

enum { COMPUTING = 4, TURNS = 8 };

static atomic_int turns[COMPUTING];

static bool all_have_had_their_turns(void)
{
    for (size_t i = 0; i < COMPUTING; i++)
        if (atomic_load(&turns[i]) < TURNS)
            return false;
    return true;
}

/* Computes until all have had their turns, which it only hears of by having some itself. */
static void compute(size_t index)
{
    static size_t last = SIZE_MAX; /* guarded by gil */
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    while (!all_have_had_their_turns()) {
        EXPECT_EQ(inside++, 0);
        counter++;
        if (last != index)
            atomic_fetch_add(&turns[index], 1);
        last = index;
        EXPECT_EQ(inside--, 1);
        EXPECT_EQ(weft_gil_check(&gil), 0);
    }
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

TEST(strands_that_compute_take_turns)
{
    weft_gil_init(&gil, 100 * WEFT_US, false);
    strands_join(strands_start(COMPUTING, compute));
    EXPECT_GE(counts().switches, COMPUTING * TURNS - 1);
    EXPECT_GT(counts().longest_hold_ns, 0);
    expect_free(&gil);
}

static void compute_until_stopped(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    atomic_store(&done, 1);
    while (!atomic_load(&stop)) {
        EXPECT_EQ(inside++, 0);
        EXPECT_EQ(inside--, 1);
        EXPECT_EQ(weft_gil_check(&gil), 0);
    }
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

/* With turns that never end: only what is lent gets anywhere. */
TEST(one_that_is_brief_need_not_wait_for_the_end_of_a_turn)
{
    weft_gil_init(&gil, INT64_C(1000) * WEFT_S, false);
    struct strands *computing = strands_start(1, compute_until_stopped);
    UNTIL(atomic_load(&done));
    for (int i = 0; i < 100; i++)
        enter_and_count(0);
    atomic_store(&stop, true);
    strands_join(computing);
    EXPECT_EQ(counter, 100);
    expect_free(&gil);
}

/* ---- several */

static weft_gil many[WEFT_GILS_MAX + 1];

TEST_IN_STRAND(a_strand_may_hold_several_up_to_a_limit_and_leave_them_in_any_order)
{
    for (size_t i = 0; i < WEFT_GILS_MAX; i++)
        EXPECT_EQ(weft_gil_enter(&many[i], WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_enter(&many[WEFT_GILS_MAX], WEFT_FOREVER), -EMFILE);
    EXPECT_EQ(weft_gil_enter(&many[0], WEFT_FOREVER), -EDEADLK);
    for (size_t i = 0; i < WEFT_GILS_MAX; i += 2)
        EXPECT_EQ(weft_gil_leave(&many[i]), 0);
    for (size_t i = 0; i < WEFT_GILS_MAX; i += 2)
        EXPECT_EQ(weft_gil_leave(&many[i]), -EPERM);
    for (size_t i = 1; i < WEFT_GILS_MAX; i += 2)
        EXPECT_EQ(weft_gil_leave(&many[i]), 0);
    for (size_t i = 0; i <= WEFT_GILS_MAX; i++)
        expect_free(&many[i]);
}

static void compute_with_two(size_t index)
{
    static size_t last = SIZE_MAX; /* guarded by many[1], which all have */
    EXPECT_EQ(weft_gil_enter(&many[0], WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_enter(&many[1], WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(&many[0]), 0);
    while (!all_have_had_their_turns()) {
        EXPECT_EQ(inside++, 0);
        if (last != index)
            atomic_fetch_add(&turns[index], 1);
        last = index;
        EXPECT_EQ(inside--, 1);
        EXPECT_EQ(weft_gil_check(&many[1]), 0);
        if (weft_gil_enter(&many[0], WEFT_NOW) == 0) { /* now inside of the other */
            EXPECT_EQ(inside++, 0);
            EXPECT_EQ(inside--, 1);
            EXPECT_EQ(weft_gil_leave(&many[0]), 0);
        }
    }
    EXPECT_EQ(weft_gil_leave(&many[1]), 0);
}

TEST(turns_of_two_that_are_held_at_times_together)
{
    weft_gil_init(&many[0], 50 * WEFT_US, false);
    weft_gil_init(&many[1], 100 * WEFT_US, false);
    strands_join(strands_start(COMPUTING, compute_with_two));
    expect_free(&many[0]);
    expect_free(&many[1]);
}

static void wait_for_first(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&many[0], WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_enter(&many[1], WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(&many[1]), 0);
    EXPECT_EQ(weft_gil_leave(&many[0]), 0);
}

/* Else each would wait for what the other has. */
TEST(a_check_of_the_first_lets_nobody_have_it_while_the_second_is_held)
{
    EXPECT_EQ(weft_gil_enter(&many[0], WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_enter(&many[1], WEFT_FOREVER), 0);
    struct strands *waiter = strands_start(1, wait_for_first);
    strands_until_asleep(waiter);
    for (int i = 0; i < 1000; i++)
        EXPECT_EQ(weft_gil_check(&many[0]), 0);
    EXPECT_EQ(weft_gil_leave(&many[1]), 0);
    EXPECT_EQ(weft_gil_leave(&many[0]), 0);
    strands_join(waiter);
}
