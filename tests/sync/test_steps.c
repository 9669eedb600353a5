/* SPDX-License-Identifier: MIT */
/*
 * A process is killed between two instructions of an operation on something in shared memory, at
 * one place after the other, and each time the others, who wait for the same, go on.
 *
 * The operation is gone through step by step (ptrace). First to its end, which counts the steps;
 * then, each time by another process, up to PLACES places spread over it, or WEFT_STEPS of them.
 * Those who wait are threads of the test.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weft.h>

#include "harness.h"
#include "strands.h"

enum { WAITERS = 2, PLACES = HARNESS_SANITIZED ? 10 : 40 };

/* What is gone through. */
struct operation {
    void (*prepare)(void);        /* by the test, before anybody waits; NULL: nothing */
    int (*wait)(weft_call *call); /* by each of those who wait; NULL: there is none */
    void (*run)(void);            /* by the process that dies */
    void (*go_on)(void);          /* by the test: lets those who wait end */
};

static struct {
    const struct operation *operation;
    atomic_bool ready, go, began, done, dead;
    atomic_int waiting, ended;
    weft_lock lock;
    weft_rlock rlock;
    weft_condition changed;
    weft_semaphore permits;
    weft_event event;
    weft_barrier barrier;
    weft_once once;
    weft_queue *queue;
    int pair[2]; /* guarded by lock, or rlock: equal */
    bool is_so;  /* guarded by lock */
} * shared;
STRANDS_KEEP(shared)

/* Leaves the processor to those that it is about. */
static void pause_briefly(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
}

/* ---- the process that dies */

static void run_operation(size_t index)
{
    (void)index;
    atomic_store(&shared->ready, true);
    while (!atomic_load(&shared->go))
        pause_briefly();
    atomic_store(&shared->began, true);
    shared->operation->run();
    atomic_store(&shared->done, true);
    for (;;)
        pause();
}

/* Lets a stopped process make one step. */
static void make_step(pid_t pid)
{
    int status;
    EXPECT_EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    EXPECT_EQ(waitpid(pid, &status, __WALL), pid);
    EXPECT_TRUE(WIFSTOPPED(status));
}

static void stop(pid_t pid)
{
    int status;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
        SKIP("this system does not let one process watch another");
    EXPECT_EQ(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
    EXPECT_EQ(waitpid(pid, &status, __WALL), pid);
}

/* Goes so far through the operation, or to its end, and kills the process. How many steps. */
static unsigned long go_and_kill(struct strands *process, unsigned long steps_max)
{
    int status;
    unsigned long steps = 0;
    pid_t pid = strands_pid(process, 0);
    UNTIL(atomic_load(&shared->ready));
    stop(pid);
    atomic_store(&shared->go, true);
    while (!atomic_load(&shared->began))
        make_step(pid);
    for (; steps < steps_max && !atomic_load(&shared->done); steps++)
        make_step(pid);
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_EQ(waitpid(pid, &status, __WALL), pid);
    strands_kill(process, 0);
    strands_join(process);
    return steps;
}

/* ---- those who wait */

static weft_group *start_waiters(void)
{
    weft_group *waiters;
    EXPECT_EQ(weft_group_open(&waiters, WEFT_THREADS, NULL), 0);
    for (int i = 0; i < WAITERS && shared->operation->wait; i++)
        EXPECT_EQ(weft_group_start(waiters, shared->operation->wait, NULL, 0), 0);
    UNTIL(!shared->operation->wait || atomic_load(&shared->waiting) == WAITERS);
    pause_briefly(); /* they are most likely asleep by then; what follows holds in any case */
    return waiters;
}

static unsigned long die_after(const struct operation *operation, unsigned long steps)
{
    memset(shared, 0, sizeof *shared);
    shared->operation = operation;
    if (operation->prepare)
        operation->prepare();
    struct strands *process = strands_start(1, run_operation);
    weft_group *waiters = start_waiters();
    steps = go_and_kill(process, steps);
    atomic_store(&shared->dead, true);
    operation->go_on();
    EXPECT_EQ(weft_group_join(waiters, WEFT_FOREVER), 0);
    weft_group_close(waiters);
    weft_queue_close(shared->queue);
    return steps;
}

static void die_everywhere(const struct operation *operation)
{
#if !defined(__x86_64__)
    SKIP("a step may not end inside a pair of instructions that make an atomic one");
#endif
    strands_must_be_processes();
    unsigned long all = die_after(operation, UINT32_MAX);
    EXPECT_GT(all, 10);
    const char *wish = getenv("WEFT_STEPS");
    unsigned long places = wish ? strtoul(wish, NULL, 10) : PLACES;
    unsigned long stride = all / (places ? places : PLACES) + 1;
    for (unsigned long steps = 0; steps < all; steps += stride)
        (void)die_after(operation, steps);
    printf("%lu steps\n", all);
}

static bool all_ended(void)
{
    return atomic_load(&shared->ended) == WAITERS;
}

/* ---- locks */

/* Takes the lock, and puts in order what it guards. */
static void take(void)
{
    int rc = weft_lock_acquire(&shared->lock, WEFT_FOREVER);
    if (rc == -EOWNERDEAD) {
        shared->pair[1] = shared->pair[0];
        rc = weft_lock_recover(&shared->lock);
    }
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(shared->pair[0], shared->pair[1]);
}

static void release(void)
{
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

static void take_and_count(void)
{
    take();
    shared->pair[0]++;
    shared->pair[1]++;
    release();
}

static int wait_for_lock(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    do {
        take_and_count();
        pause_briefly();
    } while (!atomic_load(&shared->dead));
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void expect_counts(void)
{
    UNTIL(all_ended());
    take();
    EXPECT_GE(shared->pair[0], WAITERS);
    release();
}

static const struct operation lock = { NULL, wait_for_lock, take_and_count, expect_counts };

TEST(taking_a_lock_and_releasing_it)
{
    die_everywhere(&lock);
}

static void hold_rlock_twice(void)
{
    int rc = weft_rlock_acquire(&shared->rlock, WEFT_FOREVER);
    if (rc == -EOWNERDEAD)
        rc = weft_rlock_recover(&shared->rlock);
    EXPECT_EQ(rc, 0);
    weft_rlock_lock(&shared->rlock);
    EXPECT_EQ(weft_rlock_depth(&shared->rlock), 2);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
}

static int wait_for_rlock(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    do {
        hold_rlock_twice();
        pause_briefly();
    } while (!atomic_load(&shared->dead));
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void until_all_ended(void)
{
    UNTIL(all_ended());
}

static const struct operation rlock = { NULL, wait_for_rlock, hold_rlock_twice, until_all_ended };

TEST(taking_an_rlock_twice_and_releasing_it)
{
    die_everywhere(&rlock);
}

/* ---- semaphores, events, once */

static int wait_for_permit(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_semaphore_acquire(&shared->permits, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void give_and_try_to_take(void)
{
    EXPECT_EQ(weft_semaphore_release(&shared->permits, WAITERS), 0);
    (void)!weft_semaphore_acquire(&shared->permits, (weft_deadline){ 1 });
}

/* Nobody may sleep while there is a permit. */
static void give_permits_if_there_are_none(void)
{
    while (!all_ended()) {
        if (weft_semaphore_value(&shared->permits) == 0)
            EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
        strands_yield();
    }
}

static const struct operation semaphore = { NULL, wait_for_permit, give_and_try_to_take,
                                            give_permits_if_there_are_none };

TEST(giving_permits_and_taking_one)
{
    die_everywhere(&semaphore);
}

static int wait_for_event(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_event_wait(&shared->event, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void set_event(void)
{
    weft_event_set(&shared->event);
}

/* Nobody may sleep while it is set. */
static void set_event_if_it_is_not(void)
{
    if (!weft_event_is_set(&shared->event))
        set_event();
}

static const struct operation event = { NULL, wait_for_event, set_event, set_event_if_it_is_not };

TEST(setting_an_event)
{
    die_everywhere(&event);
}

static int nothing(void *ctx)
{
    (void)ctx;
    return 0;
}

static void run_once(void)
{
    EXPECT_EQ(weft_once_run(&shared->once, nothing, NULL), 0);
}

static int wait_for_once(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    while (!atomic_load(&shared->began))
        pause_briefly();
    run_once();
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static const struct operation once = { NULL, wait_for_once, run_once, until_all_ended };

TEST(doing_something_once)
{
    die_everywhere(&once);
}

/* ---- conditions */

static bool is_so(void *ctx)
{
    (void)ctx;
    return shared->is_so;
}

static int wait_until_it_is_so(weft_call *call)
{
    (void)call;
    take();
    atomic_fetch_add(&shared->waiting, 1);
    int rc;
    while ((rc = weft_condition_wait_for(&shared->changed, &shared->lock, is_so, NULL,
                                         WEFT_FOREVER)) == -EOWNERDEAD)
        EXPECT_EQ(weft_lock_recover(&shared->lock), 0);
    EXPECT_EQ(rc, 0);
    release();
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void make_it_so(void)
{
    take();
    shared->is_so = true;
    release();
    weft_condition_notify(&shared->changed, UINT32_MAX);
}

/* Nobody may sleep while it is so: the dead one may not have come to notifying. */
static void make_it_so_if_it_is_not(void)
{
    take();
    bool was_so = shared->is_so;
    release();
    if (!was_so)
        make_it_so();
}

static const struct operation notify = { NULL, wait_until_it_is_so, make_it_so,
                                         make_it_so_if_it_is_not };

TEST(notifying)
{
    die_everywhere(&notify);
}

static void wait_for_a_moment(void)
{
    take();
    int rc = weft_condition_wait(&shared->changed, &shared->lock, (weft_deadline){ 1 });
    EXPECT_TRUE(rc == 0 || rc == -ETIMEDOUT);
    release();
}

static const struct operation wait_briefly = { NULL, wait_until_it_is_so, wait_for_a_moment,
                                               make_it_so };

TEST(waiting_under_a_lock)
{
    die_everywhere(&wait_briefly);
}

/* ---- barriers */

static void prepare_barrier(void)
{
    weft_barrier_init(&shared->barrier, WAITERS + 1, NULL, NULL);
}

static int wait_at_barrier(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    int rc = weft_barrier_wait(&shared->barrier, WEFT_FOREVER);
    EXPECT_TRUE(rc >= 0 || rc == -EPIPE);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void come_last(void)
{
    int rc = weft_barrier_wait(&shared->barrier, WEFT_FOREVER);
    EXPECT_TRUE(rc >= 0 || rc == -EPIPE);
}

static void come_in_its_stead(void)
{
    while (!all_ended()) {
        if (weft_barrier_waiting(&shared->barrier) == WAITERS)
            come_last();
        strands_yield();
    }
}

static const struct operation barrier = { prepare_barrier, wait_at_barrier, come_last,
                                          come_in_its_stead };

TEST(completing_a_round)
{
    die_everywhere(&barrier);
}

static void give_up_at_once(void)
{
    int rc = weft_barrier_wait(&shared->barrier, (weft_deadline){ 1 });
    EXPECT_TRUE(rc >= 0 || rc == -EPIPE || rc == -ETIMEDOUT);
}

static const struct operation give_up = { prepare_barrier, wait_at_barrier, give_up_at_once,
                                          come_in_its_stead };

TEST(giving_up_at_a_barrier)
{
    die_everywhere(&give_up);
}

/* ---- queues */

static void prepare_empty(void)
{
    EXPECT_EQ(weft_queue_open(&shared->queue, sizeof(int), 2, WEFT_SHARED), 0);
}

static int wait_for_item(weft_call *call)
{
    int item = 0;
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_queue_get(shared->queue, &item, WEFT_FOREVER), 0);
    EXPECT_EQ(item, 7);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void put_item(void)
{
    int item = 7;
    (void)!weft_queue_put(shared->queue, &item, WEFT_NOW);
}

/* Nobody may sleep while there is an item. */
static void put_items_if_there_are_none(void)
{
    while (!all_ended()) {
        if (weft_queue_count(shared->queue) == 0)
            put_item();
        strands_yield();
    }
}

static const struct operation put = { prepare_empty, wait_for_item, put_item,
                                      put_items_if_there_are_none };

TEST(putting_an_item)
{
    die_everywhere(&put);
}

static void prepare_full(void)
{
    prepare_empty();
    put_item();
    put_item();
}

static int wait_for_space(weft_call *call)
{
    int item = 7;
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_queue_put(shared->queue, &item, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void get_item(void)
{
    int item = 7;
    (void)!weft_queue_get(shared->queue, &item, WEFT_NOW);
    EXPECT_EQ(item, 7);
}

/* Nobody may sleep while there is space. */
static void get_items_if_it_is_full(void)
{
    while (!all_ended()) {
        if (weft_queue_count(shared->queue) == 2)
            get_item();
        strands_yield();
    }
}

static const struct operation get = { prepare_full, wait_for_space, get_item,
                                      get_items_if_it_is_full };

TEST(getting_an_item)
{
    die_everywhere(&get);
}

static void wait_for_two_things(void)
{
    int item;
    weft_case cases[] = { { .op = WEFT_GET, .on.queue = shared->queue, .item = &item },
                          { .op = WEFT_SET, .on.event = &shared->event } };
    (void)!weft_select(cases, 2, (weft_deadline){ 1 });
}

static const struct operation selecting = { prepare_empty, wait_for_item, wait_for_two_things,
                                            put_items_if_there_are_none };

TEST(selecting_from_a_queue_and_an_event)
{
    die_everywhere(&selecting);
}

static void prepare_work(void)
{
    prepare_full();
    get_item();
    EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    get_item();
}

static int wait_for_work(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&shared->waiting, 1);
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->ended, 1);
    return 0;
}

static void say_done(void)
{
    (void)weft_queue_task_done(shared->queue); /* -EINVAL: it was already */
}

static const struct operation done = { prepare_work, wait_for_work, say_done, say_done };

TEST(saying_that_work_is_done)
{
    die_everywhere(&done);
}

static void shut_down(void)
{
    weft_queue_shutdown(shared->queue, true);
}

/* Nobody may wait for what was discarded. */
static void shut_down_if_it_is_not(void)
{
    int item = 7;
    if (weft_queue_put(shared->queue, &item, WEFT_NOW) != -EPIPE)
        shut_down();
    EXPECT_EQ(weft_queue_count(shared->queue), 0);
}

static const struct operation shutdown_of_queue = { prepare_full, wait_for_work, shut_down,
                                                    shut_down_if_it_is_not };

TEST(discarding_what_is_in_a_queue)
{
    die_everywhere(&shutdown_of_queue);
}
