/* SPDX-License-Identifier: MIT */
/*
 * Processes that die while they hold, wait for, or were just given something in shared memory: the
 * others are told, and nobody sleeps for ever.
 */
#include <signal.h>
#include <stdio.h>

#include "dying.h"

/* ---- locks */

static void hold_the_lock(size_t index)
{
    (void)index;
    weft_lock_lock(&shared->lock);
    sleep_for_ever();
}

static void die_with_the_lock(void)
{
    kill_one(start_one(hold_the_lock));
    EXPECT_TRUE(weft_lock_locked(&shared->lock));
}

TEST(who_takes_a_dead_owners_lock_is_told_until_somebody_recovers_it)
{
    die_with_the_lock();
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_NOW), -EOWNERDEAD);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    EXPECT_FALSE(weft_lock_locked(&shared->lock));
    EXPECT_EQ(weft_lock_recover(&shared->lock), -EINVAL);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_FOREVER), -EOWNERDEAD);
    EXPECT_EQ(weft_lock_recover(&shared->lock), 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_NOW), 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), -EPERM);
}

TEST(a_lock_whose_owner_died_can_be_taken_without_asking)
{
    die_with_the_lock();
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_NOW), -EOWNERDEAD);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

static void count_up(size_t index)
{
    (void)index;
    int rc = weft_lock_acquire(&shared->lock, WEFT_FOREVER);
    if (rc == -EOWNERDEAD) {
        atomic_fetch_add(&shared->told, 1);
        rc = weft_lock_recover(&shared->lock);
    }
    EXPECT_EQ(rc, 0);
    shared->counter++;
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(the_death_of_an_owner_wakes_those_that_wait)
{
    struct strands *owner = start_one(hold_the_lock);
    struct strands *waiters = strands_start(N, count_up);
    strands_until_asleep(waiters);
    kill_one(owner);
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&shared->told), 1);
    EXPECT_EQ(shared->counter, N);
}

TEST(a_waiter_that_dies_asleep_is_passed_over)
{
    struct strands *line[2];
    weft_lock_lock(&shared->lock);
    start_line(line, count_up);
    kill_one(line[0]);
    strands_until_asleep(line[1]);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    strands_join(line[1]);
    EXPECT_EQ(shared->counter, N - 1);
    EXPECT_EQ(atomic_load(&shared->told), 0);
}

TEST(a_waiter_that_dies_awake_does_not_keep_the_wake_up)
{
    struct strands *line[2];
    weft_lock_lock(&shared->lock);
    start_line(line, count_up);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    kill_one(line[0]);
    strands_join(line[1]);
    EXPECT_GE(shared->counter, N - 1);
}

static void take_the_lock_and_return(size_t index)
{
    (void)index;
    weft_lock_lock(&shared->lock);
}

TEST(a_process_that_ends_by_itself_is_as_dead)
{
    strands_must_be_processes();
    strands_join(strands_start(1, take_the_lock_and_return));
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_FOREVER), -EOWNERDEAD);
}

static void own_thrice(size_t index)
{
    (void)index;
    for (int i = 0; i < 3; i++)
        weft_rlock_lock(&shared->rlock);
    sleep_for_ever();
}

TEST(an_rlock_passes_on_whatever_its_depth)
{
    kill_one(start_one(own_thrice));
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_recover(&shared->rlock), -EINVAL);
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, WEFT_FOREVER), -EOWNERDEAD);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 1);
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_rlock_recover(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_acquire(&shared->rlock, WEFT_NOW), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
}

/* ---- conditions */

static bool has_counted(void *ctx)
{
    return *(int *)ctx > 0;
}

static void wait_for_a_count(size_t index)
{
    (void)index;
    weft_lock_lock(&shared->lock);
    EXPECT_EQ(weft_condition_wait_for(&shared->changed, &shared->lock, has_counted,
                                      &shared->counter, WEFT_FOREVER),
              0);
    shared->counter--;
    atomic_fetch_add(&shared->got, 1);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

static void give_counts(int n)
{
    weft_lock_lock(&shared->lock);
    shared->counter += n;
    weft_condition_notify(&shared->changed, (uint32_t)n);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(a_notify_is_not_spent_on_the_dead)
{
    struct strands *line[2];
    start_line(line, wait_for_a_count);
    kill_one(line[0]);
    strands_until_asleep(line[1]);
    give_counts(N - 1);
    strands_join(line[1]);
    EXPECT_EQ(shared->counter, 0);
}

static void give_a_count(void)
{
    give_counts(1);
}

static size_t counts_left(void)
{
    weft_lock_lock(&shared->lock);
    size_t left = (size_t)shared->counter;
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
    return left;
}

TEST(a_notify_does_not_die_with_the_notified)
{
    struct strands *line[2];
    start_line(line, wait_for_a_count);
    give_and_kill(line, give_a_count, counts_left);
    EXPECT_GE(atomic_load(&shared->got), N - 1);
}

static void wait_and_find_the_owner_dead(size_t index)
{
    (void)index;
    weft_lock_lock(&shared->lock);
    int rc;
    do
        rc = weft_condition_wait(&shared->changed, &shared->lock, WEFT_FOREVER);
    while (rc == 0);
    EXPECT_EQ(rc, -EOWNERDEAD);
    EXPECT_EQ(weft_lock_recover(&shared->lock), 0);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(who_takes_the_lock_again_after_a_wait_is_told_too)
{
    struct strands *waiter = start_one(wait_and_find_the_owner_dead);
    kill_one(start_one(hold_the_lock));
    strands_join(waiter);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_NOW), 0);
}

/* ---- semaphores, events */

static void take_a_permit(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->got, 1);
}

static void give_a_permit(void)
{
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
}

static size_t permits_left(void)
{
    return weft_semaphore_value(&shared->permits);
}

TEST(a_permit_does_not_die_with_one_that_was_woken_for_it)
{
    struct strands *line[2];
    start_line(line, take_a_permit);
    give_and_kill(line, give_a_permit, permits_left);
    EXPECT_GE(atomic_load(&shared->got), N - 1);
}

static void take_a_permit_for_ever(size_t index)
{
    take_a_permit(index);
    sleep_for_ever();
}

TEST(a_permit_that_was_taken_is_not_given_back)
{
    EXPECT_EQ(weft_semaphore_release(&shared->permits, 3), 0);
    kill_one(start_one(take_a_permit_for_ever));
    EXPECT_EQ(weft_semaphore_value(&shared->permits), 2);
}

static void see_the_event(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->got, 1);
}

TEST(deaths_do_not_set_events)
{
    struct strands *line[2];
    start_line(line, see_the_event);
    kill_one(line[0]);
    strands_until_asleep(line[1]);
    EXPECT_EQ(atomic_load(&shared->got), 0);
    weft_event_set(&shared->event);
    strands_join(line[1]);
    EXPECT_EQ(atomic_load(&shared->got), N - 1);
}

/* ---- barriers */

static void come_to_the_barrier(size_t index)
{
    (void)index;
    int rc = weft_barrier_wait(&shared->barrier, WEFT_FOREVER);
    if (rc < 0)
        EXPECT_EQ(rc, -EPIPE);
    atomic_fetch_add(rc < 0 ? &shared->broken : &shared->passed, 1);
}

TEST(a_party_that_dies_while_it_is_counted_breaks_the_barrier)
{
    struct strands *line[2];
    strands_must_be_processes();
    weft_barrier_init(&shared->barrier, N + 1, NULL, NULL);
    start_line(line, come_to_the_barrier);
    kill_one(line[0]);
    strands_join(line[1]);
    EXPECT_EQ(atomic_load(&shared->broken), N - 1);
    EXPECT_TRUE(weft_barrier_broken(&shared->barrier));
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
    weft_barrier_reset(&shared->barrier);
    struct strands *all = strands_start(N + 1, come_to_the_barrier);
    strands_join(all);
    EXPECT_EQ(atomic_load(&shared->passed), N + 1);
}

TEST(the_next_to_come_finds_that_a_party_has_died_alone)
{
    strands_must_be_processes();
    weft_barrier_init(&shared->barrier, 2, NULL, NULL);
    kill_one(start_one(come_to_the_barrier));
    EXPECT_EQ(weft_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
}

static int die_in_the_action(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&shared->runs, 1);
    sleep_for_ever();
    return 0;
}

TEST(a_death_in_the_action_breaks_the_barrier)
{
    strands_must_be_processes();
    weft_barrier_init(&shared->barrier, N, die_in_the_action, NULL);
    struct strands *waiters = strands_start(N - 1, come_to_the_barrier);
    strands_until_asleep(waiters);
    struct strands *last = start_one(come_to_the_barrier);
    UNTIL(atomic_load(&shared->runs) == 1);
    kill_one(last);
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&shared->broken), N - 1);
}

/* ---- once */

static int load_slowly_at_first(void *ctx)
{
    (void)ctx;
    if (atomic_fetch_add(&shared->runs, 1) == 0)
        sleep_for_ever();
    return 0;
}

static void run_once(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_once_run(&shared->once, load_slowly_at_first, NULL), 0);
}

TEST(what_a_dead_one_was_doing_once_is_done_again)
{
    struct strands *line[2];
    start_line(line, run_once);
    kill_one(line[0]);
    strands_join(line[1]);
    EXPECT_EQ(atomic_load(&shared->runs), 2);
    EXPECT_EQ(weft_once_run(&shared->once, load_slowly_at_first, NULL), 0);
    EXPECT_EQ(atomic_load(&shared->runs), 2);
}

/* ---- the zygote */

static int hold_in_a_process(weft_call *call)
{
    shared = call->pointer;
    hold_the_lock(0);
    return 0;
}

static void start_another(size_t index)
{
    weft_group *group;
    (void)index;
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, NULL), 0);
    EXPECT_EQ(weft_group_start(group, hold_in_a_process, shared, WEFT_POINTER), 0);
    (void)!weft_group_join(group, WEFT_FOREVER);
}

static void kill_the_zygote_of(struct strands *one)
{
    char path[64];
    int zygote = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", strands_pid(one, 0));
    FILE *file = fopen(path, "re");
    EXPECT_TRUE(file && fscanf(file, "%*d %*s %*c %d", &zygote) == 1);
    fclose(file);
    EXPECT_EQ(kill(zygote, SIGKILL), 0);
}

TEST(processes_that_die_with_the_zygote_are_dead_as_well)
{
    struct strands *owner = start_one(hold_the_lock);
    kill_the_zygote_of(owner);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_FOREVER), -EOWNERDEAD);
    kill_one(owner);
}

/* Nobody in the program has a handle on the one that holds the lock. */
TEST(processes_of_processes_that_die_with_the_zygote_are_dead_as_well)
{
    strands_must_be_processes();
    struct strands *middle = strands_start(1, start_another);
    UNTIL(weft_lock_locked(&shared->lock));
    kill_the_zygote_of(middle);
    EXPECT_EQ(weft_lock_acquire(&shared->lock, WEFT_FOREVER), -EOWNERDEAD);
    kill_one(middle);
}
