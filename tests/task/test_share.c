/* SPDX-License-Identifier: MIT */
/*
 * How unstarted tasks find a worker, in orders of events that hardly ever come by themselves: this
 * file has its own share.c, and steps in just before a store to one of its marks. Reactors are
 * played; all "workers" are this one thread.
 */
#include "base/atomic.h"

/* What happens just before the next store to a word, once. */
static const void *stepped_in_at;
static void (*step_in)(void);

static void before_store(const void *word)
{
    void (*step)(void) = step_in;
    if (word != stepped_in_at || !step)
        return;
    step_in = 0;
    step();
}

#undef store_seq_cst
#define store_seq_cst(p, v) (before_store(p), __atomic_store_n((p), (v), __ATOMIC_SEQ_CST))

#include "../../src/task/share.c" /* NOLINT(bugprone-suspicious-include): see above */

#include "harness.h"

static struct worker crew[3];
static struct task first, second;
static unsigned wakes;
static void (*while_asleep)(void);

static void play_wake(struct reactor *reactor)
{
    (void)reactor;
    wakes++;
}

static int play_wait(struct reactor *reactor, weft_deadline deadline)
{
    (void)reactor;
    (void)deadline;
    if (while_asleep)
        while_asleep();
    return 0;
}

static const struct reactor_ops played = { .wake = play_wake, .wait = play_wait };
static struct reactor reactor = { .ops = &played };

static bool make_none(void)
{
    FAIL("there are as many workers as there may be");
}

static void assemble(unsigned n)
{
    share_init(n, make_none);
    for (unsigned i = 0; i < n; i++) {
        crew[i].number = i;
        crew[i].reactor = &reactor;
        crew[i].ready_end = &crew[i].ready;
        share_join(&crew[i]);
    }
}

/* What worker_pass() does besides. */
static void wake_for_its_own(struct worker *worker)
{
    uint32_t asleep = WORKER_ASLEEP;
    EXPECT_TRUE(cas_acq_rel(&worker->asleep, &asleep, WORKER_AWAKE));
}

static void run_the_first_and_sleep_when_the_second_comes(void)
{
    share_rouse(&crew[0]);
    EXPECT_TRUE(share_take_old(&crew[0]) == &first);
    EXPECT_TRUE(share_doze(&crew[0]));
    share_put(NULL, &second);
}

TEST(two_who_put_at_the_same_time_do_not_rely_on_each_other)
{
    assemble(1);
    EXPECT_TRUE(share_doze(&crew[0]));
    wake_for_its_own(&crew[0]);
    stepped_in_at = &searching;
    step_in = run_the_first_and_sleep_when_the_second_comes;
    share_put(NULL, &first);
    EXPECT_TRUE(step_in == NULL);
    EXPECT_EQ(crew[0].asleep, WORKER_WOKEN_TO_SEARCH);
    EXPECT_EQ(wakes, 1);
}

static void leave_a_lone_task_and_give_the_watcher_something_of_its_own(void)
{
    while_asleep = NULL;
    share_put(&crew[1], &first);
    EXPECT_EQ(wakes, 0); /* the watcher would find it */
    crew[0].ready = &second;
}

TEST(a_watcher_that_gets_something_else_to_do_passes_its_watch_on)
{
    assemble(3);
    EXPECT_TRUE(share_doze(&crew[2]));
    while_asleep = leave_a_lone_task_and_give_the_watcher_something_of_its_own;
    EXPECT_FALSE(share_sleep(&crew[0], WEFT_FOREVER));
    EXPECT_EQ(crew[2].asleep, WORKER_WOKEN_TO_SEARCH);
}

static void leave_a_lone_task(void)
{
    while_asleep = NULL;
    share_put(&crew[1], &first);
}

TEST(a_watcher_whose_time_is_up_looks_itself)
{
    assemble(3);
    EXPECT_TRUE(share_doze(&crew[2]));
    while_asleep = leave_a_lone_task;
    EXPECT_TRUE(share_sleep(&crew[0], WEFT_FOREVER));
    EXPECT_EQ(wakes, 0);
    EXPECT_TRUE(share_take(&crew[0], true) == &first);
}

TEST(nobody_spins_while_one_who_was_woken_is_on_its_way)
{
    assemble(3);
    EXPECT_TRUE(share_doze(&crew[2]));
    share_put(&crew[1], &first);
    share_put(&crew[1], &second);
    EXPECT_EQ(crew[2].asleep, WORKER_WOKEN_TO_SEARCH);
    EXPECT_TRUE(share_take(&crew[0], false) == NULL); /* somebody is looking */
    EXPECT_TRUE(share_sleep(&crew[0], WEFT_FOREVER)); /* but not yet */
    EXPECT_TRUE(share_take(&crew[0], true) == &first);
}

static struct task many[4];

TEST(a_workers_oldest_task_has_its_turn_whatever_comes_from_outside)
{
    assemble(1);
    share_put(&crew[0], &first);
    for (unsigned i = 0; i < 4; i++)
        share_put(NULL, &many[i]);
    EXPECT_TRUE(share_take_old(&crew[0]) == &many[0]);
    crew[0].old_since_ns -= OLD_NS; /* time passes */
    EXPECT_TRUE(share_take_old(&crew[0]) == &first);
    EXPECT_TRUE(share_take_old(&crew[0]) == &many[1]);
}

/* ---- workers that cannot be made */

static bool has_room;
static unsigned asked;

static bool make_if_there_is_room(void)
{
    asked++;
    if (!has_room)
        return false;
    crew[1].number = 1;
    crew[1].reactor = &reactor;
    share_join(&crew[1]);
    return true;
}

/* One worker, which computes, of two that there may be. */
static void assemble_one_of_two(void)
{
    assemble(1);
    share_init(2, make_if_there_is_room);
}

static void put(unsigned n)
{
    static struct task more[2000];
    static unsigned i;
    while (n--)
        share_put(NULL, &more[i++]);
}

TEST(a_worker_that_could_not_be_made_is_asked_for_again_but_more_and_more_rarely)
{
    assemble_one_of_two();
    put(1);
    EXPECT_EQ(asked, 1);
    for (unsigned pause = REFUSED_MIN; pause <= 8 * REFUSED_MIN; pause *= 2) {
        unsigned before = asked;
        put(pause - 1);
        EXPECT_EQ(asked, before);
        put(1);
        EXPECT_EQ(asked, before + 1);
    }
}

TEST(a_worker_that_could_not_be_made_is_made_when_there_is_room)
{
    assemble_one_of_two();
    put(1);
    has_room = true;
    put(REFUSED_MIN);
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(share_workers(), 2);
    put(2 * REFUSED_MIN);
    EXPECT_EQ(asked, 2); /* there are as many as there may be */
}

TEST(a_worker_with_much_to_do_asks_for_another_though_nothing_is_put)
{
    assemble_one_of_two();
    put(2);
    EXPECT_EQ(asked, 1);
    has_room = true;
    EXPECT_TRUE(share_take_old(&crew[0]) != NULL);
    EXPECT_EQ(asked, 2);
}

TEST(a_worker_with_nothing_to_do_asks_for_no_other)
{
    assemble_one_of_two();
    put(1);
    EXPECT_TRUE(share_take(&crew[0], false) != NULL);
    for (int i = 0; i < 10; i++)
        EXPECT_TRUE(share_take_old(&crew[0]) == NULL);
    EXPECT_EQ(asked, 1);
}
